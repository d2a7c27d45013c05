// SPDX-License-Identifier: BSD-3-Clause
#include "seen/tables.hpp"

#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_member.h>
#define RCU_QSBR
#include <sys/mman.h>
#include <urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include <array>
#include <atomic>
#include <vector>

#include "base/assert.hpp"
#include "dedup/window.hpp"
#include "wire/frame.hpp"

namespace chaincast::bench::seen {

namespace {

// What a frame's identity is mixed to; the tag of a real one is as good.
uint64_t key_of(const Frame& frame) {
  uint64_t key = frame.stream << 40 ^ frame.seq;
  key = (key ^ key >> 31) * 0xff51afd7ed558ccdull;
  key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53ull;
  return key ^ key >> 29;
}

// As DPDK's bulk calls take them.
struct Keys {
  explicit Keys(std::span<const Frame> frames) noexcept {
    for (size_t i = 0; i < frames.size(); ++i) {
      values[i] = key_of(frames[i]);
      at[i] = &values[i];
    }
  }
  std::array<uint64_t, burst_frames> values;
  std::array<const void*, burst_frames> at;
};

class Windows final : public Table {
 public:
  explicit Windows(unsigned entries_log2) {
    dedup::WindowConfig config;
    config.size_log2 = stream_frames_log2;
    config.slot_bytes = wire::frame_header_bytes;
    config.populate_bytes_max = size_t{1} << 40;
    for (unsigned i = 0; i < 1u << (entries_log2 - stream_frames_log2); ++i) {
      auto made = dedup::Window::create(config);
      CC_ASSERT(made.ok());
      windows_.push_back(std::move(made).value());
    }
  }
  unsigned probe(std::span<const Frame> frames) noexcept override {
    for (const Frame& frame : frames) windows_[frame.stream]->prefetch(frame.seq);
    unsigned seen = 0;
    for (const Frame& frame : frames) {
      const auto found = windows_[frame.stream]->probe(frame.seq, key_of(frame) >> 16);
      seen += found == dedup::Probe::duplicate ? 1u : 0u;
    }
    return seen;
  }
  unsigned commit(unsigned, std::span<const Frame> frames) noexcept override {
    unsigned first = 0;
    // As the product's stages do it: places are fetched ahead, neighbours of one stream committed
    // together.
    for (const Frame& frame : frames) {
      windows_[frame.stream]->prefetch(frame.seq);
      windows_[frame.stream]->prefetch_place(frame.seq, wire::frame_header_bytes);
    }
    std::array<dedup::Arrival, burst_frames> run;
    std::array<dedup::CommitResult, burst_frames> results;
    while (!frames.empty()) {
      const uint64_t stream = frames[0].stream;
      unsigned count = 0;
      for (; count < frames.size() && frames[count].stream == stream; ++count) {
        run[count] = {frames[count].seq, key_of(frames[count]) >> 16, &digest_,
                      bytes_.data(),     wire::frame_header_bytes,    false};
      }
      windows_[stream]->commit({run.data(), count}, results.data());
      for (unsigned i = 0; i < count; ++i) {
        first += results[i].outcome == dedup::Commit::committed ? 1u : 0u;
      }
      frames = frames.subspan(count);
    }
    return first;
  }

