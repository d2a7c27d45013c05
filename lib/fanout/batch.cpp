// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/batch.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace chaincast::fanout {

void gather(Outgoing& datagram, Stamps& stamps, unsigned place, bool needs_sum) noexcept {
  stamps.bytes[place] = datagram.bytes;
  stamps.hop_words[place] = datagram.hop_word;
  stamps.tag_xors[place] = __builtin_bswap32(datagram.tag_xor);
  if (needs_sum && !datagram.has_sum) add_sum(datagram);
  stamps.sums[place] = datagram.sum;
}

void Batch::take(std::span<Outgoing> datagrams) noexcept {
  CC_ASSERT(datagrams.size() <= max);
  count_ = static_cast<unsigned>(datagrams.size());
  totals_ = {};
  source_count_ = 0;
  is_alike_ = false;
  is_single_ = false;
  room_min_ = 0xffff;
  unsigned single = 0;
  has_sums_ = true;
  bytes_min_ = 0xffff;
  bytes_max_ = 0;
  for (unsigned i = 0; i < count_; ++i) {
    Outgoing& out = datagrams[i];
    if (out.drop != stage::Drop::count_ || out.refused_by != nullptr) return;
    if (out.granted == 0 || !note_source(out.source)) return;
    single += out.room > 0 ? 1 : 0;
    room_min_ = std::min(room_min_, out.room);
    all_[i] = &out;
    payloads_[i] = out.payload;
    totals_.add(out.frames, out.bytes);
    bytes_min_ = std::min(bytes_min_, out.bytes);
    bytes_max_ = std::max(bytes_max_, out.bytes);
    gather(out, stamps_, i, false);
    has_sums_ = has_sums_ && out.has_sum;
  }
  is_alike_ = single == 0;
  is_single_ = single == count_;
}

// False: too many.
bool Batch::note_source(uint32_t source) noexcept {
  const auto end = sources_.begin() + source_count_;
  if (std::find(sources_.begin(), end, source) != end) return true;
  if (source_count_ == sources_.size()) return false;
  sources_[source_count_++] = source;
  return true;
}

bool Batch::fits(const Peer& peer) const noexcept {
  const auto end = sources_.begin() + source_count_;
  return bytes_max_ <= peer.datagram_bytes_max &&
         std::find(sources_.begin(), end, peer.peer) == end;
}

bool Batch::is_shared_by(const Peer& peer) const noexcept {
  return is_alike_ && peer.shared_segments && bytes_min_ > peer.copybreak_bytes && fits(peer);
}

bool Batch::is_prepended_for(const Peer& peer, unsigned reach_bytes) const noexcept {
  return is_single_ && shared_ == 0 && room_min_ >= reach_bytes && fits(peer);
}

Stamps& Batch::stamps(bool needs_sums) noexcept {
  if (needs_sums && !has_sums_) {
    for (unsigned i = 0; i < count_; ++i) gather(*all_[i], stamps_, i, true);
    has_sums_ = true;
  }
  return stamps_;
}

void Batch::settle() noexcept {
  if (shared_ == 0) return;
  for (unsigned i = 0; i < count_; ++i) {
    Outgoing& out = *all_[i];
    out.used = static_cast<uint16_t>(out.used + shared_);
    CC_ASSERT(out.used <= out.granted);
  }
  shared_ = 0;
}

}  // namespace chaincast::fanout
