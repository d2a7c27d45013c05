// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Big-endian loads and stores, bounded readers and writers, hex.
namespace chaincast {

using Bytes = std::vector<uint8_t>;
using ByteSpan = std::span<const uint8_t>;

inline uint16_t load_be16(const uint8_t* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return __builtin_bswap16(v);
}
inline uint32_t load_be32(const uint8_t* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
inline uint64_t load_be64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return __builtin_bswap64(v);
}
inline void store_be16(uint8_t* p, uint16_t v) {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, 2);
}
inline void store_be32(uint8_t* p, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, 4);
}
inline void store_be64(uint8_t* p, uint64_t v) {
  v = __builtin_bswap64(v);
  std::memcpy(p, &v, 8);
}

// Reads fields from the front of a span. A read past the end yields zeros and clears ok(), so a
// parser checks once at the end. Never touches a byte outside the span.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : rest_(bytes) {}

  uint8_t u8() {
    const uint8_t* p = take(1);
    return p ? *p : uint8_t{0};
  }
  uint16_t be16() {
    const uint8_t* p = take(2);
    return p ? load_be16(p) : uint16_t{0};
  }
  uint32_t be32() {
    const uint8_t* p = take(4);
    return p ? load_be32(p) : 0;
  }
  uint64_t be64() {
    const uint8_t* p = take(8);
    return p ? load_be64(p) : 0;
  }
  // The next `count` bytes, viewed in place; empty (and not ok) if fewer are left.
  ByteSpan bytes(size_t count) {
    const uint8_t* p = take(count);
    return p ? ByteSpan(p, count) : ByteSpan();
  }
  template <size_t N>
  std::array<uint8_t, N> array() {
    std::array<uint8_t, N> out{};
    if (const uint8_t* p = take(N)) std::memcpy(out.data(), p, N);
    return out;
  }

  size_t left() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // True if every read succeeded and nothing is left over.
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  const uint8_t* take(size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return nullptr;
    }
    const uint8_t* p = rest_.data();
    rest_ = rest_.subspan(count);
    return p;
  }

  ByteSpan rest_;
  bool ok_ = true;
};

// Appends fields to a vector that it owns.
class ByteWriter {
 public:
  ByteWriter& u8(uint8_t v) {
    *grow(1) = v;
    return *this;
  }
  ByteWriter& be16(uint16_t v) {
    store_be16(grow(2), v);
    return *this;
  }
  ByteWriter& be32(uint32_t v) {
    store_be32(grow(4), v);
    return *this;
  }
  ByteWriter& be64(uint64_t v) {
    store_be64(grow(8), v);
    return *this;
  }
  ByteWriter& bytes(ByteSpan v) {
    if (!v.empty()) std::memcpy(grow(v.size()), v.data(), v.size());
    return *this;
  }
  ByteWriter& text(std::string_view v) {
    return bytes({reinterpret_cast<const uint8_t*>(v.data()), v.size()});
  }
  size_t size() const { return out_.size(); }
  Bytes& buffer() { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  // Out of line: inlined into a chain of small writes, GCC 12 warns of overflows that cannot be.
  [[gnu::noinline]] uint8_t* grow(size_t count) {
    out_.resize(out_.size() + count);
    return out_.data() + out_.size() - count;
  }

  Bytes out_;
};

inline std::string to_hex(ByteSpan bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (uint8_t b : bytes) {
    out.push_back(digits[b >> 4]);
    out.push_back(digits[b & 15]);
  }
  return out;
}

// Even count of [0-9a-fA-F], or nothing.
inline std::optional<Bytes> from_hex(std::string_view text) {
  auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = nibble(text[i]);
    const int low = nibble(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<uint8_t>(high * 16 + low));
  }
  return out;
}

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace chaincast
