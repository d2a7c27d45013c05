// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <spdlog/spdlog.h>

#include <memory>

#include "base/thread.hpp"
#include "node/config.hpp"
#include "options.hpp"
#include "process/eal/eal.hpp"

// What is there before the node: the log, and what EAL is asked for. Main thread, at start.
namespace chaincast {

// To standard error, flushed line by line.
std::shared_ptr<spdlog::logger> make_logger();

// The options given before `--`, or those of the configuration, with the devices it names and the
// cpus that its workers get.
eal::Request eal_request(const Options& options, const node::Config& config,
                         const base::ThreadStarter& threads);

}  // namespace chaincast
