// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/sessions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "session/tls/tls.hpp"

namespace chaincast::session::tls {

namespace {

// Of one call of on_ready(), all connections together.
constexpr size_t bytes_per_call_max = 2 * 1024 * 1024;
constexpr unsigned messages_per_call_max = 1024;
constexpr unsigned handshakes_per_call_max = 16;
constexpr unsigned accepted_per_call_max = 16;
constexpr TimeNs accept_pause_ns = 100 * ns_per_ms;  // out of descriptors: poll would spin
constexpr size_t discarded_per_call_max = 64 * 1024;
constexpr size_t ipv6_site_bytes = 8;  // one customer's own addresses: a /64

bool is_same_source(const Endpoint& a, const Endpoint& b) {
  const size_t bytes = a.is_ipv6 ? ipv6_site_bytes : a.address.size();
  return a.is_ipv6 == b.is_ipv6 &&
         std::equal(a.address.begin(), a.address.begin() + bytes, b.address.begin());
}

bool takes_messages(const Connection& connection) {
  return connection.state != Connection::State::over && !connection.candidate.is_finishing &&
         !connection.candidate.hears_no_more;
}

}  // namespace

TlsSessions::TlsSessions(const Config& config, const PublicKey& key,
                         std::unique_ptr<Context> context, Listening listening)
    : config_(config),
      id_(id_of(key)),
      context_(std::move(context)),
      listening_(std::move(listening)),
      hello_(encode_frame(encode_hello({config.network, listening_.address.port, config.card}))),
      choice_(id_, config.handshake_ns),
      backoff_(config.retry_ns, config.retry_max_ns) {}

TlsSessions::~TlsSessions() {
  for (const auto& connection : connections_) {
    if (connection->state != Connection::State::open) continue;
    write(*connection, connection->message_ns);
    connection->channel.hang_up();
    // Unread bytes would make a reset of the goodbye.
    discard(connection->channel.fd(), discarded_per_call_max);
  }
}

// ---- what is above ------------------------------------------------------------------------------

// The session that may carry a message, or the dial that will.
Connection* TlsSessions::find(const NodeId& id, const Endpoint& address) {
  for (const auto& one : connections_) {
    if (!takes_messages(*one) || !one->was_opened) continue;
    const bool is_there = one->remote.address == address && !one->remote.is_carried;
    if (id == NodeId{} ? is_there : one->remote.id == id) return one.get();
  }
  for (const auto& one : connections_) {
    if (takes_messages(*one) && one->is_dialled() && one->is_half_open() && one->expected == id &&
        one->remote.address == address) {
      return one.get();
    }
  }
  return nullptr;
}

bool TlsSessions::send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns) {
  Connection* connection = find(id, address);
  if (!connection && backoff_.holds(address, now_ns)) {
    ++counters_.backing_off;
    return false;
  }
  const size_t queued = connection ? connection->out.queued_bytes() : 0;
  if (message.empty() || message.size() > message_bytes_max ||
      queued + frame_header_bytes + message.size() > config_.queue_bytes_max ||
      (connection && connection->out.messages() >= Outbox::messages_max)) {
    ++counters_.queue_full;
    return false;
  }
  if (!connection) connection = dial(id, address, now_ns);
  if (!connection) return false;
  if (connection->out.is_empty()) connection->out_moved_ns = now_ns;
  connection->is_moved = false;
  connection->out.add(std::move(message));
  return true;
}

Connection* TlsSessions::dial(const NodeId& id, const Endpoint& address, TimeNs now_ns) {
  const auto is_dialling = [](const auto& one) { return one->is_dialled() && one->is_half_open(); };
  const auto dialling =
      static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(), is_dialling));
  if (count_open() + dialling >= sessions_max) {
    ++counters_.over_limit;
    return nullptr;
  }
  ++counters_.dialled;
  Dialled dialled = tls::dial(address, listening_.address);
  connections_.push_back(
      std::make_unique<Connection>(*context_, std::move(dialled.fd), true, id, judge(id), now_ns));
  Connection& out = *connections_.back();
  out.remote.address = out.remote.seen = address;
  if (dialled.code != 0) end(out, std::strerror(dialled.code));
  return &out;
}

