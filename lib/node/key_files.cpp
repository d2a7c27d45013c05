// SPDX-License-Identifier: BSD-3-Clause
#include "node/key_files.hpp"

#include <fmt/core.h>

namespace chaincast::node {

namespace {

template <typename Section>
Status read_into(Section& section, const char* kind) {
  if (section.secret || section.secret_file.empty()) return {};
  auto read = identity::load_secret(section.secret_file);
  if (!read) {
    return error(read.error().code,
                 fmt::format("{} {}: {}", kind, section.name, read.error().message));
  }
  section.secret = *read;
  return {};
}

}  // namespace

Status read_secret(PeerConfig& peer) {
  return read_into(peer, "peer");
}

Status read_secret(StreamConfig& stream) {
  return read_into(stream, "stream");
}

Status read_genesis(MembershipConfig& membership, const crypto::Toolbox& toolbox) {
  if (membership.genesis || membership.genesis_file.empty()) return {};
  auto genesis = identity::load_genesis(membership.genesis_file, toolbox);
  if (!genesis) return genesis.error();
  membership.genesis = std::move(*genesis);
  return {};
}

Status read_key_files(Config& config, const crypto::Toolbox& toolbox) {
  const auto identity = identity::load_identity(toolbox, config.node.key_file);
  if (!identity) return identity.error();
  config.node.public_key = identity->public_key;
  for (PeerConfig& peer : config.peers) {
    if (Status read = read_secret(peer); !read) return read;
  }
  for (StreamConfig& stream : config.streams) {
    if (Status read = read_secret(stream); !read) return read;
  }
  return read_genesis(config.membership, toolbox);
}

}  // namespace chaincast::node
