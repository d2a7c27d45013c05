// SPDX-License-Identifier: BSD-3-Clause
#include "stream/stage.hpp"

#include <array>

#include "stream/descriptor.hpp"

namespace chaincast::stream {

namespace {

using stage::Drop;

// Verifying second variants costs hashes that a member could make us spend: bounded per tick.
bool take_conflict_budget(Stream& stream) noexcept {
  stream.conflicts.fetch_add(1, std::memory_order_relaxed);
  if (stream.conflict_budget.load(std::memory_order_relaxed) <= 0) return false;
  return stream.conflict_budget.fetch_sub(1, std::memory_order_relaxed) > 0;
}

Drop judge_probe(stage::Frame& frame, WorkerShare& share) noexcept {
  switch (frame.stream->window->probe(frame.seq, frame.tag48)) {
    case dedup::Probe::fresh:
      frame.stream->window->prefetch_place(frame.seq, frame.length);
      return Drop::count_;
    case dedup::Probe::duplicate:
      share.duplicates.add();
      return Drop::duplicate;
    case dedup::Probe::stale:
      return Drop::stale;
    case dedup::Probe::ahead:
      return Drop::ahead;
    case dedup::Probe::conflict:
      break;
  }
  if (!take_conflict_budget(*frame.stream)) return Drop::conflict;
  frame.is_conflict = true;
  return Drop::count_;
}

Drop judge_commit(stage::Frame& frame, dedup::CommitResult result, WorkerShare& share) noexcept {
  if (result.outcome == dedup::Commit::refused && !frame.is_conflict &&
      take_conflict_budget(*frame.stream)) {
    // Probed fresh, but another variant won the slot meanwhile.
    result = frame.stream->window->commit(frame.seq, frame.tag48, frame.digest, frame.bytes,
                                          frame.length, true);
  }
  switch (result.outcome) {
    case dedup::Commit::committed:
      if (result.is_reordered) share.reordered.add();
      [[fallthrough]];
    case dedup::Commit::second:
      return result.contradicts_previous && result.previous_is_final ? Drop::bad_link
                                                                     : Drop::count_;
    case dedup::Commit::duplicate:
      share.duplicates.add();
      return Drop::duplicate;
    case dedup::Commit::stale:
      return Drop::stale;
    case dedup::Commit::ahead:
      return Drop::ahead;
    case dedup::Commit::refused:
      break;
  }
  return Drop::conflict;
}

// Short frames travel together, and cost less summed so than one by one.
constexpr unsigned summed_bytes_min = 512;

// Neighbours of one stream are committed together.
void commit_runs(stage::Burst& burst, dedup::CommitResult* results) noexcept {
  std::array<dedup::Arrival, stage::datagrams_max> run;
  const auto wants_sum = [&](const stage::Frame& frame) {
    return burst.wants_sums && frame.length >= summed_bytes_min;
  };
  for (unsigned first = 0; first < burst.frame_count;) {
    Stream* const stream = burst.frames[first].stream;
    unsigned count = 0;
    for (unsigned i = first; i < burst.frame_count && count < run.size(); ++i) {
      stage::Frame& frame = burst.frames[i];
      if (frame.stream != stream) break;
      frame.sum = stage::no_sum;
      run[count++] = {frame.seq,
                      frame.tag48,
                      &frame.digest,
                      frame.bytes,
                      frame.length,
                      frame.is_conflict,
                      wants_sum(frame) ? &frame.sum : nullptr};
    }
    stream->window->commit({run.data(), count}, results + first);
    first += count;
  }
}

static_assert(OriginMarks::own == stage::no_peer);

// An origin has made all frames of its stream itself. What comes back and is none of them was made
// by a member; passed on from here, it would come to neighbours over the origin's own link.
Drop judge_returned(const stage::Frame& frame) noexcept {
  const dedup::Probe probe = frame.stream->window->probe(frame.seq, frame.tag48);
  if (probe != dedup::Probe::fresh && probe != dedup::Probe::conflict) return Drop::count_;
  frame.stream->conflicts.fetch_add(1, std::memory_order_relaxed);
  return Drop::conflict;
}

// A stale frame must not take the place of one that the window may still hold.
void mark_origin(const stage::Burst& burst, const stage::Frame& frame) noexcept {
  Stream& stream = *frame.stream;
  if (stream.origin_marks->is_of(burst.datagrams[frame.datagram].peer) &&
      frame.seq >= stream.window->floor()) {
    stream.origin_marks->mark(frame.seq, frame.tag48);
  }
}

}  // namespace

void mark_origin_arrivals(stage::Burst& burst) noexcept {
  burst.filter_frames([&](unsigned i) {
    const stage::Frame& frame = burst.frames[i];
    if (frame.stream->origin_marks == nullptr) return Drop::count_;
    if (frame.stream->is_own) return judge_returned(frame);
    if (links_by_digest(frame.stream->descriptor.suite)) mark_origin(burst, frame);
    return Drop::count_;
  });
}

void mark_origin_commits(stage::Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    if (burst.frames[i].stream->origin_marks != nullptr) mark_origin(burst, burst.frames[i]);
  }
}

void probe(stage::Burst& burst) noexcept {
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    burst.frames[i].stream->window->prefetch(burst.frames[i].seq);
  }
  burst.filter_frames([&](unsigned i) {
    stage::Frame& frame = burst.frames[i];
    return judge_probe(frame, frame.stream->shares[burst.worker]);
  });
}

void commit(stage::Burst& burst) noexcept {
  std::array<dedup::CommitResult, stage::frames_max> results;
  commit_runs(burst, results.data());
  // Windows to move: neighbouring frames mostly share a stream, so a short list suffices; a stream
  // that does not fit is moved at once.
  std::array<Stream*, 16> touched;
  unsigned touched_count = 0;
  burst.filter_frames([&](unsigned i) {
    stage::Frame& frame = burst.frames[i];
    const Drop reason = judge_commit(frame, results[i], frame.stream->shares[burst.worker]);
    bool listed = false;
    for (unsigned t = touched_count; t-- > 0 && !listed;) listed = touched[t] == frame.stream;
    if (!listed) {
      if (touched_count < touched.size()) {
        touched[touched_count++] = frame.stream;
      } else {
        frame.stream->window->advance();
      }
    }
    return reason;
  });
  for (unsigned t = 0; t < touched_count; ++t) touched[t]->window->advance();
}

}  // namespace chaincast::stream
