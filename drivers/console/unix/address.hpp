// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "base/result.hpp"

namespace chaincast::console {

// The address of a socket file. Fails (`invalid`) on an empty path or one the system cannot hold.
inline Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return error(ErrorCode::invalid,
                 fmt::format("control socket '{}': a path has 1..{} bytes, this one {}; choose a "
                             "shorter directory",
                             path, sizeof address.sun_path - 1, path.size()));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace chaincast::console
