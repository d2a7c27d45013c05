// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "cli/console.hpp"
#include "feed/datagram.hpp"
#include "stats/counter.hpp"

namespace chaincast::feed {

// One writer, the node's control thread; read from any.
struct IntakeCounters {
  stats::Counter objects, bytes;  // accepted by the stream
  stats::Counter withheld;        // objects that the stream had no room for at first
  stats::Counter too_long;        // refused: above the largest object of the resource
  stats::Counter failed;          // refused by the stream
  stats::Counter foreign;         // datagrams from other than loopback
  stats::Counter asked;           // empty datagrams
  stats::Counter unanswered;      // datagrams of feeders beyond those that are kept
};

// A host's side: every datagram is an object. A pure machine but for the service that it publishes
// to; control thread. Keeps the counts of 64 feeders, and one object that the stream has no room
// for; meanwhile its owner takes nothing from the socket, and so withholds the answers.
class Intake {
 public:
  static constexpr size_t feeders_max = 64;
  // Beyond that many, one that has been silent for so long gives way.
  static constexpr TimeNs silent_ns = 60 * ns_per_s;

  // `service` and `socket` outlive it.
  Intake(cli::Service& service, std::string stream, uint64_t size_max, Socket& socket);

  // One datagram. Not while an object is held.
  void receive(const Endpoint& from, ByteSpan datagram, TimeNs now_ns);
  // Offers the held object again.
  void retry();
  bool is_holding() const { return held_.has_value(); }
  // Sends their counts to the feeders whose datagrams have come since. False: some must wait until
  // the socket takes more.
  bool answer();

  const IntakeCounters& counters() const { return counters_; }

 private:
  struct Feeder {
    Endpoint address;
    Answer answer;
    TimeNs heard_ns = 0;
    bool is_owed = false;
  };
  struct Held {
    Endpoint from;
    Bytes object;
  };
  // Null where there are too many.
  Feeder* feeder(const Endpoint& address, TimeNs now_ns);
  Feeder* find(const Endpoint& address);
  // False: no room.
  bool offer(Feeder* from, ByteSpan object);
  static void refuse(Feeder* feeder, Answer::Refusal why);

  cli::Service& service_;
  const std::string stream_;
  const uint64_t size_max_;
  Socket& socket_;
  std::vector<Feeder> feeders_;
  std::optional<Held> held_;
  IntakeCounters counters_;
};

}  // namespace chaincast::feed
