// SPDX-License-Identifier: BSD-3-Clause
#include "hop/stage.hpp"

#include "wire/datagram.hpp"

namespace chaincast::hop {
namespace {

using stage::Datagram;
using stage::Drop;

constexpr Drop keep = Drop::count_;

// What pass 1 found out about one datagram.
struct Verdict {
  Drop reason = keep;
  RxLane* lane = nullptr;  // null: a hello, or dropped before its lane was known
  uint64_t counter = 0;
};

// Blocks waiting for their checks; at most one per datagram.
struct Checks {
  std::array<const crypto::LinkKey*, stage::datagrams_max> keys;
  std::array<std::array<uint8_t, 16>, stage::datagrams_max> blocks;
  std::array<uint8_t, stage::datagrams_max> datagram;
  unsigned count = 0;
  bool one_key = true;
};

Drop drop_of(wire::DatagramFault fault) noexcept {
  switch (fault) {
    case wire::DatagramFault::none:
      return keep;
    case wire::DatagramFault::truncated:
      return Drop::truncated;
    case wire::DatagramFault::bad_version:
      return Drop::bad_version;
    case wire::DatagramFault::bad_count:
    case wire::DatagramFault::bad_hello:
      return Drop::bad_count;
    case wire::DatagramFault::too_many_hops:
      return Drop::too_many_hops;
    case wire::DatagramFault::trailing:
      return Drop::trailing;
    case wire::DatagramFault::oversized:
      return Drop::oversized;
  }
  return Drop::truncated;
}

// Frames or sealed message add up exactly; yields the fourth word of the check's block.
Drop measure(ByteSpan bytes, wire::DatagramType type, uint32_t& tag_xor) noexcept {
  if (type == wire::DatagramType::control) {
    const wire::SealedControl sealed = wire::read_sealed_control(bytes);
    tag_xor = sealed.tag_xor;
    return drop_of(sealed.fault);
  }
  wire::FrameWalker walker(bytes);
  wire::FrameView frame;
  tag_xor = 0;
  while (walker.next(frame)) tag_xor ^= wire::tag_words_xor(frame.data + wire::frame_offset_tag);
  return drop_of(walker.fault());
}

Drop judge_replay(RxLane& lane, uint64_t counter) noexcept {
  switch (lane.replay.judge(counter)) {
    case ReplayWindow::Verdict::fresh:
      return keep;
    case ReplayWindow::Verdict::replayed:
      lane.replayed.add();
      return Drop::replayed;
    case ReplayWindow::Verdict::too_old:
      lane.replayed.add();
      return Drop::too_old;
  }
  return Drop::too_old;
}

// The headers of frames behind the first: each says where the next one is, so that without this
// every one of them would be waited for. Mostly all have the length of the first. Inline by force:
// GCC 12 takes a function that does nothing else for one without effect, and calls of it away.
[[gnu::always_inline]] inline void prefetch_frames(const Datagram& datagram) noexcept {
  constexpr unsigned with_headers = 64;  // is here already
  const unsigned count = datagram.data[2];
  if (datagram.bytes <= with_headers || count < 2) return;
  const uint8_t* const first = datagram.data + wire::hop_header_bytes;
  const unsigned stride = static_cast<unsigned>(wire::frame_header_bytes) +
                          load_be16(first + wire::frame_offset_payload_bytes);
  const uint8_t* const end = datagram.data + datagram.bytes;
  const uint8_t* at = first + stride;
  for (unsigned i = 1; i < count && at + wire::frame_header_bytes <= end; ++i, at += stride) {
    __builtin_prefetch(at);
    __builtin_prefetch(at + wire::frame_header_bytes - 1);
  }
}

// All that can be said without the key, cheapest first. Queues the block of the check.
Verdict admit(const Datagram& datagram, unsigned index, const LaneTable& lanes,
              Checks& checks) noexcept {
  Verdict out;
  const ByteSpan bytes(datagram.data, datagram.bytes);
  const wire::DatagramHead head = wire::read_head(bytes);
  out.reason = drop_of(head.fault);
  if (out.reason != keep) return out;
  if (head.hop.hops > wire::hops_max) {
    out.reason = Drop::too_many_hops;
    return out;
  }
  if (head.type == wire::DatagramType::hello) {
    out.reason = drop_of(wire::read_hello(bytes).fault);
    return out;
  }
  RxLane* lane = lanes.find(head.hop.link_id);
  if (lane == nullptr) {
    out.reason = Drop::unknown_link;
    return out;
  }
  if (datagram.source != lane->source) {
    lane->bad_source.add();
    out.reason = Drop::bad_source;
    return out;
  }
  out.lane = lane;
  out.counter = lane->replay.extend(head.hop.link_seq);
  out.reason = judge_replay(*lane, out.counter);
  if (out.reason != keep) return out;
  uint32_t tag_xor = 0;
  out.reason = measure(bytes, head.type, tag_xor);
  if (out.reason != keep || lane->check_off) return out;
  const unsigned at = checks.count++;
  checks.keys[at] = &lane->key;
  checks.blocks[at] = check_block(head.hop, out.counter, tag_xor);
  checks.datagram[at] = static_cast<uint8_t>(index);
  checks.one_key = checks.one_key && checks.keys[at] == checks.keys[0];
  return out;
}

void compare_checks(const stage::Burst& burst, const Checks& checks, Verdict* verdicts) noexcept {
  std::array<uint32_t, stage::datagrams_max> expected;
  const std::span blocks(checks.blocks.data(), checks.count);
  if (checks.one_key && checks.count > 0) {
    crypto::link_checks(*checks.keys[0], blocks, expected.data());
  } else {
    crypto::link_checks_mixed({checks.keys.data(), checks.count}, blocks, expected.data());
  }
  for (unsigned i = 0; i < checks.count; ++i) {
    const unsigned index = checks.datagram[i];
    if (load_be32(burst.datagrams[index].data + 12) == expected[i]) continue;
    verdicts[index].lane->bad_check.add();
    verdicts[index].reason = Drop::bad_check;
  }
}

// The first write to the lane's state. Judged again: two copies may stand in one burst.
Drop accept(RxLane& lane, uint64_t counter, uint16_t bytes, TimeNs now_ns) noexcept {
  const Drop reason = judge_replay(lane, counter);
  if (reason != keep) return reason;
  const uint64_t highest = lane.replay.highest();
  // Modulo 2^64: a late arrival takes back the loss that its gap was counted as.
  lane.lost.add(counter > highest ? counter - highest - 1 : ~uint64_t{0});
  lane.replay.accept(counter);
  lane.datagrams.add();
  lane.bytes.add(bytes);
  lane.last_heard_ns.store(now_ns, std::memory_order_relaxed);
  return keep;
}

// Frames only: control has its own bound, and a flooded link must still hear keepalives and
// goodbyes.
bool affords(const RxLane& lane, uint16_t bytes, TimeNs now_ns) noexcept {
  using Class = rate::Bucket::Class;
  if (lane.budget == nullptr) return true;
  return lane.budget->take(bytes, lane.lane == 0 ? Class::priority : Class::bulk, now_ns);
}

}  // namespace

void process(stage::Burst& burst, const LaneTable& lanes, ControlSink& control) noexcept {
  std::array<Verdict, stage::datagrams_max> verdicts;
  Checks checks;
  if (burst.datagram_count > 1) prefetch_frames(burst.datagrams[1]);
  for (unsigned i = 0; i < burst.datagram_count; ++i) {
    if (i + 2 < burst.datagram_count) prefetch_frames(burst.datagrams[i + 2]);
    verdicts[i] = admit(burst.datagrams[i], i, lanes, checks);
  }
  compare_checks(burst, checks, verdicts.data());

  unsigned next = 0;
  burst.filter_datagrams([&](Datagram& datagram) noexcept {
    Verdict& verdict = verdicts[next++];
    if (verdict.reason != keep) return verdict.reason;
    if (verdict.lane == nullptr) {
      return control.take(datagram, nullptr) ? stage::handed_over : Drop::hello_limit;
    }
    const Drop reason = accept(*verdict.lane, verdict.counter, datagram.bytes, burst.now_ns);
    if (reason != keep) return reason;
    datagram.peer = verdict.lane->peer;
    datagram.frame_count = datagram.data[2];
    datagram.hops = datagram.data[3];
    if (datagram.frame_count > 0) {
      return affords(*verdict.lane, datagram.bytes, burst.now_ns) ? keep : Drop::link_budget;
    }
    return control.take(datagram, verdict.lane) ? stage::handed_over : Drop::control_full;
  });
}

}  // namespace chaincast::hop
