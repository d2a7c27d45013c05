// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

// The link check: first 4 bytes of AES-128(K_link, the 12 bytes before it, tag_xor), docs/wire.md
// "Link check". One AES block per datagram; batched over a burst of one peer, one key schedule.
namespace chaincast::crypto {

// An expanded AES-128 key. Plain value, 16-byte aligned; needs AES-NI.
struct alignas(16) LinkKey {
  std::array<uint8_t, 176> round_keys{};
};

LinkKey expand_link_key(const std::array<uint8_t, 16>& key) noexcept;

// blocks[i] (16 bytes: version, flags, count, hops, link id, link seq, tag_xor, big-endian, as
// on the wire) -> checks[i], the big-endian 32-bit check. VAES where the cpu has it, four blocks a
// round otherwise. At most 2 ns a block for bursts of eight or more.
void link_checks(const LinkKey& key, std::span<const std::array<uint8_t, 16>> blocks,
                 uint32_t* checks) noexcept;
// The same over blocks of different keys (receive side).
void link_checks_mixed(std::span<const LinkKey* const> keys,
                       std::span<const std::array<uint8_t, 16>> blocks, uint32_t* checks) noexcept;

}  // namespace chaincast::crypto