Judge TlsSessions::judge(const NodeId& expected) const {
  return [this, expected](const PublicKey& key) -> std::string {
    const NodeId id = id_of(key);
    if (id == id_) return "this is the node itself";
    if (expected != NodeId{} && id != expected) {
      return fmt::format("another node is there: {}, not {}", id.hex(), expected.hex());
    }
    if (config_.admits && !config_.admits(key)) {
      return fmt::format("the network does not admit node {}", id.hex());
    }
    return {};
  };
}

std::optional<Secret> TlsSessions::exported(const NodeId& peer, const std::string& label) const {
  const Candidate* session = choice_.session(peer);
  if (!session) return std::nullopt;
  const Connection& connection = of(*session);
  if (connection.state != Connection::State::open || connection.channel.has_failed()) {
    return std::nullopt;
  }
  return connection.channel.exported("EXPORTER-chaincast-" + label, config_.network);
}

void TlsSessions::close(const NodeId& peer, const std::string& why, TimeNs) {
  for (const Candidate* candidate : choice_.all(peer)) {
    if (candidate->is_open) end(of(*candidate), why);
  }
}

std::vector<SessionStatus> TlsSessions::sessions() const {
  std::vector<SessionStatus> out;
  for (const auto& one : connections_) {
    if (!one->was_opened || one->state != Connection::State::open) continue;
    out.push_back({one->remote, one->is_dialled(), one->channel.is_resumed(),
                   one->candidate.opened_ns, one->out.queued_bytes()});
  }
  return out;
}

size_t TlsSessions::count_open() const {
  return static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const auto& one) { return one->state == Connection::State::open; }));
}

Connection& TlsSessions::of(const Candidate& candidate) const {
  const auto found = std::find_if(connections_.begin(), connections_.end(),
                                  [&](const auto& one) { return &one->candidate == &candidate; });
  CC_ASSERT(found != connections_.end());
  return **found;
}

// ---- the control loop ---------------------------------------------------------------------------

bool TlsSessions::may_read(const Connection& connection) const {
  return !connection.candidate.is_open || choice_.may_read(connection.candidate);
}

bool TlsSessions::can_write(const Connection& connection) const {
  if (connection.has_said_goodbye) return false;
  return connection.state == Connection::State::open ||
         (connection.state == Connection::State::greeting && connection.is_dialled());
}

// Messages, where the hello may leave at any time: both ends would wait for each other's.
bool TlsSessions::may_begin(const Connection& connection) const {
  return !connection.candidate.is_open || choice_.may_write(connection.candidate);
}

short TlsSessions::events_of(const Connection& connection) const {
  using State = Connection::State;
  if (connection.state == State::over) return 0;
  if (connection.state == State::connecting) return POLLOUT;
  int events = connection.channel.wants_write() && !connection.has_said_goodbye ? POLLOUT : 0;
  if (connection.state == State::handshaking) return static_cast<short>(events ? events : POLLIN);
  if (may_read(connection) && !connection.candidate.hears_no_more) events |= POLLIN;
  const bool has_more = !connection.out.is_empty() || connection.candidate.is_finishing;
  const bool writes = connection.out.has_begun() || (has_more && may_begin(connection));
  if (writes && can_write(connection)) events |= POLLOUT;
  return static_cast<short>(events);
}

// The listening socket, those that leave, then connections. What waits for nothing has no
// descriptor here: poll would report its hang-up again and again.
void TlsSessions::add_poll_fds(std::vector<pollfd>& fds) const {
  fds.push_back({is_accept_paused_ ? -1 : listening_.fd.get(), POLLIN, 0});
  for (const Leaving& one : leaving_) fds.push_back({one.fd.get(), POLLIN, 0});
  for (const auto& one : connections_) {
    const short events = events_of(*one);
    fds.push_back({events == 0 ? -1 : one->channel.fd(), events, 0});
  }
  // To wake up for: all of them are looked at.
  for (const auto& [channel, one] : carried_) {
    const int events = (one.room > 0 ? POLLIN : 0) | (one.waiting.empty() ? 0 : POLLOUT);
    fds.push_back({events == 0 ? -1 : one.fd.get(), static_cast<short>(events), 0});
  }
}

