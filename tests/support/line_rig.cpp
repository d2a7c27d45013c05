// SPDX-License-Identifier: BSD-3-Clause
#include "support/line_rig.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/openssl/sha256.hpp"
#include "support/mbufs.hpp"
#include "wire/datagram.hpp"

namespace chaincast::test {

unsigned RigPort::receive(unsigned queue, stage::Datagram* out, unsigned max,
                          stage::Burst::Drops&) noexcept {
  unsigned count = 0;
  Arrival arrival;
  while (count < max) {
    if (fill) {
      if (!fill(queue, arrival)) break;
    } else {
      if (waiting_[queue].empty()) break;
      arrival = std::move(waiting_[queue].front());
      waiting_[queue].pop_front();
    }
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pools[queue]);
    CC_ASSERT(mbuf != nullptr);
    char* data = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(arrival.bytes.size()));
    CC_ASSERT(data != nullptr);
    std::ranges::copy(arrival.bytes, data);
    stage::Datagram& datagram = out[count++];
    datagram = {};
    datagram.mbuf = mbuf;
    datagram.data = reinterpret_cast<const uint8_t*>(data);
    datagram.bytes = static_cast<uint16_t>(arrival.bytes.size());
    datagram.local_port = arrival.local_port;
    datagram.source = arrival.source;
  }
  return count;
}

unsigned RigPort::transmit(unsigned queue, const port::Destination& to, rte_mbuf** packets,
                           unsigned count) noexcept {
  const unsigned taken = std::min(count, room);
  if (room != ~0u) room -= taken;
  for (unsigned i = 0; i < taken; ++i) {
    Bytes bytes = bytes_of(packets[i]);
    CC_ASSERT(bytes.size() == packets[i]->pkt_len);
    if (take) {
      take(queue, to, bytes);
    } else {
      sent.emplace_back(to.remote.port, std::move(bytes));
    }
    rte_pktmbuf_free(packets[i]);
  }
  return taken;
}

Bytes RigStream::next_frame(crypto::FrameEngine& engine, ByteSpan payload) {
  Bytes frame(wire::frame_header_bytes + payload.size());
  wire::FrameHeader header;
  header.payload_bytes = static_cast<uint16_t>(payload.size());
  header.kind = wire::kind_first | wire::kind_last;
  header.suite = static_cast<uint8_t>(descriptor.descriptor.suite);
  header.stream = descriptor.id;
  header.seq = next_seq++;
  header.link = link;
  wire::store_frame_header(frame.data(), header);
  std::copy(payload.begin(), payload.end(), frame.begin() + wire::frame_header_bytes);
  const Digest digest = engine.seal(*key, frame.data(), static_cast<uint16_t>(frame.size()));
  std::copy_n(digest.begin(), link.size(), link.begin());
  return frame;
}

std::unique_ptr<crypto::FrameEngine> LineRig::make_engine() const {
  if (!config_.use_ipsec_mb) return toolbox->reference_engine();
  auto made = crypto::ipsec_mb::make_engine(crypto::openssl::sha256);
  CC_ASSERT(made.ok());
  return std::move(made).value();
}

LineRig::LineRig(const RigConfig& config)
    : plane(config.workers), port(config.workers), config_(config) {
  engine = make_engine();
  auto plan = std::make_unique<node::ReceivePlan>();
  plan->queues.resize(config.workers);
  plan->ticks.resize(config.workers);
  for (unsigned w = 0; w < config.workers; ++w) {
    // Pools of their own: no buffer crosses from one worker to another.
    rte_mempool* received = make_pool(config.pool_packets);
    rte_mempool* headers = make_pool(config.pool_packets, 256);
    rte_mempool* payloads = make_pool(config.pool_packets);
    pools_.insert(pools_.end(), {received, headers, payloads});
    port.pools.push_back(received);
    fanout::FanoutConfig fanout;
    fanout.worker = w;
    fanout.headers = headers;
    fanout.payloads = payloads;
    lines.push_back(std::make_unique<node::Line>(w, plane, make_engine(), fanout));
    plan->queues[w].push_back({&port, static_cast<uint16_t>(w), {}, base_port});
  }
  plane.receive.publish(std::move(plan), retirer);
  for (uint32_t peer = 0; peer < config.neighbours; ++peer) add_lanes(peer);
  auto snapshot = std::make_unique<fanout::PeerSnapshot>();
  for (uint32_t peer : config.receivers) {
    if (snapshot->index_of.size() <= peer) snapshot->index_of.resize(peer + 1, -1);
    snapshot->index_of[peer] = static_cast<int32_t>(snapshot->peers.size());
    snapshot->peers.push_back(make_receiver(peer));
  }
  plane.peers.publish(std::move(snapshot), retirer);
}

