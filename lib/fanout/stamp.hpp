// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "port/port.hpp"
#include "wire/frame.hpp"

// Headers of copies: everything constant for one lane of one peer is prepared once per burst, a
// copy then costs one 64-byte store and a few sums (RFC 768, 791, 1071, 8200). Pure functions on
// bytes. One's complement sums are kept in memory byte order (RFC 1071, section 2(B)), unfolded.
namespace chaincast::fanout {

// One's complement sum of `bytes` bytes as if they began at an even offset, folded to 16 bits.
// About 1 ns per 40 bytes.
uint32_t payload_sum(const uint8_t* data, size_t bytes) noexcept;

// Adding the rotated sum leaves low + high + carry in the upper half.
inline uint32_t fold_sum(uint64_t sum) noexcept {
  const auto half = static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32);
  return (half + std::rotl(half, 16)) >> 16;
}

// A hop header in memory byte order, as two words that stay in registers: a 16-byte load of parts
// just stored would stall every copy by 20 cycles.
struct HopWords {
  uint64_t low = 0;   // version, flags, frame count, hops, link id
  uint64_t high = 0;  // link seq, check
};
static_assert(sizeof(HopWords) == wire::hop_header_bytes);

inline uint64_t join_words(uint32_t first, uint32_t second) noexcept {
  return first | uint64_t{second} << 32;
}

inline uint32_t first_hop_word(uint8_t flags, uint8_t frames, uint8_t hops) noexcept {
  return static_cast<uint32_t>(wire::version) | static_cast<uint32_t>(flags) << 8 |
         static_cast<uint32_t>(frames) << 16 | static_cast<uint32_t>(hops) << 24;
}

// Stamps packets of one destination.
class HeaderPlan {
 public:
  // Bytes before the hop header's end that write() may touch, at most.
  static constexpr unsigned reach_max_bytes = 96;

  HeaderPlan(const port::Destination& to, bool udp_offload, bool ipv4_offload) noexcept;

  unsigned header_bytes() const noexcept { return header_bytes_; }
  // Headers with the hop header.
  unsigned total_bytes() const noexcept { return header_bytes_ + wire::hop_header_bytes; }
  // write() stores this many bytes that end where the frames begin: 64 or 96.
  unsigned reach_bytes() const noexcept { return reach_bytes_; }
  // Whether write() needs the sum of what follows the hop header.
  bool needs_payload_sum() const noexcept { return software_udp_; }
  uint64_t ol_flags() const noexcept { return ol_flags_; }
  uint64_t tx_offload() const noexcept { return tx_offload_; }

  // Writes all headers of one datagram so that they end at `end`; reach_bytes() before it are
  // overwritten. `datagram_bytes`: from the hop header on.
  [[gnu::always_inline]] void write(uint8_t* end, uint32_t datagram_bytes, HopWords hop,
                                    uint32_t frames_sum) const noexcept {
    // Stores of a fixed size from the right: what lies before the headers is free room.
    std::memcpy(end - 64, image_.data() + reach_max_bytes - 64, 64);
    if (reach_bytes_ > 64) std::memcpy(end - reach_max_bytes, image_.data(), 32);
    uint8_t* const hop_at = end - wire::hop_header_bytes;
    std::memcpy(hop_at, &hop.low, 8);
    std::memcpy(hop_at + 8, &hop.high, 8);
    if (header_bytes_ == 0) return;

    const uint32_t udp_bytes = datagram_bytes + 8;
    uint8_t* const udp = hop_at - 8;
    uint8_t* const ip = udp - l3_bytes_;
    const uint16_t udp_length = swap16(udp_bytes);
    store16(udp + 4, udp_length);
    if (is_ipv6_) {
      store16(ip + 4, udp_length);
    } else {
      const uint16_t ip_length = swap16(udp_bytes + l3_bytes_);
      store16(ip + 2, ip_length);
      if (software_ipv4_) {
        store16(ip + 10, static_cast<uint16_t>(~fold_sum(uint64_t{ip_sum_} + ip_length)));
      }
    }
    // The length counts twice: in the pseudo header and in the header.
    uint64_t sum = uint64_t{pseudo_sum_} + udp_length;
    if (software_udp_) {
      sum +=
          uint64_t{ports_sum_} + udp_length + half_sum(hop.low) + half_sum(hop.high) + frames_sum;
      store16(udp + 6, complement_udp(fold_sum(sum)));
    } else {
      store16(udp + 6, static_cast<uint16_t>(fold_sum(sum)));
    }
  }

 private:
  static uint16_t swap16(uint32_t v) noexcept {
    return __builtin_bswap16(static_cast<uint16_t>(v));
  }
  static uint64_t half_sum(uint64_t words) noexcept { return (words & 0xffffffff) + (words >> 32); }
  static void store16(uint8_t* at, uint16_t v) noexcept { std::memcpy(at, &v, 2); }
  // 0 would mean "no checksum" (RFC 768).
  static uint16_t complement_udp(uint32_t sum) noexcept {
    const auto checksum = static_cast<uint16_t>(~sum);
    return checksum == 0 ? uint16_t{0xffff} : checksum;
  }

  alignas(32) std::array<uint8_t, reach_max_bytes> image_{};  // ends with room for the hop header
  uint32_t header_bytes_;
  uint32_t reach_bytes_;
  uint32_t l3_bytes_;
  uint32_t ip_sum_ = 0;
  uint32_t pseudo_sum_ = 0;
  uint32_t ports_sum_ = 0;
  bool is_ipv6_;
  bool software_ipv4_ = false;
  bool software_udp_ = false;
  uint64_t ol_flags_ = 0;
  uint64_t tx_offload_ = 0;
};

}  // namespace chaincast::fanout
