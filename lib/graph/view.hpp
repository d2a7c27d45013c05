// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "graph/interned.hpp"
#include "graph/record.hpp"

// One node's copy of the graph's facts: a persistent trie over node ids, whose parts are immutable
// and shared. A change copies one path (docs/graph.md, "Views"). All views of one Store that hold
// the same facts are the same object, so comparing them costs one instruction, and a process with
// many nodes holds one graph. Each part carries a digest of the live entries below it, which makes
// the root the digest of the graph, and comparing two views a walk along what differs (Merkle
// 1987).
//
// A Store and its views belong to one control thread. Cost of a change: log16(N) parts of about
// 200 bytes; of a look-up: as many steps.
namespace chaincast::graph {

inline constexpr unsigned trie_children = 16;
inline constexpr unsigned trie_leaf_max = 16;  // entries of a leaf, and of a digest of entries

struct Part {
  Digest digest{};     // of the live entries below; zeros if there are none
  uint32_t live = 0;   // entries that are alive or suspected
  uint32_t total = 0;  // and those that are dead or have left
  uint64_t bytes = 0;  // of the live entries' facts, as they travel
  std::array<Ref<const Part>, trie_children> children;  // empty in a leaf
  std::vector<EntryRef> entries;                        // of a leaf, ascending by id
  Store* store = nullptr;
  size_t key = 0;  // in the store, with the next one of its bucket
  mutable const Part* next = nullptr;
  mutable uint32_t references = 0;
  bool is_leaf() const { return total <= trie_leaf_max; }
  static void destroy(const Part* part);
};
using PartRef = Ref<const Part>;

// The live entries of a part, ascending by id, behind what `out` holds already.
void live_entries(const Part& part, std::vector<EntryRef>& out);

// Makes entries and parts, each only once. Outlives all of them.
class Store {
 public:
  explicit Store(const crypto::Toolbox& toolbox) : toolbox_(toolbox) {}
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  EntryRef entry(RecordRef record, std::vector<AccusationRef> accusations);
  PartRef leaf(std::vector<EntryRef> entries);
  // The children are held by the caller meanwhile; null where nothing is below.
  PartRef inner(const std::array<const Part*, trie_children>& children);
  // Numbers records in the order in which they come up, from 1: SeenWindow.
  uint64_t serial(const Record& record) {
    if (record.serial == 0) record.serial = ++serials_;
    return record.serial;
  }
  // What a leaf becomes by one record, as far as it is remembered: many nodes of one process merge
  // the same news into the same leaves, at times when no two of their views are equal. Null if not.
  const Part* remembered(const Part& leaf, const Record& record) const;
  void remember(const PartRef& leaf, const RecordRef& record, const PartRef& result);
  size_t parts() const { return parts_.size(); }
  size_t entries() const { return entries_.size(); }

 private:
  friend struct Part;
  friend struct Entry;
  struct Memo {
    PartRef leaf, result;
    RecordRef record;
  };
  static constexpr size_t memos_from = 8192;  // parts: with fewer there is nothing to gain
  static constexpr size_t memos = 65'536;
  PartRef keep(Part part);

  const crypto::Toolbox& toolbox_;
  Interned<Part> parts_;
  Interned<Entry> entries_;  // by the record's digest
  uint64_t serials_ = 0;
  std::vector<Memo> memo_;
};

// Nibbles of a node id from the front.
struct Path {
  std::array<uint8_t, 16> bytes{};  // zero beyond the depth
  uint8_t depth = 0;                // nibbles, 0..32
  Path child(unsigned nibble) const;
  bool operator==(const Path&) const = default;
};
unsigned nibble_of(const NodeId& id, unsigned depth);

class View {
 public:
  explicit View(Store& store) : store_(&store) {}

  const Entry* find(const NodeId& id) const;
  // What became of a fact. `changed` is the only one that is passed on.
  enum class Merge { changed, known, stale, unknown_subject };
  Merge merge(RecordRef record);
  // Many in one pass: each part is made anew once. The records ascend by id, one of each node.
  // `outcomes` is as long. What is known of a node under the same counter with another content is
  // put beside it into `lies`.
  void merge(std::span<const RecordRef> records, std::vector<Merge>& outcomes,
             std::vector<std::pair<RecordRef, RecordRef>>& lies);
  // Counts only if the view holds the suspect's record under the counter that is accused.
  Merge merge(AccusationRef accusation);
  Merge merge(const EntryRef& entry);
  // Everything below another view's root; costs what differs. Nodes of which the two hold different
  // records under one counter are put into `conflicts`.
  void merge(const PartRef& root, std::vector<NodeId>& conflicts);
  // Overrides the order of records: for what more voices vouch for.
  void prefer(EntryRef entry) { put(std::move(entry)); }
  // Forgets a node that is dead or has left.
  void forget(const NodeId& id);
  // Takes a node out, whatever it is. Other views may hold it still, and bring it back.
  void take_out(const NodeId& id);

  // Null where nothing is below.
  const Part* part(const Path& path) const;
  // Live entries below a path, ascending by id.
  void live_below(const Path& path, std::vector<EntryRef>& out) const;
  // All entries, the dead as well.
  void for_each(const std::function<void(const EntryRef&)>& visit) const;
  // The live entry at a position in 0..live()-1.
  EntryRef live_at(size_t position) const;

  Digest digest() const { return root_ ? root_->digest : Digest{}; }
  size_t live() const { return root_ ? root_->live : 0; }
  size_t total() const { return root_ ? root_->total : 0; }
  uint64_t bytes() const { return root_ ? root_->bytes : 0; }
  const PartRef& root() const { return root_; }
  Store& store() const { return *store_; }

 private:
  struct Batch;
  void put(EntryRef entry);
  PartRef merge_batch(const PartRef& part, unsigned depth, size_t first, size_t last, Batch& batch);
  PartRef merge_leaf(const PartRef& part, unsigned depth, size_t first, size_t last, Batch& batch);
  void merge_below(const Part& theirs, const Path& path, std::vector<NodeId>& conflicts);
  PartRef put_below(const PartRef& part, unsigned depth, EntryRef entry);
  PartRef erase_below(const PartRef& part, unsigned depth, const NodeId& id);
  PartRef build(std::vector<EntryRef> entries, unsigned depth);

  Store* store_;
  PartRef root_;
};

}  // namespace chaincast::graph