LineRig::~LineRig() {
  take_control();
  for (auto& line : lines) line.reset();
  plane.peers.publish(nullptr, retirer);
  plane.receive.publish(nullptr, retirer);
  retirer.flush();
  EXPECT_EQ(mbufs_out(), 0u) << "mbufs are missing";
  for (rte_mempool* pool : pools_) rte_mempool_free(pool);
}

void LineRig::add_lanes(uint32_t peer) {
  auto& lanes = rx_lanes_.emplace_back();
  counters_.emplace_back(config_.workers + 1, 0);
  for (unsigned l = 0; l <= config_.workers; ++l) {
    auto lane = std::make_unique<hop::RxLane>();
    lane->link_id = plane.lanes.allocate(0x10203000u * (peer + 1) + (l << 16));
    lane->peer = peer;
    lane->lane = static_cast<uint8_t>(l);
    lane->check_off = config_.check_off;
    lane->source.address = {192, 0, 2, static_cast<uint8_t>(peer + 1)};
    lane->source.port = static_cast<uint16_t>(base_port + (l == 0 ? 0 : l - 1));
    std::array<uint8_t, 16> secret{};
    secret[0] = static_cast<uint8_t>(peer + 1);
    secret[1] = static_cast<uint8_t>(l);
    lane->key = crypto::expand_link_key(secret);
    plane.lanes.install(lane.get());
    lanes.push_back(std::move(lane));
  }
}

fanout::Peer LineRig::make_receiver(uint32_t peer) {
  fanout::Peer made;
  made.peer = peer;
  made.port = &port;
  made.shared_segments = true;
  made.datagram_bytes_max = 1472;
  for (unsigned l = 0; l <= config_.workers; ++l) {
    port::Destination to;
    to.remote.address = {192, 0, 2, static_cast<uint8_t>(peer + 1)};
    to.remote.port = static_cast<uint16_t>(base_port + 100 * (peer + 1) + l);
    to.local_port = base_port;
    auto lane = std::make_shared<hop::TxLane>();
    lane->link_id = 0x55000 + l;
    lane->key = crypto::expand_link_key({9});
    made.add_way(to, std::move(lane), static_cast<uint16_t>(l == 0 ? 0 : l - 1));
  }
  made.state = fanout::make_peer_state(peer, config_.workers);
  return made;
}

RigStream& LineRig::add_stream(const std::string& name, wire::Suite suite,
                               const std::function<void(wire::Descriptor&)>& edit,
                               uint64_t signed_lead_max) {
  wire::Descriptor d;
  d.network.fill(7);
  d.resource = name;
  d.suite = suite;
  d.suite_class = wire::suite_class_of(suite).value();
  d.payload_bytes_max = 1160;
  d.rate_frames_per_s = 1'000'000;
  d.window_log2 = 10;
  if (edit) edit(d);
  auto made = std::make_unique<RigStream>();
  auto signed_one = stream::sign_descriptor(d, *toolbox, *signer);
  CC_ASSERT(signed_one.ok());
  made->descriptor = *signed_one;
  std::copy_n(made->descriptor.digest.begin(), made->link.size(), made->link.begin());
  const crypto::StreamSecrets secrets = crypto::secrets_from_configured(*toolbox, Secret{2});
  const auto make_key = [&] {
    auto key = stream::make_frame_key(made->descriptor, 0, secrets, *toolbox, *engine);
    CC_ASSERT(key.ok());
    return std::move(key).value();
  };
  made->key = make_key();
  auto shared = std::make_shared<stream::Stream>();
  shared->descriptor = made->descriptor.descriptor;
  shared->descriptor_digest = made->descriptor.digest;
  shared->id = made->descriptor.id;
  shared->name = name;
  shared->frame_bytes_max =
      static_cast<uint16_t>(shared->descriptor.payload_bytes_max + wire::frame_header_bytes);
  dedup::WindowConfig window = stream::window_config(shared->descriptor);
  window.signed_lead_max = signed_lead_max;
  shared->window = std::move(dedup::Window::create(window).value());
  shared->window->anchor(0, made->descriptor.digest);
  shared->keys_owned[0] = make_key();
  shared->keys[0].key.store(shared->keys_owned[0].get(), std::memory_order_release);
  CC_ASSERT(plane.streams.insert(shared));
  made->stream = std::move(shared);
  streams.push_back(std::move(made));
  return *streams.back();
}

