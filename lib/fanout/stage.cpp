// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/stage.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "fanout/impl.hpp"
#include "wire/frame.hpp"

namespace chaincast::fanout {

using stage::Drop;

namespace {

unsigned copies_of(const Outgoing& out) noexcept {
  return out.frames == 0 ? 1 : out.frames;
}

uint32_t ip_bytes(const Outgoing& out, const port::Destination& to) noexcept {
  return out.bytes + 8u + (to.remote.is_ipv6 ? 40u : 20u);
}

}  // namespace

// The observer, if any, of copies of the burst's frames.
void Fanout::Impl::tell(std::span<Outgoing* const> copies, const Peer& peer,
                        Drop reason) const noexcept {
  stage::Observer* const observer = outbox.observer();
  if (observer == nullptr || burst == nullptr) [[likely]]
    return;
  for (const Outgoing* out : copies) {
    observer->copied(*burst, {out->indices, out->frames}, peer.peer, reason);
  }
}

// Why this peer cannot have this datagram, or Drop::count_.
Drop Fanout::Impl::judge(const Outgoing& out, const Peer& peer, const Way* way) const noexcept {
  if (way == nullptr) return Drop::tx_failed;
  if (out.drop != Drop::count_) return out.drop;
  // A control message may be larger: that is how a path is probed.
  if (out.bytes > peer.datagram_bytes_max && out.frames > 0) return Drop::too_big;
  return copier.is_possible(out, peer) ? Drop::count_ : Drop::no_mbuf;
}

// Place in the queue, then tokens, so that what finds no place has cost none. Returns how many of
// `wanted` go on, moved to its front.
unsigned Fanout::Impl::admit(const Peer& peer, const Way& way, bool is_priority, TimeNs now_ns,
                             std::span<Outgoing*> wanted, Losses& losses) noexcept {
  PeerQueue& queue = outbox.queue_of(peer);
  size_t count = wanted.size();
  for (const size_t room = queue.ring(is_priority).room(); count > room; --count) {
    losses.add(queue, Drop::queue_full, copies_of(*wanted[count - 1]));
    tell({&wanted[count - 1], 1}, peer, Drop::queue_full);
  }
  rate::Bucket& bucket = peer.state->bucket;
  if (bucket.rate_bytes_per_s() == 0) return static_cast<unsigned>(count);
  const auto traffic = is_priority ? rate::Bucket::Class::priority : rate::Bucket::Class::bulk;
  unsigned kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (bucket.take(ip_bytes(*wanted[i], way.to), traffic, now_ns)) {
      wanted[kept++] = wanted[i];
    } else {
      losses.add(queue, Drop::rate, copies_of(*wanted[i]));
      tell({&wanted[i], 1}, peer, Drop::rate);
    }
  }
  return kept;
}

void Fanout::Impl::prefetch(const PeerSnapshot& peers, size_t at, bool is_priority) const noexcept {
  const size_t left = peers.peers.size() - at;
  if (left > 2) outbox.prefetch_way(peers.peers[at + 2], is_priority);
  if (left > 1) outbox.prefetch_lane(peers.peers[at + 1], is_priority);
}

bool Fanout::Impl::share_with(const Peer& peer, bool is_priority) noexcept {
  const Way* const way = outbox.way_of(peer, is_priority);
  const std::span<Outgoing* const> all = batch.all();
  if (way == nullptr) return false;
  const bool is_prepended = batch.is_prepended_for(peer, way->plan.reach_bytes());
  if (!is_prepended && !batch.is_shared_by(peer)) return false;
  if (peer.state->bucket.rate_bytes_per_s() != 0) return false;
  if (outbox.queue_of(peer).ring(is_priority).room() < all.size()) return false;
  std::array<rte_mbuf*, Batch::max> packets;
  if (is_prepended) {
    copier.prepend_all(*way, batch, packets.data());
  } else if (!copier.make_all(*way, batch, packets.data())) {
    return false;
  }
  tell(all, peer, Drop::count_);
  outbox.send(peer, *way, is_priority, all, packets.data(), batch.totals());
  return true;
}

void Fanout::Impl::copy_to(const Peer& peer, bool is_priority, std::span<Outgoing> datagrams,
                           TimeNs now_ns, Losses& losses) noexcept {
  PeerQueue& queue = outbox.queue_of(peer);
  const Way* const way = outbox.way_of(peer, is_priority);
  for (size_t next = 0; next < datagrams.size();) {
    std::array<Outgoing*, Copier::batch_max> wanted;
    unsigned count = 0;
    for (; next < datagrams.size() && count < wanted.size(); ++next) {
      Outgoing& out = datagrams[next];
      if (out.source == peer.peer) continue;
      if (out.refused_by != nullptr && out.refused_by->contains(peer.peer)) continue;
      const Drop reason = judge(out, peer, way);
      if (reason == Drop::count_) {
        wanted[count++] = &out;
      } else {
        losses.add(queue, reason, copies_of(out));
        Outgoing* const lost = &out;
        tell({&lost, 1}, peer, reason);
      }
    }
    if (count > 0) count = admit(peer, *way, is_priority, now_ns, {wanted.data(), count}, losses);
    if (count == 0) continue;
    std::array<rte_mbuf*, Copier::batch_max> packets;
    const unsigned made = copier.make(peer, *way, {wanted.data(), count}, packets.data());
    for (unsigned i = made; i < count; ++i) {
      losses.add(queue, Drop::no_mbuf, copies_of(*wanted[i]));
    }
    tell({wanted.data(), made}, peer, Drop::count_);
    tell({wanted.data() + made, count - made}, peer, Drop::no_mbuf);
    PacketTotals totals;
    for (unsigned i = 0; i < made; ++i) totals.add(wanted[i]->frames, wanted[i]->bytes);
    outbox.send(peer, *way, is_priority, {wanted.data(), made}, packets.data(), totals);
  }
}

