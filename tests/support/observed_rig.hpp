// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>

#include "support/line_rig.hpp"
#include "support/random.hpp"

namespace chaincast::test {

// A line with one observer per worker, made by `make(worker)`, and a stream to send on.
template <typename Looker>
class ObservedRig {
 public:
  template <typename Make>
  ObservedRig(const RigConfig& config, Make&& make)
      : rig(config), stream(rig.add_stream("s", wire::Suite::sha256_gmac)) {
    auto lookout = std::make_unique<node::Lookout>();
    for (unsigned w = 0; w < config.workers; ++w) {
      lookers.push_back(make(w));
      lookout->of_worker.push_back(std::make_unique<stage::Observers>());
      lookout->of_worker.back()->add(lookers.back());
    }
    rig.plane.lookout.publish(std::move(lookout), rig.retirer);
  }
  ~ObservedRig() {
    rig.plane.lookout.publish(nullptr, rig.retirer);
    rig.retirer.flush();
  }

  Bytes next_frame(size_t payload_bytes = 40) {
    return stream.next_frame(*rig.engine, random_bytes(random, payload_bytes));
  }
  // One datagram from peer 0 on its bulk lane; what was sent.
  Bytes put(const std::vector<Bytes>& frames, uint8_t hops = 0) {
    Bytes datagram = rig.stamp(0, 1, frames, hops);
    rig.put(0, 1, datagram);
    return datagram;
  }

  LineRig rig;
  RigStream& stream;
  Random random{5};
  std::vector<std::shared_ptr<Looker>> lookers;
};

}  // namespace chaincast::test
