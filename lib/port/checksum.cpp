// SPDX-License-Identifier: BSD-3-Clause
#include "port/checksum.hpp"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace chaincast::port {

namespace {

constexpr size_t vector_bytes = 32;
// A 32-bit lane takes 65,536 words of 0xffff; each vector adds one word to each of two sums.
constexpr size_t chunk_bytes = 65536 * vector_bytes;

uint64_t sum_lanes(__m256i sums) noexcept {
  alignas(vector_bytes) uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums);
  uint64_t total = 0;
  for (const uint32_t lane : lanes) total += lane;
  return total;
}

// Even and odd 16-bit words of each 32-bit lane in sums of their own: no carry is lost, and two
// additions per vector are cheaper than widening.
uint64_t sum_vectors(const uint8_t* bytes, size_t count) noexcept {
  const __m256i low_words = _mm256_set1_epi32(0xffff);
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  for (size_t i = 0; i < count; i += vector_bytes) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + i));
    even = _mm256_add_epi32(even, _mm256_and_si256(v, low_words));
    odd = _mm256_add_epi32(odd, _mm256_srli_epi32(v, 16));
  }
  return sum_lanes(even) + sum_lanes(odd);
}

}  // namespace

uint32_t sum_bytes(const void* start, size_t count) noexcept {
  const auto* bytes = static_cast<const uint8_t*>(start);
  uint64_t sum = 0;
  while (count >= vector_bytes) {
    const size_t chunk = std::min(count, chunk_bytes) & ~(vector_bytes - 1);
    sum += sum_vectors(bytes, chunk);
    bytes += chunk;
    count -= chunk;
  }
  for (; count >= 4; bytes += 4, count -= 4) {
    uint32_t word;
    std::memcpy(&word, bytes, 4);
    sum += word;
  }
  if (count > 0) {
    uint32_t word = 0;
    std::memcpy(&word, bytes, count);
    sum += word;
  }
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return fold_sum(static_cast<uint32_t>(sum));
}

}  // namespace chaincast::port
