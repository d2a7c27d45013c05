// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "stream/receiver.hpp"

// Local subscribers of one resource: bounded queues between the streams' receivers and consoles.
namespace chaincast::node {

inline constexpr size_t subscription_queue_bytes_max = 8u << 20;

struct DeliveryCounters {
  uint64_t objects = 0, bytes = 0;  // handed to a subscriber
  uint64_t dropped_objects = 0;     // given up because a subscriber was slow
};

// Control thread only.
class Delivery {
 public:
  // `lost_origins`: streams whose origin is lost already; told with the next flush().
  void add(cli::SubscriptionId id, cli::Subscriber* subscriber,
           const std::vector<StreamId>& lost_origins = {});
  bool remove(cli::SubscriptionId id);
  void close(const std::string& reason);

  // One object of one of the resource's streams, in order. A slow subscriber loses objects of live
  // streams, and holds kept ones back. False: held back, offer it again.
  bool offer(StreamId stream, wire::Keeping keeping, const stream::Object& object);
  void lost(StreamId stream, Seq first, Seq last);
  // The stream's origin is gone, or back.
  void origin(StreamId stream, bool is_lost);
  // Offers what waits to its subscriber again.
  void flush();

  bool has_backlog() const;
  size_t subscribers() const { return subscriptions_.size(); }
  const DeliveryCounters& counters() const { return counters_; }

 private:
  struct Waiting {
    enum class Kind : uint8_t { object, lost, origin_lost, origin_back };
    Kind kind = Kind::object;
    StreamId stream;
    Seq first_seq = 0;
    Seq last_seq = 0;
    std::shared_ptr<const Bytes> bytes;  // of an object
    bool is_kept = false;                // never dropped
    bool is_of_origin() const { return kind == Kind::origin_lost || kind == Kind::origin_back; }
  };
  struct Subscription {
    cli::Subscriber* subscriber = nullptr;
    std::deque<Waiting> waiting;
    size_t waiting_bytes = 0;
  };
  void flush(Subscription& subscription);
  void make_room(Subscription& subscription, size_t bytes);
  // Behind something that waits.
  static void add_notice(Subscription& subscription, StreamId stream, Seq first, Seq last);
  static void add_origin(Subscription& subscription, StreamId stream, bool is_lost);
  static bool fits(const Subscription& subscription, size_t bytes);

  std::map<cli::SubscriptionId, Subscription> subscriptions_;
  DeliveryCounters counters_;
};

}  // namespace chaincast::node
