// SPDX-License-Identifier: BSD-3-Clause
#include "hop/mtu.hpp"

#include <algorithm>
#include <array>

namespace chaincast::hop {
namespace {

// Where paths usually end: IPv4's least, tunnels, PPPoE, Ethernet, FDDI, jumbo frames.
constexpr std::array<uint16_t, 11> usual_bytes = {576,  1024, 1280, 1400, 1420, 1492,
                                                  1500, 4352, 8000, 8900, 9000};

}  // namespace

void MtuSearch::start(uint16_t limit_bytes, TimeNs now_ns) {
  *this = MtuSearch();
  limit_ = limit_bytes;
  failed_ = limit_bytes + 1u;
  if (limit_ == 0) return;
  raise_at_ns_ = now_ns + raise_ns;
  choose(now_ns);
}

// 0: the search is over.
uint16_t MtuSearch::next_target() const {
  const uint16_t base = std::min(base_bytes, limit_);
  if (passed_ == 0 && failed_ > base) return base;
  if (passed_ == 0 && failed_ <= least_bytes) return 0;
  if (failed_ > limit_) return passed_ < limit_ ? limit_ : uint16_t{0};
  if (failed_ - passed_ <= 1) return 0;
  for (const uint16_t size : usual_bytes) {
    if (size > passed_ && size < failed_) return size;
  }
  return static_cast<uint16_t>((passed_ + failed_) / 2);
}

void MtuSearch::choose(TimeNs now_ns) {
  const uint16_t target = next_target();
  settled_ = target == 0;
  if (!settled_) {
    aim(target, now_ns);
    return;
  }
  mtu_bytes_ = passed_;
  aim(passed_, now_ns + confirm_ns);
  if (passed_ == 0 || passed_ < limit_) next_ns_ = std::min(next_ns_, raise_at_ns_);
  if (passed_ == 0) next_ns_ = raise_at_ns_;
}

void MtuSearch::aim(uint16_t target, TimeNs now_ns) {
  target_ = target;
  tries_ = 0;
  first_id_ = next_id_;
  next_ns_ = now_ns;
}

std::optional<MtuSearch::Probe> MtuSearch::due(TimeNs now_ns, TimeNs timeout_ns, TimeNs heard_ns) {
  if (now_ns < next_ns_) return std::nullopt;
  if (settled_ && tries_ == 0 && passed_ < limit_ && now_ns >= raise_at_ns_) {
    raise_at_ns_ = now_ns + raise_ns;
    failed_ = limit_ + 1u;
    choose(now_ns);
  }
  if (tries_ >= tries_max && heard_ns > first_try_ns_) failed(now_ns);
  if (now_ns < next_ns_ || target_ == 0) return std::nullopt;
  if (tries_ == 0) first_try_ns_ = now_ns;
  ++tries_;
  next_ns_ = now_ns + timeout_ns;
  return Probe{next_id_++, target_};
}

void MtuSearch::failed(TimeNs now_ns) {
  failed_ = target_;
  if (target_ == passed_) {  // a black hole
    passed_ = 0;
    mtu_bytes_ = std::min(mtu_bytes_, base_bytes);
  }
  if (passed_ == 0 && target_ <= base_bytes) mtu_bytes_ = 0;
  if (passed_ != 0 && now_ns >= confirmed_ns_ + confirm_ns) {
    aim(passed_, now_ns);  // failures may mean that the path has shrunk below what is in use
  } else {
    choose(now_ns);
  }
}

void MtuSearch::answered(uint32_t id, uint16_t bytes, TimeNs now_ns) {
  const bool mine = id - first_id_ < next_id_ - first_id_;
  if (!mine || bytes != target_ || tries_ == 0) return;
  passed_ = target_;
  confirmed_ns_ = now_ns;
  mtu_bytes_ = std::max(mtu_bytes_, passed_);
  choose(now_ns);
}

}  // namespace chaincast::hop
