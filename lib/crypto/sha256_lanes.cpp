// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/sha256_lanes.hpp"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "crypto/wide.hpp"

namespace chaincast::crypto {

bool has_sha256_lanes() noexcept {
  return has_wide();
}

#if !defined(__clang__) || __clang_major__ >= 16

namespace {

constexpr unsigned lanes = 16;
constexpr unsigned block_bytes = 64;
constexpr unsigned gap_bytes = frame_gap_bytes;
constexpr __mmask16 all = 0xffff;

alignas(64) constexpr std::array<uint32_t, 64> round_constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr std::array<uint32_t, 8> initial_state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// One message on its way through its lane.
struct Lane {
  FrameJob* job = nullptr;
  const uint8_t* frame = nullptr;
  unsigned message_bytes = 0;
  unsigned at = 0;  // of the message, a multiple of 64
};

constexpr unsigned padded_bytes(unsigned message_bytes) noexcept {
  return (message_bytes + 8) / block_bytes * block_bytes + block_bytes;
}

CC_WIDE_INLINE __m512i swap_words(__m512i v) noexcept {
  const __m512i order = _mm512_maskz_broadcast_i32x4(
      all, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  return _mm512_shuffle_epi8(v, order);
}

// The first or a last block of a message, padded as FIPS 180-4, 5.1.1 has it.
CC_WIDE_INLINE __m512i edge_block(const Lane& lane) noexcept {
  const unsigned left = lane.message_bytes > lane.at ? lane.message_bytes - lane.at : 0;
  const __mmask64 present = first_bytes(left);
  const uint8_t* const beyond_gap = lane.frame + gap_bytes + lane.at;
  __m512i block;
  if (lane.at == 0) {
    block = load_around_tag(lane.frame, present);
  } else {
    block = _mm512_maskz_loadu_epi8(present, beyond_gap);
  }
  if (lane.at + left == lane.message_bytes && left < block_bytes && lane.message_bytes >= lane.at) {
    block = _mm512_mask_mov_epi8(block, uint64_t{1} << left, _mm512_set1_epi8(-128));
  }
  if (lane.at + block_bytes >= padded_bytes(lane.message_bytes)) {
    const uint64_t bits = __builtin_bswap64(uint64_t{8} * lane.message_bytes);
    block = _mm512_mask_mov_epi64(block, 0x80, _mm512_set1_epi64(static_cast<int64_t>(bits)));
  }
  return block;
}

CC_WIDE_INLINE __m512i next_block(Lane& lane) noexcept {
  const bool is_middle = lane.at > 0 && lane.at + block_bytes <= lane.message_bytes;
  // Frames mostly lie where a NIC has put them.
  __builtin_prefetch(lane.frame + gap_bytes +
                     std::min(lane.at + 3 * block_bytes, lane.message_bytes));
  const __m512i block = is_middle ? _mm512_maskz_loadu_epi32(all, lane.frame + gap_bytes + lane.at)
                                  : edge_block(lane);
  lane.at += block_bytes;
  return swap_words(block);
}

// rows[i] word j -> rows[j] word i.
CC_WIDE_INLINE void transpose(__m512i (&rows)[lanes]) noexcept {
  __m512i t[lanes];
#pragma GCC unroll 8
  for (unsigned i = 0; i < lanes; i += 2) {
    t[i] = _mm512_maskz_unpacklo_epi32(all, rows[i], rows[i + 1]);
    t[i + 1] = _mm512_maskz_unpackhi_epi32(all, rows[i], rows[i + 1]);
  }
  // Now word 4q + j of rows 4i .. 4i + 3, in quarter q of rows[4i + j].
#pragma GCC unroll 4
  for (unsigned i = 0; i < lanes; i += 4) {
    rows[i] = _mm512_maskz_unpacklo_epi64(0xff, t[i], t[i + 2]);
    rows[i + 1] = _mm512_maskz_unpackhi_epi64(0xff, t[i], t[i + 2]);
    rows[i + 2] = _mm512_maskz_unpacklo_epi64(0xff, t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_maskz_unpackhi_epi64(0xff, t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (unsigned j = 0; j < 4; ++j) {
    const __m512i even_low = _mm512_maskz_shuffle_i32x4(all, rows[j], rows[4 + j], 0x88);
    const __m512i odd_low = _mm512_maskz_shuffle_i32x4(all, rows[j], rows[4 + j], 0xdd);
    const __m512i even_high = _mm512_maskz_shuffle_i32x4(all, rows[8 + j], rows[12 + j], 0x88);
    const __m512i odd_high = _mm512_maskz_shuffle_i32x4(all, rows[8 + j], rows[12 + j], 0xdd);
    t[j] = _mm512_maskz_shuffle_i32x4(all, even_low, even_high, 0x88);
    t[8 + j] = _mm512_maskz_shuffle_i32x4(all, even_low, even_high, 0xdd);
    t[4 + j] = _mm512_maskz_shuffle_i32x4(all, odd_low, odd_high, 0x88);
    t[12 + j] = _mm512_maskz_shuffle_i32x4(all, odd_low, odd_high, 0xdd);
  }
#pragma GCC unroll 16
  for (unsigned i = 0; i < lanes; ++i) rows[i] = t[i];
}

template <int a, int b, int c>
CC_WIDE_INLINE __m512i rotate_three(__m512i x) noexcept {
  return _mm512_ternarylogic_epi32(_mm512_maskz_ror_epi32(all, x, a),
                                   _mm512_maskz_ror_epi32(all, x, b),
                                   _mm512_maskz_ror_epi32(all, x, c), 0x96);
}
template <int a, int b, int shift>
CC_WIDE_INLINE __m512i rotate_two(__m512i x) noexcept {
  return _mm512_ternarylogic_epi32(_mm512_maskz_ror_epi32(all, x, a),
                                   _mm512_maskz_ror_epi32(all, x, b),
                                   _mm512_maskz_srli_epi32(all, x, shift), 0x96);
}

// Round `t` of FIPS 180-4, 6.2.2; the state's letters are renamed, not moved.
template <unsigned t>
CC_WIDE_INLINE void round(__m512i (&s)[8], __m512i (&w)[lanes]) noexcept {
  __m512i& a = s[(64 - t) % 8];
  __m512i& b = s[(65 - t) % 8];
  __m512i& c = s[(66 - t) % 8];
  __m512i& d = s[(67 - t) % 8];
  __m512i& e = s[(68 - t) % 8];
  __m512i& f = s[(69 - t) % 8];
  __m512i& g = s[(70 - t) % 8];
  __m512i& h = s[(71 - t) % 8];
  if constexpr (t >= 16) {
    const __m512i sigmas = _mm512_add_epi32(rotate_two<7, 18, 3>(w[(t + 1) % 16]),
                                            rotate_two<17, 19, 10>(w[(t + 14) % 16]));
    w[t % 16] = _mm512_add_epi32(_mm512_add_epi32(w[t % 16], w[(t + 9) % 16]), sigmas);
  }
  const __m512i constant = _mm512_set1_epi32(static_cast<int32_t>(round_constants[t]));
  const __m512i choice = _mm512_ternarylogic_epi32(e, f, g, 0xca);
  const __m512i majority = _mm512_ternarylogic_epi32(a, b, c, 0xe8);
  __m512i first = _mm512_add_epi32(h, _mm512_add_epi32(w[t % 16], constant));
  first = _mm512_add_epi32(first, _mm512_add_epi32(choice, rotate_three<6, 11, 25>(e)));
  d = _mm512_add_epi32(d, first);
  h = _mm512_add_epi32(first, _mm512_add_epi32(majority, rotate_three<2, 13, 22>(a)));
}

template <size_t... t>
CC_WIDE_INLINE void rounds(std::index_sequence<t...>, __m512i (&s)[8],
                           __m512i (&w)[lanes]) noexcept {
  (round<t>(s, w), ...);
}

struct alignas(64) States {
  __m512i words[8];
};

CC_WIDE __attribute__((noinline)) void compress(States& states, Lane* lane) noexcept {
  __m512i w[lanes];
#pragma GCC unroll 16
  for (unsigned i = 0; i < lanes; ++i) w[i] = next_block(lane[i]);
  transpose(w);
  __m512i s[8];
#pragma GCC unroll 8
  for (unsigned i = 0; i < 8; ++i) s[i] = states.words[i];
  rounds(std::make_index_sequence<64>(), s, w);
#pragma GCC unroll 8
  for (unsigned i = 0; i < 8; ++i) states.words[i] = _mm512_add_epi32(states.words[i], s[i]);
}

CC_WIDE void restart(States& states, __mmask16 which) noexcept {
  for (unsigned i = 0; i < 8; ++i) {
    states.words[i] = _mm512_mask_mov_epi32(
        states.words[i], which, _mm512_set1_epi32(static_cast<int32_t>(initial_state[i])));
  }
}

// A lane's state is one word of each register.
CC_WIDE void finish(const States& states, unsigned lane, Digest& out) noexcept {
  const auto* const words = reinterpret_cast<const int*>(&states) + lane;
  const __m256i places = _mm256_set_epi32(112, 96, 80, 64, 48, 32, 16, 0);
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  const __m256i state =
      _mm256_mask_i32gather_epi32(_mm256_setzero_si256(), words, places, _mm256_set1_epi32(-1), 4);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.data()), _mm256_shuffle_epi8(state, order));
}

// An idle lane hashes this again and again, and nobody asks for it.
alignas(64) constexpr std::array<uint8_t, 128> nothing{};

}  // namespace

void sha256_lanes(std::span<FrameJob* const> jobs) noexcept {
  std::array<Lane, lanes> lane;
  States states;
  size_t next = 0;
  size_t busy = 0;
  uint32_t starting = 0;
  const auto start = [&](unsigned i) {
    lane[i] = {};
    if (next < jobs.size()) {
      FrameJob* const job = jobs[next++];
      lane[i] = {job, job->frame, static_cast<unsigned>(job->frame_bytes) - gap_bytes, 0};
      starting |= 1u << i;
      ++busy;
    } else {
      lane[i].frame = nothing.data();
    }
  };
  for (unsigned i = 0; i < lanes; ++i) start(i);
  restart(states, all);
  while (busy > 0) {
    starting = 0;
    compress(states, lane.data());
    for (unsigned i = 0; i < lanes; ++i) {
      if (lane[i].job == nullptr) {
        lane[i].at = 0;
      } else if (lane[i].at >= padded_bytes(lane[i].message_bytes)) {
        finish(states, i, lane[i].job->digest);
        --busy;
        start(i);
      }
    }
    if (starting != 0) restart(states, static_cast<__mmask16>(starting));
  }
}

#else

void sha256_lanes(std::span<FrameJob* const>) noexcept {}

#endif

}  // namespace chaincast::crypto
