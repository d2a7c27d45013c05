// SPDX-License-Identifier: BSD-3-Clause
#include "stream/object_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/random.hpp"

namespace chaincast::stream {
namespace {

TEST(ObjectQueue, GivesBackWhatCameInItsOrder) {
  Random random(3);
  ObjectQueue queue;
  std::deque<Bytes> model;
  for (unsigned step = 0; step < 20'000; ++step) {
    const bool grows = step / 2000 % 2 == 0;
    if (model.empty() || random.chance(grows ? 0.6 : 0.4)) {
      const size_t bytes_max = random.chance(0.02) ? 50'000 : 200;
      model.push_back(test::random_bytes(random, random.below(bytes_max)));
      queue.push(model.back());
    } else {
      const ByteSpan front = queue.front();
      ASSERT_TRUE(
          std::equal(front.begin(), front.end(), model.front().begin(), model.front().end()));
      queue.pop();
      model.pop_front();
    }
    ASSERT_EQ(queue.empty(), model.empty());
    ASSERT_EQ(queue.sizes().size(), model.size());
    if (!model.empty()) {
      ASSERT_EQ(queue.sizes().back(), model.back().size());
    }
  }
}

TEST(ObjectQueue, EmptyObjectsKeepTheirPlace) {
  ObjectQueue queue;
  queue.push({});
  queue.push(as_bytes("x"));
  queue.push({});
  EXPECT_EQ(queue.front().size(), 0u);
  queue.pop();
  EXPECT_EQ(queue.front()[0], 'x');
  queue.pop();
  EXPECT_FALSE(queue.empty());
  queue.pop();
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace chaincast::stream
