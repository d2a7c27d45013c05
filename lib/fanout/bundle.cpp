// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/bundle.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/assert.hpp"
#include "base/checksum.hpp"
#include "fanout/stamp.hpp"
#include "wire/frame.hpp"

namespace chaincast::fanout {

namespace {

constexpr unsigned frames_per_datagram_max = 255;

unsigned copy_capacity(const rte_mempool* pool) noexcept {
  CC_ASSERT(pool != nullptr);
  const unsigned room = rte_pktmbuf_data_room_size(const_cast<rte_mempool*>(pool));
  CC_ASSERT(room > RTE_PKTMBUF_HEADROOM);
  return room - RTE_PKTMBUF_HEADROOM;
}

}  // namespace

Outgoing adopt(rte_mbuf* mbuf) noexcept {
  CC_ASSERT(mbuf->nb_segs == 1);
  CC_ASSERT(mbuf->data_len >= wire::hop_header_bytes);
  const auto hop = wire::load_hop_header(rte_pktmbuf_mtod(mbuf, const uint8_t*));
  Outgoing out;
  out.payload = mbuf;
  out.bytes = mbuf->data_len;
  out.frames = hop.frame_count;
  out.hop_word = first_hop_word(hop.flags, hop.frame_count, hop.hops);
  out.granted = 1;
  const bool is_ours = rte_mbuf_refcnt_read(mbuf) == 1 && RTE_MBUF_DIRECT(mbuf);
  rte_pktmbuf_adj(mbuf, wire::hop_header_bytes);
  out.frames_data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  out.room = is_ours ? mbuf->data_off : uint16_t{0};
  return out;
}

void add_sum(Outgoing& datagram) noexcept {
  datagram.sum =
      internet_sum(datagram.frames_data, datagram.bytes - size_t{wire::hop_header_bytes});
  datagram.has_sum = true;
}

void settle(Outgoing& datagram) noexcept {
  if (datagram.payload == nullptr || datagram.used == datagram.granted) return;
  const auto unused = static_cast<int16_t>(datagram.granted - datagram.used);
  if (rte_mbuf_refcnt_update(datagram.payload, static_cast<int16_t>(-unused)) == 0) {
    rte_mbuf_refcnt_set(datagram.payload, 1);
    rte_pktmbuf_free(datagram.payload);
  }
  datagram.payload = nullptr;
}

// Two smallest limits are enough where a group excludes at most one peer, its source.
struct Bundler::Audience {
  unsigned receivers = 0;
  unsigned sharing = 0;  // of these, on ports that take chained buffers
  unsigned bytes_max = 0;

  Audience(const PeerSnapshot& peers, const Survey& survey, uint32_t source) noexcept
      : receivers(static_cast<unsigned>(peers.peers.size())),
        sharing(survey.sharing),
        bytes_max(survey.smallest) {
    if (source >= peers.index_of.size() || peers.index_of[source] < 0) return;
    const auto at = static_cast<size_t>(peers.index_of[source]);
    --receivers;
    sharing -= peers.peers[at].shared_segments ? 1u : 0u;
    if (at == survey.smallest_at) bytes_max = survey.second;
  }

  // Of a group whose stream some peers refused.
  Audience(const PeerSnapshot& peers, const stream::PeerSet& refused_by, uint32_t source) noexcept
      : bytes_max(~0u) {
    for (const Peer& peer : peers.peers) {
      if (peer.peer == source || refused_by.contains(peer.peer)) continue;
      ++receivers;
      sharing += peer.shared_segments ? 1u : 0u;
      bytes_max = std::min<unsigned>(bytes_max, peer.datagram_bytes_max);
    }
  }
};

// Of a datagram, from those of its frames.
class Bundler::Sums {
 public:
  explicit Sums(bool are_known) noexcept : are_known_(are_known) {}
  void add(const stage::Frame& frame, unsigned offset) noexcept {
    are_known_ = are_known_ && frame.sum != stage::no_sum;
    sum_ += offset % 2 == 0 ? frame.sum : internet_sum_at_odd(frame.sum);
  }
  bool are_known() const noexcept { return are_known_; }
  uint32_t folded() const noexcept { return fold_internet_sum(sum_); }

