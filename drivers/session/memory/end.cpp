// SPDX-License-Identifier: BSD-3-Clause
#include "session/memory/end.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "port/port.hpp"

namespace chaincast::session::memory {

namespace {

constexpr unsigned parcels_per_call_max = 64;  // of one connection
constexpr uint16_t first_client_port = 40'000;
constexpr uint16_t client_ports = 20'000;

}  // namespace

MemorySessions::MemorySessions(std::shared_ptr<MemoryNetwork> network, const Config& config,
                               const PublicKey& key, const NodeId& id)
    : network_(std::move(network)),
      config_(config),
      key_(key),
      id_(id),
      choice_(id, config.handshake_ns),
      backoff_(config.retry_ns, config.retry_max_ns) {}

MemorySessions::~MemorySessions() {
  network_->detach(config_.listen);
  for (const Place& place : places_) {
    place.connection->is_broken |= !place.own().candidate.is_open;
    if (!place.own().has_said_goodbye) place.other().in.push_back({Parcel::Kind::goodbye, {}, 0});
  }
}

std::optional<MemorySessions::Place> MemorySessions::place_of(const Candidate* candidate) const {
  for (const Place& place : places_) {
    if (candidate == &place.own().candidate) return place;
  }
  return std::nullopt;
}

// The session that may carry a message, or the dial that will.
std::optional<MemorySessions::Place> MemorySessions::find(const NodeId& id,
                                                          const Endpoint& address) const {
  const auto takes = [](const End& end) {
    return !end.is_over && !end.candidate.is_finishing && !end.candidate.hears_no_more;
  };
  for (const Place& place : places_) {
    const End& end = place.own();
    if (!takes(end) || !end.was_opened) continue;
    if (id == NodeId{} ? end.remote.address == address : end.remote.id == id) return place;
  }
  for (const Place& place : places_) {
    const End& end = place.own();
    if (takes(end) && end.candidate.is_dialled && !end.candidate.is_open && end.expected == id &&
        end.remote.address == address) {
      return place;
    }
  }
  return std::nullopt;
}

bool MemorySessions::send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns) {
  std::optional<Place> place = find(id, address);
  if (!place && backoff_.holds(address, now_ns)) {
    ++counters_.backing_off;
    return false;
  }
  const size_t queued = place ? place->own().unread_bytes : 0;
  if (message.empty() || message.size() > message_bytes_max ||
      queued + message.size() > config_.queue_bytes_max) {
    ++counters_.queue_full;
    return false;
  }
  if (!place && places_.size() >= sessions_max) {
    ++counters_.over_limit;
    return false;
  }
  if (!place) place = dial(id, address, now_ns);
  End& end = place->own();
  if (end.unread_bytes == 0) end.moved_ns = now_ns;
  end.unread_bytes += message.size();
  end.out.push_back(std::move(message));
  write(*place, now_ns);
  return true;
}

MemorySessions::Place MemorySessions::dial(const NodeId& id, const Endpoint& address,
                                           TimeNs now_ns) {
  auto connection = std::make_shared<Connection>();
  connection->number = network_->next_number();
  connection->addresses = {config_.listen, address};
  const Place place{connection, 0};
  places_.push_back(place);
  ++counters_.dialled;
  End& end = place.own();
  end.candidate.is_dialled = true;
  end.expected = id;
  end.remote.address = end.remote.seen = address;
  end.begun_ns = connection->ends[1].begun_ns = now_ns;
  MemorySessions* target = network_->at(address);
  connection->is_broken = target == nullptr;
  if (!target) return place;
  // Known from the start here, where a handshake would prove it first.
  end.candidate.peer = target->id_;
  choice_.add(end.candidate);
  greet(place, now_ns);
  target->incoming(connection);
  return place;
}

void MemorySessions::greet(const Place& place, TimeNs now_ns) {
  End& end = place.own();
  end.introduction = {key_,         config_.network, config_.listen,
                      config_.card, end.expected,    config_.admits};
  end.candidate.is_greeted = true;
  push(place, Parcel::Kind::hello, {}, now_ns);
}

void MemorySessions::push(const Place& place, Parcel::Kind kind, Bytes bytes, TimeNs now_ns) {
  std::deque<Parcel>& in = place.other().in;
  TimeNs due_ns = now_ns + network_->draw_latency();
  if (!in.empty()) due_ns = std::max(due_ns, in.back().due_ns);
  in.push_back({kind, std::move(bytes), due_ns});
}

bool MemorySessions::can_write(const Place& place) const {
  const End& end = place.own();
  const bool has_something =
      !end.out.empty() || (end.candidate.is_finishing && !end.has_said_goodbye);
  return has_something && !end.is_over && end.candidate.is_greeted &&
         choice_.may_write(end.candidate);
}

