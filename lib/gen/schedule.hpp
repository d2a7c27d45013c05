// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"

namespace chaincast::gen {

// Zero: no bound. Where both are given, the slower one decides.
struct Rate {
  double objects_per_s = 0;
  double bits_per_s = 0;
  bool bounded() const { return objects_per_s > 0 || bits_per_s > 0; }
};

// When each object is due, counted from one start: a sender that falls behind catches up, so that
// the rate over the whole run is the one asked for. Pure; one owner; constant cost.
class Schedule {
 public:
  // Objects later than this are counted as late.
  static constexpr TimeNs late_ns = ns_per_ms;

  Schedule(Rate rate, TimeNs start_ns) : rate_(rate), start_ns_(start_ns) {}

  // Of the next object; the start itself where no rate is set.
  TimeNs due_ns() const {
    double after_ns = 0;
    if (rate_.objects_per_s > 0) {
      after_ns = static_cast<double>(objects_) / rate_.objects_per_s * double{ns_per_s};
    }
    if (rate_.bits_per_s > 0) {
      const double bits = static_cast<double>(bytes_) * 8;
      after_ns = std::max(after_ns, bits / rate_.bits_per_s * double{ns_per_s});
    }
    return start_ns_ + static_cast<TimeNs>(after_ns);
  }
  // The next object, of so many bytes, was sent at now_ns.
  void sent(size_t bytes, TimeNs now_ns) {
    const TimeNs due = due_ns();
    if (rate_.bounded() && now_ns > due) {
      lateness_max_ns_ = std::max(lateness_max_ns_, now_ns - due);
      if (now_ns - due > late_ns) ++late_objects_;
    }
    ++objects_;
    bytes_ += bytes;
  }

  uint64_t late_objects() const { return late_objects_; }
  TimeNs lateness_max_ns() const { return lateness_max_ns_; }

 private:
  Rate rate_;
  TimeNs start_ns_;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
  uint64_t late_objects_ = 0;
  TimeNs lateness_max_ns_ = 0;
};

}  // namespace chaincast::gen
