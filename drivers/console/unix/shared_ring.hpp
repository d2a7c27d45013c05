// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/result.hpp"
#include "local/ring.hpp"

namespace chaincast::console {

// The memory of a local::RingWriter or RingReader: a memfd whose size is sealed, so that neither
// end can take it away under the other. Owns descriptor and mapping; move-only; one thread.
class SharedRing {
 public:
  // The node's end: memory allocated now. `data_bytes` is a power of two within the ring's bounds.
  static Result<SharedRing> create(uint32_t data_bytes);
  // The reader's end, of a descriptor that the node has sent, which it takes over in any case.
  // `data_bytes` is what the node said; `invalid` if the memory is anything else.
  static Result<SharedRing> adopt(int fd, uint32_t data_bytes);
  SharedRing(SharedRing&& other) noexcept { *this = std::move(other); }
  SharedRing& operator=(SharedRing&& other) noexcept;
  ~SharedRing();

  local::RingControl& control() const;
  uint8_t* data() const { return base_ + local::ring_data_offset; }
  uint32_t data_bytes() const { return data_bytes_; }
  int fd() const { return fd_; }

 private:
  SharedRing(int fd, uint32_t data_bytes) : fd_(fd), data_bytes_(data_bytes) {}
  Status map(int data_protection);

  int fd_ = -1;
  uint32_t data_bytes_ = 0;
  uint8_t* base_ = nullptr;
};

}  // namespace chaincast::console