void MemorySessions::write(const Place& place, TimeNs now_ns) {
  if (!can_write(place)) return;
  End& end = place.own();
  for (Bytes& message : end.out) {
    ++counters_.messages_sent;
    counters_.bytes_sent += message.size();
    end.message_ns = now_ns;
    push(place, Parcel::Kind::message, std::move(message), now_ns);
  }
  end.out.clear();
  if (!end.candidate.is_finishing || end.has_said_goodbye) return;
  end.has_said_goodbye = true;
  push(place, Parcel::Kind::goodbye, {}, now_ns);
}

bool MemorySessions::can_deliver(const Place& place) const {
  const End& end = place.own();
  return !end.is_over && !end.in.empty() && !network_->is_cut(*place.connection) &&
         (!end.candidate.is_open || choice_.may_read(end.candidate));
}

bool MemorySessions::is_broken(const Place& place) const {
  return place.connection->is_broken && !network_->is_cut(*place.connection);
}

TimeNs MemorySessions::deadline(const Place& place) const {
  const End& end = place.own();
  if (end.is_over || is_broken(place)) return 0;
  if (end.has_said_goodbye && end.candidate.hears_no_more) return 0;
  if (!end.candidate.is_open) return end.begun_ns + config_.handshake_ns;
  const bool is_expected_to_move =
      end.unread_bytes > 0 || end.candidate.is_loser || end.has_said_goodbye;
  const TimeNs idle_ns = end.message_ns + config_.idle_ns;
  return is_expected_to_move ? std::min(idle_ns, end.moved_ns + config_.stall_ns) : idle_ns;
}

TimeNs MemorySessions::wake_at_ns() const {
  TimeNs wake = time_never;
  for (const Place& place : places_) {
    wake = std::min(wake, can_write(place) ? 0 : deadline(place));
    if (can_deliver(place)) wake = std::min(wake, place.own().in.front().due_ns);
  }
  return wake;
}

void MemorySessions::on_ready(std::span<const pollfd>, TimeNs now_ns) {
  CC_ASSERT(listener_ != nullptr);
  // The listener may dial meanwhile: what it adds comes next time.
  const size_t count = places_.size();
  for (size_t i = 0; i < count; ++i) serve(Place(places_[i]), now_ns);
  for (size_t i = 0; i < count; ++i) {
    if (const Place place = places_[i]; place.own().is_over) bury(place, now_ns);
  }
  std::erase_if(places_, [](const Place& place) { return place.own().is_buried; });
}

void MemorySessions::serve(const Place& place, TimeNs now_ns) {
  End& end = place.own();
  for (unsigned i = 0; i < parcels_per_call_max && can_deliver(place); ++i) {
    if (end.in.front().due_ns > now_ns) break;
    Parcel parcel = std::move(end.in.front());
    end.in.pop_front();
    take(place, std::move(parcel), now_ns);
  }
  write(place, now_ns);
  if (!end.is_over && now_ns >= deadline(place)) check_time(place, now_ns);
}

void MemorySessions::take(const Place& place, Parcel parcel, TimeNs now_ns) {
  End& end = place.own();
  if (parcel.kind == Parcel::Kind::hello) return open(place, now_ns);
  if (parcel.kind == Parcel::Kind::goodbye) {
    end.candidate.hears_no_more = end.candidate.is_finishing = true;
    if (end.why.empty()) end.why = "the other end closed it";
    if (!end.candidate.is_open) this->end(place, "the other end refused it");
    return;
  }
  end.message_ns = now_ns;
  place.other().unread_bytes -= parcel.bytes.size();
  place.other().moved_ns = now_ns;
  ++counters_.messages_received;
  counters_.bytes_received += parcel.bytes.size();
  listener_->on_message(Remote(end.remote), parcel.bytes, now_ns);
}

bool MemorySessions::is_taken_by(const Introduction& dialler) const {
  return (dialler.expected == NodeId{} || dialler.expected == id_) &&
         (!dialler.admits || dialler.admits(key_));
}

// Empty: none.
std::string MemorySessions::refusal_of(const End& end, const Introduction& other) const {
  const NodeId id = network_->id_of(other.key);
  if (id == id_) return "this is the node itself";
  if (end.expected != NodeId{} && end.expected != id) {
    return fmt::format("another node is there: {}, not {}", id.hex(), end.expected.hex());
  }
  if (config_.admits && !config_.admits(other.key)) {
    return fmt::format("the network does not admit node {}", id.hex());
  }
  if (other.network != config_.network) {
    return fmt::format("node {} is of another network: {}", id.hex(), to_hex(other.network));
  }
  return {};
}

