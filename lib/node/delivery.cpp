// SPDX-License-Identifier: BSD-3-Clause
#include "node/delivery.hpp"

#include <algorithm>

namespace chaincast::node {

void Delivery::add(cli::SubscriptionId id, cli::Subscriber* subscriber) {
  subscriptions_[id].subscriber = subscriber;
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

bool Delivery::offer(StreamId stream, const stream::Object& object) {
  if (holds_back_) {
    // Checked for all before any gets it, or the others would get it twice. An empty queue takes
    // one object of any size, or a large one would be held back for ever.
    for (const auto& [id, subscription] : subscriptions_) {
      if (!subscription.waiting.empty() &&
          subscription.waiting_bytes + object.bytes.size() > subscription_queue_bytes_max) {
        return false;
      }
    }
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
    make_room(subscription, copy->size());
    subscription.waiting.push_back({stream, object.first_seq, object.last_seq, copy});
    subscription.waiting_bytes += copy->size();
  }
  return true;
}

// Live streams: the oldest objects go, and the subscriber is told.
void Delivery::make_room(Subscription& subscription, size_t bytes) {
  while (subscription.waiting_bytes + bytes > subscription_queue_bytes_max) {
    const auto oldest =
        std::find_if(subscription.waiting.begin(), subscription.waiting.end(),
                     [](const Waiting& waiting) { return waiting.bytes != nullptr; });
    if (oldest == subscription.waiting.end()) return;
    subscription.waiting_bytes -= oldest->bytes->size();
    oldest->bytes = nullptr;
    ++counters_.dropped_objects;
    // Neighbouring notices of one stream become one, so that notices stay bounded too.
    if (oldest != subscription.waiting.begin()) {
      auto& before = *std::prev(oldest);
      if (before.bytes == nullptr && before.stream == oldest->stream) {
        before.last_seq = oldest->last_seq;
        subscription.waiting.erase(oldest);
      }
    }
  }
}

void Delivery::lost(StreamId stream, Seq first, Seq last) {
  for (auto& [id, subscription] : subscriptions_) {
    if (subscription.waiting.empty()) {
      subscription.subscriber->on_lost(stream, first, last);
    } else {
      subscription.waiting.push_back({stream, first, last, nullptr});
    }
  }
}

void Delivery::flush(Subscription& subscription) {
  while (!subscription.waiting.empty()) {
    const Waiting& next = subscription.waiting.front();
    if (next.bytes == nullptr) {
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