const Endpoint& LineRig::source_of(uint32_t peer, unsigned lane) const {
  return rx_lanes_.at(peer).at(lane)->source;
}

Bytes LineRig::stamp_raw(uint32_t peer, unsigned lane, ByteSpan body, wire::HopHeader hop,
                         uint32_t tag_xor) {
  const hop::RxLane& to = rx_lane(peer, lane);
  const uint64_t counter = ++counters_[peer][lane];
  hop.link_id = to.link_id;
  hop.link_seq = static_cast<uint32_t>(counter);
  if (!to.check_off) {
    const std::array<uint8_t, 16> block = hop::check_block(hop, counter, tag_xor);
    crypto::link_checks(to.key, {&block, 1}, &hop.check);
  }
  Bytes out(wire::hop_header_bytes + body.size());
  wire::store_hop_header(out.data(), hop);
  std::copy(body.begin(), body.end(), out.begin() + wire::hop_header_bytes);
  return out;
}

Bytes LineRig::stamp(uint32_t peer, unsigned lane, const std::vector<Bytes>& frames, uint8_t hops) {
  Bytes body;
  uint32_t tag_xor = 0;
  for (const Bytes& frame : frames) {
    tag_xor ^= wire::tag_words_xor(frame.data() + wire::frame_offset_tag);
    body.insert(body.end(), frame.begin(), frame.end());
  }
  wire::HopHeader hop;
  hop.frame_count = static_cast<uint8_t>(frames.size());
  hop.hops = hops;
  return stamp_raw(peer, lane, body, hop, tag_xor);
}

void LineRig::put(uint32_t peer, unsigned lane, Bytes datagram) {
  const unsigned queue = lane == 0 ? 0 : lane - 1;
  port.put(queue,
           {std::move(datagram), source_of(peer, lane), static_cast<uint16_t>(base_port + queue)});
}

void LineRig::put(const Endpoint& source, Bytes datagram) {
  port.put(0, {std::move(datagram), source, base_port});
}

void LineRig::turn() {
  now_ns += ns_per_ms;
  for (auto& line : lines) {
    line->poll(now_ns);
    line->tick(now_ns);
  }
}

uint64_t LineRig::dropped(stage::Drop reason) const {
  uint64_t total = 0;
  for (const auto& line : lines) total += line->drops().read(reason);
  return total;
}

uint64_t LineRig::dropped_total() const {
  uint64_t total = 0;
  for (size_t i = 0; i < stage::drop_count; ++i) total += dropped(static_cast<stage::Drop>(i));
  return total;
}

std::vector<Bytes> LineRig::take_frames(uint32_t peer) {
  std::vector<Bytes> frames;
  std::erase_if(port.sent, [&](const auto& sent) {
    if ((sent.first - base_port) / 100u != peer + 1) return false;
    for (Bytes& frame : frames_of(sent.second)) frames.push_back(std::move(frame));
    return true;
  });
  return frames;
}

unsigned LineRig::take_control() {
  unsigned count = 0;
  node::ControlDatagram datagram;
  for (auto& mailbox : plane.mailboxes) {
    for (; mailbox->control.pop(datagram); ++count) rte_pktmbuf_free(datagram.mbuf);
  }
  return count;
}

size_t LineRig::mbufs_out() const {
  size_t out = 0;
  for (rte_mempool* pool : pools_) out += pool->size - rte_mempool_avail_count(pool);
  return out;
}

std::vector<Bytes> frames_of(ByteSpan datagram) {
  std::vector<Bytes> frames;
  wire::FrameWalker walker(datagram);
  wire::FrameView view;
  while (walker.next(view)) frames.emplace_back(view.data, view.data + view.bytes);
  EXPECT_EQ(walker.fault(), wire::DatagramFault::none);
  return frames;
}

}  // namespace chaincast::test
