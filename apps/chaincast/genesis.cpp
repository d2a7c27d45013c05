// SPDX-License-Identifier: BSD-3-Clause
#include "genesis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "crypto/openssl/toolbox.hpp"
#include "identity/identity.hpp"

namespace chaincast {

namespace {

Result<PublicKey> key_of(const std::string& word, const crypto::Toolbox& toolbox) {
  PublicKey out{};
  const auto bytes = from_hex(word);
  if (bytes && bytes->size() == out.size()) {
    std::copy(bytes->begin(), bytes->end(), out.begin());
    return out;
  }
  const auto identity = identity::load_identity(toolbox, word);
  if (!identity) return identity.error();
  return identity->public_key;
}

// The keys that `words` name, each once.
Result<std::vector<PublicKey>> keys_of(const char* option, const std::vector<std::string>& words,
                                       const crypto::Toolbox& toolbox) {
  std::vector<PublicKey> out;
  for (const std::string& word : words) {
    const auto key = key_of(word, toolbox);
    if (!key) {
      return error(key.error().code,
                   fmt::format("genesis: {} {}; or give the 64 hex digits of a key, as `chaincast "
                               "keygen` prints them",
                               option, key.error().message));
    }
    if (std::find(out.begin(), out.end(), *key) != out.end()) {
      return error(ErrorCode::invalid, fmt::format("genesis: {} {}: this key stands there twice; "
                                                   "name it once",
                                                   option, word));
    }
    out.push_back(*key);
  }
  return out;
}

Result<identity::Genesis> genesis_of(const GenesisOptions& options,
                                     const crypto::Toolbox& toolbox) {
  identity::Genesis out = options.genesis;
  out.is_open = options.admission == "open";
  if (out.is_open && !options.admitted.empty()) {
    return error(ErrorCode::invalid,
                 "genesis: --admit: where admission is open everyone is admitted; leave it out, or "
                 "give --admission listed");
  }
  auto founders = keys_of("--founder", options.founders, toolbox);
  if (!founders) return founders.error();
  auto endorsers = keys_of("--endorser", options.endorsers, toolbox);
  if (!endorsers) return endorsers.error();
  auto admitted = keys_of("--admit", options.admitted, toolbox);
  if (!admitted) return admitted.error();
  out.founders = std::move(founders).value();
  out.endorsers = std::move(endorsers).value();
  out.admitted = std::move(admitted).value();
  return out;
}

Result<Digest> write(const GenesisOptions& options) {
  const auto toolbox = crypto::openssl::make_toolbox();
  const auto genesis = genesis_of(options, *toolbox);
  if (!genesis) return genesis.error();
  return identity::create_genesis(*toolbox, options.file, *genesis);
}

}  // namespace

int run_genesis(const GenesisOptions& options) {
  const auto network = write(options);
  if (!network) {
    std::fprintf(stderr, "chaincast: %s\n", network.error().message.c_str());
    return 1;
  }
  std::printf("network %s\n", to_hex(*network).c_str());
  return 0;
}

}  // namespace chaincast
