// SPDX-License-Identifier: BSD-3-Clause
#include "gen/checker.hpp"

namespace chaincast::gen {

Checker::Generator* Checker::find(const Stamp& stamp) {
  const auto known = generators_.find(stamp.generator);
  if (known != generators_.end()) return &known->second;
  if (generators_.size() >= options_.generators_max) return nullptr;
  Generator& generator = generators_[stamp.generator];
  if (options_.joins_late) generator.next = stamp.index;
  return &generator;
}

bool Checker::fill(Generator& generator, uint64_t index) {
  auto gap = generator.gaps.upper_bound(index);
  if (gap == generator.gaps.begin()) return false;
  --gap;
  const auto [first, last] = *gap;
  if (index > last) return false;
  generator.gaps.erase(gap);
  if (first < index) generator.gaps[first] = index - 1;
  if (index < last) generator.gaps[index + 1] = last;
  --generator.missing;
  return true;
}

Checker::Place Checker::place(Generator& generator, uint64_t index) const {
  if (index < generator.next) {
    return fill(generator, index) ? Place::filled_gap : Place::seen_before;
  }
  const bool in_order = index == generator.next;
  if (!in_order) {
    generator.gaps[generator.next] = index - 1;
    generator.missing += index - generator.next;
    if (generator.gaps.size() > options_.gaps_max) generator.gaps.erase(generator.gaps.begin());
  }
  generator.next = index + 1;
  return in_order ? Place::in_order : Place::after_gap;
}

// Its index counts as arrived only where that is what is awaited; otherwise the damage may be in
// the index itself.
void Checker::take_corrupt(const Stamp& stamp) {
  ++counts_.corrupt;
  const auto known = generators_.find(stamp.generator);
  if (known == generators_.end()) return;
  if (stamp.index == known->second.next) ++known->second.next;
}

void Checker::measure(const Stamp& stamp, Now now) {
  const TimeNs now_ns = stamp.clock == StampClock::monotonic ? now.monotonic_ns : now.realtime_ns;
  if (now_ns < stamp.time_ns) {
    ++counts_.clock_behind;
    return;
  }
  auto& times = latency_[static_cast<size_t>(stamp.clock)];
  auto& smallest = latency_min_ns_[static_cast<size_t>(stamp.clock)];
  const uint64_t taken_ns = now_ns - stamp.time_ns;
  if (times.count() == 0 || taken_ns < smallest) smallest = taken_ns;
  times.record(taken_ns);
}

void Checker::take(ByteSpan object, Now now) {
  Stamp stamp;
  const StampState state = read_stamp(object, stamp);
  const bool beyond = state == StampState::good && stamp.index >= index_limit;
  if (state == StampState::corrupt || beyond) return take_corrupt(stamp);
  Generator* generator = state == StampState::good ? find(stamp) : nullptr;
  if (generator == nullptr) {
    ++counts_.unstamped;
    return;
  }
  ++counts_.stamped;
  const Place where = place(*generator, stamp.index);
  if (where == Place::seen_before) {
    ++counts_.duplicated;
    return;
  }
  if (where == Place::filled_gap) ++counts_.reordered;
  measure(stamp, now);
}

Checker::Counts Checker::counts() const {
  Counts out = counts_;
  out.generators = generators_.size();
  for (const auto& [id, generator] : generators_) out.lost += generator.missing;
  return out;
}

bool Checker::clean() const {
  const Counts all = counts();
  const bool mixed = (all.stamped > 0 || all.corrupt > 0) && all.unstamped > 0;
  return !mixed && all.corrupt == 0 && all.lost == 0 && all.duplicated == 0 && all.reordered == 0;
}

}  // namespace chaincast::gen
