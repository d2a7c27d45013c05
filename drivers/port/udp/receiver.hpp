// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>
#include <sys/socket.h>

#include <array>
#include <memory>

#include "stage/burst.hpp"
#include "stats/counter.hpp"

// The receiving half of one socket: messages into a staging area, datagrams out of it into mbufs.
//
// A message is a datagram or, with UDP_GRO, a train of equal ones of up to 64 KiB, which is why it
// is copied: its segment size is known only afterwards. What a call does not take stays staged, in
// order. Thread: the worker that owns the queue. Memory: 1 MiB, touched as far as messages reach.
namespace chaincast::port::udp {

struct ReceiveCounters {
  stats::Counter packets, bytes;
  stats::Counter messages;  // a train counts once
  stats::Counter missed;    // lost because the socket's buffer was full, as the kernel counts them
};

class Receiver {
 public:
  Receiver(int fd, rte_mempool* pool, uint16_t port_id, uint16_t local_port,
           ReceiveCounters& counters);

  // Up to `max` datagrams. Drops: rx_truncated, segmented (larger than an mbuf). Makes at most one
  // system call; returns 0 with datagrams staged only while the pool is empty.
  unsigned receive(stage::Datagram* out, unsigned max, stage::Burst::Drops& drops) noexcept;

 private:
  static constexpr unsigned messages_max = 16;
  static constexpr size_t message_bytes = 65536;
  // Not a multiple of 4 KiB, so that the messages' heads do not share a cache set.
  static constexpr size_t stride_bytes = message_bytes + 192;

  struct Message {
    const uint8_t* data = nullptr;
    size_t bytes = 0;
    size_t segment_bytes = 0;
    size_t taken_bytes = 0;
    Endpoint source;
    bool is_done = true;
  };

  void fill(unsigned max, stage::Burst::Drops& drops) noexcept;
  void read_ancillary(msghdr& header, Message& message) noexcept;
  enum class Step { taken, dropped, no_buffer };
  Step take_one(Message& message, stage::Datagram& out, stage::Burst::Drops& drops) noexcept;

  const int fd_;
  rte_mempool* const pool_;
  const uint16_t port_id_;
  const uint16_t local_port_;
  ReceiveCounters& counters_;
  std::unique_ptr<uint8_t[]> staging_;
  std::array<mmsghdr, messages_max> headers_{};
  std::array<iovec, messages_max> vectors_{};
  std::array<sockaddr_storage, messages_max> sources_{};
  alignas(cmsghdr) std::array<std::array<uint8_t, 128>, messages_max> ancillary_{};
  std::array<Message, messages_max> messages_{};
  unsigned next_ = 0;   // message being split
  unsigned count_ = 0;  // messages staged
  uint32_t overflow_ = 0;
};

}  // namespace chaincast::port::udp
