// SPDX-License-Identifier: BSD-3-Clause
#include "punch/probe.hpp"

#include <gtest/gtest.h>

#include "crypto/openssl/toolbox.hpp"
#include "wire/frame.hpp"

namespace chaincast::punch {
namespace {

class ProbeTest : public testing::Test {
 protected:
  Probe make(bool is_answer, bool is_ipv6 = false) const {
    Probe out;
    out.is_answer = is_answer;
    out.node.bytes.fill(1);
    out.nonce.fill(2);
    out.cookie.fill(3);
    if (!is_answer) return out;
    out.seen.address = {203, 0, 113, 9};
    out.seen.port = 7000;
    out.seen.is_ipv6 = is_ipv6;
    return out;
  }
  Bytes bytes_of(const Probe& probe) const { return encode(probe, key_, *toolbox_); }

  const std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
  const Secret key_ = {5};
};

// Whatever is read is written alike, so no byte of a probe means nothing: docs/wire.md, 2.8.
TEST_F(ProbeTest, OnlyTheCanonicalFormIsRead) {
  const size_t mac_at = probe_bytes - 32;
  for (const Probe& probe : {make(false), make(true), make(true, true)}) {
    const Bytes whole = bytes_of(probe);
    EXPECT_EQ(parse_probe(whole), probe);
    for (size_t at = wire::hop_header_bytes; at < mac_at; ++at) {
      for (const uint8_t change : {uint8_t{1}, uint8_t{4}, uint8_t{128}}) {
        Bytes other = whole;
        other[at] ^= change;
        if (const auto read = parse_probe(other)) {
          const Bytes again = bytes_of(*read);
          EXPECT_TRUE(std::equal(other.begin(), other.begin() + static_cast<ptrdiff_t>(mac_at),
                                 again.begin()))
              << at;
        }
      }
    }
  }
}

TEST_F(ProbeTest, EveryFlippedBitIsNotAuthentic) {
  const Bytes whole = bytes_of(make(true));
  EXPECT_TRUE(is_authentic(whole, key_, *toolbox_));
  EXPECT_FALSE(is_authentic(whole, Secret{6}, *toolbox_));
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes other = whole;
    other[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    EXPECT_FALSE(is_authentic(other, key_, *toolbox_)) << bit;
  }
}

}  // namespace
}  // namespace chaincast::punch
