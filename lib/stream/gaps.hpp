// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>

#include "base/clock.hpp"
#include "base/ids.hpp"

// The seqs of a stream that are known to exist and are not here, as intervals with the time at
// which they were noticed. Bounded by the window: an interval needs a frame above it. Control
// thread.
namespace chaincast::stream {

class Gaps {
 public:
  struct Gap {
    Seq last = 0;  // inclusive
    TimeNs noticed_ns = 0;
  };
  using Map = std::map<Seq, Gap>;  // by first seq

  // [first, last] is above everything noted so far.
  void note(Seq first, Seq last, TimeNs now_ns) { gaps_[first] = {last, now_ns}; }

  // The interval that holds `seq`.
  Map::const_iterator find(Seq seq) const {
    auto after = gaps_.upper_bound(seq);
    if (after == gaps_.begin()) return gaps_.end();
    --after;
    return after->second.last >= seq ? after : gaps_.end();
  }
  bool contains(Seq seq) const { return find(seq) != gaps_.end(); }

  // `seq` is here now.
  void fill(Seq seq) {
    const auto at = find(seq);
    if (at == gaps_.end()) return;
    const Seq first = at->first;
    const Gap gap = at->second;
    gaps_.erase(at);
    if (first < seq) gaps_[first] = {seq - 1, gap.noticed_ns};
    if (seq < gap.last) gaps_[seq + 1] = gap;
  }

  void forget_below(Seq seq) {
    while (!gaps_.empty() && gaps_.begin()->first < seq) {
      const Gap gap = gaps_.begin()->second;
      gaps_.erase(gaps_.begin());
      if (gap.last >= seq) gaps_[seq] = gap;
    }
  }
  void clear() { gaps_.clear(); }

  Map::const_iterator begin() const { return gaps_.begin(); }
  Map::const_iterator end() const { return gaps_.end(); }
  Map::const_iterator from(Seq seq) const {
    const auto at = find(seq);
    return at != gaps_.end() ? at : gaps_.lower_bound(seq);
  }
  bool empty() const { return gaps_.empty(); }

 private:
  Map gaps_;
};

}  // namespace chaincast::stream
