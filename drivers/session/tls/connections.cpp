// SPDX-License-Identifier: BSD-3-Clause
// TlsSessions, the part that serves one connection: from the first byte to the last.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "session/tls/sessions.hpp"

namespace chaincast::session::tls {

namespace {

using Io = Channel::Io;
using State = Connection::State;

// Of one connection, in one call.
constexpr size_t bytes_read_max = 128 * 1024;
constexpr size_t bytes_written_max = 256 * 1024;
constexpr unsigned messages_max = 64;

constexpr size_t kept_bytes_max = 256 * 1024 * 1024;  // of all messages that have not come whole
constexpr size_t connections_per_peer_max = 4;
constexpr size_t leaving_max = 256;
constexpr TimeNs leaving_ns = ns_per_s;

constexpr const char* refused_by_the_other = "the other end refused it";

}  // namespace

void TlsSessions::serve(Connection& connection, short revents, Budget& budget, TimeNs now_ns) {
  if (connection.state == State::connecting && revents != 0) connect(connection, budget);
  if (connection.state == State::handshaking && revents != 0) {
    shake_hands(connection, budget, now_ns);
  }
  if (connection.state == State::greeting || connection.state == State::open) {
    read(connection, revents != 0, budget, now_ns);
    if (!connection.channel.wants_write() || (revents & ~POLLIN) != 0) write(connection, now_ns);
  }
  check_time(connection, now_ns);
}

void TlsSessions::connect(Connection& connection, const Budget& budget) {
  const int code = dial_result(connection.channel.fd());
  if (code == EINPROGRESS || budget.handshakes == 0) return;
  if (code != 0) return end(connection, std::strerror(code));
  connection.state = State::handshaking;
  if (connection.expected != NodeId{}) connection.channel.offer_ticket(connection.expected);
}

void TlsSessions::shake_hands(Connection& connection, Budget& budget, TimeNs now_ns) {
  if (budget.handshakes == 0) return;
  --budget.handshakes;
  const Io io = connection.channel.handshake();
  if (io == Io::again) return;
  if (io != Io::done) return fail(connection);
  connection.state = State::greeting;
  connection.remote.key = connection.channel.peer_key();
  connection.remote.id = id_of(connection.remote.key);
  if (connection.is_dialled()) greet(connection, now_ns);
}

// From here on the other end may take messages, and the connection counts for the choice.
void TlsSessions::greet(Connection& connection, TimeNs now_ns) {
  connection.candidate.peer = connection.remote.id;
  connection.candidate.is_greeted = true;
  choice_.add(connection.candidate);
  connection.is_in_choice = true;
  connection.out.add_hello(hello_);
  connection.out_moved_ns = now_ns;
}

void TlsSessions::fail(Connection& connection) {
  if (connection.channel.was_refused()) {
    ++(connection.channel.is_established() ? counters_.malformed : counters_.refused);
  }
  end(connection, connection.channel.why());
}

// ---- reading ------------------------------------------------------------------------------------

void TlsSessions::read(Connection& connection, bool is_readable, Budget& budget, TimeNs now_ns) {
  std::array<uint8_t, Outbox::record_bytes> buffer;
  const unsigned messages_before = std::min(messages_max, budget.messages);
  unsigned messages = messages_before;
  if (!may_read(connection)) connection.in_moved_ns = now_ns;
  if (!connection.spill.empty() && may_read(connection)) {
    const Bytes spill = std::exchange(connection.spill, {});
    take(connection, spill, messages, now_ns);
  }
  const auto wants = [&] {
    return connection.state != State::over && connection.spill.empty() &&
           !connection.candidate.hears_no_more && may_read(connection);
  };
  size_t bytes = 0;
  while (is_readable && wants() && messages > 0 && bytes < bytes_read_max && budget.bytes > 0) {
    size_t got = 0;
    const Io io = connection.channel.read(buffer, got);
    if (io == Io::again) break;
    if (io == Io::ended) {
      hear_goodbye(connection, now_ns);
      break;
    }
    if (io != Io::done) return fail(connection);
    connection.in_moved_ns = now_ns;
    bytes += got;
    budget.bytes -= std::min(budget.bytes, got);
    take(connection, ByteSpan(buffer).first(got), messages, now_ns);
  }
  budget.messages -= messages_before - messages;
}

void TlsSessions::hear_goodbye(Connection& connection, TimeNs now_ns) {
  connection.candidate.hears_no_more = connection.candidate.is_finishing = true;
  connection.in_moved_ns = now_ns;
  if (connection.why.empty()) connection.why = "the other end closed it";
  if (connection.state != State::open) end(connection, refused_by_the_other);
}

void TlsSessions::take(Connection& connection, ByteSpan bytes, unsigned& messages, TimeNs now_ns) {
  FrameReader& reader = connection.reader;
  while (!bytes.empty() && connection.state != State::over) {
    if (messages == 0 || !may_read(connection)) {
      connection.spill.assign(bytes.begin(), bytes.end());
      return;
    }
    kept_bytes_ -= reader.kept_bytes();
    bytes = bytes.subspan(reader.take(bytes));
    kept_bytes_ += reader.kept_bytes();
    if (reader.state() == FrameReader::State::malformed) {
      ++counters_.malformed;
      return end(connection, "a message of a length that none may have");
    }
    if (kept_bytes_ > kept_bytes_max) {
      ++counters_.over_limit;
      return end(connection, "too many bytes of messages that are not whole");
    }
    if (reader.state() != FrameReader::State::whole) continue;
    --messages;
    on_whole(connection, now_ns);
    kept_bytes_ -= reader.kept_bytes();
    reader.next();
  }
}

void TlsSessions::on_whole(Connection& connection, TimeNs now_ns) {
  connection.message_ns = now_ns;
  if (connection.state == State::greeting) return on_hello(connection, now_ns);
  const ByteSpan message = connection.reader.message();
  ++counters_.messages_received;
  counters_.bytes_received += message.size();
  listener_->on_message(Remote(connection.remote), message, now_ns);
}

// ---- opening ------------------------------------------------------------------------------------

void TlsSessions::on_hello(Connection& connection, TimeNs now_ns) {
  auto hello = parse_hello(connection.reader.message());
  if (!hello) {
    ++counters_.malformed;
    return end(connection, hello.error().message);
  }
  if (hello->network != config_.network) {
    ++counters_.refused;
    if (!connection.is_dialled()) {
      // So that the other end can say why. Its socket is empty: this leaves at once.
      size_t took = 0;
      connection.channel.write(hello_, took);
    }
    return end(connection, fmt::format("node {} is of another network: {}",
                                       connection.remote.id.hex(), to_hex(hello->network)));
  }
  if (!connection.is_dialled() && !connection.remote.is_carried) {
    connection.remote.address = connection.remote.seen;
    connection.remote.address.port = hello->port;
  }
  connection.remote.card = std::move(hello->card);
  connection.reader.set_limit(message_bytes_max);
  open(connection, now_ns);
}

void TlsSessions::open(Connection& connection, TimeNs now_ns) {
  if (connection.is_dialled()) {
    if (!connection.remote.is_carried) backoff_.succeeded(connection.remote.address);
  } else if (count_open() >= sessions_max && !choice_.session(connection.remote.id)) {
    ++counters_.over_limit;
    return end(connection, "too many sessions");
  } else {
    limit(connection.remote.id);
    greet(connection, now_ns);
  }
  connection.state = State::open;
  connection.in_moved_ns = connection.out_moved_ns = now_ns;
  const Choice::Opened opened = choice_.open(connection.candidate, now_ns);
  if (opened.replaced) replace(of(*opened.replaced), connection, now_ns);
  if (!opened.is_session) return;
  gather_dials(connection, now_ns);
  announce(connection, now_ns);
}

// A node that dials again and again keeps few connections, of which the oldest go.
void TlsSessions::limit(const NodeId& peer) {
  const std::vector<Candidate*> all = choice_.all(peer);
  if (all.size() < connections_per_peer_max) return;
  const auto is_older = [](const Candidate* a, const Candidate* b) {
    return std::pair(!a->is_loser, a->opened_ns) < std::pair(!b->is_loser, b->opened_ns);
  };
  Connection& oldest = of(**std::min_element(all.begin(), all.end(), is_older));
  if (oldest.state == State::over) return;
  ++counters_.over_limit;
  end(oldest, "too many connections with one node");
}

// What has not left goes with the newer one, behind what that has.
void TlsSessions::replace(Connection& old, Connection& by, TimeNs now_ns) {
  old.out.move_unbegun(by.out);
  old.in_moved_ns = now_ns;
  if (!old.was_opened) return;
  old.was_opened = false;
  ++counters_.closed;
  listener_->on_closed(Remote(old.remote), "another session took its place", now_ns);
}

// Own dials that wait for the same node. Nothing has left on them yet, so what waits may go with
// the session; a dial that would lose against it is not wanted any more.
void TlsSessions::gather_dials(Connection& session, TimeNs now_ns) {
  for (const auto& one : connections_) {
    if (one.get() == &session || one->expected != session.remote.id || one->is_in_choice ||
        !one->is_dialled() || !one->is_half_open()) {
      continue;
    }
    one->out.move_unbegun(session.out);
    session.out_moved_ns = now_ns;
    one->is_moved = true;
    if (!session.is_dialled() && id_ < session.remote.id) continue;
    one->is_abandoned = true;
    end(*one, "there is a session already");
  }
}

void TlsSessions::announce(Connection& connection, TimeNs now_ns) {
  connection.was_opened = true;
  ++counters_.opened;
  if (connection.channel.is_resumed()) ++counters_.resumed;
  listener_->on_open(Remote(connection.remote), now_ns);
}

// ---- writing ------------------------------------------------------------------------------------

void TlsSessions::write(Connection& connection, TimeNs now_ns) {
  if (!can_write(connection)) return;
  const bool may_begin = this->may_begin(connection);
  if (!may_begin) connection.out_moved_ns = now_ns;
  for (size_t bytes = 0; bytes < bytes_written_max;) {
    const ByteSpan next = connection.out.next(may_begin);
    if (next.empty()) break;
    size_t took = 0;
    const Io io = connection.channel.write(next, took);
    if (io == Io::again) return;
    if (io != Io::done) return fail(connection);
    bytes += took;
    connection.out_moved_ns = now_ns;
    const Outbox::Written written = connection.out.written(took);
    counters_.messages_sent += written.messages;
    counters_.bytes_sent += written.bytes;
    if (written.messages > 0) connection.message_ns = now_ns;
  }
  const bool has_finished = connection.candidate.is_finishing && connection.out.is_empty();
  if (!has_finished || connection.state != State::open) return;
  const Io io = connection.channel.say_goodbye();
  if (io == Io::again) return;
  if (io != Io::done) return fail(connection);
  connection.has_said_goodbye = true;
  connection.in_moved_ns = now_ns;
}

// ---- ending -------------------------------------------------------------------------------------

void TlsSessions::check_time(Connection& connection, TimeNs now_ns) {
  if (connection.state == State::over || now_ns < deadline(connection)) return;
  if (connection.has_said_goodbye && connection.candidate.hears_no_more) {
    return end(connection, connection.why);
  }
  if (connection.is_half_open()) {
    if (!connection.is_dialled()) ++counters_.stalled;
    return end(connection, "no answer in time");
  }
  if (!connection.out.is_empty() || connection.reader.is_inside()) {
    ++counters_.stalled;
    return end(connection, "nothing moves any more");
  }
  // Its goodbye never came, and there was nothing else to come.
  if (connection.owes_bytes()) {
    return end(connection, connection.why.empty() ? "no goodbye" : connection.why);
  }
  connection.candidate.is_finishing = true;
  connection.why = "idle";
  write(connection, now_ns);
}

// Over from here on; the listener hears of it in on_ready().
void TlsSessions::end(Connection& connection, const std::string& why) {
  if (connection.state == State::over) return;
  connection.state = State::over;
  connection.candidate.is_finishing = connection.candidate.hears_no_more = true;
  connection.why = why;
}

void TlsSessions::bury(Connection& connection, TimeNs now_ns) {
  connection.is_buried = true;
  kept_bytes_ -= connection.reader.kept_bytes();
  Candidate& candidate = connection.candidate;
  const bool was_session = connection.is_in_choice && choice_.is_session(candidate);
  const Candidate* next = connection.is_in_choice ? choice_.remove(candidate) : nullptr;
  leave(connection, now_ns);
  if (connection.was_opened) {
    connection.was_opened = false;
    ++counters_.closed;
    listener_->on_closed(Remote(connection.remote), connection.why, now_ns);
  } else if (connection.is_dialled() && !candidate.is_open && !connection.is_abandoned) {
    ++counters_.failed;
    // The address of a carrier says nothing about whom it carries for.
    const bool is_carried = connection.remote.is_carried;
    if (!is_carried) backoff_.failed(connection.remote.address, now_ns);
    if (!connection.is_moved && !is_carried) {
      listener_->on_failed(connection.remote.address, connection.why, now_ns);
    }
  }
  if (next) return announce(of(*next), now_ns);
  if (!was_session) return;
  // Without a session there is nobody whose messages these would be.
  for (const Candidate* rest : choice_.all(candidate.peer)) {
    if (rest->is_open) end(of(*rest), connection.why);
  }
}

void TlsSessions::leave(Connection& connection, TimeNs now_ns) {
  Channel& channel = connection.channel;
  const bool has_words = channel.has_failed() ? channel.was_refused() : channel.is_established();
  const bool is_done = connection.has_said_goodbye && !channel.has_failed();
  if (!has_words || is_done) return;
  channel.hang_up();
  if (leaving_.size() < leaving_max) leaving_.push_back({channel.take_fd(), now_ns + leaving_ns});
}

}  // namespace chaincast::session::tls