 private:
  bool are_known_;
  uint64_t sum_ = 0;
};

struct Bundler::Run {
  unsigned count = 0;
  unsigned bytes = 0;
  bool is_whole = false;  // all kept frames of a datagram, adjacent, in a buffer of our own
};

Bundler::Bundler(rte_mempool* payloads) noexcept
    : payloads_(payloads), copy_bytes_max_(copy_capacity(payloads)) {}

Bundler::Survey Bundler::survey(const PeerSnapshot& peers) noexcept {
  Survey s;
  for (size_t i = 0; i < peers.peers.size(); ++i) {
    const Peer& peer = peers.peers[i];
    s.sharing += peer.shared_segments ? 1u : 0u;
    s.needs_sums = s.needs_sums || peer.needs_sums;
    if (peer.datagram_bytes_max < s.smallest) {
      s.second = s.smallest;
      s.smallest = peer.datagram_bytes_max;
      s.smallest_at = i;
    } else {
      s.second = std::min<unsigned>(s.second, peer.datagram_bytes_max);
    }
  }
  return s;
}

void Bundler::pack(const stage::Burst& burst, const PeerSnapshot& peers) noexcept {
  CC_ASSERT(has_room());
  CC_ASSERT(burst.frame_count <= stage::frames_max);
  if (packed_[0].count + packed_[1].count == 0) survey_ = survey(peers);
  look_up_refusals(burst);
  survey_datagrams(burst);
  const unsigned groups = sort_frames(burst);
  for (unsigned g = 0; g < groups; ++g) {
    const Group& group = groups_[g];
    const Audience audience = group.refused_by == nullptr
                                  ? Audience(peers, survey_, group.source)
                                  : Audience(peers, *group.refused_by, group.source);
    if (audience.receivers > 0) pack_group(burst, group, audience);
  }
}

// Once for frames of one stream that follow each other: control may publish another set while the
// burst is packed.
void Bundler::look_up_refusals(const stage::Burst& burst) noexcept {
  any_refusal_ = false;
  const stream::Stream* previous = nullptr;
  const stream::PeerSet* refused_by = nullptr;
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    const stream::Stream* const stream = burst.frames[i].stream;
    if (stream != previous) {
      refused_by = stream == nullptr ? nullptr : stream->refused_by.read();
      previous = stream;
      any_refusal_ = any_refusal_ || refused_by != nullptr;
    }
    refusals_[i] = refused_by;
  }
}

void Bundler::settle_all() noexcept {
  for (Packed& of_class : packed_) {
    for (unsigned i = 0; i < of_class.count; ++i) settle(of_class.datagrams[i]);
    of_class.count = 0;
  }
}

void Bundler::survey_datagrams(const stage::Burst& burst) noexcept {
  std::fill_n(kept_.begin(), burst.datagram_count, Kept{});
  unsigned previous = stage::datagrams_max;
  is_one_class_ = true;
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    const stage::Frame& frame = burst.frames[i];
    CC_ASSERT(frame.datagram < burst.datagram_count);
    is_one_class_ = is_one_class_ && frame.is_priority == burst.frames[0].is_priority;
    Kept& kept = kept_[frame.datagram];
    if (kept.count == 0) {
      kept.is_priority = frame.is_priority;
      kept.refused_by = refusals_[i];
    } else {
      kept.is_adjacent = kept.is_adjacent && frame.bytes == kept.end;
      kept.is_one_run = kept.is_one_run && frame.datagram == previous &&
                        frame.is_priority == kept.is_priority && refusals_[i] == kept.refused_by;
    }
    kept.end = frame.bytes + frame.length;
    kept.bytes += frame.length;
    ++kept.count;
    previous = frame.datagram;
  }
}

// Counting sort by (class, source), stable, so that a group's frames keep their order. Mostly there
// is one of each.
unsigned Bundler::sort_frames(const stage::Burst& burst) noexcept {
  // What has come as far as it may is kept apart, or it would take its bundle with it.
  const auto key_of_datagram = [&](unsigned d) {
    const stage::Datagram& datagram = burst.datagrams[d];
    const uint64_t exhausted = datagram.hops >= wire::hops_max ? 1 : 0;
    return exhausted << 32 | datagram.peer;
  };
  std::array<uint64_t, stage::datagrams_max> sources;
  std::array<uint8_t, stage::datagrams_max> source_of;
  unsigned source_count = 0;
  for (unsigned d = 0; d < burst.datagram_count; ++d) {
    const uint64_t key = key_of_datagram(d);
    unsigned s = d > 0 && sources[source_of[d - 1]] == key ? source_of[d - 1] : 0;
    while (s < source_count && sources[s] != key) ++s;
    if (s == source_count) sources[source_count++] = key;
    source_of[d] = static_cast<uint8_t>(s);
  }
  if (source_count == 1 && is_one_class_) {
    for (unsigned i = 0; i < burst.frame_count; ++i) order_[i] = static_cast<uint8_t>(i);
    groups_[0] = {static_cast<uint32_t>(sources[0]),
                  burst.frames[0].is_priority,
                  nullptr,
                  {order_.data(), burst.frame_count}};
    return any_refusal_ ? split_by_refusals(groups_[0], 0) : 1;
  }
  std::array<uint16_t, keys_max + 1> start{};
  const auto key_of = [&](const stage::Frame& frame) {
    return (frame.is_priority ? 0 : source_count) + source_of[frame.datagram];
  };
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    const stage::Frame& frame = burst.frames[i];
    ++start[key_of(frame) + 1];
  }
  const unsigned keys = 2 * source_count;
  for (unsigned k = 0; k < keys; ++k) start[k + 1] = static_cast<uint16_t>(start[k + 1] + start[k]);
  std::array<uint16_t, keys_max + 1> next = start;
  for (unsigned i = 0; i < burst.frame_count; ++i) {
    order_[next[key_of(burst.frames[i])]++] = static_cast<uint8_t>(i);
  }
  unsigned groups = 0;
  for (unsigned k = 0; k < keys; ++k) {
    if (start[k + 1] == start[k]) continue;
    groups_[groups++] = {static_cast<uint32_t>(sources[k % source_count]),
                         k < source_count,
                         nullptr,
                         {order_.data() + start[k], size_t{start[k + 1]} - start[k]}};
    if (any_refusal_) groups = split_by_refusals(groups_[groups - 1], groups - 1);
  }
  return groups;
}

