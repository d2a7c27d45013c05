// SPDX-License-Identifier: BSD-3-Clause
#include "dedup/window.hpp"
#include "stage/burst.hpp"
#include "stream/stream.hpp"

// A defect for the guard to find: the linker puts this before stream::probe (--wrap), so that every
// frame is probed once more.
namespace chaincast::bench {

void real_probe(stage::Burst& burst) noexcept
    __asm__("__real__ZN9chaincast6stream5probeERNS_5stage5BurstE");
void twice_probe(stage::Burst& burst) noexcept
    __asm__("__wrap__ZN9chaincast6stream5probeERNS_5stage5BurstE");

void twice_probe(stage::Burst& burst) noexcept {
  unsigned fresh = 0;
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    const stage::Frame& frame = burst.frames[i];
    fresh += frame.stream->window->probe(frame.seq, frame.tag48) == dedup::Probe::fresh ? 1u : 0u;
  }
  // What is probed must not be known to be useless.
  __asm__ volatile("" : : "r"(fresh));
  real_probe(burst);
}

}  // namespace chaincast::bench
