// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

// Read-copy-update over liburcu's QSBR flavour. The only module that includes urcu headers.
//
// Readers (workers) register once, report a quiescent state on every housekeeping tick, and go
// offline before any wait. Reading is a plain acquire load. Writers (control threads) publish new
// objects and retire old ones; a retired object is freed after a grace period.
namespace chaincast::rcu {

// Registers the constructing thread for its lifetime; must be destroyed by the same thread.
// At most one per thread. Starts online.
class Reader {
 public:
  Reader();
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // "I hold no reference from before." About 2 ns. Call on the housekeeping tick.
  void quiescent() noexcept;
  // Around anything that may block. No published pointer may be held across it.
  void offline() noexcept;
  void online() noexcept;
};

// Objects waiting for the end of a grace period. Owner: the control thread of one node.
class Retirer {
 public:
  Retirer() = default;
  ~Retirer();  // waits for a grace period if anything is left
  Retirer(const Retirer&) = delete;
  Retirer& operator=(const Retirer&) = delete;

  template <typename T>
  void retire(std::unique_ptr<T> object) {
    if (object) pending_.push_back(std::shared_ptr<const void>(std::move(object)));
  }
  void retire_shared(std::shared_ptr<const void> object) {
    if (object) pending_.push_back(std::move(object));
  }
  // Waits for one grace period (readers' tick, typically below 1 ms) and frees what was retired.
  // Nothing pending: returns at once.
  void flush();
  size_t pending() const { return pending_.size(); }

 private:
  std::vector<std::shared_ptr<const void>> pending_;
};

// Waits until every online reader has reported a quiescent state.
void synchronize();

// An immutable object that workers read once per burst and control replaces as a whole.
template <typename T>
class Published {
 public:
  Published() = default;
  ~Published() { delete current_.load(std::memory_order_relaxed); }
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  // Reader: valid until its next quiescent report. Null before the first publish.
  const T* read() const noexcept { return current_.load(std::memory_order_acquire); }
  // Control.
  void publish(std::unique_ptr<const T> next, Retirer& retirer) {
    retirer.retire(
        std::unique_ptr<const T>(current_.exchange(next.release(), std::memory_order_acq_rel)));
  }

 private:
  std::atomic<const T*> current_{nullptr};
};

// Lock-free hash table from 64-bit keys to objects (liburcu cds_lfht, fixed number of buckets).
// One writer thread (control), any number of readers. Keys are compared exactly.
class IdTable {
 public:
  // `buckets` is rounded up to a power of two; at most `entries_max` entries.
  IdTable(size_t buckets, size_t entries_max);
  ~IdTable();
  IdTable(const IdTable&) = delete;
  IdTable& operator=(const IdTable&) = delete;

  // Reader: the object of `key`, or null. Valid until the next quiescent report.
  void* find(uint64_t key) const noexcept;
  // Control. False if the key is present or the table is full.
  bool insert(uint64_t key, std::shared_ptr<void> object);
  // Control. The object lives on in `retirer` until a grace period has passed.
  bool remove(uint64_t key, Retirer& retirer);
  size_t size() const { return size_; }

 private:
  struct Node;
  struct Impl;
  std::unique_ptr<Impl> impl_;
  size_t size_ = 0;
  const size_t entries_max_;
};

}  // namespace chaincast::rcu
