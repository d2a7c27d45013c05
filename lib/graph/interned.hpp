// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// A set of objects that are found by what they hold, for making each only once. An object carries
// its key (a hash of its content) and the link of its bucket itself, so the set allocates nothing
// for one. It owns nothing; one control thread. Cost: the bucket, which holds one on average.
namespace chaincast::graph {

template <typename T>
class Interned {
 public:
  Interned() : buckets_(size_t{1} << bits_, nullptr) {}

  // The one with this key of which `is_same` is true; null if there is none.
  template <typename IsSame>
  const T* find(size_t key, IsSame&& is_same) const {
    for (const T* at = buckets_[bucket(key)]; at; at = at->next) {
      if (at->key == key && is_same(*at)) return at;
    }
    return nullptr;
  }
  void add(const T* object) {
    if (++size_ > buckets_.size()) grow();
    push(object);
  }
  void remove(const T* object) {
    const T** at = &buckets_[bucket(object->key)];
    while (*at != object) at = &(*at)->next;
    *at = object->next;
    --size_;
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  size_t bucket(size_t key) const {
    return static_cast<size_t>((uint64_t{key} * 0x9e3779b97f4a7c15ull) >> (64 - bits_));
  }
  void push(const T* object) {
    const T*& head = buckets_[bucket(object->key)];
    object->next = head;
    head = object;
  }
  void grow() {
    std::vector<const T*> before(size_t{2} << bits_, nullptr);
    before.swap(buckets_);
    ++bits_;
    for (const T* at : before) {
      while (at) {
        const T* next = at->next;
        push(at);
        at = next;
      }
    }
  }

  unsigned bits_ = 8;
  size_t size_ = 0;
  std::vector<const T*> buckets_;
};

}  // namespace chaincast::graph
