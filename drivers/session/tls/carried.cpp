// SPDX-License-Identifier: BSD-3-Clause
// TlsSessions, the part for sessions whose bytes a third node carries: each is a connection over a
// socket pair, whose far end is read and written here.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "session/tls/sessions.hpp"

namespace chaincast::session::tls {

namespace {

constexpr size_t pieces_per_call_max = 8;  // of one channel

}  // namespace

bool TlsSessions::carry(uint64_t channel, bool is_dialled, const NodeId& id,
                        const Endpoint& address, TimeNs now_ns) {
  std::array<int, 2> ends{};
  if (carried_.size() >= carried_max || carried_.contains(channel) ||
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    ++counters_.over_limit;
    return false;
  }
  ++(is_dialled ? counters_.dialled : counters_.accepted);
  carried_[channel].fd = Descriptor(ends[1]);
  connections_.push_back(std::make_unique<Connection>(*context_, Descriptor(ends[0]), is_dialled,
                                                      id, judge(id), now_ns));
  Remote& remote = connections_.back()->remote;
  remote.address = remote.seen = address;
  remote.is_carried = true;
  return true;
}

bool TlsSessions::dial_carried(uint64_t channel, const NodeId& id, const Endpoint& address,
                               TimeNs now_ns) {
  return carry(channel, true, id, address, now_ns);
}

bool TlsSessions::accept_carried(uint64_t channel, const Endpoint& address, TimeNs now_ns) {
  return carry(channel, false, NodeId{}, address, now_ns);
}

void TlsSessions::carried(uint64_t channel, ByteSpan bytes, TimeNs) {
  const auto found = carried_.find(channel);
  if (found == carried_.end() || found->second.has_ended) return;
  Carried& one = found->second;
  // Whoever sends more than it was told that there is room for gets no more of it.
  if (one.waiting.size() + bytes.size() > carried_window_bytes) {
    ++counters_.over_limit;
    one.waiting.clear();
    one.has_ended = true;
    return;
  }
  one.waiting.insert(one.waiting.end(), bytes.begin(), bytes.end());
}

void TlsSessions::carried_taken(uint64_t channel, uint32_t bytes) {
  const auto found = carried_.find(channel);
  if (found == carried_.end()) return;
  uint32_t& room = found->second.room;
  room += std::min(bytes, carried_window_bytes - room);
}

void TlsSessions::carried_end(uint64_t channel) {
  const auto found = carried_.find(channel);
  if (found != carried_.end()) found->second.has_ended = true;
}

bool TlsSessions::deliver(uint64_t channel, Carried& one, TimeNs now_ns) {
  size_t done = 0;
  while (done < one.waiting.size()) {
    const ssize_t sent = ::send(one.fd.get(), one.waiting.data() + done, one.waiting.size() - done,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent <= 0) return false;
    done += static_cast<size_t>(sent);
  }
  one.waiting.erase(one.waiting.begin(), one.waiting.begin() + static_cast<long>(done));
  if (done > 0) listener_->on_carry_taken(channel, static_cast<uint32_t>(done), now_ns);
  return !one.has_ended || !one.waiting.empty();
}

bool TlsSessions::collect(uint64_t channel, Carried& one, TimeNs now_ns) {
  std::array<uint8_t, carried_piece_bytes> buffer;
  for (size_t i = 0; i < pieces_per_call_max && one.room > 0; ++i) {
    const size_t want = std::min<size_t>(buffer.size(), one.room);
    const ssize_t got = ::recv(one.fd.get(), buffer.data(), want, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    one.room -= static_cast<uint32_t>(got);
    listener_->on_carry(channel, ByteSpan(buffer).first(static_cast<size_t>(got)), now_ns);
  }
  return true;
}

// The listener may open channels meanwhile, and end them; they go only here.
void TlsSessions::pump_carried(TimeNs now_ns) {
  for (auto one = carried_.begin(); one != carried_.end();) {
    const uint64_t channel = one->first;
    const bool goes_on =
        deliver(channel, one->second, now_ns) && collect(channel, one->second, now_ns);
    const auto next = std::next(one);
    if (!goes_on) {
      carried_.erase(one);
      listener_->on_carry_end(channel, now_ns);
    }
    one = next;
  }
}

}  // namespace chaincast::session::tls
