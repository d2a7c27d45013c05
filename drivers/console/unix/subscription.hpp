// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "console/unix/server.hpp"
#include "console/unix/shared_ring.hpp"
#include "local/ring.hpp"

namespace chaincast::console {

// What one client has subscribed to: objects, losses and the end go to a `Way`, which is its socket
// or its ring. A loss is told before any later object, and consecutive losses are told as one; of a
// stream's origin only the newest is told. So what waits stays bounded however slow the client is.
// Control thread.
class Subscription final : public cli::Subscriber {
 public:
  // How events reach the client.
  class Way {
   public:
    virtual ~Way() = default;
    // For so many losses and then one record of so many bytes.
    virtual bool has_room(size_t losses, size_t bytes) = 0;
    // There must be room.
    virtual void put(const local::RingRecord& record) = 0;
    // False where a record of so many bytes would never fit.
    virtual bool can_hold(size_t bytes) const = 0;
    // Nothing waits to be read: a loss is told at once, and not merged with the next.
    virtual bool is_idle() = 0;
  };
  // `counters` outlives it.
  Subscription(std::unique_ptr<Way> way, bool watches_origins, ServerCounters& counters)
      : way_(std::move(way)), watches_origins_(watches_origins), counters_(counters) {}

  bool on_object(const cli::Delivered& delivered) override;
  void on_lost(StreamId stream, Seq first, Seq last) override;
  void on_origin(StreamId stream, bool is_lost) override;
  void on_closed(const std::string& reason) override;

  // Losses, what is known of origins, and the end, as far as there is room.
  void tell();
  bool is_waiting() const { return notices() > 0 || closing_.has_value(); }
  // Notices of more streams than can be remembered: the client has to go.
  bool is_overrun() const { return is_overrun_; }

  std::optional<cli::SubscriptionId> id;  // none once closed by the node

 private:
  struct Loss {
    StreamId stream;
    Seq first;
    Seq last;
  };
  struct Origin {
    StreamId stream;
    bool is_lost;
  };
  size_t notices() const { return losses_.size() + origins_.size(); }
  void put_notices();

  const std::unique_ptr<Way> way_;
  const bool watches_origins_;
  ServerCounters& counters_;
  std::vector<Loss> losses_;
  std::vector<Origin> origins_;  // of each stream the newest
  std::optional<std::string> closing_;
  bool is_overrun_ = false;
};

// A ring as a way to the client. The client is told on its socket, by Connection, when `commit`
// says so.
class RingWay final : public Subscription::Way {
 public:
  explicit RingWay(SharedRing memory);
  bool has_room(size_t losses, size_t bytes) override;
  void put(const local::RingRecord& record) override;
  bool can_hold(size_t bytes) const override;
  bool is_idle() override;

  // Shows the client what was put. True: it sleeps, or slept when some of it was shown before.
  bool commit();
  bool has_uncommitted() const { return wakes_ || writer_.uncommitted_bytes() > 0; }
  bool is_damaged() const { return writer_.is_damaged(); }
  // The client has been refused room and has read nothing since: for how long.
  TimeNs stalled_ns(TimeNs now_ns);
  bool is_full() const { return is_full_; }
  // When it was last seen to have read, or to have room.
  TimeNs moved_ns() const { return seen_ns_; }
  const SharedRing& memory() const { return memory_; }

 private:
  SharedRing memory_;
  local::RingWriter writer_;
  bool is_full_ = false;
  bool wakes_ = false;       // the client sleeps and has not been told
  uint64_t seen_bytes_ = 0;  // read by the client, when it was looked at last
  TimeNs seen_ns_ = 0;       // since when that has not changed
};

}  // namespace chaincast::console
