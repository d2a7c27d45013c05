// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "session/tls/handles.hpp"

// What all connections of a node share: its certificate, the settings of both roles, tickets.
// Private to the driver; owner: TlsSessions.
namespace chaincast::session::tls {

// Why the other end's key is not taken; empty: it is.
using Judge = std::function<std::string(const PublicKey&)>;

// First 16 bytes of SHA-256(key), as everywhere.
NodeId id_of(const PublicKey& key);

// Tickets of servers, by their id, each good for one use. At most tickets_max; the oldest goes.
class Tickets {
 public:
  static constexpr size_t tickets_max = 1024;

  void put(const NodeId& id, SslSession session);
  // Empty where there is none.
  SslSession take(const NodeId& id);

 private:
  struct Kept {
    SslSession session;
    uint64_t number = 0;
  };
  std::map<NodeId, Kept> kept_;
  std::map<uint64_t, NodeId> by_age_;
  uint64_t count_ = 0;
};

// TLS 1.3 alone, both ends with a certificate that carries an Ed25519 key and is believed nothing
// else; no early data; ALPN "chaincast/1".
class Context {
 public:
  // `network` keeps tickets of one network from another. `unsupported` for a signer whose key is
  // not libcrypto's.
  static Result<std::unique_ptr<Context>> make(const crypto::Signer& signer, const Digest& network);

  // A connection over `fd`, which it does not own. `judge` outlives it.
  Ssl connection(int fd, bool is_client, const Judge& judge);
  // Offers the ticket of `id`, if there is one.
  void offer_ticket(SSL* ssl, const NodeId& id);

 private:
  Context() = default;
  Status set_up(SslContext& context, const crypto::Signer& signer, const Digest& network);

  BioMethod bio_;
  Certificate certificate_;
  SslContext client_, server_;
  Tickets tickets_;
};

// The Ed25519 key of a certificate, or nothing.
std::optional<PublicKey> key_of(const X509* certificate);

}  // namespace chaincast::session::tls
