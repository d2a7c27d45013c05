// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "graph/member.hpp"

// Anti-entropy of a member: walks down what differs between two views. Both sides run the same
// stateless step, so a lost message only ends the walk.
namespace chaincast::graph {
namespace {

// What stands below a path: few live entries one by one, else the digests of the children.
CompareItem item_of(const View& view, const Path& path) {
  CompareItem item;
  item.path = path;
  const Part* part = view.part(path);
  item.is_leaf = !part || part->live <= trie_leaf_max;
  if (!item.is_leaf) {
    for (unsigned i = 0; i < trie_children; ++i) {
      if (part->children[i]) item.children[i] = part->children[i]->digest;
    }
    return item;
  }
  std::vector<EntryRef> live;
  view.live_below(path, live);
  for (const EntryRef& entry : live) item.entries.push_back({entry->id(), entry->digest});
  return item;
}

}  // namespace

void Member::compare_digest(const Peer& from, const Digest& digest, TimeNs now_ns, Output& out) {
  if (digest == Digest{}) return;  // a probe
  Link* link = link_of(from.id);
  if (digest == view_.digest()) {
    if (link) link->differs_since_ns = 0;
    return;
  }
  if (link && link->differs_since_ns == 0) link->differs_since_ns = now_ns;
  // News on their way explain a difference for a while; between strangers nothing does.
  const TimeNs patience_ns = 2 * config_.ping_interval_ns;
  if (link && now_ns - link->differs_since_ns < patience_ns) return;
  if (synced_ns_ != 0 && now_ns - synced_ns_ < config_.sync_interval_ns) return;
  synced_ns_ = now_ns;
  if (link) link->differs_since_ns = now_ns;
  ++counters_.syncs;
  send(from, make_message(Compare{{item_of(view_, {})}}), out);
}

void Member::on_compare(const Peer& from, const Compare& compare, Output& out) {
  Compare further;
  Fetch fetch;
  std::vector<EntryRef> lacking;  // at the other side
  for (const CompareItem& theirs : compare.items) {
    if (!theirs.is_leaf) {
      const CompareItem mine = item_of(view_, theirs.path);
      for (unsigned i = 0; i < trie_children; ++i) {
        // Where this side is a leaf, its few entries are listed below each child.
        const bool is_equal = !mine.is_leaf && mine.children[i] == theirs.children[i];
        if (is_equal || further.items.size() == compare_items_max) continue;
        further.items.push_back(item_of(view_, theirs.path.child(i)));
      }
      continue;
    }
    std::vector<EntryRef> mine;
    view_.live_below(theirs.path, mine);
    for (const auto& [id, digest] : theirs.entries) {
      const Entry* entry = view_.find(id);
      if (entry && entry->digest == digest) continue;
      if (entry) lacking.push_back(EntryRef(entry));
      // Of a dead node as well: it may have refuted what is known here.
      if (fetch.ids.size() < fetch_ids_max) fetch.ids.push_back(id);
    }
    for (const EntryRef& entry : mine) {
      const bool is_theirs = std::any_of(theirs.entries.begin(), theirs.entries.end(),
                                         [&](const auto& e) { return e.id == entry->id(); });
      if (!is_theirs) lacking.push_back(entry);
    }
  }
  if (!further.items.empty()) send(from, make_message(std::move(further)), out);
  if (!fetch.ids.empty()) send(from, make_message(std::move(fetch)), out);
  send_entries(from, lacking, out);
}

void Member::on_fetch(const Peer& from, const Fetch& fetch, Output& out) {
  std::vector<EntryRef> entries;
  for (const NodeId& id : fetch.ids) {
    if (const Entry* entry = view_.find(id)) entries.push_back(EntryRef(entry));
  }
  send_entries(from, entries, out);
}

void Member::send_entries(const Peer& to, const std::vector<EntryRef>& entries, Output& out) {
  graph::News batch;
  const auto close = [&] {
    if (!batch.records.empty()) send(to, make_message(std::move(batch)), out);
    batch = {};
  };
  for (const EntryRef& entry : entries) {
    if (batch.records.size() + batch.accusations.size() + 1 + entry->accusations.size() >
        news_facts_max) {
      close();
    }
    batch.records.push_back(entry->record);
    batch.accusations.insert(batch.accusations.end(), entry->accusations.begin(),
                             entry->accusations.end());
  }
  close();
}

}  // namespace chaincast::graph
