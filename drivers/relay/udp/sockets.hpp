// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "base/result.hpp"
#include "punch/relay.hpp"

// Kernel sockets of a relay, driven by the control loop.
namespace chaincast::relay {

// At `address` and the `count` - 1 UDP ports after it. `io` names the port and what to do.
Result<std::unique_ptr<punch::Sockets>> open_sockets(const Endpoint& address, unsigned count);

}  // namespace chaincast::relay