void Fanout::pack(stage::Burst& burst, const PeerSnapshot& peers) noexcept {
  if (burst.frame_count == 0 || peers.peers.empty()) return;
  CC_ASSERT(peers.peers.size() <= Outbox::peers_max);
  Losses losses;
  const std::array<rte_mempool*, 2> pools = {impl_->config.headers, impl_->config.payloads};
  impl_->outbox.relieve(burst, pools, losses);
  losses.report([&](Drop reason, uint64_t copies) { burst.count(reason, copies); });
  impl_->bundler.pack(burst, peers);
  // An observer is told of frames, which are gone once others are packed.
  if (impl_->outbox.observer() != nullptr || !impl_->bundler.has_room()) fan_out(burst, peers);
}

bool Fanout::wants_sums() const noexcept {
  return impl_->bundler.needs_sums();
}

void Fanout::fan_out(stage::Burst& burst, const PeerSnapshot& peers) noexcept {
  Impl& impl = *impl_;
  impl.burst = &burst;
  impl.outbox.set_now(burst.now_ns);
  Losses losses;
  for (const bool is_priority : {true, false}) {
    std::span<Outgoing> left = impl.bundler.packed(is_priority);
    while (!left.empty()) {
      const std::span<Outgoing> datagrams = left.first(std::min<size_t>(left.size(), Batch::max));
      left = left.subspan(datagrams.size());
      impl.batch.take(datagrams);
      for (size_t p = 0; p < peers.peers.size(); ++p) {
        impl.prefetch(peers, p, is_priority);
        const Peer& peer = peers.peers[p];
        if (impl.share_with(peer, is_priority)) continue;
        impl.batch.settle();
        impl.copy_to(peer, is_priority, datagrams, burst.now_ns, losses);
      }
      impl.batch.settle();
    }
  }
  impl.bundler.settle_all();
  impl.burst = nullptr;
  losses.report([&](Drop reason, uint64_t copies) { burst.count(reason, copies); });
}

bool Fanout::send_one(const PeerSnapshot& peers, uint32_t peer, rte_mbuf* datagram,
                      uint32_t tag_xor, TimeNs now_ns, stage::Burst::Drops& drops) noexcept {
  CC_ASSERT(impl_->config.worker == 0);
  impl_->outbox.set_now(now_ns);
  Outgoing out = adopt(datagram);
  out.tag_xor = tag_xor;
  Losses losses;
  const int32_t index = peer < peers.index_of.size() ? peers.index_of[peer] : -1;
  if (index < 0) {
    losses.add(Drop::peer_gone, copies_of(out));
  } else {
    impl_->copy_to(peers.peers[static_cast<size_t>(index)], true, {&out, 1}, now_ns, losses);
  }
  settle(out);
  losses.report([&](Drop reason, uint64_t copies) { drops.add(reason, copies); });
  return !losses.any();
}

bool Fanout::send_raw(port::Port& port, const port::Capabilities& capabilities,
                      const port::Destination& to, rte_mbuf* datagram,
                      stage::Burst::Drops& drops) noexcept {
  CC_ASSERT(impl_->config.worker == 0);
  rte_mbuf* const packet =
      impl_->copier.complete(to, capabilities.udp_checksum, capabilities.ipv4_checksum, datagram);
  if (packet == nullptr) {
    drops.add(Drop::no_mbuf);
    return false;
  }
  if (impl_->outbox.send_past(port, to, packet)) return true;
  rte_pktmbuf_free(packet);
  drops.add(Drop::tx_failed);
  return false;
}

unsigned Fanout::transmit(const PeerSnapshot& peers, stage::Burst::Drops& drops) noexcept {
  Losses losses;
  const unsigned sent = impl_->outbox.transmit(peers, losses);
  losses.report([&](Drop reason, uint64_t copies) { drops.add(reason, copies); });
  return sent;
}

void Fanout::drain(PeerState& state, stage::Burst::Drops& drops) noexcept {
  Losses losses;
  impl_->outbox.drain(state, losses);
  losses.report([&](Drop reason, uint64_t copies) { drops.add(reason, copies); });
}

}  // namespace chaincast::fanout
