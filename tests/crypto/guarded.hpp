// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace chaincast::test {

// Memory between two pages that nobody may touch: whoever reads in front of or behind a frame in it
// ends the test. The address sanitizer does not see masked loads.
class Guarded {
 public:
  explicit Guarded(size_t bytes)
      : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
        inner_((bytes + page_ - 1) / page_ * page_) {
    memory_ = static_cast<uint8_t*>(mmap(nullptr, inner_ + 2 * page_, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CC_ASSERT(memory_ != MAP_FAILED);
    CC_ASSERT(mprotect(memory_, page_, PROT_NONE) == 0);
    CC_ASSERT(mprotect(memory_ + page_ + inner_, page_, PROT_NONE) == 0);
  }
  ~Guarded() { munmap(memory_, inner_ + 2 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // Places for so many bytes: against the page in front, and against the one behind.
  uint8_t* first() const { return memory_ + page_; }
  uint8_t* last(size_t bytes) const { return memory_ + page_ + inner_ - bytes; }

 private:
  const size_t page_;
  const size_t inner_;
  uint8_t* memory_;
};

}  // namespace chaincast::test
