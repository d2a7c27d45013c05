// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <memory>
#include <string>

#include "port/headers.hpp"
#include "port/port.hpp"

// What lies between a tester and the system under test: the tester's end, and the other end as a
// port of the product. Two rings of 1,024 packets (DPDK's net_ring below the port), or a pair of
// kernel interfaces with a DPDK device at each end. One thread at each end.
namespace chaincast::bench::load {

inline constexpr unsigned ring_entries = 1024;

class Cable {
 public:
  virtual ~Cable() = default;
  virtual port::Port& port() = 0;
  virtual const port::Mac& mac() const = 0;
  // Takes the first n packets and returns n; the rest stays with the caller.
  virtual unsigned send(rte_mbuf** packets, unsigned count) = 0;
  virtual unsigned receive(rte_mbuf** packets, unsigned max) = 0;
};

std::unique_ptr<Cable> make_ring_cable(rte_mempool* pool);
// Device strings of the near end (the tester's) and the far end (the port's).
std::unique_ptr<Cable> make_device_cable(const std::string& near, const std::string& far,
                                         rte_mempool* pool);

}  // namespace chaincast::bench::load
