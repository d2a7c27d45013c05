// SPDX-License-Identifier: BSD-3-Clause
#include "rest/token.hpp"

#include "base/bytes.hpp"
#include "crypto/crypto.hpp"

namespace chaincast::rest {

bool shows_token(std::string_view authorization, std::string_view token) {
  constexpr std::string_view scheme = "Bearer ";
  if (!authorization.starts_with(scheme)) return false;
  return crypto::equal_constant_time(as_bytes(authorization.substr(scheme.size())),
                                     as_bytes(token));
}

}  // namespace chaincast::rest
