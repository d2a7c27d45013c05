// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "crypto/crypto.hpp"
#include "dedup/window.hpp"
#include "rcu/rcu.hpp"
#include "stats/counter.hpp"
#include "stream/origin_marks.hpp"
#include "wire/descriptor.hpp"

// One stream as workers and control share it, and the table that workers find it in. Made and
// retired by control; workers hold a pointer for one burst at most.
namespace chaincast::stream {

inline constexpr unsigned workers_max = 16;

// What one worker saw of one stream; a cache line of its own, so that a duplicate writes to nothing
// that is shared.
struct alignas(64) WorkerShare {
  stats::Counter received;  // frames, duplicates included
  stats::Counter duplicates;
  stats::Counter reordered;  // committed after a higher seq
  stats::Counter hops_max;
};

// Peers by number, in ascending order. Immutable once published.
struct PeerSet {
  std::vector<uint32_t> peers;
  bool contains(uint32_t peer) const noexcept {
    return std::binary_search(peers.begin(), peers.end(), peer);
  }
};

// What workers need of one stream. Made by control from a checked descriptor, found through
// StreamTable, retired through rcu.
struct Stream {
  // immutable after publication
  wire::Descriptor descriptor;
  Bytes encoded;  // the descriptor as it travels
  Digest descriptor_digest{};
  StreamId id;
  std::string name;  // resource name, for people
  uint16_t frame_bytes_max = 0;
  bool is_priority = false;  // routes: lane 0, ahead of stream frames
  bool is_own = false;       // this node is the origin
  std::unique_ptr<dedup::Window> window;
  std::unique_ptr<OriginMarks> origin_marks;  // null unless delivered at `accepted`

  // Peers that get no frames of it: they refused the stream, or their path is too small for it.
  // Null: all get them. Written by control, read by workers.
  rcu::Published<PeerSet> refused_by;

  // Keys by epoch. Written by control (published with release), read by workers; epochs e and
  // e + 1 may both be valid around a rotation. Old keys are retired through rcu.
  struct EpochKey {
    std::atomic<const crypto::SuiteKey*> key{nullptr};
  };
  std::array<EpochKey, 4> keys;  // at epoch % 4; the key names its epoch
  std::array<std::unique_ptr<crypto::SuiteKey>, 4> keys_owned;  // control

  // Worker: the key of `epoch`, or null.
  const crypto::SuiteKey* key_of(Epoch epoch) const noexcept {
    const crypto::SuiteKey* key = keys[epoch % keys.size()].key.load(std::memory_order_acquire);
    return key != nullptr && key->epoch == epoch ? key : nullptr;
  }

  // Budget for verifying second variants, refilled by control on its tick; workers take from it.
  std::atomic<int32_t> conflict_budget{16};

  std::array<WorkerShare, workers_max> shares;  // [worker]

  // Rare events, shared by workers; for `show streams`.
  std::atomic<uint64_t> conflicts{0}, bad_tags{0};
};

// Stream id -> Stream for workers.
class StreamTable {
 public:
  explicit StreamTable(size_t streams_max) : table_(streams_max, streams_max) {}
  Stream* find(StreamId id) const noexcept { return static_cast<Stream*>(table_.find(id.value)); }
  bool insert(std::shared_ptr<Stream> stream) { return table_.insert(stream->id.value, stream); }
  bool remove(StreamId id, rcu::Retirer& retirer) { return table_.remove(id.value, retirer); }

 private:
  rcu::IdTable table_;
};

}  // namespace chaincast::stream
