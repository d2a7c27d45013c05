// SPDX-License-Identifier: BSD-3-Clause
#include "port/udp/receiver.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

#include "port/udp/socket.hpp"

namespace chaincast::port::udp {

using stage::Drop;

Receiver::Receiver(int fd, rte_mempool* pool, uint16_t port_id, uint16_t local_port,
                   ReceiveCounters& counters)
    : fd_(fd),
      pool_(pool),
      port_id_(port_id),
      local_port_(local_port),
      counters_(counters),
      staging_(std::make_unique_for_overwrite<uint8_t[]>(messages_max * stride_bytes)) {}

unsigned Receiver::receive(stage::Datagram* out, unsigned max,
                           stage::Burst::Drops& drops) noexcept {
  if (next_ == count_) fill(max, drops);
  unsigned taken = 0;
  while (taken < max && next_ < count_) {
    Message& message = messages_[next_];
    if (message.is_done) {
      ++next_;
      continue;
    }
    const Step step = take_one(message, out[taken], drops);
    if (step == Step::no_buffer) break;
    if (step == Step::taken) ++taken;
  }
  return taken;
}

void Receiver::fill(unsigned max, stage::Burst::Drops& drops) noexcept {
  const unsigned wanted = std::min(max, messages_max);
  for (unsigned i = 0; i < wanted; ++i) {
    vectors_[i] = {staging_.get() + i * stride_bytes, message_bytes};
    msghdr& header = headers_[i].msg_hdr;
    header = {};
    header.msg_name = &sources_[i];
    header.msg_namelen = sizeof sources_[i];
    header.msg_iov = &vectors_[i];
    header.msg_iovlen = 1;
    header.msg_control = ancillary_[i].data();
    header.msg_controllen = ancillary_[i].size();
  }
  next_ = count_ = 0;
  const int got = recvmmsg(fd_, headers_.data(), wanted, MSG_DONTWAIT, nullptr);
  // An empty queue, or an error that the next call does not see again.
  if (got <= 0) return;
  count_ = static_cast<unsigned>(got);
  counters_.messages.add(count_);
  for (unsigned i = 0; i < count_; ++i) {
    Message& message = messages_[i];
    message.data = staging_.get() + i * stride_bytes;
    message.bytes = headers_[i].msg_len;
    message.segment_bytes = message.bytes;
    message.taken_bytes = 0;
    message.source = from_sockaddr(sources_[i]);
    read_ancillary(headers_[i].msg_hdr, message);
    message.is_done = (headers_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
    if (message.is_done) drops.add(Drop::rx_truncated);
  }
}

void Receiver::read_ancillary(msghdr& header, Message& message) noexcept {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment = 0;
      std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
      if (segment > 0) message.segment_bytes = static_cast<size_t>(segment);
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      uint32_t lost = 0;
      std::memcpy(&lost, CMSG_DATA(c), sizeof lost);
      counters_.missed.add(lost - overflow_);  // the kernel's counter wraps
      overflow_ = lost;
    }
  }
}

Receiver::Step Receiver::take_one(Message& message, stage::Datagram& out,
                                  stage::Burst::Drops& drops) noexcept {
  const size_t bytes = std::min(message.segment_bytes, message.bytes - message.taken_bytes);
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) return Step::no_buffer;
  const uint8_t* data = message.data + message.taken_bytes;
  message.taken_bytes += bytes;
  message.is_done = message.taken_bytes == message.bytes;
  counters_.packets.add();
  counters_.bytes.add(bytes);
  char* room = bytes > rte_pktmbuf_tailroom(mbuf)
                   ? nullptr
                   : rte_pktmbuf_append(mbuf, static_cast<uint16_t>(bytes));
  if (room == nullptr) {
    drops.add(Drop::segmented);
    rte_pktmbuf_free(mbuf);
    return Step::dropped;
  }
  std::memcpy(room, data, bytes);
  out = stage::Datagram{};
  out.mbuf = mbuf;
  out.data = reinterpret_cast<const uint8_t*>(room);
  out.bytes = static_cast<uint16_t>(bytes);
  out.local_port = local_port_;
  out.port_id = port_id_;
  out.source = message.source;
  return Step::taken;
}

}  // namespace chaincast::port::udp