 private:
  std::vector<std::unique_ptr<dedup::Window>> windows_;
  const Digest digest_{};
  const std::array<uint8_t, wire::frame_header_bytes> bytes_{};
};

// Eight keys a cache line, found and then inserted: two steps.
class Buckets final : public Table {
 public:
  explicit Buckets(unsigned entries_log2) : mask_((uint64_t{1} << (entries_log2 - 2)) - 1) {
    bytes_ = (mask_ + 1) * sizeof(Bucket);
    void* const memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CC_ASSERT(memory != MAP_FAILED);
    madvise(memory, bytes_, MADV_HUGEPAGE);
    madvise(memory, bytes_, MADV_POPULATE_WRITE);
    buckets_ = static_cast<Bucket*>(memory);
  }
  ~Buckets() override { munmap(buckets_, bytes_); }
  unsigned probe(std::span<const Frame> frames) noexcept override {
    std::array<uint64_t, burst_frames> keys;
    prepare(frames, keys);
    unsigned seen = 0;
    for (size_t i = 0; i < frames.size(); ++i) seen += holds(keys[i]) ? 1u : 0u;
    return seen;
  }
  unsigned commit(unsigned, std::span<const Frame> frames) noexcept override {
    std::array<uint64_t, burst_frames> keys;
    prepare(frames, keys);
    unsigned first = 0;
    for (size_t i = 0; i < frames.size(); ++i) first += insert(keys[i]) ? 1u : 0u;
    return first;
  }

 private:
  using Word = std::atomic_ref<uint64_t>;
  struct alignas(64) Bucket {
    std::array<uint64_t, 8> keys;
  };
  void prepare(std::span<const Frame> frames, std::array<uint64_t, burst_frames>& keys) noexcept {
    for (size_t i = 0; i < frames.size(); ++i) {
      keys[i] = key_of(frames[i]) | 1;
      __builtin_prefetch(&buckets_[keys[i] >> 20 & mask_]);
    }
  }
  bool holds(uint64_t key) noexcept {
    unsigned hits = 0;
    for (uint64_t& word : buckets_[key >> 20 & mask_].keys) {
      hits += Word(word).load(std::memory_order_relaxed) == key ? 1u : 0u;
    }
    return hits != 0;
  }
  bool insert(uint64_t key) noexcept {
    if (holds(key)) return false;
    for (uint64_t& word : buckets_[key >> 20 & mask_].keys) {
      uint64_t found = Word(word).load(std::memory_order_relaxed);
      if (found == 0 && Word(word).compare_exchange_strong(found, key)) return true;
    }
    // Full: the oldest goes, whoever that is.
    Word(buckets_[key >> 20 & mask_].keys[key >> 1 & 7]).store(key, std::memory_order_relaxed);
    return true;
  }

  const uint64_t mask_;
  size_t bytes_ = 0;
  Bucket* buckets_ = nullptr;
};

class RteHash final : public Table {
 public:
  explicit RteHash(unsigned entries_log2) {
    rte_hash_parameters p{};
    p.name = "seen";
    // Its buckets of eight overflow before it is full.
    p.entries = (1u << entries_log2) + (1u << (entries_log2 - 1));
    p.key_len = sizeof(uint64_t);
    p.hash_func = rte_hash_crc;
    p.socket_id = SOCKET_ID_ANY;
    p.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_MULTI_WRITER_ADD;
    table_ = rte_hash_create(&p);
    CC_ASSERT(table_ != nullptr);
  }
  ~RteHash() override { rte_hash_free(table_); }
  unsigned probe(std::span<const Frame> frames) noexcept override {
    Keys keys(frames);
    uint64_t hits = 0;
    std::array<void*, burst_frames> data;
    rte_hash_lookup_bulk_data(table_, keys.at.data(), static_cast<uint32_t>(frames.size()), &hits,
                              data.data());
    return static_cast<unsigned>(__builtin_popcountll(hits));
  }
  unsigned commit(unsigned, std::span<const Frame> frames) noexcept override {
    unsigned first = 0;
    for (const Frame& frame : frames) {
      const uint64_t key = key_of(frame);
      // An add of what is there looks the same, so it is looked up first: two steps here, too.
      if (rte_hash_lookup(table_, &key) >= 0) continue;
      first += rte_hash_add_key(table_, &key) >= 0 ? 1u : 0u;
    }
    return first;
  }

