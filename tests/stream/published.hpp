// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "stream/node.hpp"

// A stream with everything that its origin published, for tests of the receiving end.
namespace chaincast::test {

// What one origin published, and the frames it made of it.
struct Published {
  std::unique_ptr<stream::Origin> origin;
  std::vector<Bytes> objects;
  std::vector<Emitted> frames;
};

class PublishedTest : public testing::Test {
 protected:
  Published publish(wire::Descriptor descriptor, unsigned objects, size_t bytes_max = 1500) {
    Published p;
    p.origin = crypto_.origin(std::move(descriptor));
    publish_more(p, objects, bytes_max, 0);
    return p;
  }
  void publish_more(Published& p, unsigned objects, size_t bytes_max, TimeNs from_ns) {
    for (unsigned i = 0; i < objects; ++i) {
      p.objects.push_back(random_bytes(random_, random_.below(bytes_max)));
      EXPECT_TRUE(p.origin->publish(p.objects.back()).value());
      for (Emitted& f : poll_all(*p.origin, from_ns + i * ns_per_ms))
        p.frames.push_back(std::move(f));
    }
    for (Emitted& f : poll_all(*p.origin, from_ns + objects * ns_per_ms + 20 * ns_per_ms))
      p.frames.push_back(std::move(f));
  }
  wire::Descriptor final_descriptor(wire::Suite suite = wire::Suite::sha256_gmac) {
    wire::Descriptor d = small_descriptor(suite);
    d.delivery = wire::Delivery::final;
    return d;
  }

  Crypto crypto_;
  Random random_{5};
};

}  // namespace chaincast::test
