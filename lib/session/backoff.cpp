// SPDX-License-Identifier: BSD-3-Clause
#include "session/backoff.hpp"

#include <algorithm>

namespace chaincast::session {

bool Backoff::holds(const Endpoint& address, TimeNs now_ns) const {
  const auto found = waits_.find(address);
  return found != waits_.end() && now_ns < found->second.until_ns;
}

void Backoff::failed(const Endpoint& address, TimeNs now_ns) {
  auto found = waits_.find(address);
  if (found == waits_.end()) {
    if (waits_.size() == addresses_max) make_room();
    found = waits_.emplace(address, Wait{}).first;
  }
  Wait& wait = found->second;
  // Long ago is as good as never.
  const bool is_in_a_row = wait.length_ns != 0 && now_ns < wait.until_ns + max_ns_;
  wait.length_ns = is_in_a_row ? std::min(2 * wait.length_ns, max_ns_) : first_ns_;
  wait.until_ns = now_ns + wait.length_ns;
}

void Backoff::make_room() {
  waits_.erase(std::min_element(waits_.begin(), waits_.end(), [](const auto& a, const auto& b) {
    return a.second.until_ns < b.second.until_ns;
  }));
}

}  // namespace chaincast::session
