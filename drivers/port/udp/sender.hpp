// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>
#include <sys/socket.h>

#include <array>

#include "port/port.hpp"
#include "stats/counter.hpp"

// The sending half of one queue: packets of one remote into as few messages as the kernel takes.
//
// Thread: the worker that owns the queue. What goes as a run is copied once (sender.cpp says why),
// and the kernel has read all packets before the call returns.
namespace chaincast::port::udp {

struct SendCounters {
  stats::Counter packets, bytes;
  stats::Counter full;         // given back
  stats::Counter failed;       // EMSGSIZE and the like
  stats::Counter unreachable;  // no route, no host, nobody listens
  stats::Counter messages;     // a run counts once
};

class Sender {
 public:
  Sender(bool has_segmentation, SendCounters& counters)
      : has_segmentation_(has_segmentation), counters_(counters) {}

  // As Port::transmit, on the given socket.
  unsigned transmit(int fd, const Endpoint& remote, rte_mbuf** packets, unsigned count) noexcept;

 private:
  static constexpr unsigned messages_max = 64;
  static constexpr unsigned vectors_max = 512;
  static constexpr unsigned run_packets_max = 64;                  // the kernel's UDP_MAX_SEGMENTS
  static constexpr size_t run_bytes_max = 65000;                   // below the largest IP packet
  static constexpr size_t gathered_bytes_max = 2 * run_bytes_max;  // stays in a second-level cache

  struct Plan {
    unsigned messages = 0;
    unsigned packets = 0;
    unsigned vectors = 0;
    size_t gathered_bytes = 0;
  };

  Plan plan(rte_mbuf** packets, unsigned count, bool may_segment) noexcept;
  unsigned run_length(rte_mbuf** packets, unsigned count) const noexcept;
  bool add_message(Plan& plan, rte_mbuf** packets, unsigned count) noexcept;
  unsigned point_at(Plan& plan, const rte_mbuf* packet) noexcept;
  unsigned gather(Plan& plan, rte_mbuf** packets, unsigned count) noexcept;
  // Handles the error of the first unsent message; false: stop, the rest is given back.
  bool settle(int reason, rte_mbuf** packets, unsigned message_packets, unsigned& taken,
              bool& may_segment) noexcept;
  void release(rte_mbuf** packets, unsigned count, bool is_sent) noexcept;

  bool has_segmentation_;
  SendCounters& counters_;
  sockaddr_storage remote_{};
  socklen_t remote_bytes_ = 0;
  std::array<mmsghdr, messages_max> headers_{};
  std::array<unsigned, messages_max> message_packets_{};
  std::array<iovec, vectors_max> vectors_{};
  std::array<uint8_t, gathered_bytes_max> gathered_;
  struct alignas(cmsghdr) Ancillary {
    std::array<uint8_t, CMSG_SPACE(sizeof(uint16_t))> bytes{};
  };
  std::array<Ancillary, messages_max> ancillary_{};
};

}  // namespace chaincast::port::udp
