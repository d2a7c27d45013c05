// SPDX-License-Identifier: BSD-3-Clause
#include "punch/prober.hpp"

#include <algorithm>

namespace chaincast::punch {

void Prober::ask_soon(Place& place, TimeNs now_ns) {
  toolbox_.random_bytes(place.nonce);
  place.is_fresh = false;
  place.next_ns = now_ns;
  place.wait_ns = timers_.first_ns;
}

void Prober::set(const Endpoint& at, const Secret& key, bool is_vantage, TimeNs now_ns) {
  const auto known = places_.find(at);
  if (known != places_.end() && known->second.key == key) return;
  if (known == places_.end() && places_.size() >= places_max) return;
  if (is_vantage && known == places_.end()) unsettled_ns_ = now_ns;
  Place& place = places_[at];
  place.key = key;
  place.is_vantage = is_vantage;
  place.cookie = {};
  ask_soon(place, now_ns);
}

void Prober::ask_again(TimeNs now_ns) {
  unsettled_ns_ = now_ns;
  for (auto& [at, place] : places_) ask_soon(place, now_ns);
}

void Prober::ask(const Endpoint& to, Place& place, TimeNs now_ns, Datagrams& out) {
  Probe question;
  question.node = own_;
  question.nonce = place.nonce;
  question.cookie = place.cookie;
  out.emplace_back(to, encode(question, place.key, toolbox_));
  ++counters_.questions;
  place.next_ns = now_ns + place.wait_ns;
  place.wait_ns = std::min(2 * place.wait_ns, timers_.slowest_ns);
}

bool Prober::receive(const Endpoint& from, ByteSpan datagram, TimeNs now_ns, Datagrams& out) {
  const auto found = places_.find(from);
  const auto answer = parse_probe(datagram);
  if (found == places_.end() || !answer || !answer->is_answer || answer->node != own_ ||
      answer->nonce != found->second.nonce ||
      !is_authentic(datagram, found->second.key, toolbox_)) {
    ++counters_.refused;
    return false;
  }
  ++counters_.answers;
  Place& place = found->second;
  const bool has_moved = place.is_fresh && place.seen != answer->seen;
  const bool has_changed =
      place.seen != answer->seen || place.is_bound != answer->is_bound || !place.is_fresh;
  // What the others saw was of the mapping before.
  if (has_moved && place.is_vantage) ask_again(now_ns);
  place.seen = answer->seen;
  place.is_bound = answer->is_bound;
  place.is_fresh = true;
  toolbox_.random_bytes(place.nonce);
  if (place.cookie != answer->cookie) {
    // Back at once: it proves that this address hears what is sent to it.
    place.cookie = answer->cookie;
    place.wait_ns = timers_.first_ns;
    ask(from, place, now_ns, out);
  } else {
    place.wait_ns = timers_.first_ns;
    place.next_ns = now_ns + timers_.renew_ns;
  }
  return has_changed;
}

void Prober::tick(TimeNs now_ns, Datagrams& out) {
  for (auto& [at, place] : places_) {
    if (place.next_ns <= now_ns) ask(at, place, now_ns, out);
  }
}

TimeNs Prober::next_timer_ns() const {
  TimeNs next = time_never;
  for (const auto& [at, place] : places_) next = std::min(next, place.next_ns);
  return next;
}

std::vector<Endpoint> Prober::seen() const {
  std::vector<Endpoint> out;
  for (const auto& [at, place] : places_) {
    const bool counts = place.is_vantage && place.is_fresh && place.seen;
    if (counts && std::find(out.begin(), out.end(), *place.seen) == out.end() &&
        out.size() < endpoints_max) {
      out.push_back(*place.seen);
    }
  }
  return out;
}

Mapping Prober::mapping() const {
  size_t fresh = 0;
  for (const auto& [at, place] : places_) fresh += place.is_vantage && place.is_fresh ? 1u : 0u;
  if (seen().size() > 1) return Mapping::dependent;
  return fresh > 1 ? Mapping::independent : Mapping::unknown;
}

bool Prober::is_settled(TimeNs now_ns) const {
  const bool is_waiting = std::any_of(places_.begin(), places_.end(), [](const auto& one) {
    return one.second.is_vantage && !one.second.is_fresh;
  });
  return !places_.empty() && (!is_waiting || now_ns - unsettled_ns_ >= timers_.settle_ns);
}

bool Prober::is_bound(const Endpoint& at) const {
  const auto found = places_.find(at);
  return found != places_.end() && found->second.is_bound;
}

}  // namespace chaincast::punch
