// SPDX-License-Identifier: BSD-3-Clause
#include "graph/view.hpp"

#include <algorithm>

namespace chaincast::graph {
namespace {

size_t mixed(size_t state, const void* pointer) {
  state = (state ^ reinterpret_cast<uintptr_t>(pointer)) * 0x9e3779b97f4a7c15ull;
  return state ^ (state >> 29);
}

std::array<const Part*, trie_children> borrowed(
    const std::array<PartRef, trie_children>& children) {
  std::array<const Part*, trie_children> out{};
  for (unsigned i = 0; i < trie_children; ++i) out[i] = children[i].get();
  return out;
}

size_t key_of(const Record& record) {
  return load_be64(record.digest.data());
}

bool by_id(const EntryRef& entry, const NodeId& id) {
  return entry->id() < id;
}

void collect(const Part& part, std::vector<EntryRef>& out) {
  out.insert(out.end(), part.entries.begin(), part.entries.end());
  for (const PartRef& child : part.children) {
    if (child) collect(*child, out);
  }
}

}  // namespace

void live_entries(const Part& part, std::vector<EntryRef>& out) {
  for (const EntryRef& entry : part.entries) {
    if (entry->is_live) out.push_back(entry);
  }
  for (const PartRef& child : part.children) {
    if (child && child->live > 0) live_entries(*child, out);
  }
}

void Part::destroy(const Part* part) {
  part->store->parts_.remove(part);
  delete part;
}

void Entry::destroy(const Entry* entry) {
  entry->store->entries_.remove(entry);
  delete entry;
}

Store::~Store() {
  memo_.clear();
  CC_ASSERT(parts_.empty());
  CC_ASSERT(entries_.empty());
}

EntryRef Store::entry(RecordRef record, std::vector<AccusationRef> accusations) {
  const size_t key = key_of(*record);
  const Entry* held = entries_.find(key, [&](const Entry& entry) {
    return entry.record->digest == record->digest &&
           std::equal(entry.accusations.begin(), entry.accusations.end(), accusations.begin(),
                      accusations.end(), [](const AccusationRef& a, const AccusationRef& b) {
                        return a->digest == b->digest;
                      });
  });
  if (held) return EntryRef(held);
  auto* made = new Entry;
  made->standing = standing_of(*record, accusations);
  made->is_live = made->standing == Standing::alive || made->standing == Standing::suspected;
  ByteWriter covered;
  covered.bytes(record->digest);
  made->bytes = record->bytes;
  for (const AccusationRef& accusation : accusations) {
    covered.bytes(accusation->digest);
    made->bytes += accusation->bytes;
  }
  made->digest = toolbox_.sha256(covered.buffer());
  made->accusations = std::move(accusations);
  made->record = std::move(record);
  made->store = this;
  made->key = key;
  entries_.add(made);
  return EntryRef(made);
}

PartRef Store::keep(Part part) {
  ByteWriter covered;
  // Few live entries are digested one by one whatever the shape above them, so that the digest
  // does not depend on the dead ones that a view still remembers.
  if (part.live > 0 && part.live <= trie_leaf_max) {
    std::vector<EntryRef> live;
    live_entries(part, live);
    for (const EntryRef& entry : live) covered.bytes(entry->digest);
  } else if (part.live > 0) {
    for (const PartRef& child : part.children) covered.bytes(child ? child->digest : Digest{});
  }
  if (part.live > 0) part.digest = toolbox_.sha256(covered.buffer());
  auto* kept = new Part(std::move(part));
  kept->store = this;
  parts_.add(kept);
  return PartRef(kept);
}

PartRef Store::leaf(std::vector<EntryRef> entries) {
  if (entries.empty()) return {};
  Part part;
  part.key = 1;
  for (const EntryRef& entry : entries) part.key = mixed(part.key, entry.get());
  const Part* held =
      parts_.find(part.key, [&](const Part& other) { return other.entries == entries; });
  if (held) return PartRef(held);
  part.total = static_cast<uint32_t>(entries.size());
  for (const EntryRef& entry : entries) {
    part.live += entry->is_live ? 1u : 0u;
    part.bytes += entry->is_live ? entry->bytes : 0;
  }
  part.entries = std::move(entries);
  return keep(std::move(part));
}

PartRef Store::inner(const std::array<const Part*, trie_children>& children) {
  size_t key = 2;
  for (const Part* child : children) key = mixed(key, child);
  const Part* held = parts_.find(key, [&](const Part& other) {
    return std::equal(children.begin(), children.end(), other.children.begin(),
                      [](const Part* a, const PartRef& b) { return a == b.get(); });
  });
  if (held) return PartRef(held);
  Part part;
  part.key = key;
  for (unsigned i = 0; i < trie_children; ++i) {
    if (!children[i]) continue;
    part.children[i] = PartRef(children[i]);
    part.live += children[i]->live;
    part.total += children[i]->total;
    part.bytes += children[i]->bytes;
  }
  return keep(std::move(part));
}

const Part* Store::remembered(const Part& leaf, const Record& record) const {
  if (memo_.empty()) return nullptr;
  const Memo& memo = memo_[mixed(mixed(3, &leaf), &record) % memos];
  const bool is_it = memo.leaf.get() == &leaf && memo.record.get() == &record;
  return is_it ? memo.result.get() : nullptr;
}

void Store::remember(const PartRef& leaf, const RecordRef& record, const PartRef& result) {
  if (memo_.empty()) {
    if (parts_.size() < memos_from) return;
    memo_.resize(memos);
  }
  memo_[mixed(mixed(3, leaf.get()), record.get()) % memos] = {leaf, result, record};
}

unsigned nibble_of(const NodeId& id, unsigned depth) {
  const uint8_t byte = id.bytes[depth / 2];
  return depth % 2 == 0 ? byte >> 4 : byte & 15;
}

Path Path::child(unsigned nibble) const {
  Path out = *this;
  uint8_t& byte = out.bytes[depth / 2];
  byte = static_cast<uint8_t>(byte | (depth % 2 == 0 ? nibble << 4 : nibble));
  ++out.depth;
  return out;
}

const Entry* View::find(const NodeId& id) const {
  const Part* at = root_.get();
  for (unsigned depth = 0; at; ++depth) {
    if (!at->is_leaf()) {
      at = at->children[nibble_of(id, depth)].get();
      continue;
    }
    const auto found = std::lower_bound(at->entries.begin(), at->entries.end(), id, by_id);
    return found != at->entries.end() && (*found)->id() == id ? found->get() : nullptr;
  }
  return nullptr;
}

View::Merge View::merge(RecordRef record) {
  if (const Entry* known = find(record->id)) {
    if (known->record->digest == record->digest) return Merge::known;
    if (!supersedes(*record, *known->record)) return Merge::stale;
  }
  put(store_->entry(std::move(record), {}));
  return Merge::changed;
}

struct View::Batch {
  std::span<const RecordRef> records;
  std::vector<Merge>& outcomes;
  std::vector<std::pair<RecordRef, RecordRef>>& lies;
};

void View::merge(std::span<const RecordRef> records, std::vector<Merge>& outcomes,
                 std::vector<std::pair<RecordRef, RecordRef>>& lies) {
  outcomes.assign(records.size(), Merge::known);
  if (records.empty()) return;
  Batch batch{records, outcomes, lies};
  root_ = merge_batch(root_, 0, 0, records.size(), batch);
}

// Records `first` to `last` (not included) all belong below this part.
PartRef View::merge_batch(const PartRef& part, unsigned depth, size_t first, size_t last,
                          Batch& batch) {
  if (!part || part->is_leaf()) return merge_leaf(part, depth, first, last, batch);
  std::array<const Part*, trie_children> children = borrowed(part->children);
  std::array<PartRef, trie_children> made;
  bool has_changed = false;
  while (first < last) {
    const unsigned at = nibble_of(batch.records[first]->id, depth);
    size_t end = first + 1;
    while (end < last && nibble_of(batch.records[end]->id, depth) == at) ++end;
    made[at] = merge_batch(part->children[at], depth + 1, first, end, batch);
    has_changed = has_changed || made[at].get() != children[at];
    children[at] = made[at].get();
    first = end;
  }
  return has_changed ? store_->inner(children) : part;
}

PartRef View::merge_leaf(const PartRef& part, unsigned depth, size_t first, size_t last,
                         Batch& batch) {
  const bool is_single = part && last - first == 1;
  if (is_single) {
    if (const Part* known = store_->remembered(*part, *batch.records[first])) {
      batch.outcomes[first] = Merge::changed;
      return PartRef(known);
    }
  }
  std::vector<EntryRef> entries = part ? part->entries : std::vector<EntryRef>();
  const size_t lies = batch.lies.size();
  bool has_changed = false;
  for (size_t i = first; i < last; ++i) {
    const RecordRef& record = batch.records[i];
    CC_ASSERT(i == first || batch.records[i - 1]->id < record->id);
    const auto at = std::lower_bound(entries.begin(), entries.end(), record->id, by_id);
    const bool is_held = at != entries.end() && (*at)->id() == record->id;
    if (is_held) {
      const Record& known = *(*at)->record;
      if (known.digest == record->digest) continue;
      if (known.said.counter == record->said.counter) {
        batch.lies.emplace_back((*at)->record, record);
      }
      batch.outcomes[i] = Merge::stale;
      if (!supersedes(*record, known)) continue;
    }
    batch.outcomes[i] = Merge::changed;
    has_changed = true;
    EntryRef entry = store_->entry(record, {});
    if (is_held) {
      *at = std::move(entry);
    } else {
      entries.insert(at, std::move(entry));
    }
  }
  if (!has_changed) return part;
  PartRef result = build(std::move(entries), depth);
  if (is_single && batch.lies.size() == lies) {
    store_->remember(part, batch.records[first], result);
  }
  return result;
}

View::Merge View::merge(AccusationRef accusation) {
  const Entry* known = find(accusation->said.suspect);
  if (!known) return Merge::unknown_subject;
  const wire::NodeRecord& said = known->record->said;
  if (said.counter != accusation->said.counter) return Merge::stale;
  const bool is_partner = states_link_with(*known->record, accusation->accuser);
  if (!is_partner) return Merge::unknown_subject;
  std::vector<AccusationRef> all = known->accusations;
  const auto place =
      std::lower_bound(all.begin(), all.end(), accusation->accuser,
                       [](const AccusationRef& a, const NodeId& id) { return a->accuser < id; });
  if (place != all.end() && (*place)->accuser == accusation->accuser) {
    if ((*place)->digest == accusation->digest) return Merge::known;
    const uint32_t round = (*place)->said.round;
    const bool is_newer = accusation->said.round > round || (accusation->said.round == round &&
                                                             accusation->digest > (*place)->digest);
    if (!is_newer) return Merge::stale;
    *place = std::move(accusation);
  } else {
    all.insert(place, std::move(accusation));
  }
  put(store_->entry(known->record, std::move(all)));
  return Merge::changed;
}

View::Merge View::merge(const EntryRef& entry) {
  const Entry* known = find(entry->id());
  if (known == entry.get()) return Merge::known;
  Merge result =
      known && known->record->digest == entry->record->digest ? Merge::known : merge(entry->record);
  if (result == Merge::stale) return result;
  for (const AccusationRef& accusation : entry->accusations) {
    if (merge(accusation) == Merge::changed) result = Merge::changed;
  }
  return result;
}

void View::merge(const PartRef& root, std::vector<NodeId>& conflicts) {
  if (!root || root == root_) return;
  if (live() >= root->live) return merge_below(*root, {}, conflicts);
  const PartRef mine = std::exchange(root_, root);
  if (mine) merge_below(*mine, {}, conflicts);
}

void View::merge_below(const Part& theirs, const Path& path, std::vector<NodeId>& conflicts) {
  if (part(path) == &theirs) return;
  for (unsigned i = 0; i < trie_children; ++i) {
    if (theirs.children[i]) merge_below(*theirs.children[i], path.child(i), conflicts);
  }
  for (const EntryRef& entry : theirs.entries) {
    const Entry* known = find(entry->id());
    if (known && known->record->said.counter == entry->record->said.counter &&
        known->record->digest != entry->record->digest) {
      conflicts.push_back(entry->id());
    }
    merge(entry);
  }
}

void View::put(EntryRef entry) {
  root_ = put_below(root_, 0, std::move(entry));
}

PartRef View::build(std::vector<EntryRef> entries, unsigned depth) {
  if (entries.size() <= trie_leaf_max) return store_->leaf(std::move(entries));
  std::array<std::vector<EntryRef>, trie_children> split;
  for (EntryRef& entry : entries) split[nibble_of(entry->id(), depth)].push_back(std::move(entry));
  std::array<PartRef, trie_children> children;
  for (unsigned i = 0; i < trie_children; ++i) children[i] = build(std::move(split[i]), depth + 1);
  return store_->inner(borrowed(children));
}

PartRef View::put_below(const PartRef& part, unsigned depth, EntryRef entry) {
  if (part && !part->is_leaf()) {
    std::array<const Part*, trie_children> children = borrowed(part->children);
    const unsigned at = nibble_of(entry->id(), depth);
    const PartRef child = put_below(part->children[at], depth + 1, std::move(entry));
    children[at] = child.get();
    return store_->inner(children);
  }
  std::vector<EntryRef> entries = part ? part->entries : std::vector<EntryRef>();
  const auto place = std::lower_bound(entries.begin(), entries.end(), entry->id(), by_id);
  if (place != entries.end() && (*place)->id() == entry->id()) {
    *place = std::move(entry);
  } else {
    entries.insert(place, std::move(entry));
  }
  return build(std::move(entries), depth);
}

void View::forget(const NodeId& id) {
  const Entry* known = find(id);
  if (known && !known->is_live) root_ = erase_below(root_, 0, id);
}

void View::take_out(const NodeId& id) {
  if (find(id)) root_ = erase_below(root_, 0, id);
}

PartRef View::erase_below(const PartRef& part, unsigned depth, const NodeId& id) {
  if (part->total - 1 <= trie_leaf_max) {
    std::vector<EntryRef> left;
    collect(*part, left);
    std::erase_if(left, [&](const EntryRef& entry) { return entry->id() == id; });
    return store_->leaf(std::move(left));
  }
  std::array<const Part*, trie_children> children = borrowed(part->children);
  const unsigned at = nibble_of(id, depth);
  const PartRef child = erase_below(part->children[at], depth + 1, id);
  children[at] = child.get();
  return store_->inner(children);
}

const Part* View::part(const Path& path) const {
  const Part* at = root_.get();
  for (unsigned depth = 0; at && depth < path.depth; ++depth) {
    if (at->is_leaf()) return nullptr;
    at = at->children[nibble_of(NodeId{path.bytes}, depth)].get();
  }
  return at;
}

void View::live_below(const Path& path, std::vector<EntryRef>& out) const {
  const Part* at = root_.get();
  const NodeId prefix{path.bytes};
  for (unsigned depth = 0; at && depth < path.depth; ++depth) {
    if (at->is_leaf()) break;
    at = at->children[nibble_of(prefix, depth)].get();
  }
  if (!at) return;
  const size_t first = out.size();
  live_entries(*at, out);
  // A leaf higher up than the path holds others as well.
  const auto is_other = [&](const EntryRef& entry) {
    for (unsigned depth = 0; depth < path.depth; ++depth) {
      if (nibble_of(entry->id(), depth) != nibble_of(prefix, depth)) return true;
    }
    return false;
  };
  out.erase(std::remove_if(out.begin() + static_cast<ptrdiff_t>(first), out.end(), is_other),
            out.end());
}

void View::for_each(const std::function<void(const EntryRef&)>& visit) const {
  if (!root_) return;
  std::vector<EntryRef> all;
  all.reserve(root_->total);
  collect(*root_, all);
  for (const EntryRef& entry : all) visit(entry);
}

EntryRef View::live_at(size_t position) const {
  CC_ASSERT(position < live());
  const Part* at = root_.get();
  while (!at->is_leaf()) {
    for (const PartRef& child : at->children) {
      if (!child) continue;
      if (position < child->live) {
        at = child.get();
        break;
      }
      position -= child->live;
    }
  }
  for (const EntryRef& entry : at->entries) {
    if (!entry->is_live) continue;
    if (position-- == 0) return entry;
  }
  CC_ASSERT(false);
  return {};
}

}  // namespace chaincast::graph
