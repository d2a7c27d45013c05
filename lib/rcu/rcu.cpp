// SPDX-License-Identifier: BSD-3-Clause
#include "rcu/rcu.hpp"

#include <urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include <bit>

#include "base/assert.hpp"

namespace chaincast::rcu {

Reader::Reader() {
  urcu_qsbr_register_thread();
}
Reader::~Reader() {
  urcu_qsbr_unregister_thread();
}
void Reader::quiescent() noexcept {
  urcu_qsbr_quiescent_state();
}
void Reader::offline() noexcept {
  urcu_qsbr_thread_offline();
}
void Reader::online() noexcept {
  urcu_qsbr_thread_online();
}

void synchronize() {
  urcu_qsbr_synchronize_rcu();
}

Retirer::~Retirer() {
  flush();
}

void Retirer::flush() {
  if (pending_.empty()) return;
  synchronize();
  pending_.clear();
}

struct IdTable::Node {
  cds_lfht_node link;
  uint64_t key;
  std::shared_ptr<void> object;
};

struct IdTable::Impl {
  cds_lfht* table;

  static int matches(cds_lfht_node* link, const void* key) {
    return caa_container_of(link, Node, link)->key == *static_cast<const uint64_t*>(key);
  }
};

namespace {

unsigned long spread(uint64_t key) {
  return key * 0x9e3779b97f4a7c15ull;
}

}  // namespace

IdTable::IdTable(size_t buckets, size_t entries_max)
    : impl_(std::make_unique<Impl>()), entries_max_(entries_max) {
  const unsigned long count = std::bit_ceil(buckets < 1 ? size_t{1} : buckets);
  // No CDS_LFHT_AUTO_RESIZE: resizing would start a worker thread of liburcu's own.
  impl_->table = cds_lfht_new_flavor(count, count, count, 0, &urcu_qsbr_flavor, nullptr);
  CC_ASSERT(impl_->table != nullptr);
}

IdTable::~IdTable() {
  cds_lfht_iter iter;
  cds_lfht_node* link;
  synchronize();
  urcu_qsbr_read_lock();
  for (cds_lfht_first(impl_->table, &iter); (link = cds_lfht_iter_get_node(&iter)) != nullptr;
       cds_lfht_next(impl_->table, &iter)) {
    CC_ASSERT(cds_lfht_del(impl_->table, link) == 0);
    delete caa_container_of(link, Node, link);
  }
  urcu_qsbr_read_unlock();
  CC_ASSERT(cds_lfht_destroy(impl_->table, nullptr) == 0);
}

void* IdTable::find(uint64_t key) const noexcept {
  cds_lfht_iter iter;
  cds_lfht_lookup(impl_->table, spread(key), Impl::matches, &key, &iter);
  cds_lfht_node* link = cds_lfht_iter_get_node(&iter);
  return link == nullptr ? nullptr : caa_container_of(link, Node, link)->object.get();
}

bool IdTable::insert(uint64_t key, std::shared_ptr<void> object) {
  if (size_ >= entries_max_ || find(key) != nullptr) return false;
  auto* node = new Node{{}, key, std::move(object)};
  cds_lfht_node_init(&node->link);
  cds_lfht_add(impl_->table, spread(key), &node->link);
  ++size_;
  return true;
}

bool IdTable::remove(uint64_t key, Retirer& retirer) {
  cds_lfht_iter iter;
  cds_lfht_lookup(impl_->table, spread(key), Impl::matches, &key, &iter);
  cds_lfht_node* link = cds_lfht_iter_get_node(&iter);
  if (link == nullptr) return false;
  CC_ASSERT(cds_lfht_del(impl_->table, link) == 0);
  retirer.retire(std::unique_ptr<Node>(caa_container_of(link, Node, link)));
  --size_;
  return true;
}

}  // namespace chaincast::rcu
