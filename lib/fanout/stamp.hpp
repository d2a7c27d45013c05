// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <immintrin.h>
#include <rte_mbuf.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/checksum.hpp"
#include "port/port.hpp"
#include "wire/frame.hpp"

// Headers of copies: everything constant for one lane of one peer is prepared once per burst, a
// copy then costs one 64-byte store and a few sums (RFC 768, 791, 1071, 8200). Pure functions on
// bytes. One's complement sums are kept in memory byte order (RFC 1071, section 2(B)), unfolded.
namespace chaincast::fanout {

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

// Eight of a kind, added and shifted as one is.
using Words [[gnu::vector_size(32)]] = uint32_t;

// What the copies of up to `max` datagrams for one peer carry besides the template, an array for
// each, so that eight are worked on at once; what lies behind the last one is worked on in vain.
struct Stamps {
  static constexpr unsigned max = 64;
  static constexpr unsigned step = sizeof(Words) / sizeof(uint32_t);

  alignas(64) std::array<uint32_t, max> bytes;      // of the datagram, from the hop header on
  alignas(64) std::array<uint32_t, max> hop_words;  // the hop header's first word, to be sent
  alignas(64) std::array<uint32_t, max> tag_xors;   // big-endian
  alignas(64) std::array<uint32_t, max> sums;       // internet_sum() of the frames
  alignas(64) std::array<uint32_t, max> seqs;       // big-endian, as are all below
  alignas(64) std::array<uint32_t, max> checks;
  alignas(64) std::array<uint32_t, max> ip_words;   // length and, above it, IPv4 header checksum
  alignas(64) std::array<uint32_t, max> udp_words;  // length and checksum
  alignas(64) std::array<std::array<uint8_t, 16>, max> hops;  // check blocks, then hop headers
};

// Stamps packets of one destination.
class HeaderPlan {
 public:
  // Bytes before the hop header's end that put() may touch, at most.
  static constexpr unsigned reach_max_bytes = 96;

  HeaderPlan(const port::Destination& to, bool udp_offload, bool ipv4_offload) noexcept;

  unsigned header_bytes() const noexcept { return header_bytes_; }
  // Headers with the hop header.
  unsigned total_bytes() const noexcept { return header_bytes_ + wire::hop_header_bytes; }
  // put() stores this many bytes that end where the frames begin: 64 or 96.
  unsigned reach_bytes() const noexcept { return reach_bytes_; }
  // Whether write() needs the sum of what follows the hop header.
  bool needs_payload_sum() const noexcept { return software_udp_ != 0; }
  uint64_t ol_flags() const noexcept { return ol_flags_; }
  uint64_t tx_offload() const noexcept { return tx_offload_; }

  // Length and IPv4 header checksum of a datagram of so many bytes from the hop header on.
  template <typename Word>
  [[gnu::always_inline]] Word ip_word(Word datagram_bytes) const noexcept {
    const Word length = swap16(datagram_bytes + ip_extra_bytes_);
    return length | ((fold(ip_sum_ + length) ^ 0xffff) & software_ipv4_) << 16;
  }
  // UDP's length and checksum. `contents_sum`: of hop header and frames, unfolded, below 2^24.
  template <typename Word>
  [[gnu::always_inline]] Word udp_word(Word datagram_bytes, Word contents_sum) const noexcept {
    const Word length = swap16(datagram_bytes + 8);
    // The length counts twice: in the pseudo header and in the header.
    const Word rest = (length + contents_sum + ports_sum_) & software_udp_;
    const Word checksum = fold(length + rest + pseudo_sum_) ^ (software_udp_ & 0xffff);
    // 0 would mean "no checksum" (RFC 768).
    const Word none = (checksum - 1) >> 16 & software_udp_;
    return length | (checksum | none) << 16;
  }
  // The words of the first `count` places.
  void complete(Stamps& stamps, unsigned count, uint32_t link_id_be) const noexcept;

