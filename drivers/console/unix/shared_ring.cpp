// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/shared_ring.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace chaincast::console {

namespace {

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;

Error cannot(uint32_t data_bytes, int code) {
  return error(ErrorCode::io, fmt::format("ring of {} bytes: {}; ask for a smaller one, or raise "
                                          "the limits of open files and memory",
                                          data_bytes, std::strerror(code)));
}

}  // namespace

Result<SharedRing> SharedRing::create(uint32_t data_bytes) {
  SharedRing ring(::memfd_create("chaincast-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING), data_bytes);
  if (ring.fd_ < 0) return cannot(data_bytes, errno);
  // Allocated now: a page that cannot be had later would be a SIGBUS in the node.
  const auto whole = static_cast<off_t>(local::ring_data_offset + data_bytes);
  const int allocated = ::posix_fallocate(ring.fd_, 0, whole);
  if (allocated != 0) return cannot(data_bytes, allocated);
  if (::fcntl(ring.fd_, F_ADD_SEALS, size_seals | F_SEAL_SEAL) != 0) {
    return cannot(data_bytes, errno);
  }
  const Status mapped = ring.map(PROT_READ | PROT_WRITE);
  if (!mapped) return mapped.error();
  return ring;
}

Result<SharedRing> SharedRing::adopt(int fd, uint32_t data_bytes) {
  SharedRing ring(fd, data_bytes);
  struct stat found {};
  const bool in_bounds = std::has_single_bit(data_bytes) && data_bytes >= local::ring_bytes_min &&
                         data_bytes <= local::ring_bytes_max;
  const bool fits =
      ::fstat(fd, &found) == 0 &&
      found.st_size == static_cast<off_t>(local::ring_data_offset + size_t{data_bytes});
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (!in_bounds || !fits || seals < 0 || (seals & size_seals) != size_seals) {
    return error(ErrorCode::invalid,
                 fmt::format("ring of {} bytes: the memory that came is no sealed ring of that "
                             "size; does the node have the version of this library?",
                             data_bytes));
  }
  const Status mapped = ring.map(PROT_READ);
  if (!mapped) return mapped.error();
  const local::RingControl& control = ring.control();
  if (control.magic != local::ring_magic || control.data_bytes != data_bytes) {
    return error(ErrorCode::invalid,
                 fmt::format("ring of {} bytes: its first page is not that of a ring", data_bytes));
  }
  return ring;
}

SharedRing& SharedRing::operator=(SharedRing&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_bytes_, other.data_bytes_);
  std::swap(base_, other.base_);
  return *this;
}

SharedRing::~SharedRing() {
  if (base_ != nullptr) ::munmap(base_, local::ring_data_offset + 2 * size_t{data_bytes_});
  if (fd_ >= 0) ::close(fd_);
}

local::RingControl& SharedRing::control() const {
  return *reinterpret_cast<local::RingControl*>(base_);
}

// The data twice in a row, behind the control page.
Status SharedRing::map(int data_protection) {
  const size_t whole = local::ring_data_offset + 2 * size_t{data_bytes_};
  void* place =
      ::mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) return cannot(data_bytes_, errno);
  base_ = static_cast<uint8_t*>(place);
  const auto put = [this](size_t at, size_t bytes, int protection, size_t offset) {
    return ::mmap(base_ + at, bytes, protection, MAP_SHARED | MAP_FIXED, fd_,
                  static_cast<off_t>(offset)) != MAP_FAILED;
  };
  constexpr size_t start = local::ring_data_offset;
  if (put(0, start, PROT_READ | PROT_WRITE, 0) && put(start, data_bytes_, data_protection, start) &&
      put(start + data_bytes_, data_bytes_, data_protection, start)) {
    return {};
  }
  return cannot(data_bytes_, errno);
}

}  // namespace chaincast::console
