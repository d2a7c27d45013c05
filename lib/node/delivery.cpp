// SPDX-License-Identifier: BSD-3-Clause
#include "node/delivery.hpp"

#include <algorithm>

namespace chaincast::node {

void Delivery::add(cli::SubscriptionId id, cli::Subscriber* subscriber,
                   const std::vector<StreamId>& lost_origins) {
  Subscription& added = subscriptions_[id];
  added.subscriber = subscriber;
  for (const StreamId& stream : lost_origins) add_origin(added, stream, true);
}

bool Delivery::remove(cli::SubscriptionId id) {
  return subscriptions_.erase(id) > 0;
}

void Delivery::close(const std::string& reason) {
  for (auto& [id, subscription] : subscriptions_) {
    flush(subscription);
    subscription.subscriber->on_closed(reason);
  }
  subscriptions_.clear();
}

// Where nothing waits, one object of any size fits, or a large one would be held back for ever.
bool Delivery::fits(const Subscription& subscription, size_t bytes) {
  return subscription.waiting_bytes == 0 ||
         subscription.waiting_bytes + bytes <= subscription_queue_bytes_max;
}

bool Delivery::offer(StreamId stream, wire::Keeping keeping, const stream::Object& object) {
  const bool is_kept = keeping == wire::Keeping::kept;
  // Checked for all before any gets it, or the others would get it twice.
  for (const auto& [id, subscription] : subscriptions_) {
    if (is_kept && !fits(subscription, object.bytes.size())) return false;
  }
  std::shared_ptr<const Bytes> copy;
  for (auto& [id, subscription] : subscriptions_) {
    const cli::Delivered delivered{stream, object.first_seq, object.last_seq, object.bytes};
    if (subscription.waiting.empty() && subscription.subscriber->on_object(delivered)) {
      ++counters_.objects;
      counters_.bytes += object.bytes.size();
      continue;
    }
    if (!copy) copy = std::make_shared<const Bytes>(object.bytes.begin(), object.bytes.end());
    if (!is_kept) make_room(subscription, copy->size());
    if (!fits(subscription, copy->size())) {  // behind kept objects, which stay
      ++counters_.dropped_objects;
      add_notice(subscription, stream, object.first_seq, object.last_seq);
      continue;
    }
    subscription.waiting.push_back(
        {Waiting::Kind::object, stream, object.first_seq, object.last_seq, copy, is_kept});
    subscription.waiting_bytes += copy->size();
  }
  return true;
}

// The oldest objects of live streams go, and the subscriber is told.
void Delivery::make_room(Subscription& subscription, size_t bytes) {
  while (subscription.waiting_bytes + bytes > subscription_queue_bytes_max) {
    const auto oldest = std::find_if(
        subscription.waiting.begin(), subscription.waiting.end(),
        [](const Waiting& one) { return one.kind == Waiting::Kind::object && !one.is_kept; });
    if (oldest == subscription.waiting.end()) return;
    subscription.waiting_bytes -= oldest->bytes->size();
    oldest->bytes = nullptr;
    oldest->kind = Waiting::Kind::lost;
    ++counters_.dropped_objects;
    // Neighbouring notices of one stream become one, so that notices stay bounded too.
    if (oldest != subscription.waiting.begin()) {
      auto& before = *std::prev(oldest);
      if (before.kind == Waiting::Kind::lost && before.stream == oldest->stream) {
        before.last_seq = oldest->last_seq;
        subscription.waiting.erase(oldest);
      }
    }
  }
}

// One for neighbouring losses of a stream, so that notices stay bounded.
void Delivery::add_notice(Subscription& subscription, StreamId stream, Seq first, Seq last) {
  Waiting& newest = subscription.waiting.back();
  if (newest.kind == Waiting::Kind::lost && newest.stream == stream) {
    newest.last_seq = last;
  } else {
    subscription.waiting.push_back({Waiting::Kind::lost, stream, first, last, nullptr});
  }
}

// At most one of each stream waits: the newest.
void Delivery::add_origin(Subscription& subscription, StreamId stream, bool is_lost) {
  std::erase_if(subscription.waiting, [&](const Waiting& waiting) {
    return waiting.is_of_origin() && waiting.stream == stream;
  });
  const auto kind = is_lost ? Waiting::Kind::origin_lost : Waiting::Kind::origin_back;
  subscription.waiting.push_back({kind, stream, 0, 0, nullptr});
}

void Delivery::origin(StreamId stream, bool is_lost) {
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription.waiting.empty()) {
      subscription.subscriber->on_origin(stream, is_lost);
    } else {
      add_origin(subscription, stream, is_lost);
    }
  }
}

void Delivery::lost(StreamId stream, Seq first, Seq last) {
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription.waiting.empty()) {
      subscription.subscriber->on_lost(stream, first, last);
    } else {
      add_notice(subscription, stream, first, last);
    }
  }
}

void Delivery::flush(Subscription& subscription) {
  while (!subscription.waiting.empty()) {
    const Waiting& next = subscription.waiting.front();
    if (next.is_of_origin()) {
      subscription.subscriber->on_origin(next.stream, next.kind == Waiting::Kind::origin_lost);
    } else if (next.kind == Waiting::Kind::lost) {
      subscription.subscriber->on_lost(next.stream, next.first_seq, next.last_seq);
    } else {
      if (!subscription.subscriber->on_object(
              {next.stream, next.first_seq, next.last_seq, *next.bytes})) {
        return;
      }
      ++counters_.objects;
      counters_.bytes += next.bytes->size();
      subscription.waiting_bytes -= next.bytes->size();
    }
    subscription.waiting.pop_front();
  }
}

void Delivery::flush() {
  for (auto& [id, subscription] : subscriptions_) flush(subscription);
}

bool Delivery::has_backlog() const {
  return std::any_of(subscriptions_.begin(), subscriptions_.end(),
                     [](const auto& entry) { return !entry.second.waiting.empty(); });
}

}  // namespace chaincast::node
