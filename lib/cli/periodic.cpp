// SPDX-License-Identifier: BSD-3-Clause
#include "cli/periodic.hpp"

#include "cli/session.hpp"

namespace chaincast::cli {

void Periodic::on_ready(std::span<const pollfd>, TimeNs now_ns) {
  if (now_ns < due_ns_) return;
  if (due_ns_ != 0) print_(render(commander_.run(command_), Format::text).output);
  // A late turn is not made up for.
  due_ns_ = now_ns + period_ns_;
}

ops::Json Periodic::describe() const {
  return ops::Json{{"kind", "periodic"}, {"command", command_}};
}

}  // namespace chaincast::cli