TimeNs TlsSessions::deadline(const Connection& connection) const {
  const bool is_done = connection.has_said_goodbye && connection.candidate.hears_no_more;
  if (connection.state == Connection::State::over || is_done) return 0;
  if (connection.is_half_open()) return connection.begun_ns + config_.handshake_ns;
  TimeNs out = time_never;
  const bool writes = !connection.out.is_empty();
  if (writes) out = connection.out_moved_ns + config_.stall_ns;
  if (connection.owes_bytes()) out = std::min(out, connection.in_moved_ns + config_.stall_ns);
  return out == time_never ? connection.message_ns + config_.idle_ns : out;
}

TimeNs TlsSessions::wake_at_ns() const {
  TimeNs wake = is_accept_paused_ ? accept_again_ns_ : time_never;
  for (const Leaving& one : leaving_) wake = std::min(wake, one.until_ns);
  for (const auto& one : connections_) {
    const bool has_more = !one->spill.empty() && may_read(*one);
    wake = std::min(wake, has_more ? 0 : deadline(*one));
  }
  return wake;
}

void TlsSessions::on_ready(std::span<const pollfd> fds, TimeNs now_ns) {
  CC_ASSERT(listener_ != nullptr && fds.size() > leaving_.size());
  const auto polled = fds.subspan(1 + leaving_.size());
  std::erase_if(leaving_, [&](const Leaving& one) {
    return now_ns >= one.until_ns || !discard(one.fd.get(), discarded_per_call_max);
  });
  Budget budget{bytes_per_call_max, messages_per_call_max, handshakes_per_call_max};
  // The listener may dial meanwhile: what it adds comes next time.
  const size_t count = connections_.size();
  ++turn_;
  for (size_t i = 0; i < count; ++i) {
    const size_t index = (turn_ + i) % count;
    const short revents = index < polled.size() ? polled[index].revents : short{0};
    serve(*connections_[index], revents, budget, now_ns);
  }
  for (size_t i = 0; i < count; ++i) {
    if (connections_[i]->state == Connection::State::over) bury(*connections_[i], now_ns);
  }
  std::erase_if(connections_, [](const auto& one) { return one->is_buried; });
  pump_carried(now_ns);
  accept(fds[0], now_ns);
}

void TlsSessions::accept(const pollfd& listening, TimeNs now_ns) {
  if (is_accept_paused_ && now_ns >= accept_again_ns_) is_accept_paused_ = false;
  if ((listening.revents & POLLIN) == 0) return;
  for (unsigned i = 0; i < accepted_per_call_max; ++i) {
    AcceptedSocket accepted = accept_one(listening_.fd.get());
    if (accepted.code == ECONNABORTED || accepted.code == EINTR) continue;
    if (accepted.code != 0) {
      is_accept_paused_ = accepted.code != EAGAIN;
      accept_again_ns_ = now_ns + accept_pause_ns;
      return;
    }
    ++counters_.accepted;
    if (!has_room_for(accepted.from)) {
      ++counters_.over_limit;
      continue;
    }
    connections_.push_back(std::make_unique<Connection>(*context_, std::move(accepted.fd), false,
                                                        NodeId{}, judge({}), now_ns));
    connections_.back()->remote.seen = accepted.from;
  }
}

bool TlsSessions::has_room_for(const Endpoint& from) const {
  size_t all = 0, same = 0;
  for (const auto& one : connections_) {
    if (one->is_dialled() || !one->is_half_open()) continue;
    ++all;
    if (is_same_source(one->remote.seen, from)) ++same;
  }
  return all < half_open_max && same < half_open_per_source_max;
}

}  // namespace chaincast::session::tls
