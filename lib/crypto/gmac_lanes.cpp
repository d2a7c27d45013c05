// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/gmac_lanes.hpp"

#include <immintrin.h>
#include <string.h>

#include <algorithm>
#include <cstring>

#include "crypto/wide.hpp"

namespace chaincast::crypto {

bool has_gmac_lanes() noexcept {
  return has_wide();
}

void GmacKey::wipe() noexcept {
  explicit_bzero(this, sizeof *this);
}

#if !defined(__clang__) || __clang_major__ >= 16

namespace {

constexpr size_t block_bytes = 16;
constexpr size_t chunk_blocks = 4;  // of a register
constexpr size_t chunk_bytes = chunk_blocks * block_bytes;
constexpr size_t rounds = 14;
constexpr size_t group = 16;  // frames whose counter blocks are encrypted together

// ---- AES-256 (FIPS 197) ----

void store(std::array<uint8_t, 16>& to, __m128i v) noexcept {
  std::memcpy(to.data(), &v, sizeof v);
}

__m128i mix_words(__m128i key, __m128i word) noexcept {
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

template <int constant>
void next_pair(GmacKey& key, size_t at) noexcept {
  const __m128i before = load_block(key.round_keys[at - 1].data());
  const __m128i even =
      mix_words(load_block(key.round_keys[at - 2].data()),
                _mm_shuffle_epi32(_mm_aeskeygenassist_si128(before, constant), 0xff));
  store(key.round_keys[at], even);
  if (at + 1 > rounds) return;
  store(key.round_keys[at + 1],
        mix_words(before, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa)));
}

__m128i encrypt(const GmacKey& key, __m128i block) noexcept {
  block = _mm_xor_si128(block, load_block(key.round_keys[0].data()));
  for (size_t i = 1; i < rounds; ++i)
    block = _mm_aesenc_si128(block, load_block(key.round_keys[i].data()));
  return _mm_aesenclast_si128(block, load_block(key.round_keys[rounds].data()));
}

// ---- GHASH (SP 800-38D, 6.4) ----

// Blocks with their bytes reversed are polynomials with their bits reversed; powers of H are stored
// times x^-1, so that a product of the two is not one bit short. Reduction by x^128 + x^127 + x^126
// + x^121 + 1, the field's polynomial reversed, from below: Gueron and Kounavis, "Intel Carry-Less
// Multiplication Instruction and its Usage for Computing the GCM Mode", 2010.
constexpr int64_t polynomial_high = static_cast<int64_t>(0xc200000000000000);

inline __m128i reversed_order() noexcept {
  return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
inline __m128i reverse_block(__m128i v) noexcept {
  return _mm_shuffle_epi8(v, reversed_order());
}
CC_WIDE_INLINE __m512i reverse_blocks(__m512i v) noexcept {
  return _mm512_shuffle_epi8(v, _mm512_maskz_broadcast_i32x4(0xffff, reversed_order()));
}

// Sums of products that are not reduced yet, four side by side.
struct Sum {
  __m512i low, middle, high;
};

CC_WIDE_INLINE void add_product(Sum& sum, __m512i blocks, __m512i powers) noexcept {
  sum.low = _mm512_xor_si512(sum.low, _mm512_clmulepi64_epi128(blocks, powers, 0x00));
  sum.high = _mm512_xor_si512(sum.high, _mm512_clmulepi64_epi128(blocks, powers, 0x11));
  sum.middle = _mm512_ternarylogic_epi64(sum.middle, _mm512_clmulepi64_epi128(blocks, powers, 0x01),
                                         _mm512_clmulepi64_epi128(blocks, powers, 0x10), 0x96);
}

// All four reduced and added.
CC_WIDE_INLINE __m128i reduce(const Sum& sum) noexcept {
  const __m512i polynomial = _mm512_set1_epi64(polynomial_high);
  const __m512i low = _mm512_clmulepi64_epi128(sum.low, polynomial, 0x00);
  const __m512i middle = _mm512_ternarylogic_epi64(
      sum.middle, _mm512_maskz_shuffle_epi32(0xffff, sum.low, _MM_PERM_BADC), low, 0x96);
  const __m512i again = _mm512_clmulepi64_epi128(middle, polynomial, 0x00);
  const __m512i high = _mm512_ternarylogic_epi64(
      sum.high, _mm512_maskz_shuffle_epi32(0xffff, middle, _MM_PERM_BADC), again, 0x96);
  const __m256i half = _mm256_xor_si256(_mm512_maskz_extracti64x4_epi64(0xf, high, 0),
                                        _mm512_maskz_extracti64x4_epi64(0xf, high, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

CC_WIDE __m128i multiply(__m128i a, __m128i power) noexcept {
  Sum sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  add_product(sum, _mm512_zextsi128_si512(a), _mm512_zextsi128_si512(power));
  return reduce(sum);
}

// H times x^-1: one bit up, the topmost comes back by the polynomial.
__m128i first_power(__m128i h) noexcept {
  const uint64_t low = static_cast<uint64_t>(_mm_extract_epi64(h, 0));
  const uint64_t high = static_cast<uint64_t>(_mm_extract_epi64(h, 1));
  const uint64_t carry = 0 - (high >> 63);
  return _mm_set_epi64x(
      static_cast<int64_t>((high << 1 | low >> 63) ^ (carry & uint64_t(polynomial_high))),
      static_cast<int64_t>((low << 1) ^ (carry & 1)));
}

// The last factor that a message of `blocks` blocks (lengths among them) is multiplied with first.
CC_WIDE_INLINE __m512i powers_from(const GmacKey& key, size_t blocks) noexcept {
  return _mm512_maskz_loadu_epi64(0xff, key.descending[GmacKey::powers - blocks].data());
}

// The block of lengths as the block `place` of a register, its bytes reversed already.
CC_WIDE_INLINE __m512i with_lengths(__m512i blocks, size_t place, size_t bytes) noexcept {
  return _mm512_mask_mov_epi64(blocks, static_cast<__mmask8>(2u << (2 * place)),
                               _mm512_set1_epi64(static_cast<int64_t>(8 * bytes)));
}

// Frames mostly lie where a NIC has put them: while one is multiplied, the next is on its way to
// the first cache and one further behind to the second, line by line, so that what is wanted now
// does not queue behind what is wanted later. For frames of 1400 bytes in memory that is 372 cycles
// each, against 580 with the next but one asked for at once. Beyond a shorter frame's end it asks
// in vain.
struct Ahead {
  const uint8_t* near;
  const uint8_t* far;

  void fetch(size_t at) const noexcept {
    __builtin_prefetch(near + at);
    __builtin_prefetch(far + at, 0, 2);
  }
};

Ahead ahead_of(std::span<const FrameJob* const> jobs, size_t at) noexcept {
  constexpr size_t far = 4;
  const size_t last = jobs.size() - 1;
  return {jobs[std::min(at + 1, last)]->frame, jobs[std::min(at + far, last)]->frame};
}

CC_WIDE_INLINE __m128i hash_frame(const GmacKey& key, const uint8_t* frame, size_t frame_bytes,
                                  const Ahead& ahead) noexcept {
  const size_t bytes = frame_bytes - frame_gap_bytes;
  const size_t data_blocks = (bytes + block_bytes - 1) / block_bytes;
  const uint8_t* const beyond_gap = frame + frame_gap_bytes;
  const __mmask64 present = first_bytes(bytes);
  __m512i blocks = load_around_tag(frame, present);
  Sum sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  size_t left = data_blocks + 1;
  ahead.fetch(0);
  for (size_t at = chunk_bytes; left > chunk_blocks; at += chunk_bytes) {
    ahead.fetch(at);
    add_product(sum, reverse_blocks(blocks), powers_from(key, left));
    left -= chunk_blocks;
    blocks =
        at + chunk_bytes <= bytes
            ? _mm512_maskz_loadu_epi64(0xff, beyond_gap + at)
            : _mm512_maskz_loadu_epi8(first_bytes(at < bytes ? bytes - at : 0), beyond_gap + at);
  }
  add_product(sum, with_lengths(reverse_blocks(blocks), left - 1, bytes), powers_from(key, left));
  return reduce(sum);
}

CC_WIDE_INLINE __m128i hash_digest(const GmacKey& key, const Digest& digest) noexcept {
  const __m512i blocks = reverse_blocks(_mm512_maskz_loadu_epi64(0x0f, digest.data()));
  Sum sum = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
  add_product(sum, with_lengths(blocks, 2, sizeof(Digest)), powers_from(key, 3));
  return reduce(sum);
}

// ---- both ----

// Epoch, seq and a counter of 1: nonce and pre-counter block (7.1) of a frame.
CC_WIDE_INLINE __m128i counter_block(const uint8_t* frame) noexcept {
  uint32_t epoch;
  uint64_t seq;
  std::memcpy(&epoch, frame + wire::frame_offset_epoch, sizeof epoch);
  std::memcpy(&seq, frame + wire::frame_offset_seq, sizeof seq);
  const uint64_t low = epoch | seq << 32;
  const uint64_t high = seq >> 32 | uint64_t{1} << 56;
  return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(low));
}

struct alignas(64) Masks {
  __m512i blocks[group / chunk_blocks];
};

CC_WIDE_INLINE void encrypt_counters(const GmacKey& key, std::span<const FrameJob* const> jobs,
                                     Masks& masks) noexcept {
  alignas(64) std::array<std::array<uint8_t, 16>, group> counters = {};
  for (size_t i = 0; i < jobs.size(); ++i) store(counters[i], counter_block(jobs[i]->frame));
  __m512i state[group / chunk_blocks];
  const __m512i first = broadcast_block(key.round_keys[0].data());
#pragma GCC unroll 4
  for (size_t i = 0; i < group / chunk_blocks; ++i) {
    state[i] =
        _mm512_xor_si512(_mm512_maskz_loadu_epi64(0xff, counters[chunk_blocks * i].data()), first);
  }
  for (size_t at = 1; at < rounds; ++at) {
    const __m512i round_key = broadcast_block(key.round_keys[at].data());
#pragma GCC unroll 4
    for (__m512i& s : state) s = _mm512_aesenc_epi128(s, round_key);
  }
  const __m512i last = broadcast_block(key.round_keys[rounds].data());
#pragma GCC unroll 4
  for (size_t i = 0; i < group / chunk_blocks; ++i) {
    masks.blocks[i] = _mm512_aesenclast_epi128(state[i], last);
  }
}

// The tag is the sum in its own byte order, under the encrypted counter.
CC_WIDE_INLINE void put_tag(__m128i sum, const Masks& masks, size_t at, Tag& tag) noexcept {
  const __m128i mask = load_block(reinterpret_cast<const uint8_t*>(&masks) + block_bytes * at);
  store(tag, _mm_xor_si128(reverse_block(sum), mask));
}

enum class Covers : uint8_t { frame, digest };

template <Covers covers>
CC_WIDE void make_tags(const GmacKey& key, std::span<const FrameJob* const> jobs,
                       Tag* tags) noexcept {
  for (size_t from = 0; from < jobs.size(); from += group) {
    const size_t count = std::min(group, jobs.size() - from);
    Masks masks;
    encrypt_counters(key, jobs.subspan(from, count), masks);
    for (size_t i = 0; i < count; ++i) {
      const FrameJob& job = *jobs[from + i];
      __m128i sum;
      if constexpr (covers == Covers::digest) {
        sum = hash_digest(key, job.digest);
      } else {
        sum = hash_frame(key, job.frame, job.frame_bytes, ahead_of(jobs, from + i));
      }
      put_tag(sum, masks, i, tags[from + i]);
    }
  }
}

}  // namespace

void GmacKey::expand(const Secret& secret) noexcept {
  std::memcpy(round_keys[0].data(), secret.data(), 16);
  std::memcpy(round_keys[1].data(), secret.data() + 16, 16);
  next_pair<0x01>(*this, 2);
  next_pair<0x02>(*this, 4);
  next_pair<0x04>(*this, 6);
  next_pair<0x08>(*this, 8);
  next_pair<0x10>(*this, 10);
  next_pair<0x20>(*this, 12);
  next_pair<0x40>(*this, 14);
  const __m128i h = reverse_block(encrypt(*this, _mm_setzero_si128()));
  const __m128i first = first_power(h);
  __m128i power = first;
  for (size_t i = powers; i-- > 0;) {
    store(descending[i], power);
    power = multiply(power, first);
  }
}

void gmac_lanes_frames(const GmacKey& key, std::span<const FrameJob* const> jobs,
                       Tag* tags) noexcept {
  make_tags<Covers::frame>(key, jobs, tags);
}

void gmac_lanes_digests(const GmacKey& key, std::span<const FrameJob* const> jobs,
                        Tag* tags) noexcept {
  make_tags<Covers::digest>(key, jobs, tags);
}

#else

void GmacKey::expand(const Secret&) noexcept {}
void gmac_lanes_frames(const GmacKey&, std::span<const FrameJob* const>, Tag*) noexcept {}
void gmac_lanes_digests(const GmacKey&, std::span<const FrameJob* const>, Tag*) noexcept {}

#endif

}  // namespace chaincast::crypto
