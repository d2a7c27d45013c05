// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/link_key.hpp"

#include <immintrin.h>

#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "crypto/wide.hpp"

namespace chaincast::crypto {
namespace {

using Block = std::array<uint8_t, 16>;

constexpr size_t rounds = 10;
// Blocks in flight: AES-NI has a latency of 3 to 5 cycles and starts one or two blocks a cycle.
constexpr size_t group_blocks = 8;

uint32_t check_of(__m128i block) {
  return __builtin_bswap32(static_cast<uint32_t>(_mm_cvtsi128_si32(block)));
}

template <int round_constant>
void next_round_key(LinkKey& key, size_t round) {
  __m128i previous = load_block(key.round_keys.data() + 16 * (round - 1));
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(previous, round_constant), 0xff);
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
  previous = _mm_xor_si128(previous, word);
  std::memcpy(key.round_keys.data() + 16 * round, &previous, sizeof previous);
}

// One block for each of `i...`, each under its own key. Packs, not loops: GCC keeps the states in
// registers only where it unrolls, which it does not at -O2.
template <size_t... i>
void checks_aesni(std::index_sequence<i...>, const LinkKey* const* keys, const Block* blocks,
                  uint32_t* checks) {
  __m128i state[] = {
      _mm_xor_si128(load_block(blocks[i].data()), load_block(keys[i]->round_keys.data()))...};
  for (size_t at = 16; at < 16 * rounds; at += 16) {
    ((state[i] = _mm_aesenc_si128(state[i], load_block(keys[i]->round_keys.data() + at))), ...);
  }
  ((checks[i] = check_of(
        _mm_aesenclast_si128(state[i], load_block(keys[i]->round_keys.data() + 16 * rounds)))),
   ...);
}

void checks_aesni(const LinkKey* const* keys, std::span<const Block> blocks, uint32_t* checks) {
  size_t i = 0;
  for (; i + group_blocks <= blocks.size(); i += group_blocks) {
    checks_aesni(std::make_index_sequence<group_blocks>(), keys + i, &blocks[i], checks + i);
  }
  for (; i < blocks.size(); ++i) {
    checks_aesni(std::make_index_sequence<1>(), keys + i, &blocks[i], checks + i);
  }
}

template <size_t... i>
void checks_one_key_aesni(std::index_sequence<i...>, const LinkKey& key, const Block* blocks,
                          uint32_t* checks) {
  __m128i round_key = load_block(key.round_keys.data());
  __m128i state[] = {_mm_xor_si128(load_block(blocks[i].data()), round_key)...};
  for (size_t at = 16; at < 16 * rounds; at += 16) {
    round_key = load_block(key.round_keys.data() + at);
    ((state[i] = _mm_aesenc_si128(state[i], round_key)), ...);
  }
  round_key = load_block(key.round_keys.data() + 16 * rounds);
  ((checks[i] = check_of(_mm_aesenclast_si128(state[i], round_key))), ...);
}

void checks_one_key_aesni(const LinkKey& key, std::span<const Block> blocks, uint32_t* checks) {
  size_t i = 0;
  for (; i + group_blocks <= blocks.size(); i += group_blocks) {
    checks_one_key_aesni(std::make_index_sequence<group_blocks>(), key, &blocks[i], checks + i);
  }
  for (; i < blocks.size(); ++i) {
    checks_one_key_aesni(std::make_index_sequence<1>(), key, &blocks[i], checks + i);
  }
}

// The first word of each of four blocks, byte-swapped, to checks[0 .. count).
CC_WIDE inline void store_checks(__m512i blocks, size_t count, uint32_t* checks) {
  const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
  const __m512i firsts = _mm512_maskz_compress_epi32(0x1111, blocks);
  _mm_mask_storeu_epi32(checks, static_cast<__mmask8>((1u << count) - 1),
                        _mm_shuffle_epi8(_mm512_maskz_extracti32x4_epi32(0xf, firsts, 0), swap));
}

// Four blocks a register, a register for each of `i...`; with one register `count` may be less.
template <size_t... i>
CC_WIDE inline void checks_vaes(std::index_sequence<i...>, const LinkKey& key,
                                const uint8_t* blocks, size_t count, uint32_t* checks) {
  const auto words = static_cast<__mmask8>((1u << (2 * count)) - 1);
  __m512i round_key = broadcast_block(key.round_keys.data());
  __m512i state[] = {
      _mm512_xor_si512(_mm512_maskz_loadu_epi64(words, blocks + 64 * i), round_key)...};
  for (size_t at = 16; at < 16 * rounds; at += 16) {
    round_key = broadcast_block(key.round_keys.data() + at);
    ((state[i] = _mm512_aesenc_epi128(state[i], round_key)), ...);
  }
  round_key = broadcast_block(key.round_keys.data() + 16 * rounds);
  (store_checks(_mm512_aesenclast_epi128(state[i], round_key), count, checks + 4 * i), ...);
}

CC_WIDE void checks_one_key_vaes(const LinkKey& key, std::span<const Block> blocks,
                                 uint32_t* checks) {
  const uint8_t* p = blocks.data()->data();
  size_t left = blocks.size();
  for (; left >= 16; left -= 16, p += 256, checks += 16) {
    checks_vaes(std::make_index_sequence<4>(), key, p, 4, checks);
  }
  if (left >= 8) {
    checks_vaes(std::make_index_sequence<2>(), key, p, 4, checks);
    left -= 8, p += 128, checks += 8;
  }
  for (; left >= 4; left -= 4, p += 64, checks += 4) {
    checks_vaes(std::make_index_sequence<1>(), key, p, 4, checks);
  }
  if (left > 0) checks_vaes(std::make_index_sequence<1>(), key, p, left, checks);
}

}  // namespace

LinkKey expand_link_key(const std::array<uint8_t, 16>& key) noexcept {
  LinkKey out;
  std::memcpy(out.round_keys.data(), key.data(), key.size());
  next_round_key<0x01>(out, 1);
  next_round_key<0x02>(out, 2);
  next_round_key<0x04>(out, 3);
  next_round_key<0x08>(out, 4);
  next_round_key<0x10>(out, 5);
  next_round_key<0x20>(out, 6);
  next_round_key<0x40>(out, 7);
  next_round_key<0x80>(out, 8);
  next_round_key<0x1b>(out, 9);
  next_round_key<0x36>(out, 10);
  return out;
}

void link_checks(const LinkKey& key, std::span<const Block> blocks, uint32_t* checks) noexcept {
  if (blocks.empty()) return;
  if (has_wide()) {
    checks_one_key_vaes(key, blocks, checks);
  } else {
    checks_one_key_aesni(key, blocks, checks);
  }
}

void link_checks_mixed(std::span<const LinkKey* const> keys, std::span<const Block> blocks,
                       uint32_t* checks) noexcept {
  CC_ASSERT(keys.size() == blocks.size());
  checks_aesni(keys.data(), blocks, checks);
}

}  // namespace chaincast::crypto
