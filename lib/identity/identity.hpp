// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"

// Who a node is, and the files that hold what it must not tell: its signing key and the secrets of
// its links and streams. docs/security.md, "Key files".
//
// Each file is one line of text:
//   chaincast-key-1 HEX            Ed25519 seed, 64 hex digits
//   chaincast-secret-1 full HEX    a link's or stream's secret
//   chaincast-secret-1 relay HEX   A of a stream only: verifies, cannot read
//   TOKEN                          what clients of the REST interface show, as it is sent
//
// Reading refuses what is not a regular file, is open to group or others (mode & 077), is longer
// than one line can be, or is malformed. Writing creates with mode 600, never overwrites, and is
// on disk when it returns. Every error names the file, the problem and the remedy, and none quotes
// the content. Control threads only; these calls wait for the disk.
namespace chaincast::identity {

struct Identity {
  std::unique_ptr<crypto::Signer> signer;
  PublicKey public_key{};
  NodeId id;
};

struct SecretFile {
  enum class Kind { full, relay };
  Kind kind = Kind::full;
  Secret secret{};  // full: as configured; relay: A
  bool operator==(const SecretFile&) const = default;
};

// First 16 bytes of SHA-256(public key).
NodeId node_id(const crypto::Toolbox& toolbox, const PublicKey& key);

// Errors: `not_found`, `io`, `refused` (kind or mode of the file), `invalid` (content).
Result<Identity> load_identity(const crypto::Toolbox& toolbox, const std::string& path);
Result<SecretFile> load_secret(const std::string& path);
// 16 to 255 visible ASCII characters without blanks.
Result<std::string> load_token(const std::string& path);

// A fresh random key or secret. Errors: `exists`, `not_found` (no such directory), `io`.
Status create_identity(const crypto::Toolbox& toolbox, const std::string& path);
Status create_secret(const crypto::Toolbox& toolbox, const std::string& path);
Status create_token(const crypto::Toolbox& toolbox, const std::string& path);
// Writes A of the full secret in `from` to `to`, for a relay that may verify but not read.
Status export_relay_secret(const crypto::Toolbox& toolbox, const std::string& from,
                           const std::string& to);

// A and C of a full secret, A alone of a relay's.
crypto::StreamSecrets stream_secrets(const crypto::Toolbox& toolbox, const SecretFile& file);

}  // namespace chaincast::identity
