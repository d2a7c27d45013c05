// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>

#include "base/thread.hpp"
#include "crypto/crypto.hpp"
#include "node/node.hpp"

// The drivers of this build, put together for a node.
namespace chaincast::factory {

// What is passed by reference outlives the environment.
node::Environment make_environment(const base::ThreadStarter& threads,
                                   worker::Threads& worker_threads, const crypto::Toolbox& toolbox,
                                   std::function<void(node::LogLevel, const std::string&)> log);

}  // namespace chaincast::factory
