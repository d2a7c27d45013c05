// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <span>

#include "fanout/bundle.hpp"
#include "fanout/copy.hpp"
#include "fanout/outbox.hpp"
#include "fanout/stage.hpp"

// The parts of a Fanout; made once at start, used by one worker. Private to the module.
namespace chaincast::fanout {

struct Fanout::Impl {
  explicit Impl(const FanoutConfig& c)
      : config(c),
        bundler(c.payloads),
        copier(c.headers, c.payloads),
        outbox(c.worker, c.tx_inflight_max) {}

  void tell(std::span<Outgoing* const> copies, const Peer& peer, stage::Drop reason) const noexcept;
  // What the peers behind this one will need.
  void prefetch(const PeerSnapshot& peers, size_t at, bool is_priority) const noexcept;
  // All of the batch, if this peer gets all of it, without limits, by reference or alone; false: it
  // is to be asked for each.
  bool share_with(const Peer& peer, bool is_priority) noexcept;
  void copy_to(const Peer& peer, bool is_priority, std::span<Outgoing> datagrams, TimeNs now_ns,
               Losses& losses) noexcept;
  stage::Drop judge(const Outgoing& out, const Peer& peer, const Way* way) const noexcept;
  unsigned admit(const Peer& peer, const Way& way, bool is_priority, TimeNs now_ns,
                 std::span<Outgoing*> wanted, Losses& losses) noexcept;

  const FanoutConfig config;
  Bundler bundler;
  Batch batch;
  Copier copier;
  Outbox outbox;
  const stage::Burst* burst = nullptr;  // that is being processed
};

}  // namespace chaincast::fanout