  // What stands before the addresses' family matters: nothing, IPv4 or IPv6.
  enum class Kind : uint8_t { bare, ipv4, ipv6 };
  Kind kind() const noexcept { return kind_; }
  // The template in registers, its last part last.
  struct Image {
    __m256i parts[3];
  };
  Image image() const noexcept {
    Image out;
    std::memcpy(&out, image_.data(), sizeof out);
    return out;
  }

  // Writes all headers of one datagram so that they end at `end`; reach_bytes() before it are
  // overwritten. `image`: of a plan of this kind.
  template <Kind kind>
  [[gnu::always_inline]] static void put(const Image& image, bool is_long, uint8_t* end,
                                         const uint8_t* hop, uint32_t ip_word,
                                         uint32_t udp_word) noexcept {
    // Stores of a fixed size from the right: what lies before the headers is free room.
    std::memcpy(end - 64, &image.parts[1], 32);
    std::memcpy(end - 32, &image.parts[2], 32);
    if (is_long) std::memcpy(end - reach_max_bytes, &image.parts[0], 32);
    uint8_t* const hop_at = end - wire::hop_header_bytes;
    std::memcpy(hop_at, hop, wire::hop_header_bytes);
    if constexpr (kind == Kind::bare) return;
    std::memcpy(hop_at - 4, &udp_word, 4);
    if constexpr (kind == Kind::ipv6) {
      store16(hop_at - 8 - 40 + 4, ip_word);
    } else {
      store16(hop_at - 8 - 20 + 2, ip_word);
      store16(hop_at - 8 - 20 + 10, ip_word >> 16);
    }
  }
  // Calls body with an integral constant for the kind.
  template <typename Body>
  void with_kind(Body&& body) const noexcept {
    if (kind_ == Kind::ipv4) {
      body(std::integral_constant<Kind, Kind::ipv4>());
    } else if (kind_ == Kind::ipv6) {
      body(std::integral_constant<Kind, Kind::ipv6>());
    } else {
      body(std::integral_constant<Kind, Kind::bare>());
    }
  }
  void put(uint8_t* end, const uint8_t* hop, uint32_t ip_word, uint32_t udp_word) const noexcept {
    with_kind([&](auto kind) {
      put<kind.value>(image(), reach_bytes_ > 64, end, hop, ip_word, udp_word);
    });
  }
  // put() of one datagram of `datagram_bytes` from the hop header on.
  void write(uint8_t* end, uint32_t datagram_bytes, HopWords hop,
             uint32_t frames_sum) const noexcept {
    std::array<uint8_t, wire::hop_header_bytes> bytes;
    std::memcpy(bytes.data(), &hop, bytes.size());
    const uint64_t sum = half_sum(hop.low) + half_sum(hop.high);
    put(end, bytes.data(), ip_word(datagram_bytes),
        udp_word(datagram_bytes, fold_internet_sum(sum) + frames_sum));
  }

 private:
  template <typename Word>
  [[gnu::always_inline]] static Word swap16(Word v) noexcept {
    return (v >> 8 & 0xff) | (v << 8 & 0xff00);
  }
  static uint64_t half_sum(uint64_t words) noexcept { return (words & 0xffffffff) + (words >> 32); }
  template <typename Word>
  [[gnu::always_inline]] static Word fold(Word sum) noexcept {
    const Word once = (sum & 0xffff) + (sum >> 16);
    return (once & 0xffff) + (once >> 16);
  }
  static void store16(uint8_t* at, uint32_t v) noexcept { std::memcpy(at, &v, 2); }

  alignas(32) std::array<uint8_t, reach_max_bytes> image_{};  // ends with room for the hop header
  uint32_t header_bytes_;
  uint32_t reach_bytes_;
  uint32_t ip_extra_bytes_;  // what the IP length counts besides the datagram
  uint32_t ip_sum_ = 0;
  uint32_t pseudo_sum_ = 0;
  uint32_t ports_sum_ = 0;
  Kind kind_ = Kind::bare;
  uint32_t software_ipv4_ = 0;  // all ones where the checksum is made here
  uint32_t software_udp_ = 0;
  uint64_t ol_flags_ = 0;
  uint64_t tx_offload_ = 0;
};

}  // namespace chaincast::fanout