// The group's frames, stable, with one group per set from place `groups` on. A set is one stream's,
// so that there are as many passes as streams that were refused.
unsigned Bundler::split_by_refusals(Group group, unsigned groups) noexcept {
  uint8_t* const begin = order_.data() + (group.frames.data() - order_.data());
  uint8_t* const end = begin + group.frames.size();
  std::array<uint8_t, stage::frames_max> others;
  for (uint8_t* at = begin; at < end;) {
    const stream::PeerSet* const wanted = refusals_[*at];
    uint8_t* kept = at;
    unsigned other_count = 0;
    for (const uint8_t* from = at; from < end; ++from) {
      if (refusals_[*from] == wanted) {
        *kept++ = *from;
      } else {
        others[other_count++] = *from;
      }
    }
    std::copy_n(others.begin(), other_count, kept);
    group.refused_by = wanted;
    group.frames = {at, static_cast<size_t>(kept - at)};
    groups_[groups++] = group;
    at = kept;
  }
  return groups;
}

// Inline: GCC 12 returns a Run by way of memory, in parts that a load of all has to wait for.
[[gnu::always_inline]] inline Bundler::Run Bundler::run_at(
    const stage::Burst& burst, std::span<const uint8_t> frames) const noexcept {
  const uint8_t datagram = burst.frames[frames[0]].datagram;
  const Kept& kept = kept_[datagram];
  Run run;
  if (kept.is_one_run && kept.count <= frames.size() &&
      burst.frames[frames[0]].bytes + kept.bytes == kept.end) {
    const rte_mbuf* const mbuf = burst.datagrams[datagram].mbuf;
    run.count = kept.count;
    run.bytes = kept.bytes;
    run.is_whole = kept.is_adjacent && run.count <= frames_per_datagram_max && mbuf->nb_segs == 1 &&
                   rte_mbuf_refcnt_read(mbuf) == 1;
    return run;
  }
  for (const uint8_t index : frames) {
    const stage::Frame& frame = burst.frames[index];
    if (frame.datagram != datagram) break;
    run.bytes += frame.length;
    ++run.count;
  }
  return run;
}

void Bundler::pack_group(const stage::Burst& burst, const Group& group,
                         const Audience& audience) noexcept {
  const std::span<const uint8_t> frames = group.frames;
  const auto length = [&](size_t i) -> unsigned { return burst.frames[frames[i]].length; };
  size_t open = 0;  // frames [open, i) are collected, not yet emitted
  unsigned open_bytes = wire::hop_header_bytes;
  const auto fits = [&](size_t i, unsigned bytes, unsigned count) {
    return open_bytes + bytes <= audience.bytes_max && i - open + count <= frames_per_datagram_max;
  };
  const auto close = [&](size_t i) {
    if (i > open) emit(burst, audience, frames.subspan(open, i - open));
    open = i;
    open_bytes = wire::hop_header_bytes;
  };
  for (size_t i = 0; i < frames.size();) {
    const Run run = run_at(burst, frames.subspan(i));
    const size_t end = i + run.count;
    if (fits(i, run.bytes, run.count)) {
      open_bytes += run.bytes;
      i = end;
      continue;
    }
    const unsigned whole_bytes = run.bytes + static_cast<unsigned>(wire::hop_header_bytes);
    const bool is_full = end == frames.size() || whole_bytes + length(end) > audience.bytes_max;
    if (run.is_whole && is_full && (whole_bytes <= audience.bytes_max || run.count == 1)) {
      close(i);
      open_bytes = whole_bytes;
      i = end;
      continue;
    }
    for (; i < end; ++i) {
      if (!fits(i, length(i), 1)) close(i);
      open_bytes += length(i);
    }
  }
  close(frames.size());
}

