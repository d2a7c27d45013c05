// SPDX-License-Identifier: BSD-3-Clause
#include "hop/lane.hpp"

#include "base/assert.hpp"

namespace chaincast::hop {

uint64_t ReplayWindow::extend(uint32_t low) const noexcept {
  constexpr uint64_t span = uint64_t{1} << 32;
  constexpr uint64_t half = span / 2;
  const uint64_t near = (highest_ & ~(span - 1)) | low;
  if (near + half <= highest_) return near + span;
  if (near > highest_ + half && near >= span) return near - span;
  return near;
}

ReplayWindow::Verdict ReplayWindow::judge(uint64_t counter) const noexcept {
  if (counter == 0) return Verdict::too_old;
  if (counter > highest_) return Verdict::fresh;
  if (highest_ - counter >= window_bits) return Verdict::too_old;
  const uint64_t word = seen_[(counter / 64) % words];
  return (word >> (counter % 64)) & 1 ? Verdict::replayed : Verdict::fresh;
}

// Clears the bits of counters first..last, which are fewer than the window.
void ReplayWindow::forget(uint64_t first, uint64_t last) noexcept {
  for (uint64_t word = first / 64; word <= last / 64; ++word) {
    const unsigned from = word == first / 64 ? static_cast<unsigned>(first % 64) : 0;
    const unsigned to = word == last / 64 ? static_cast<unsigned>(last % 64) : 63;
    const uint64_t mask = (~uint64_t{0} << from) & (~uint64_t{0} >> (63 - to));
    seen_[word % words] &= ~mask;
  }
}

void ReplayWindow::accept(uint64_t counter) noexcept {
  if (counter > highest_) {
    if (counter - highest_ >= window_bits) {
      seen_.fill(0);
    } else {
      forget(highest_ + 1, counter);
    }
    highest_ = counter;
  }
  seen_[(counter / 64) % words] |= uint64_t{1} << (counter % 64);
}

uint32_t LaneTable::allocate(uint32_t random) noexcept {
  for (unsigned tried = 1; tried < slots; ++tried) {
    const unsigned slot = next_;
    next_ = next_ + 1 < slots ? next_ + 1 : 1;
    if (ids_[slot] != 0) continue;
    ids_[slot] = (random & ~uint32_t{slots - 1}) | slot;
    return ids_[slot];
  }
  return 0;
}

void LaneTable::install(RxLane* lane) noexcept {
  const unsigned slot = lane->link_id & (slots - 1);
  CC_ASSERT(slot != 0 && ids_[slot] == lane->link_id);
  slots_[slot].store(lane, std::memory_order_release);
}

void LaneTable::remove(uint32_t link_id) noexcept {
  const unsigned slot = link_id & (slots - 1);
  if (link_id == 0 || ids_[slot] != link_id) return;
  slots_[slot].store(nullptr, std::memory_order_release);
  ids_[slot] = 0;
}

}  // namespace chaincast::hop
