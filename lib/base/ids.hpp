// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/bytes.hpp"

// Identifiers shared by every module. All are plain values.
namespace chaincast {

using Digest = std::array<uint8_t, 32>;     // SHA-256
using Link16 = std::array<uint8_t, 16>;     // first 16 bytes of a frame's digest
using Tag = std::array<uint8_t, 16>;        // a frame's authentication tag
using PublicKey = std::array<uint8_t, 32>;  // Ed25519
using Signature = std::array<uint8_t, 64>;  // Ed25519
using Secret = std::array<uint8_t, 32>;     // input to HKDF only

// First 16 bytes of SHA-256(public key): an index, never proof of identity.
struct NodeId {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const NodeId&) const = default;
  std::string hex() const { return to_hex(bytes); }
};

// First 8 bytes of SHA-256(descriptor), as a big-endian number.
struct StreamId {
  uint64_t value = 0;
  auto operator<=>(const StreamId&) const = default;
  std::string hex() const {
    uint8_t raw[8];
    store_be64(raw, value);
    return to_hex(raw);
  }
};

using Seq = uint64_t;
using Epoch = uint32_t;

// An IP address and UDP port. IPv4 addresses occupy the first 4 bytes; the rest is zero, so that
// equality is a plain compare.
struct Endpoint {
  std::array<uint8_t, 16> address{};
  uint16_t port = 0;  // host order
  bool is_ipv6 = false;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace chaincast

template <>
struct std::hash<chaincast::NodeId> {
  size_t operator()(const chaincast::NodeId& id) const noexcept {
    size_t v;
    std::memcpy(&v, id.bytes.data(), sizeof v);
    return v;
  }
};
template <>
struct std::hash<chaincast::StreamId> {
  size_t operator()(const chaincast::StreamId& id) const noexcept { return id.value; }
};
template <>
struct std::hash<chaincast::Endpoint> {
  size_t operator()(const chaincast::Endpoint& e) const noexcept {
    uint64_t a, b;
    std::memcpy(&a, e.address.data(), 8);
    std::memcpy(&b, e.address.data() + 8, 8);
    return (a * 0x9e3779b97f4a7c15ull) ^
           (b + e.port + (e.is_ipv6 ? 1u << 20 : 0u)) * 0xff51afd7ed558ccdull;
  }
};
