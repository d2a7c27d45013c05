// SPDX-License-Identifier: BSD-3-Clause
#include "identity/identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "identity/line_file.hpp"

namespace chaincast::identity {
namespace {

constexpr std::string_view key_prefix = "chaincast-key-1 ";
constexpr std::string_view full_prefix = "chaincast-secret-1 full ";
constexpr std::string_view relay_prefix = "chaincast-secret-1 relay ";

void wipe(std::string& text) {
  explicit_bzero(text.data(), text.size());
}
void wipe(Secret& secret) {
  explicit_bzero(secret.data(), secret.size());
}

// The 32 bytes behind `prefix`, or nothing.
std::optional<Secret> parse(std::string_view line, std::string_view prefix) {
  if (!line.starts_with(prefix)) return std::nullopt;
  std::optional<Bytes> bytes = from_hex(line.substr(prefix.size()));
  if (!bytes || bytes->size() != sizeof(Secret)) return std::nullopt;
  Secret out;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  explicit_bzero(bytes->data(), bytes->size());
  return out;
}

Error malformed(const std::string& path, std::string_view what, std::string_view line,
                std::string_view form) {
  const bool is_key = line.starts_with("chaincast-key-");
  const bool is_secret = line.starts_with("chaincast-secret-");
  const std::string_view found = is_key ? "a key file, perhaps damaged or of another version"
                                 : is_secret
                                     ? "a secret file, perhaps damaged or of another version"
                                     : "something else";
  return error(ErrorCode::invalid,
               fmt::format("{}: not {} but {}; its one line must read `{}` (64 hex digits), as "
                           "`chaincast keygen` writes it",
                           path, what, found, form));
}

Status write_line(const std::string& path, std::string_view prefix, Secret secret) {
  std::string hex = to_hex(secret);
  std::string line = std::string(prefix) + hex;
  Status status = write_private_line(path, line);
  wipe(hex);
  wipe(line);
  wipe(secret);
  return status;
}

Secret fresh(const crypto::Toolbox& toolbox) {
  Secret out;
  toolbox.random_bytes(out);
  return out;
}

}  // namespace

NodeId node_id(const crypto::Toolbox& toolbox, const PublicKey& key) {
  const Digest digest = toolbox.sha256(key);
  NodeId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

Result<Identity> load_identity(const crypto::Toolbox& toolbox, const std::string& path) {
  Result<std::string> line = read_private_line(path);
  if (!line.ok()) return line.error();
  std::optional<Secret> seed = parse(*line, key_prefix);
  const Error failure =
      seed ? Error{} : malformed(path, "a key file", *line, "chaincast-key-1 HEX");
  wipe(*line);
  if (!seed) return failure;
  Identity out;
  out.signer = toolbox.signer(*seed);
  wipe(*seed);
  out.public_key = out.signer->public_key();
  out.id = node_id(toolbox, out.public_key);
  return out;
}

Result<SecretFile> load_secret(const std::string& path) {
  Result<std::string> line = read_private_line(path);
  if (!line.ok()) return line.error();
  SecretFile out;
  std::optional<Secret> secret = parse(*line, full_prefix);
  if (!secret) {
    secret = parse(*line, relay_prefix);
    out.kind = SecretFile::Kind::relay;
  }
  const Error failure =
      secret ? Error{}
             : malformed(path, "a secret file", *line, "chaincast-secret-1 full|relay HEX");
  wipe(*line);
  if (!secret) return failure;
  out.secret = *secret;
  wipe(*secret);
  return out;
}

Result<std::string> load_token(const std::string& path) {
  constexpr size_t characters_min = 16;
  Result<std::string> line = read_private_line(path);
  if (!line.ok()) return line;
  const bool is_visible =
      std::all_of(line->begin(), line->end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (line->size() >= characters_min && is_visible) return line;
  wipe(*line);
  return error(ErrorCode::invalid,
               fmt::format("{}: not a token; its one line must have {} visible characters or more "
                           "and no blank, as `chaincast keygen token` writes it",
                           path, characters_min));
}

Status create_identity(const crypto::Toolbox& toolbox, const std::string& path) {
  return write_line(path, key_prefix, fresh(toolbox));
}

Status create_secret(const crypto::Toolbox& toolbox, const std::string& path) {
  return write_line(path, full_prefix, fresh(toolbox));
}

Status create_token(const crypto::Toolbox& toolbox, const std::string& path) {
  return write_line(path, "", fresh(toolbox));
}

Status export_relay_secret(const crypto::Toolbox& toolbox, const std::string& from,
                           const std::string& to) {
  const Result<SecretFile> secret = load_secret(from);
  if (!secret.ok()) return secret.error();
  return write_line(to, relay_prefix, stream_secrets(toolbox, *secret).authenticate);
}

crypto::StreamSecrets stream_secrets(const crypto::Toolbox& toolbox, const SecretFile& file) {
  if (file.kind == SecretFile::Kind::full) {
    return crypto::secrets_from_configured(toolbox, file.secret);
  }
  return {.authenticate = file.secret, .encrypt = {}, .has_encrypt = false};
}

}  // namespace chaincast::identity
