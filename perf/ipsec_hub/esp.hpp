// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <intel-ipsec-mb.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"

// ESP in tunnel mode over IPv4 (RFC 4303) with AES-GCM (RFC 4106) or ESP null with AES-GMAC
// (RFC 4543), written down once for the hub that is measured, and once more with libcrypto for the
// reader that checks it.
namespace chaincast::bench::ipsec {

enum class Transform : uint8_t { gcm256, gcm128, gmac256 };
const char* to_string(Transform transform);
inline bool encrypts(Transform transform) {
  return transform != Transform::gmac256;
}

inline constexpr unsigned outer_bytes = 14 + 20;  // Ethernet, IPv4
inline constexpr unsigned esp_bytes = 8;          // SPI, sequence number
inline constexpr unsigned iv_bytes = 8;
inline constexpr unsigned icv_bytes = 16;
inline constexpr unsigned before_payload_bytes = outer_bytes + esp_bytes + iv_bytes;
inline constexpr unsigned trailer_bytes_min = 2;  // pad length, next header

// Inner packet, padding to four bytes, pad length, next header.
inline constexpr unsigned padded_bytes(unsigned inner_bytes) {
  return (inner_bytes + trailer_bytes_min + 3) & ~3u;
}

// What a security association's two ends know. Keys follow from the number.
struct Association {
  uint32_t spi = 0;
  std::array<uint8_t, 32> key{};  // the first 16 for AES-128
  std::array<uint8_t, 4> salt{};
};
Association make_association(uint32_t number);

// The inner packet that a number stands for: IPv4 and UDP headers, the number, pseudo-random bytes.
inline constexpr unsigned inner_number_offset = 28;
inline constexpr unsigned inner_bytes_min = inner_number_offset + 8;
void fill_inner(uint8_t* inner, unsigned inner_bytes, uint64_t number);

// Decrypts one packet from its Ethernet header on with libcrypto and gives the inner packet; empty
// where ICV, padding, SPI or the outer IPv4 header is wrong.
Bytes open_reference(Transform transform, const Association& association, ByteSpan packet);

// An association expanded for ipsec-mb. One thread.
class Sa {
 public:
  Sa(IMB_MGR* manager, Transform transform, const Association& association);
  uint32_t spi() const { return spi_; }

  // `payload` (a multiple of four bytes, trailer included) to `packet`, which points at the ESP
  // header: writes ESP header, IV, ciphertext (or the payload itself), ICV.
  void seal(uint8_t* packet, const uint8_t* payload, unsigned payload_bytes) noexcept;
  // Decrypts (or only authenticates) `payload_bytes` behind the headers into `payload`. False: the
  // ICV is wrong.
  bool open(const uint8_t* packet, uint8_t* payload, unsigned payload_bytes) noexcept;

 private:
  IMB_MGR* const manager_;
  const Transform transform_;
  const uint32_t spi_;
  const std::array<uint8_t, 4> salt_;
  uint32_t seq_ = 0;  // last used
  alignas(64) gcm_key_data key_{};
  gcm_context_data context_{};
};

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;
Manager make_manager();

}  // namespace chaincast::bench::ipsec
