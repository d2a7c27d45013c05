// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

// Tables that remember which frames were seen: the product's windows, and what the field would take
// instead. All remember the same frames, named by stream and seq; all are asked in bursts.
namespace chaincast::bench::seen {

inline constexpr unsigned burst_frames = 64;
inline constexpr unsigned streams_log2_max = 4;
inline constexpr unsigned stream_frames_log2 = 20;  // the largest window

struct Frame {
  uint64_t stream = 0;  // 0, 1, ...
  uint64_t seq = 0;     // below 2^20
};

class Table {
 public:
  virtual ~Table() = default;
  // Any lcore. How many of at most burst_frames frames were seen.
  virtual unsigned probe(std::span<const Frame> frames) noexcept = 0;
  // Any lcore. Remembers them, and says how many it was the first for.
  virtual unsigned commit(unsigned lcore, std::span<const Frame> frames) noexcept = 0;
  // Whether several lcores may commit at the same time.
  virtual bool is_shared() const { return true; }
  // Around the calling thread's use.
  virtual void enter() {}
  virtual void leave() {}
};

// "window", "buckets", "rte_hash", "lfht", "rte_member"; room for 2^entries_log2 frames, made
// beforehand. Null for another name.
std::unique_ptr<Table> make_table(const std::string& name, unsigned entries_log2);

}  // namespace chaincast::bench::seen