void MemorySessions::open(const Place& place, TimeNs now_ns) {
  End& end = place.own();
  const Introduction& other = place.other().introduction;
  const bool is_dialled = end.candidate.is_dialled;
  if (!is_dialled) ++counters_.accepted;
  if (!is_dialled && (!is_taken_by(other) || other.key == key_)) {
    greet(place, now_ns);
    return this->end(place, "the other end refused it");
  }
  if (const std::string why = refusal_of(end, other); !why.empty()) {
    ++counters_.refused;
    // Who is of another network is told so, by the hello.
    if (!is_dialled && other.network != config_.network) greet(place, now_ns);
    return this->end(place, why);
  }
  if (!is_dialled && places_.size() > sessions_max) {
    ++counters_.over_limit;
    return this->end(place, "too many sessions");
  }
  end.remote.id = network_->id_of(other.key);
  end.remote.key = other.key;
  end.remote.card = other.card;
  if (is_dialled) {
    backoff_.succeeded(end.remote.address);
  } else {
    end.remote.address = end.remote.seen = other.listen;
    end.remote.seen.port =
        static_cast<uint16_t>(first_client_port + place.connection->number % client_ports);
    end.candidate.peer = end.remote.id;
    choice_.add(end.candidate);
    greet(place, now_ns);
  }
  end.message_ns = end.moved_ns = now_ns;
  const Choice::Opened opened = choice_.open(end.candidate, now_ns);
  if (opened.replaced) replace(*opened.replaced, end, now_ns);
  if (opened.is_session) announce(end, now_ns);
}

// What has not left goes with the newer one, behind what that has.
void MemorySessions::replace(Candidate& candidate, End& by, TimeNs now_ns) {
  End& old = place_of(&candidate)->own();
  for (Bytes& message : old.out) {
    old.unread_bytes -= message.size();
    by.unread_bytes += message.size();
    by.out.push_back(std::move(message));
  }
  old.out.clear();
  old.moved_ns = now_ns;
  old.was_opened = false;
  ++counters_.closed;
  listener_->on_closed(Remote(old.remote), "another session took its place", now_ns);
}

void MemorySessions::announce(End& end, TimeNs now_ns) {
  end.was_opened = true;
  ++counters_.opened;
  listener_->on_open(Remote(end.remote), now_ns);
}

// Its deadline has come.
void MemorySessions::check_time(const Place& place, TimeNs now_ns) {
  End& end = place.own();
  if (end.has_said_goodbye && end.candidate.hears_no_more) return this->end(place, end.why);
  if (is_broken(place)) {
    const bool is_refused = !end.candidate.is_open && !network_->at(end.remote.address);
    return this->end(place, is_refused ? "connection refused" : "the other end is gone");
  }
  if (!end.candidate.is_open) return this->end(place, "no answer in time");
  if (end.unread_bytes == 0 && !end.candidate.is_finishing && !end.candidate.is_loser) {
    end.candidate.is_finishing = true;
    end.why = "idle";
    end.moved_ns = end.message_ns = now_ns;
    return write(place, now_ns);
  }
  if (end.unread_bytes > 0) ++counters_.stalled;
  place.other().in.clear();
  place.connection->is_broken = true;
  this->end(place, end.why.empty() ? "nothing moves any more" : end.why);
}

// Over from here on; the listener hears of it in on_ready().
void MemorySessions::end(const Place& place, const std::string& why) {
  End& end = place.own();
  if (end.is_over) return;
  end.is_over = end.candidate.is_finishing = end.candidate.hears_no_more = true;
  end.why = why;
  if (!end.has_said_goodbye) place.other().in.push_back({Parcel::Kind::goodbye, {}, 0});
}

void MemorySessions::bury(const Place& place, TimeNs now_ns) {
  End& end = place.own();
  end.is_buried = true;
  const bool is_known = end.candidate.peer != NodeId{};
  const bool was_session = is_known && choice_.is_session(end.candidate);
  const Candidate* next = is_known ? choice_.remove(end.candidate) : nullptr;
  if (end.was_opened) {
    end.was_opened = false;
    ++counters_.closed;
    listener_->on_closed(Remote(end.remote), end.why, now_ns);
  } else if (end.candidate.is_dialled && !end.candidate.is_open) {
    ++counters_.failed;
    backoff_.failed(end.remote.address, now_ns);
    listener_->on_failed(end.remote.address, end.why, now_ns);
  }
  if (next) return announce(place_of(next)->own(), now_ns);
  if (!was_session) return;
  // Without a session there is nobody whose messages these would be.
  for (const Candidate* rest : choice_.all(end.candidate.peer)) {
    if (rest->is_open) this->end(*place_of(rest), end.why);
  }
}

std::optional<Secret> MemorySessions::exported(const NodeId& peer, const std::string& label) const {
  const std::optional<Place> place = place_of(choice_.session(peer));
  if (!place || place->own().is_over) return std::nullopt;
  return network_->secret_of(*place->connection, label);
}

void MemorySessions::close(const NodeId& peer, const std::string& why, TimeNs) {
  for (const Candidate* candidate : choice_.all(peer)) {
    if (candidate->is_open) end(*place_of(candidate), why);
  }
}

std::vector<SessionStatus> MemorySessions::sessions() const {
  std::vector<SessionStatus> out;
  for (const Place& place : places_) {
    const End& end = place.own();
    if (!end.was_opened || end.is_over) continue;
    out.push_back(
        {end.remote, end.candidate.is_dialled, false, end.candidate.opened_ns, end.unread_bytes});
  }
  return out;
}

}  // namespace chaincast::session::memory
