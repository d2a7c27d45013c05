// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "crypto/crypto.hpp"
#include "dedup/window.hpp"
#include "wire/descriptor.hpp"

// The receiving end of one stream on a node: states verified / linked / final, anchors, statements,
// gaps, reassembly and in-order delivery (docs/streams.md). A pure machine over the stream's
// dedup::Window, which workers (or the simulator) fill; owner: the control thread.
//
// Every stream of a node needs one, subscribed to or not: it checks the statements that let the
// window move. Memory: about 120 bytes per seq of the window, one object, one frame.
namespace chaincast::stream {

struct Object {
  Seq first_seq = 0;
  Seq last_seq = 0;
  ByteSpan bytes;  // valid during the call
  bool is_route = false;
};

// Where in-order objects and loss notices go. Returning false from on_object means "full": the
// same object is offered again on the next poll; frames behind it wait in the window, and those
// that the window overruns are lost.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual bool on_object(const Object& object) = 0;
  virtual void on_lost(Seq first, Seq last) = 0;  // inclusive
};

// Who says which frames of a stream are accepted, where it is delivered at `accepted`
// (docs/membership.md, "Votes"). Called during Receiver::poll.
class Judge {
 public:
  virtual ~Judge() = default;
  // A committed variant, once it can be read. True if it is accepted.
  virtual bool on_frame(Seq seq, const Digest& digest, uint64_t tag48) = 0;
  // The origin's word covers `seq`, whose frame has this digest. Ascending; seqs that were given up
  // are left out.
  virtual void on_final(Seq seq, const Digest& digest) = 0;
};

struct ReceiverConfig {
  TimeNs gap_deadline_ns = 2 * ns_per_s;  // live streams only
  TimeNs stale_after_ns = 30 * ns_per_s;  // no statement for so long: the stream is stale
  unsigned statements_per_poll_max = 4;   // signature checks (70 us each)
  bool is_own = false;                    // this node is the origin: nothing to repair
  Judge* judge = nullptr;  // outlives the receiver; null: only what is final is accepted
};

// Every seq that delivery has passed is in exactly one of delivered, dropped, other and lost
// frames.
struct ReceiverCounters {
  uint64_t frames = 0;  // read from the window, second variants included
  uint64_t delivered_objects = 0, delivered_bytes = 0, delivered_frames = 0;
  uint64_t lost_frames = 0;     // given up or overrun
  uint64_t lost_objects = 0;    // begun, and dropped because of a hole
  uint64_t dropped_frames = 0;  // present, but their object was incomplete or malformed
  uint64_t other_frames = 0;    // statements, unknown kinds, frames that nobody subscribed to
  uint64_t statements_checked = 0, statements_bad = 0;
  uint64_t gap_frames = 0;      // seqs known to exist before they were here
  uint64_t contradictions = 0;  // seqs whose frames do not fit their neighbours or the signature
  uint64_t replaced = 0;        // variants chosen by a statement over the first one
  uint64_t unknown_kinds = 0;
  uint64_t malformed_objects = 0;
  uint64_t unopened_frames = 0;  // confidential, and this node does not hold the key
};

struct ReceiverStatus {
  bool anchored = false;
  Seq anchor_seq = 0;  // where linking started
  bool anchor_is_descriptor = false;
  Seq linked_next = 0;     // first seq not linked
  Seq final_next = 0;      // first seq not final
  Seq accepted_next = 0;   // first seq neither accepted nor final; 0 unless delivered at `accepted`
  Seq delivered_next = 0;  // first seq not handed out (or given up)
  Seq highest_seen = 0;    // highest seq that was committed here or that the origin has signed
  bool is_stale = false;
  bool is_ended = false;
  bool is_held = false;            // the origin signed two histories: nothing more is delivered
  TimeNs newest_statement_ns = 0;  // when it arrived
};

class Receiver {
 public:
  // `engine` opens confidential payloads; `key_of` finds the epoch's key. All references outlive
  // the receiver.
  static std::unique_ptr<Receiver> create(ReceiverConfig config, const wire::Descriptor& descriptor,
                                          const Digest& descriptor_digest, dedup::Window& window,
                                          const crypto::Toolbox& toolbox,
                                          crypto::FrameEngine& engine,
                                          std::function<const crypto::SuiteKey*(Epoch)> key_of);
  virtual ~Receiver() = default;

  // Starts at seq 0 (the descriptor is the anchor). Nothing if already anchored.
  virtual void start_at_descriptor(TimeNs now_ns) = 0;
  // A statement learned from a tip or a late start. True if its signature holds (checked here,
  // under the quota, which poll() refills) and it is newer than what was known; the window is
  // anchored by it if the receiver was not anchored, or if it lies beyond the window of a live
  // stream: what lies between is lost. Delivery then starts with the first whole object.
  virtual bool learn_statement(ByteSpan payload, TimeNs now_ns) = 0;

  // Reads what workers committed since the last poll, checks statements, moves states, delivers.
  // Handles at most `frames_max` new frames and delivers at most as many. Returns true if more is
  // waiting. Without a sink frames count as other and delivery follows the stream; a sink that
  // comes later starts with the next whole object.
  virtual bool poll(TimeNs now_ns, unsigned frames_max, Sink* sink) = 0;
  // The frame of `seq` with this digest is accepted: delivered by the next poll(), in its turn.
  // False if it is not here yet, or the origin's word is another.
  virtual bool accept(Seq seq, const Digest& digest) = 0;
  // When poll() has something to do next although nothing new was committed.
  virtual TimeNs next_timer_ns() const = 0;

  // For repair: what is missing inside the window, oldest first, at most `max`. A seq whose
  // committed variants all contradict the origin's word is listed with the digest wanted.
  struct Missing {
    Seq seq = 0;
    std::optional<std::array<uint8_t, 8>> digest8;
  };
  virtual void missing(std::vector<Missing>& out, size_t max) const = 0;
  // Which committed variant of `seq` to hand to a neighbour: the one whose digest starts with
  // `digest8`, or (null) the final or linked one. Nothing if there is none.
  virtual std::optional<unsigned> variant_of(Seq seq,
                                             const std::array<uint8_t, 8>* digest8) const = 0;

  virtual const ReceiverStatus& status() const = 0;
  virtual const ReceiverCounters& counters() const = 0;
  virtual const Bytes& newest_statement() const = 0;  // payload of the newest checked one
  // Digest of a linked frame still in the window (for tips).
  virtual std::optional<Digest> digest_of(Seq seq) const = 0;
  // Two statements' payloads that prove two histories; empty unless held.
  virtual const std::vector<Bytes>& evidence() const = 0;
};

}  // namespace chaincast::stream
