// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "port/port.hpp"

namespace chaincast::test {

// A port that hears nothing, takes nothing and has nothing to say of itself: the base of ports made
// for one test, whose peers are given destinations by hand.
class StubPort : public port::Port {
 public:
  unsigned receive(unsigned, stage::Datagram*, unsigned, stage::Burst::Drops&) noexcept override {
    return 0;
  }
  unsigned transmit(unsigned, const port::Destination&, rte_mbuf**, unsigned) noexcept override {
    return 0;
  }
  void tick(unsigned, TimeNs) noexcept override {}
  port::Info info() const override { return {}; }
  port::Capabilities capabilities() const override { return {}; }
  port::Counters counters() const override { return {}; }
  Result<port::Destination> destination(const Endpoint&, uint16_t) override {
    return error(ErrorCode::unsupported, "stub port: resolves nothing; build it by hand");
  }
  Status start() override { return {}; }
  void stop() override {}
  int wait_fd(unsigned) const override { return -1; }
};

}  // namespace chaincast::test
