// SPDX-License-Identifier: BSD-3-Clause
#include "node/line.hpp"

#include "stream/stage.hpp"
#include "wire/frame.hpp"

namespace chaincast::node {

namespace {

// Control is never more than this many commands behind a burst of traffic, and never holds the
// line for longer than a burst.
constexpr unsigned commands_per_turn_max = 64;

void passed(const stage::Burst& burst, stage::Point point) noexcept {
  if (burst.observer() != nullptr) [[unlikely]]
    burst.observer()->passed(burst, point);
}

}  // namespace

Line::Line(unsigned index, Plane& plane, std::unique_ptr<crypto::FrameEngine> engine,
           const fanout::FanoutConfig& fanout)
    : index_(index),
      plane_(plane),
      mailboxes_(*plane.mailboxes[index]),
      engine_(std::move(engine)),
      verify_(*engine_),
      fanout_(fanout) {}

// The product in one function.
void Line::run_stages(const fanout::PeerSnapshot& peers) noexcept {
  using stage::Point;
  hop::process(burst_, plane_.lanes, *this);
  passed(burst_, Point::hop);
  counters_.datagrams.add(burst_.datagram_count);
  for (unsigned i = 0; i < burst_.datagram_count; ++i) {
    counters_.hops_max.raise_to(burst_.datagrams[i].hops);
  }
  classify::Cursor cursor;
  while (classify::process(burst_, cursor, plane_.streams)) {
    counters_.frames.add(burst_.frame_count);
    passed(burst_, Point::classify);
    const bool is_voting = plane_.is_voting.load(std::memory_order_relaxed);
    if (is_voting) [[unlikely]]
      stream::mark_origin_arrivals(burst_);
    stream::probe(burst_);
    passed(burst_, Point::probe);
    verify_.process(burst_);
    passed(burst_, Point::verify);
    stream::commit(burst_);
    if (is_voting) [[unlikely]]
      stream::mark_origin_commits(burst_);
    passed(burst_, Point::commit);
    counters_.frames_kept.add(burst_.frame_count);
    fanout_.pack(burst_, peers);
    passed(burst_, Point::fanout);
  }
  fanout_.fan_out(burst_, peers);
  burst_.release();
}

// Once a turn: an observer sees whole turns or none.
void Line::observe(const Lookout* lookout) noexcept {
  observer_ = lookout == nullptr ? nullptr : lookout->of_worker[index_].get();
  burst_.observe(observer_);
  own_.observe(observer_);
  fanout_.observe(observer_);
}

void Line::arrived() noexcept {
  if (observer_ == nullptr || burst_.datagram_count == 0) [[likely]]
    return;
  for (unsigned i = 0; i < burst_.datagram_count; ++i) {
    burst_.datagrams[i].arrival = static_cast<uint8_t>(i);
  }
  observer_->arrived(burst_);
}

unsigned Line::poll(TimeNs now_ns) noexcept {
  if (const Lookout* lookout = plane_.lookout.read(); lookout != nullptr || observer_ != nullptr)
      [[unlikely]] {
    observe(lookout);
  }
  now_ns_ = now_ns;
  burst_.now_ns = now_ns;
  burst_.wants_sums = fanout_.wants_sums();
  const fanout::PeerSnapshot* published = plane_.peers.read();
  const fanout::PeerSnapshot& peers = published != nullptr ? *published : no_peers_;
  unsigned moved = run_commands(peers);
  if (const ReceivePlan* plan = plane_.receive.read(); plan != nullptr) {
    for (const ReceiveQueue& rx : plan->queues[index_]) {
      moved += receive(rx);
      if (burst_.datagram_count > 0) run_stages(peers);
    }
  }
  moved += receive_handed_over();
  if (burst_.datagram_count > 0) run_stages(peers);
  moved += fanout_.transmit(peers, drops_);
  if (observer_ != nullptr) [[unlikely]]
    observer_->turned();
  return moved;
}

unsigned Line::receive(const ReceiveQueue& rx) noexcept {
  const unsigned count =
      rx.port->receive(rx.queue, burst_.datagrams.data(), stage::datagrams_max, drops_);
  burst_.datagram_count = count;
  arrived();
  if (!plane_.is_forwarding.load(std::memory_order_relaxed)) {
    // `stop`: links stay up (control datagrams pass), frames are not touched.
    burst_.filter_datagrams([](const stage::Datagram& d) {
      const bool is_control = d.bytes >= wire::hop_header_bytes && d.data[2] == 0;
      return is_control ? stage::Drop::count_ : stage::Drop::stopped;
    });
  }
  if (!rx.worker_of.empty()) hand_over(rx);
  return count;
}

// Without rules any queue may receive any lane; each replay window must still have one reader.
void Line::hand_over(const ReceiveQueue& rx) noexcept {
  burst_.filter_datagrams([&](stage::Datagram& d) {
    const unsigned lane = static_cast<unsigned>(d.local_port - rx.udp_port);
    const unsigned owner = lane < rx.worker_of.size() ? rx.worker_of[lane] : index_;
    if (owner == index_) return stage::Drop::count_;
    rte_mbuf_refcnt_update(d.mbuf, 1);
    if (plane_.mailboxes[owner]->handover[index_]->push(stage::Datagram{d})) {
      counters_.handed_over.add();
      if (observer_ != nullptr) observer_->handed_over(burst_, d);
      return stage::handed_over;
    }
    rte_mbuf_refcnt_update(d.mbuf, -1);
    return stage::Drop::handover_full;
  });
}

unsigned Line::receive_handed_over() noexcept {
  unsigned count = 0;
  for (const auto& ring : mailboxes_.handover) {
    if (ring == nullptr) continue;
    while (count < stage::datagrams_max && ring->pop(burst_.datagrams[count])) ++count;
  }
  burst_.datagram_count = count;
  arrived();
  return count;
}

bool Line::take(const stage::Datagram& datagram, const hop::RxLane* lane) noexcept {
  counters_.control_datagrams.add();
  rte_mbuf_refcnt_update(datagram.mbuf, 1);
  ControlDatagram item{datagram.mbuf,
                       datagram.data,
                       datagram.bytes,
                       datagram.port_id,
                       lane != nullptr ? lane->peer : stage::no_peer,
                       datagram.source};
  if (mailboxes_.control.push(std::move(item))) return true;
  rte_mbuf_refcnt_update(datagram.mbuf, -1);
  return false;
}

unsigned Line::run_commands(const fanout::PeerSnapshot& peers) noexcept {
  Command command;
  unsigned count = 0;
  while (count < commands_per_turn_max && mailboxes_.commands.pop(command)) {
    ++count;
    if (command.kind == Command::Kind::own) {
      add_own(command);
    } else {
      flush_own(peers);
      run_command(command, peers);
    }
    command.state.reset();
  }
  flush_own(peers);
  if (count > 0) {
    mailboxes_.commands_done.store(mailboxes_.commands_done.load(std::memory_order_relaxed) + count,
                                   std::memory_order_release);
  }
  return count;
}

void Line::run_command(Command& command, const fanout::PeerSnapshot& peers) noexcept {
  switch (command.kind) {
    case Command::Kind::sealed:
    case Command::Kind::resend:
      fanout_.send_one(peers, command.peer, command.mbuf, command.tag_xor, now_ns_, drops_);
      return;
    case Command::Kind::raw:
      fanout_.send_raw(*command.port, command.capabilities, command.to, command.mbuf, drops_);
      return;
    case Command::Kind::drain:
      fanout_.drain(*command.state, drops_);
      return;
    case Command::Kind::own:
    case Command::Kind::none:
      return;
  }
}

// A frame of this node's own origin joins a burst behind verify: control has just sealed it.
void Line::add_own(const Command& command) noexcept {
  stage::Datagram& datagram = own_.datagrams[own_.datagram_count];
  datagram = {};
  datagram.mbuf = command.mbuf;
  datagram.data = rte_pktmbuf_mtod(command.mbuf, const uint8_t*);
  datagram.bytes = rte_pktmbuf_data_len(command.mbuf);
  datagram.frame_count = 1;
  datagram.frames_kept = 1;
  stage::Frame& frame = own_.frames[own_.frame_count];
  frame.stream = plane_.streams.find(command.stream);
  if (frame.stream == nullptr) {
    own_.count(stage::Drop::unknown_stream);
    rte_pktmbuf_free(command.mbuf);
    return;
  }
  frame.bytes = datagram.data + wire::hop_header_bytes;
  frame.length = static_cast<uint16_t>(datagram.bytes - wire::hop_header_bytes);
  frame.datagram = static_cast<uint8_t>(own_.datagram_count);
  frame.kind = frame.bytes[wire::frame_offset_kind];
  frame.suite = frame.bytes[wire::frame_offset_suite];
  frame.is_conflict = false;
  frame.is_priority = frame.stream->is_priority;
  frame.epoch = load_be32(frame.bytes + wire::frame_offset_epoch);
  frame.tag48 = wire::tag48(frame.bytes + wire::frame_offset_tag);
  frame.seq = load_be64(frame.bytes + wire::frame_offset_seq);
  frame.digest = command.digest;
  ++own_.datagram_count;
  ++own_.frame_count;
}

void Line::flush_own(const fanout::PeerSnapshot& peers) noexcept {
  if (own_.datagram_count == 0) return;
  own_.now_ns = now_ns_;
  own_.wants_sums = fanout_.wants_sums();
  stream::commit(own_);
  if (plane_.is_voting.load(std::memory_order_relaxed)) [[unlikely]]
    stream::mark_origin_commits(own_);
  passed(own_, stage::Point::commit);
  counters_.frames_own.add(own_.frame_count);
  fanout_.process(own_, peers);
  passed(own_, stage::Point::fanout);
  own_.release();
}

void Line::tick(TimeNs now_ns) noexcept {
  const ReceivePlan* plan = plane_.receive.read();
  if (plan == nullptr) return;
  for (const auto& [port, queue] : plan->ticks[index_]) port->tick(queue, now_ns);
}

}  // namespace chaincast::node
