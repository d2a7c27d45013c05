// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>

#include "base/thread.hpp"
#include "crypto/crypto.hpp"
#include "node/node.hpp"

// The drivers of this build, put together for a node.
namespace chaincast::factory {

// `threads` and `toolbox` outlive the environment.
node::Environment make_environment(const base::ThreadStarter& threads,
                                   const crypto::Toolbox& toolbox,
                                   std::function<void(node::LogLevel, const std::string&)> log);

}  // namespace chaincast::factory
