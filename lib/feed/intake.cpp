// SPDX-License-Identifier: BSD-3-Clause
#include "feed/intake.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "port/port.hpp"

namespace chaincast::feed {

Intake::Intake(cli::Service& service, std::string stream, uint64_t size_max, Socket& socket)
    : service_(service), stream_(std::move(stream)), size_max_(size_max), socket_(socket) {}

Intake::Feeder* Intake::find(const Endpoint& address) {
  const auto found = std::find_if(feeders_.begin(), feeders_.end(),
                                  [&](const Feeder& feeder) { return feeder.address == address; });
  return found == feeders_.end() ? nullptr : &*found;
}

Intake::Feeder* Intake::feeder(const Endpoint& address, TimeNs now_ns) {
  Feeder* known = find(address);
  if (known == nullptr && feeders_.size() < feeders_max) {
    known = &feeders_.emplace_back();
  } else if (known == nullptr) {
    const auto oldest =
        std::min_element(feeders_.begin(), feeders_.end(),
                         [](const Feeder& a, const Feeder& b) { return a.heard_ns < b.heard_ns; });
    if (now_ns < oldest->heard_ns + silent_ns) {
      counters_.unanswered.add();
      return nullptr;
    }
    *oldest = Feeder();
    known = &*oldest;
  }
  known->address = address;
  known->heard_ns = now_ns;
  known->is_owed = true;
  return known;
}

void Intake::receive(const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
  CC_ASSERT(!held_);
  if (!port::is_loopback(from)) {
    counters_.foreign.add();
    return;
  }
  Feeder* const feeder = this->feeder(from, now_ns);
  if (datagram.empty()) {
    counters_.asked.add();
  } else if (datagram.size() > size_max_) {
    counters_.too_long.add();
    refuse(feeder, Answer::Refusal::too_long);
  } else if (!offer(feeder, datagram)) {
    counters_.withheld.add();
    held_ = Held{from, Bytes(datagram.begin(), datagram.end())};
  }
}

void Intake::retry() {
  if (held_ && offer(find(held_->from), held_->object)) held_.reset();
}

bool Intake::offer(Feeder* from, ByteSpan object) {
  const cli::PublishResult result = service_.publish(stream_, object);
  if (result.state == cli::PublishState::busy) return false;
  if (result.state == cli::PublishState::failed) {
    counters_.failed.add();
    refuse(from, Answer::Refusal::stream);
    return true;
  }
  counters_.objects.add();
  counters_.bytes.add(object.size());
  if (from != nullptr) {
    ++from->answer.taken;
    from->is_owed = true;
  }
  return true;
}

void Intake::refuse(Feeder* feeder, Answer::Refusal why) {
  if (feeder == nullptr) return;
  ++feeder->answer.refused;
  feeder->answer.newest = why;
  feeder->is_owed = true;
}

bool Intake::answer() {
  bool is_done = true;
  for (Feeder& feeder : feeders_) {
    if (!feeder.is_owed) continue;
    feeder.is_owed = !socket_.send(feeder.address, encode(feeder.answer));
    is_done = is_done && !feeder.is_owed;
  }
  return is_done;
}

}  // namespace chaincast::feed
