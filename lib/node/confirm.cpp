// SPDX-License-Identifier: BSD-3-Clause
#include "node/confirm.hpp"

namespace chaincast::node {

Confirm::Act Confirm::begin(TimeNs now_ns, TimeNs wait_ns, uint64_t session) {
  const bool was_open = is_open_;
  is_open_ = true;
  deadline_ns_ = now_ns + wait_ns;
  session_ = session;
  return was_open ? Act::nothing : Act::checkpoint;
}

Status Confirm::commit(TimeNs now_ns) {
  if (!is_open_) {
    return error(
        ErrorCode::not_found,
        "commit: nothing waits for it; `commit confirm SECONDS` begins a confirmed change");
  }
  if (now_ns >= deadline_ns_) {
    return error(ErrorCode::timeout,
                 "commit: too late, the change is being taken back; `show commit` says when");
  }
  close(End::committed, now_ns);
  return {};
}

Result<Confirm::Act> Confirm::rollback(TimeNs now_ns) {
  if (is_open_) return close(End::rolled_back, now_ns);
  return error(ErrorCode::not_found,
               "rollback: there is no checkpoint; `commit confirm SECONDS` takes one");
}

Confirm::Act Confirm::on_closed(uint64_t session, TimeNs now_ns) {
  if (!is_open_ || session == 0 || session != session_) return Act::nothing;
  return close(End::disconnected, now_ns);
}

Confirm::Act Confirm::tick(TimeNs now_ns) {
  if (!is_open_ || now_ns < deadline_ns_) return Act::nothing;
  return close(End::timed_out, now_ns);
}

Confirm::Act Confirm::close(End end, TimeNs now_ns) {
  is_open_ = false;
  session_ = 0;
  last_end_ = end;
  last_end_ns_ = now_ns;
  return Act::restore;
}

const char* to_text(Confirm::End end) {
  switch (end) {
    case Confirm::End::none:
      return "none";
    case Confirm::End::committed:
      return "committed";
    case Confirm::End::rolled_back:
      return "rolled back";
    case Confirm::End::timed_out:
      return "reverted: no commit in time";
    case Confirm::End::disconnected:
      return "reverted: connection cut";
  }
  return "";
}

}  // namespace chaincast::node
