// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "options.hpp"

namespace chaincast {

// `chaincast --rest IP:PORT`: serves the streaming interface (docs/rest.md) until SIGTERM or
// SIGINT, with the nodes that its callers ask for in this process. Main thread; the exit code.
int run_rest(const Options& options);

}  // namespace chaincast
