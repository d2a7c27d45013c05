// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <optional>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "crypto/crypto.hpp"

// "From which address do my datagrams come?" and its answer (docs/wire.md, "Probes"): datagrams of
// one size, which the data plane takes for hellos and hands to control. Both are authenticated
// under a key that the two ends have from their session. Encoding and parsing only; values, any
// thread.
namespace chaincast::punch {

inline constexpr size_t probe_bytes = 16 + 130;  // hop header and the smallest hello
using Nonce = std::array<uint8_t, 16>;

struct Probe {
  bool is_answer = false;
  bool is_bound = false;  // answer: the address is where this socket sends to from now on
  NodeId node;            // who asked
  Nonce nonce{};          // of the question
  Nonce cookie{};         // question: that of the last answer, or zeros; answer: of this address
  Endpoint seen;          // answer: where the question came from
  bool operator==(const Probe&) const = default;
};

bool is_probe(ByteSpan datagram);
Bytes encode(const Probe& probe, const Secret& key, const crypto::Toolbox& toolbox);
// Structure only: empty where it is none. is_authentic() comes before anything is believed.
std::optional<Probe> parse_probe(ByteSpan datagram);
bool is_authentic(ByteSpan probe, const Secret& key, const crypto::Toolbox& toolbox);

}  // namespace chaincast::punch
