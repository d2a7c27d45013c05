// SPDX-License-Identifier: BSD-3-Clause
#include "port/udp/sender.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "port/udp/socket.hpp"

namespace chaincast::port::udp {

unsigned Sender::transmit(int fd, const Endpoint& remote, rte_mbuf** packets,
                          unsigned count) noexcept {
  remote_bytes_ = to_sockaddr(remote, remote_);
  bool may_segment = has_segmentation_;
  unsigned taken = 0;
  while (taken < count) {
    const Plan plan = this->plan(packets + taken, count - taken, may_segment);
    if (plan.messages == 0) {  // more segments than a message can describe
      counters_.failed.add();
      release(packets + taken, 1, false);
      ++taken;
      continue;
    }
    const int sent = sendmmsg(fd, headers_.data(), plan.messages, MSG_DONTWAIT);
    const int reason = sent < 0 ? errno : 0;
    const unsigned done = sent < 0 ? 0 : static_cast<unsigned>(sent);
    for (unsigned i = 0; i < done; ++i) {
      release(packets + taken, message_packets_[i], true);
      taken += message_packets_[i];
    }
    counters_.messages.add(done);
    // The kernel reports an error only when it concerns the first message.
    if (reason != 0 && !settle(reason, packets + taken, message_packets_[0], taken, may_segment)) {
      break;
    }
  }
  counters_.full.add(count - taken);
  return taken;
}

bool Sender::settle(int reason, rte_mbuf** packets, unsigned message_packets, unsigned& taken,
                    bool& may_segment) noexcept {
  if (reason == EINTR) return true;
  if (reason == EAGAIN || reason == EWOULDBLOCK || reason == ENOBUFS || reason == ENOMEM) {
    return false;
  }
  const bool is_away = reason == ECONNREFUSED || reason == EHOSTUNREACH || reason == ENETUNREACH ||
                       reason == EHOSTDOWN || reason == ENETDOWN;
  if (!is_away && message_packets > 1) {
    // A run fails as one; alone, each packet tells for itself. EIO is a device without the
    // checksum offload that UDP_SEGMENT needs: it will not come back.
    may_segment = false;
    if (reason == EIO) has_segmentation_ = false;
    return true;
  }
  (is_away ? counters_.unreachable : counters_.failed).add(message_packets);
  release(packets, message_packets, false);
  taken += message_packets;
  return true;
}

void Sender::release(rte_mbuf** packets, unsigned count, bool is_sent) noexcept {
  if (is_sent) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; ++i) bytes += packets[i]->pkt_len;
    counters_.packets.add(count);
    counters_.bytes.add(bytes);
  }
  rte_pktmbuf_free_bulk(packets, count);
}

Sender::Plan Sender::plan(rte_mbuf** packets, unsigned count, bool may_segment) noexcept {
  Plan plan;
  while (plan.packets < count && plan.messages < messages_max) {
    rte_mbuf** first = packets + plan.packets;
    const unsigned left = count - plan.packets;
    const unsigned run = may_segment ? run_length(first, left) : 1;
    if (!add_message(plan, first, run)) break;
  }
  return plan;
}

// Packets of one size; a last, shorter one may close the run.
unsigned Sender::run_length(rte_mbuf** packets, unsigned count) const noexcept {
  const uint32_t size = packets[0]->pkt_len;
  if (size == 0) return 1;
  const size_t fitting = std::max<size_t>(1, run_bytes_max / size);
  const auto most = static_cast<unsigned>(std::min<size_t>({count, run_packets_max, fitting}));
  unsigned run = 1;
  while (run < most && packets[run]->pkt_len == size) ++run;
  if (run < most && packets[run]->pkt_len < size && packets[run]->pkt_len > 0) ++run;
  return run;
}

// Adds as much of the run as there is room for; false: not even one packet. The kernel copies many
// small pieces several times slower than one large one, so a run is gathered here first.
bool Sender::add_message(Plan& plan, rte_mbuf** packets, unsigned count) noexcept {
  const unsigned first_vector = plan.vectors;
  const unsigned added = count > 1 ? gather(plan, packets, count) : point_at(plan, packets[0]);
  if (added == 0) return false;
  msghdr& header = headers_[plan.messages].msg_hdr;
  header = {};
  header.msg_name = &remote_;
  header.msg_namelen = remote_bytes_;
  header.msg_iov = &vectors_[first_vector];
  header.msg_iovlen = plan.vectors - first_vector;
  if (added > 1) {
    Ancillary& ancillary = ancillary_[plan.messages];
    header.msg_control = ancillary.bytes.data();
    header.msg_controllen = ancillary.bytes.size();
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const auto size = static_cast<uint16_t>(packets[0]->pkt_len);
    std::memcpy(CMSG_DATA(c), &size, sizeof size);
  }
  message_packets_[plan.messages++] = added;
  plan.packets += added;
  return true;
}

// Where the packet lies: 1, or 0 if it has more segments than there are vectors left.
unsigned Sender::point_at(Plan& plan, const rte_mbuf* packet) noexcept {
  if (plan.vectors + packet->nb_segs > vectors_max) return 0;
  for (const rte_mbuf* s = packet; s != nullptr; s = s->next) {
    vectors_[plan.vectors++] = {rte_pktmbuf_mtod(s, void*), s->data_len};
  }
  return 1;
}

// How many packets of the run there was room for, one behind the other, in one vector.
unsigned Sender::gather(Plan& plan, rte_mbuf** packets, unsigned count) noexcept {
  if (plan.vectors == vectors_max) return 0;
  uint8_t* const begin = gathered_.data() + plan.gathered_bytes;
  uint8_t* at = begin;
  unsigned added = 0;
  for (; added < count; ++added) {
    if (packets[added]->pkt_len > gathered_.data() + gathered_.size() - at) break;
    for (const rte_mbuf* s = packets[added]; s != nullptr; s = s->next) {
      std::memcpy(at, rte_pktmbuf_mtod(s, const void*), s->data_len);
      at += s->data_len;
    }
  }
  if (added == 0) return 0;
  vectors_[plan.vectors++] = {begin, static_cast<size_t>(at - begin)};
  plan.gathered_bytes += static_cast<size_t>(at - begin);
  return added;
}

}  // namespace chaincast::port::udp
