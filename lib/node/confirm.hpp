// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "base/result.hpp"

// A confirmed change: what is changed while it is open is taken back unless `commit` comes in time.
// A pure machine; whoever owns it keeps the checkpoint and restores it where `restore` is returned.
// Control thread.
namespace chaincast::node {

class Confirm {
 public:
  // How the last one ended.
  enum class End : uint8_t { none, committed, rolled_back, timed_out, disconnected };
  enum class Act : uint8_t { nothing, checkpoint, restore };

  // Opens one: the owner takes a checkpoint. One that is open already goes on until `wait_ns` from
  // now, with its old checkpoint. `session` is the connection that has to stay; 0: none has to.
  Act begin(TimeNs now_ns, TimeNs wait_ns, uint64_t session);
  // Fails where none is open, or where its time is over (the next tick restores).
  Status commit(TimeNs now_ns);
  // Restores where one is open, else fails.
  Result<Act> rollback(TimeNs now_ns);
  // A connection was cut, or closed.
  Act on_closed(uint64_t session, TimeNs now_ns);
  Act tick(TimeNs now_ns);

  bool is_open() const { return is_open_; }
  // time_never where none is open.
  TimeNs deadline_ns() const { return is_open_ ? deadline_ns_ : time_never; }
  uint64_t session() const { return session_; }
  End last_end() const { return last_end_; }
  TimeNs last_end_ns() const { return last_end_ns_; }

 private:
  Act close(End end, TimeNs now_ns);

  bool is_open_ = false;
  TimeNs deadline_ns_ = 0;
  uint64_t session_ = 0;
  End last_end_ = End::none;
  TimeNs last_end_ns_ = 0;
};

const char* to_text(Confirm::End end);

}  // namespace chaincast::node
