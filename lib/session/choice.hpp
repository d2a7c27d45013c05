// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"

// Which of several connections with one node is the session with it, and which of them may be read
// and written while that settles: the rules that both ends apply alike, whatever carries the bytes.
//
// 1. An end is greeted once its hello has left, and open once it has the other's too. Who was
//    dialled says its hello after it has read the dialler's, so it opens first. The dialler's
//    messages may follow its hello at once.
// 2. Two connections cross if each end dialled one, and they opened within `crossing_ns`, which is
//    the longest that a handshake may take: each was then dialled before the other was open. The
//    session is the one that the smaller id dialled. If they do not cross, one end has lost the
//    older, or dialled again: the session is the newer.
// 3. Who dialled the session says goodbye on the other connection; by then both ends have the
//    session. The other end answers with its own goodbye once it has read that.
// 4. Nothing overtakes: the session is not read while the other connection may still bring what
//    was sent before, and neither read nor written (but for its hello) while an own dial waits for
//    the other end's hello.
namespace chaincast::session {

// One connection, as a driver keeps it. The driver writes what is marked so; Choice the rest.
struct Candidate {
  NodeId peer;                 // driver
  bool is_dialled = false;     // driver: by this end
  bool is_greeted = false;     // driver: this end's hello has left
  bool hears_no_more = false;  // driver: the other end's goodbye has been read
  bool is_open = false;
  bool is_loser = false;      // open, and not the session
  bool is_finishing = false;  // either: say goodbye once what is queued has left
  bool holds_back = false;    // a loser that the session waits for
  TimeNs opened_ns = 0;
};

// The connections of one end. Pure; owner and thread: the driver's. Borrows candidates from add()
// to remove(). Cost: of a call, the connections with that one node.
class Choice {
 public:
  Choice(const NodeId& own, TimeNs crossing_ns) : own_(own), crossing_ns_(crossing_ns) {}

  // `candidate.peer` is known from here on.
  void add(Candidate& candidate);
  // Both hellos are there. The candidate is the session, or else a loser. `replaced`: was the
  // session until now.
  struct Opened {
    bool is_session = false;
    Candidate* replaced = nullptr;
  };
  Opened open(Candidate& candidate, TimeNs now_ns);
  // It is over. The one that takes its place as the session, or null.
  Candidate* remove(Candidate& candidate);

  // The session with this node, or null.
  Candidate* session(const NodeId& peer) const;
  bool is_session(const Candidate& candidate) const {
    return session(candidate.peer) == &candidate;
  }
  bool may_read(const Candidate& candidate) const;
  bool may_write(const Candidate& candidate) const;
  // All connections with this node, in no order.
  std::vector<Candidate*> all(const NodeId& peer) const;

 private:
  struct Group {
    Candidate* session = nullptr;
    std::vector<Candidate*> all;
  };
  bool waits_for_hello(const Candidate& candidate) const;

  const NodeId own_;
  const TimeNs crossing_ns_;
  std::unordered_map<NodeId, Group> groups_;
};

}  // namespace chaincast::session
