// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/pollable.hpp"
#include "base/result.hpp"
#include "ops/ops.hpp"

// The two sides of a console: `Service` is what a node offers to whoever commands it, `Console` is
// a way in (drivers/console/unix, drivers/console/terminal). Consoles own sockets and terminals;
// the node's control loop polls their descriptors and calls them. Everything here runs on the
// node's control thread; nothing here blocks.
namespace chaincast::cli {

// ---- the node's side --------------------------------------------------------------------------

enum class PublishState : uint8_t {
  accepted,  // the node owns the object now
  busy,      // no room yet: offer the same object again; consoles hold back their client
  failed,    // never will be: `message` says why
};

struct PublishResult {
  PublishState state = PublishState::failed;
  StreamId stream;    // accepted: where it went
  Seq first_seq = 0;  // accepted: its first frame, or 0 where the node packs it later
  std::string message;
};

struct StreamInfo {
  StreamId stream;  // of the newest incarnation
  uint32_t object_bytes_max = 0;
  bool can_publish = false;
};

// One whole object, in the stream's order. `object` is valid during the call only.
struct Delivered {
  StreamId stream;
  Seq first_seq = 0;  // frames that carried it
  Seq last_seq = 0;
  ByteSpan object;
};

using SubscriptionId = uint64_t;

// Receives one subscription's objects. The node calls it on the control thread, never inside
// Service::subscribe or unsubscribe, and never after unsubscribe returned.
class Subscriber {
 public:
  virtual ~Subscriber() = default;
  // False: full, ask again with the same object. The node keeps it in its bounded delivery queue;
  // what that queue gives up is reported by on_lost.
  virtual bool on_object(const Delivered& delivered) = 0;
  // Frames first..last will never be delivered here, for whatever reason. Never refused; comes
  // before any later object of that stream.
  virtual void on_lost(StreamId stream, Seq first, Seq last) = 0;
  // The node that a stream comes from is gone from the network, or (`is_lost` false) is back and
  // the stream goes on. Behind the objects that came before. Never refused.
  virtual void on_origin([[maybe_unused]] StreamId stream, [[maybe_unused]] bool is_lost) {}
  // No more will come: the stream was removed or the node stops.
  virtual void on_closed(const std::string& reason) = 0;
};

// What a prompt needs.
class Commander {
 public:
  virtual ~Commander() = default;
  // One command of the operations table.
  virtual ops::Reply run(std::string_view line) = 0;
  // What may follow `line` (ops::Table::complete with live names).
  virtual std::vector<std::string> complete(std::string_view line) = 0;
};

// A client's connection, so that what it begins can end with it; 0 is none.
using SessionId = uint64_t;

class Service : public Commander {
 public:
  // One command of a connection. What it begins (`commit confirm`) is undone by close_session,
  // unless `session` is 0.
  virtual ops::Reply run_in([[maybe_unused]] SessionId session, std::string_view line) {
    return run(line);
  }
  virtual SessionId open_session() { return 0; }
  virtual void close_session(SessionId) {}
  // Name, node id, version, uptime, state: what `chaincastctl status` prints.
  virtual ops::Json status() = 0;
  // Streams go by their configured name.
  virtual Result<StreamInfo> stream(std::string_view name) = 0;
  virtual PublishResult publish(std::string_view stream, ByteSpan object) = 0;
  // Every object of that stream from now on, of all its incarnations. `subscriber` outlives the
  // subscription.
  virtual Result<SubscriptionId> subscribe(std::string_view stream, Subscriber* subscriber) = 0;
  virtual void unsubscribe(SubscriptionId subscription) = 0;
};

// ---- the console's side -----------------------------------------------------------------------

// What `wake_at_ns` waits for: a withheld publish that is offered again, a stalled client that is
// dismissed. on_ready may call the Service; at most 512 requests per client and call.
class Console : public Pollable {
 public:
  // For `show consoles`: clients, refusals, losses.
  virtual ops::Json describe() const = 0;
};

}  // namespace chaincast::cli
