// SPDX-License-Identifier: BSD-3-Clause
#include "session/memory/memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "port/port.hpp"
#include "session/memory/end.hpp"

namespace chaincast::session::memory {

namespace {

constexpr uint16_t first_free_port = 20'000;

}  // namespace

std::shared_ptr<Network> Network::make(const crypto::Toolbox& toolbox, const Options& options) {
  return std::make_shared<MemoryNetwork>(toolbox, options);
}

Result<std::unique_ptr<Sessions>> MemoryNetwork::attach(const Config& config,
                                                        const PublicKey& key) {
  if (config.card.size() > card_bytes_max) {
    return error(ErrorCode::invalid, fmt::format("sessions: a card of {} bytes; at most {}",
                                                 config.card.size(), card_bytes_max));
  }
  Config settled = config;
  if (settled.listen.port == 0) {
    settled.listen.port = first_free_port;
    while (ends_.count(settled.listen) != 0) ++settled.listen.port;
  }
  if (ends_.count(settled.listen) != 0) {
    return error(ErrorCode::exists,
                 fmt::format("sessions: address {} is taken; choose another port",
                             port::to_text(settled.listen)));
  }
  auto out = std::make_unique<MemorySessions>(shared_from_this(), settled, key, id_of(key));
  ends_[settled.listen] = out.get();
  return std::unique_ptr<Sessions>(std::move(out));
}

NodeId MemoryNetwork::id_of(const PublicKey& key) const {
  const Digest digest = toolbox_.sha256(key);
  NodeId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

MemorySessions* MemoryNetwork::at(const Endpoint& address) const {
  const auto found = ends_.find(address);
  return found == ends_.end() ? nullptr : found->second;
}

bool MemoryNetwork::is_cut(const Connection& connection) const {
  return cuts_.count(std::minmax(connection.addresses[0], connection.addresses[1])) != 0;
}

Secret MemoryNetwork::secret_of(const Connection& connection, const std::string& label) const {
  return toolbox_.sha256(
      ByteWriter().be64(options_.seed).be64(connection.number).text(label).take());
}

}  // namespace chaincast::session::memory
