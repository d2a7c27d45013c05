// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/ids.hpp"

// The other end made with libssl alone, to be as strange as a test wants it. Nothing of it is the
// driver's, and nothing blocks. Not thread-safe.
namespace chaincast::test {

struct FreeSsl {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
};
using OwnedKey = std::unique_ptr<EVP_PKEY, FreeSsl>;
using OwnedCertificate = std::unique_ptr<X509, FreeSsl>;

enum class KeyKind : uint8_t { ed25519, rsa, p256, none };
// Fresh; null for none.
OwnedKey make_key(KeyKind kind);
OwnedCertificate make_certificate(EVP_PKEY* key);
PublicKey public_key_of(EVP_PKEY* key);

struct StrangeOptions {
  KeyKind key = KeyKind::ed25519;
  int version = TLS1_3_VERSION;
  std::string alpn = "chaincast/1";  // empty: none
  std::string from = {};             // source address; empty: any
};

class Stranger {
 public:
  // Dials.
  explicit Stranger(const Endpoint& to, const StrangeOptions& options = {});
  // Takes one connection at a loopback address of its own.
  explicit Stranger(const StrangeOptions& options);
  ~Stranger();
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  Endpoint address() const;  // where it listens
  // Goes on with the handshake and reads what has come.
  void step();
  bool is_established() const { return is_established_; }
  bool is_over() const { return is_over_; }  // an alert, a goodbye, a reset
  const std::string& why() const { return why_; }
  Bytes& received() { return received_; }

  // Bytes inside TLS, all of them or none yet; established.
  bool write(ByteSpan bytes);
  // Bytes as they are.
  void write_raw(ByteSpan bytes);
  void stop_reading() { reads_ = false; }
  void update_key() { SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED); }
  // Without a goodbye; with a reset.
  void kill();

  PublicKey public_key() const { return public_key_of(key_.get()); }
  SSL* ssl() { return ssl_.get(); }

 private:
  void set_up(const StrangeOptions& options, bool is_server);
  void begin(bool is_server);
  void fail();

  OwnedKey key_;
  OwnedCertificate certificate_;
  std::unique_ptr<SSL_CTX, FreeSsl> context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  int listening_ = -1, fd_ = -1;
  bool is_established_ = false, is_over_ = false, reads_ = true;
  std::string why_;
  Bytes received_;
};

// A hello as docs/membership.md has it, and any message, each behind its length.
Bytes framed_hello(const Digest& network, uint16_t port, const std::string& card);
Bytes framed(ByteSpan message);

}  // namespace chaincast::test