void Bundler::emit(const stage::Burst& burst, const Audience& audience,
                   std::span<const uint8_t> frames) noexcept {
  const stage::Frame& first = burst.frames[frames[0]];
  Packed& of_class = packed_[first.is_priority ? 1 : 0];
  CC_ASSERT(of_class.count < of_class.datagrams.size());
  // In place: an assignment would be loads of what has just been stored in parts.
  Outgoing& out = *std::construct_at(&of_class.datagrams[of_class.count++]);
  unsigned bytes = wire::hop_header_bytes;
  unsigned hops = 0;
  Sums sums{burst.wants_sums};
  for (const uint8_t index : frames) {
    const stage::Frame& frame = burst.frames[index];
    sums.add(frame, bytes);
    bytes += frame.length;
    hops = std::max<unsigned>(hops, burst.datagrams[frame.datagram].hops);
    out.tag_xor ^= wire::tag_words_xor(frame.bytes + wire::frame_offset_tag);
  }
  out.indices = frames.data();
  out.source = burst.datagrams[first.datagram].peer;
  out.refused_by = refusals_[frames[0]];
  out.bytes = static_cast<uint16_t>(bytes);
  out.frames = static_cast<uint16_t>(frames.size());
  out.hop_word =
      first_hop_word(0, static_cast<uint8_t>(frames.size()), static_cast<uint8_t>(hops + 1));
  if (hops >= wire::hops_max) {
    out.drop = stage::Drop::too_many_hops;
    return;
  }
  const Run run = run_at(burst, frames);
  if (run.is_whole && run.count == frames.size()) {
    share(burst, out, audience, first);
  } else {
    copy(burst, out, audience, frames);
  }
  if (!survey_.needs_sums || out.drop != stage::Drop::count_) return;
  if (sums.are_known()) {
    out.sum = sums.folded();
    out.has_sum = true;
  } else {
    add_sum(out);
  }
}

void Bundler::share(const stage::Burst& burst, Outgoing& out, const Audience& audience,
                    const stage::Frame& first) noexcept {
  rte_mbuf* const mbuf = burst.datagrams[first.datagram].mbuf;
  const auto frames_bytes = static_cast<uint16_t>(out.bytes - wire::hop_header_bytes);
  const auto* const buffer = static_cast<const uint8_t*>(mbuf->buf_addr);
  CC_ASSERT(first.bytes >= buffer && first.bytes + frames_bytes <= buffer + mbuf->buf_len);
  mbuf->data_off = static_cast<uint16_t>(first.bytes - buffer);
  mbuf->data_len = frames_bytes;
  mbuf->pkt_len = frames_bytes;
  out.payload = mbuf;
  out.frames_data = first.bytes;
  out.is_received = true;
  const bool may_prepend = audience.receivers == 1 && RTE_MBUF_DIRECT(mbuf);
  out.room = may_prepend ? mbuf->data_off : uint16_t{0};
  out.granted = static_cast<uint16_t>(may_prepend ? 1 : audience.sharing);
  if (out.granted > 0) rte_mbuf_refcnt_update(mbuf, static_cast<int16_t>(out.granted));
}

void Bundler::copy(const stage::Burst& burst, Outgoing& out, const Audience& audience,
                   std::span<const uint8_t> frames) noexcept {
  const unsigned frames_bytes = out.bytes - static_cast<unsigned>(wire::hop_header_bytes);
  rte_mbuf* const mbuf = frames_bytes <= copy_bytes_max_ ? rte_pktmbuf_alloc(payloads_) : nullptr;
  if (mbuf == nullptr) {
    out.drop = stage::Drop::no_mbuf;
    return;
  }
  auto* at = rte_pktmbuf_mtod(mbuf, uint8_t*);
  out.frames_data = at;
  for (const uint8_t index : frames) {
    const stage::Frame& frame = burst.frames[index];
    std::memcpy(at, frame.bytes, frame.length);
    at += frame.length;
  }
  mbuf->data_len = static_cast<uint16_t>(frames_bytes);
  mbuf->pkt_len = frames_bytes;
  out.payload = mbuf;
  out.room = audience.receivers == 1 ? mbuf->data_off : uint16_t{0};
  // Linear copies read the payload while shared ones may already have been sent and freed.
  const unsigned readers = audience.receivers > audience.sharing ? 1 : 0;
  out.granted = static_cast<uint16_t>(audience.receivers == 1 ? 1 : audience.sharing + readers);
  if (out.granted > 1) rte_mbuf_refcnt_set(mbuf, out.granted);
}

}  // namespace chaincast::fanout
