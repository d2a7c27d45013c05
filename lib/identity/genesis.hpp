// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"

// The file that a network begins with (docs/membership.md, "Genesis"). The network id is the
// SHA-256 of its bytes, so whoever holds the id knows whether a copy is genuine. Parsing is pure;
// values, no owner, any thread.
//
//   chaincast-genesis-1
//   name NAME                 1 to 64 of [a-z0-9._-]
//   admission open|listed     anyone, or founders, endorsers and those admitted
//   founder HEX               Ed25519 public key; one line each, at least one
//   endorser HEX              signs admissions later; at most 101
//   admit HEX                 where admission is listed; at most 100,000
//   threshold PERCENT         of the endorsers, 51 to 100
//   votes PERCENT             P of streams that state none, 0 to 100
//   links COUNT               that a node asks for, 2 to 32
// Blank lines and lines that start with # are allowed; each of the last three at most once.
namespace chaincast::identity {

inline constexpr size_t genesis_bytes_max = 8 * 1024 * 1024;
inline constexpr size_t endorsers_max = 101;
inline constexpr size_t admitted_max = 100'000;

struct Genesis {
  Digest network{};
  std::string name;
  bool is_open = false;
  std::vector<PublicKey> founders, endorsers;
  std::vector<PublicKey> admitted;  // all of the above that are admitted, ascending
  unsigned threshold_percent = 67;
  unsigned votes_percent = 50;
  unsigned links = 8;

  bool admits(const PublicKey& key) const;
};

// `invalid`: names the line and what it must be.
Result<Genesis> parse_genesis(std::string_view text, const crypto::Toolbox& toolbox);
// Reads and parses a file; errors name it, too. Waits for the disk.
Result<Genesis> load_genesis(const std::string& path, const crypto::Toolbox& toolbox);
// The text of a new network; parse_genesis() reads it. The network's own fields are ignored.
std::string genesis_text(const Genesis& genesis);
// Writes that text to `path`, which never overwrites (mode 644, on disk when it returns); the id of
// the network. `invalid` as parse_genesis(), `exists`, `not_found` (no such directory), `io`.
// Control threads: waits for the disk.
Result<Digest> create_genesis(const crypto::Toolbox& toolbox, const std::string& path,
                              const Genesis& genesis);

}  // namespace chaincast::identity
