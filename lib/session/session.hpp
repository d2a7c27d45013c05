// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/pollable.hpp"
#include "base/result.hpp"

// Sessions between nodes on their management addresses (docs/membership.md, "Sessions"): whole
// messages, in order, encrypted, each end's key proven to the other. drivers/session/tls is the
// product's; drivers/session/memory connects nodes of one process for tests. Owner: the control
// thread, which all calls and callbacks are on.
namespace chaincast::session {

inline constexpr size_t message_bytes_max = 33 * 1024 * 1024;  // a compressed graph and its frame
inline constexpr size_t card_bytes_max = 1024;
inline constexpr size_t sessions_max = 1024;
inline constexpr size_t carried_max = 256;  // sessions that third nodes carry, half open ones too
inline constexpr uint32_t carried_window_bytes = 256 * 1024;  // on the way, each way
inline constexpr size_t carried_piece_bytes = 16 * 1024;

struct Config {
  Endpoint listen;   // port 0: the system picks one
  Digest network{};  // ends of two networks refuse each other
  // What the other end is told first, of whoever is above: at most card_bytes_max.
  Bytes card;
  // Keys that the network admits; asked at every session, resumed ones too.
  std::function<bool(const PublicKey&)> admits;
  TimeNs handshake_ns = 5 * ns_per_s;  // until both ends know each other
  TimeNs stall_ns = 10 * ns_per_s;     // with half a message in or out and no byte moving
  TimeNs idle_ns = 60 * ns_per_s;      // without a message
  TimeNs retry_ns = 200 * ns_per_ms;   // after a dial that failed; doubles up to retry_max_ns
  TimeNs retry_max_ns = 30 * ns_per_s;
  size_t queue_bytes_max = 2 * message_bytes_max;  // waiting to be sent on one session
};

// The other end of a session that is open.
struct Remote {
  NodeId id;
  PublicKey key{};
  // Where it takes sessions: what was dialled, or the port of its hello at the address that it
  // came from.
  Endpoint address;
  Endpoint seen;  // where its bytes come from; behind a NAT another port
  Bytes card;
  bool is_carried = false;  // through a third node, whose address this is
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_open(const Remote& remote, TimeNs now_ns) = 0;
  // `message` is valid during the call only.
  virtual void on_message(const Remote& from, ByteSpan message, TimeNs now_ns) = 0;
  // Follows every on_open. `why` is for the log.
  virtual void on_closed(const Remote& remote, const std::string& why, TimeNs now_ns) = 0;
  // A dial came to nothing; what waited for it is gone.
  virtual void on_failed(const Endpoint& address, const std::string& why, TimeNs now_ns) = 0;

  // Of a session that a third node carries: bytes for the other end, which has said that it took
  // all but carried_window_bytes of those before.
  virtual void on_carry(uint64_t, ByteSpan, TimeNs) {}
  // So many of the other end's bytes have been taken.
  virtual void on_carry_taken(uint64_t, uint32_t, TimeNs) {}
  // Nothing follows, and nothing is taken any more.
  virtual void on_carry_end(uint64_t, TimeNs) {}
};

struct Counters {
  uint64_t dialled = 0, accepted = 0, opened = 0, closed = 0;
  uint64_t failed = 0;       // dials
  uint64_t resumed = 0;      // of those opened: by a ticket
  uint64_t refused = 0;      // handshakes: not admitted, another network, another key than expected
  uint64_t stalled = 0;      // closed for half a message, or for not reading
  uint64_t malformed = 0;    // closed for a frame that is none
  uint64_t over_limit = 0;   // connections beyond sessions_max
  uint64_t queue_full = 0;   // messages not taken
  uint64_t backing_off = 0;  // messages not taken: the address failed a moment ago
  uint64_t messages_sent = 0, messages_received = 0, bytes_sent = 0, bytes_received = 0;
};

struct SessionStatus {
  Remote remote;
  bool was_dialled = false;  // by this end
  bool was_resumed = false;
  TimeNs opened_ns = 0;
  size_t queued_bytes = 0;
};

// At most one session is open with a node: of two that cross, both ends keep the one that the
// smaller id dialled, and read the other to its end; of two dialled by one end, the newer.
class Sessions : public Pollable {
 public:
  // Before anything else; outlives this.
  virtual void set_listener(Listener& listener) = 0;
  // Queues a message for the node `id` (zeros: whoever answers) at this address, over the session
  // that is open with it, or over one that is dialled for it. False, and counted, where it is not
  // taken: its queue is full, or dialling that address failed a moment ago.
  virtual bool send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns) = 0;
  // 32 bytes that the two ends of the open session have in common and nobody else knows: the TLS
  // exporter (RFC 8446, section 7.5). Both ends get the same for the same label.
  virtual std::optional<Secret> exported(const NodeId& peer, const std::string& label) const = 0;
  // A session whose bytes whoever is above has a third node carry, which is at `address`: keys are
  // proven from end to end as on any other. `channel` is the caller's, and new. False: there are
  // too many, or this driver has none.
  virtual bool dial_carried(uint64_t, const NodeId&, const Endpoint&, TimeNs) { return false; }
  virtual bool accept_carried(uint64_t, const Endpoint&, TimeNs) { return false; }
  // Bytes of the other end; how many of ours it has taken; its end. Unknown channels are ignored.
  virtual void carried(uint64_t, ByteSpan, TimeNs) {}
  virtual void carried_taken(uint64_t, uint32_t) {}
  virtual void carried_end(uint64_t) {}
  // After what no honest node sends.
  virtual void close(const NodeId& peer, const std::string& why, TimeNs now_ns) = 0;
  virtual Endpoint address() const = 0;  // where it listens
  virtual std::vector<SessionStatus> sessions() const = 0;
  virtual const Counters& counters() const = 0;
};

}  // namespace chaincast::session
