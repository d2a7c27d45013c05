// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/tls.hpp"

#include <fmt/format.h>

#include "session/tls/sessions.hpp"

namespace chaincast::session::tls {

Result<std::unique_ptr<Sessions>> make_tls(const Config& config, const crypto::Signer& signer) {
  if (config.card.size() > card_bytes_max) {
    return error(ErrorCode::invalid, fmt::format("sessions: a card of {} bytes; at most {}",
                                                 config.card.size(), card_bytes_max));
  }
  if (!config.admits) {
    return error(ErrorCode::invalid,
                 "sessions: nothing says whom the network admits; set Config::admits");
  }
  auto context = Context::make(signer, config.network);
  if (!context) return context.error();
  auto listening = listen_at(config.listen);
  if (!listening) return listening.error();
  return std::unique_ptr<Sessions>(std::make_unique<TlsSessions>(
      config, signer.public_key(), std::move(context).value(), std::move(listening).value()));
}

}  // namespace chaincast::session::tls
