// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <optional>

#include "base/clock.hpp"
#include "cli/console.hpp"
#include "feed/datagram.hpp"
#include "stats/counter.hpp"

namespace chaincast::feed {

// One writer, the node's control thread; read from any.
struct OutletCounters {
  stats::Counter objects, bytes;  // sent to a reader
  stats::Counter full;            // objects that had to wait in the node
  stats::Counter too_long;        // objects that no datagram holds: not sent
  stats::Counter empty;           // objects of no bytes: not sent
  stats::Counter lost_frames;     // that the node could not deliver here
  stats::Counter unseen;          // sent objects that the reader says it never got
  stats::Counter foreign;         // datagrams from other than loopback
  stats::Counter malformed;       // datagrams that are no request
  stats::Counter second_reader;   // requests while another reader is there
  stats::Counter requests;        // answered, or to be
};

// A member's side: every object is a datagram, sent only where the reader has said that it has
// room. A pure machine; control thread. Objects wait here (4 MiB, or one), then in the node's
// delivery queue, which drops the oldest of a live stream.
class Outlet final : public cli::Subscriber {
 public:
  static constexpr size_t waiting_bytes_max = 4u << 20;
  // A reader without a word for so long after its last request has run out is forgotten, and the
  // next that asks takes its place.
  static constexpr TimeNs forget_ns = 10 * ns_per_s;

  // `socket` outlives it.
  explicit Outlet(Socket& socket) : socket_(socket) {}

  bool on_object(const cli::Delivered& delivered) override;
  void on_lost(StreamId stream, Seq first, Seq last) override;
  void on_closed(const std::string& reason) override;

  // One datagram.
  void receive(const Endpoint& from, ByteSpan datagram, TimeNs now_ns);
  // Ends what has been answered: once after each round of receive and on_object.
  void turn(TimeNs now_ns);
  // When turn must be called again; never while the socket takes no more.
  TimeNs wake_at_ns() const;
  bool is_blocked() const { return is_blocked_; }

  const OutletCounters& counters() const { return counters_; }
  bool has_reader() const { return reader_.has_value(); }

 private:
  struct Reader {
    Endpoint address;
    uint64_t id = 0;
    uint64_t sent = 0;      // objects
    uint64_t unseen = 0;    // of them, so far
    uint32_t number = 0;    // of the newest request
    bool is_open = false;   // it may get objects
    bool has_some = false;  // it got one
    size_t room = 0;        // left, by weight
    TimeNs until_ns = 0;    // when an empty answer is due
  };
  bool is_new(const Endpoint& from, const Request& request, TimeNs now_ns) const;
  void begin(const Request& request, TimeNs now_ns);
  void pump();
  bool fits(const Bytes& object) const;
  void close();

  Socket& socket_;
  std::deque<Bytes> waiting_;
  size_t waiting_bytes_ = 0;
  std::optional<Reader> reader_;
  bool is_blocked_ = false;  // the socket took no more
  OutletCounters counters_;
};

}  // namespace chaincast::feed
