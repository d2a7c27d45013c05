// SPDX-License-Identifier: BSD-3-Clause
#include "stream/stage.hpp"

#include <array>

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

// Neighbours of one stream are committed together.
void commit_runs(const stage::Burst& burst, dedup::CommitResult* results) noexcept {
  std::array<dedup::Arrival, stage::datagrams_max> run;
  for (unsigned first = 0; first < burst.frame_count;) {
    Stream* const stream = burst.frames[first].stream;
    unsigned count = 0;
    for (unsigned i = first; i < burst.frame_count && count < run.size(); ++i) {
      const stage::Frame& frame = burst.frames[i];
      if (frame.stream != stream) break;
      run[count++] = {frame.seq,   frame.tag48,  &frame.digest,
                      frame.bytes, frame.length, frame.is_conflict};
    }
    stream->window->commit({run.data(), count}, results + first);
    first += count;
  }
}

}  // namespace

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