 private:
  rte_hash* table_ = nullptr;
};

class Lfht final : public Table {
 public:
  explicit Lfht(unsigned entries_log2)
      : table_(cds_lfht_new(size_t{1} << entries_log2, size_t{1} << entries_log2, 0, 0, nullptr)) {
    CC_ASSERT(table_ != nullptr);
    for (auto& nodes : nodes_) nodes.resize(size_t{1} << entries_log2);
  }
  // The process ends with it: emptying it takes longer than all that is measured.
  ~Lfht() override = default;
  unsigned probe(std::span<const Frame> frames) noexcept override {
    unsigned seen = 0;
    for (const Frame& frame : frames) {
      uint64_t key = key_of(frame);
      cds_lfht_iter iterator;
      cds_lfht_lookup(table_, key, matches, &key, &iterator);
      seen += cds_lfht_iter_get_node(&iterator) != nullptr ? 1u : 0u;
    }
    return seen;
  }
  unsigned commit(unsigned lcore, std::span<const Frame> frames) noexcept override {
    unsigned first = 0;
    for (const Frame& frame : frames) {
      Node& node = nodes_[lcore][used_[lcore].count];
      node.key = key_of(frame);
      cds_lfht_node_init(&node.link);
      if (cds_lfht_add_unique(table_, node.key, matches, &node.key, &node.link) == &node.link) {
        ++used_[lcore].count;
        ++first;
      }
    }
    return first;
  }
  void enter() override { urcu_qsbr_register_thread(); }
  void leave() override { urcu_qsbr_unregister_thread(); }

 private:
  struct Node {
    cds_lfht_node link;
    uint64_t key;
  };
  struct alignas(64) Used {
    size_t count = 0;
  };
  static int matches(cds_lfht_node* node, const void* key) {
    return caa_container_of(node, Node, link)->key == *static_cast<const uint64_t*>(key);
  }
  cds_lfht* table_;
  std::array<std::vector<Node>, 2> nodes_;
  std::array<Used, 2> used_{};
};

class RteMember final : public Table {
 public:
  explicit RteMember(unsigned entries_log2) {
    rte_member_parameters p{};
    p.name = "seen";
    p.type = RTE_MEMBER_TYPE_HT;
    p.key_len = sizeof(uint64_t);
    p.num_keys = (1u << entries_log2) + (1u << (entries_log2 - 1));
    p.prim_hash_seed = 1;
    p.sec_hash_seed = 11;
    p.socket_id = SOCKET_ID_ANY;
    table_ = rte_member_create(&p);
    CC_ASSERT(table_ != nullptr);
  }
  ~RteMember() override { rte_member_free(table_); }
  unsigned probe(std::span<const Frame> frames) noexcept override {
    Keys keys(frames);
    std::array<member_set_t, burst_frames> sets;
    const int found = rte_member_lookup_bulk(table_, keys.at.data(),
                                             static_cast<uint32_t>(frames.size()), sets.data());
    return static_cast<unsigned>(found);
  }
  unsigned commit(unsigned, std::span<const Frame> frames) noexcept override {
    unsigned first = 0;
    for (const Frame& frame : frames) {
      const uint64_t key = key_of(frame);
      member_set_t set = 0;
      if (rte_member_lookup(table_, &key, &set) > 0) continue;
      first += rte_member_add(table_, &key, 1) >= 0 ? 1u : 0u;
    }
    return first;
  }
  bool is_shared() const override { return false; }

 private:
  rte_member_setsum* table_ = nullptr;
};

}  // namespace

std::unique_ptr<Table> make_table(const std::string& name, unsigned entries_log2) {
  if (name == "window") return std::make_unique<Windows>(entries_log2);
  if (name == "buckets") return std::make_unique<Buckets>(entries_log2);
  if (name == "rte_hash") return std::make_unique<RteHash>(entries_log2);
  if (name == "lfht") return std::make_unique<Lfht>(entries_log2);
  if (name == "rte_member") return std::make_unique<RteMember>(entries_log2);
  return nullptr;
}

}  // namespace chaincast::bench::seen
