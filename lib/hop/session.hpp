// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "crypto/crypto.hpp"
#include "hop/lane.hpp"
#include "hop/links.hpp"

// Keys and counters of one established link (docs/wire.md, "Link keys", "Sealed control").
// Internal to hop/. Control thread only.
namespace chaincast::hop {

using Nonce = std::array<uint8_t, 16>;

// The key that authenticates hellos under a link secret.
Secret derive_hello_key(const crypto::Toolbox& toolbox, const Secret& secret);

class Session {
 public:
  enum class Opened : uint8_t { ok, malformed, replayed, bad_seal };

  // `ask` and `answer` are the nonces of the two sides; the pair is never used twice.
  Session(const crypto::Toolbox& toolbox, const Secret& secret, const NodeId& own,
          const NodeId& peer, const Nonce& ask, const Nonce& answer);

  crypto::LinkKey tx_lane_key(uint8_t lane) const;
  crypto::LinkKey rx_lane_key(uint8_t lane) const;

  // A datagram without link id, seq and check. Each call uses a new counter.
  Bytes seal(ByteSpan plaintext, uint32_t& tag_xor);
  // Plaintext of an authentic datagram that was not seen before.
  Opened open(ByteSpan datagram, Bytes& plaintext);

  const Nonce& ask() const { return ask_; }
  const Nonce& answer() const { return answer_; }

 private:
  crypto::LinkKey lane_key(const NodeId& from, const NodeId& to, uint8_t lane) const;
  Secret control_key(const NodeId& from, const NodeId& to) const;

  const crypto::Toolbox& toolbox_;
  NodeId own_;
  NodeId peer_;
  Nonce ask_;
  Nonce answer_;
  Secret prk_;
  std::unique_ptr<crypto::Aead> tx_;
  std::unique_ptr<crypto::Aead> rx_;
  uint64_t tx_counter_ = 0;  // last used
  ReplayWindow rx_window_;
};

}  // namespace chaincast::hop
