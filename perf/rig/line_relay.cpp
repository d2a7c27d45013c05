// SPDX-License-Identifier: BSD-3-Clause
#include "rig/line_relay.hpp"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/openssl/sha256.hpp"
#include "fanout/queue.hpp"
#include "support/checksum.hpp"
#include "wire/datagram.hpp"

namespace chaincast::bench {

namespace {

constexpr uint16_t udp_port = 7000;
constexpr uint32_t neighbours_first = 1000;  // peer numbers of those that send
constexpr unsigned block_datagrams = 64;  // of one neighbour before the next one's copies of them

std::unique_ptr<crypto::FrameEngine> make_engine() {
  auto made = crypto::ipsec_mb::make_engine(crypto::openssl::sha256);
  CC_ASSERT(made.ok());
  return std::move(made).value();
}

Endpoint endpoint(uint8_t third, unsigned number) {
  Endpoint out;
  out.address = {10, 0, third, static_cast<uint8_t>(number + 1)};
  out.port = udp_port;
  return out;
}

std::array<uint8_t, 16> lane_secret(unsigned number) {
  return {static_cast<uint8_t>(number), static_cast<uint8_t>(number >> 8), 0x5a};
}

// AES-128 of one block by libcrypto: the first word of it is the link check.
uint32_t reference_check(const std::array<uint8_t, 16>& key, const std::array<uint8_t, 16>& block) {
  std::array<uint8_t, 32> out{};
  int bytes = 0;
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, key.data(), nullptr);
  EVP_EncryptUpdate(context, out.data(), &bytes, block.data(), 16);
  EVP_CIPHER_CTX_free(context);
  return load_be32(out.data());
}

// RFC 768, before it is complemented. `addresses`: source and destination, IPv4.
uint32_t sum_of_pseudo_header(const uint8_t* addresses, size_t udp_bytes) {
  uint32_t sum = port::protocol_udp + static_cast<uint32_t>(udp_bytes);
  for (unsigned i = 0; i < 8; i += 2) sum += load_be16(addresses + i);
  return sum;
}

}  // namespace

LineRelay::LineRelay(const Cell& cell, const Pools& pools, const crypto::Toolbox& toolbox,
                     rcu::Reader& reader)
    : cell_(cell),
      pools_(pools),
      buffers_(cell.mtu_bytes > 1500 ? pools.jumbo : pools.received),
      reader_(reader),
      sealing_(make_engine()),
      device_(std::make_unique<Device>(
          DeviceConfig{"net_null0", buffers_, cell.mtu_bytes, endpoint(0, 0), cell.sink})),
      origin_(toolbox, *sealing_, cell.suite, cell.unit_bytes) {
  fanout::FanoutConfig fanout;
  fanout.headers = pools.headers;
  fanout.payloads = buffers_;
  line_ = std::make_unique<node::Line>(0, plane_, make_engine(), fanout);
  worker_ = std::make_unique<worker::Worker>("bench", *line_, worker::Idle::poll);
  auto plan = std::make_unique<node::ReceivePlan>();
  plan->queues = {{{&device_->port(), 0, {}, udp_port}}};
  plan->ticks = {{{&device_->port(), uint16_t{0}}}};
  plane_.receive.publish(std::move(plan), retirer_);
  for (unsigned i = 0; i < cell.offered; ++i) add_neighbour(i);
  add_peers();
  if (cell.has_stage_clock) add_clock();
  CC_ASSERT(plane_.streams.insert(origin_.stream(*sealing_)));
}

LineRelay::~LineRelay() {
  device_->drop_rest();
  worker_.reset();
  line_.reset();
  plane_.lookout.publish(nullptr, retirer_);
  plane_.peers.publish(nullptr, retirer_);
  plane_.receive.publish(nullptr, retirer_);
  retirer_.flush();
  device_.reset();
}

void LineRelay::add_neighbour(unsigned number) {
  Neighbour made;
  made.lane = std::make_unique<hop::RxLane>();
  made.lane->link_id = plane_.lanes.allocate(0x10203000u * (number + 1));
  made.lane->peer = neighbours_first + number;
  made.lane->lane = 1;
  made.lane->source = endpoint(1, number);
  made.lane->key = crypto::expand_link_key(lane_secret(neighbours_first + number));
  plane_.lanes.install(made.lane.get());
  port::HeaderFields fields;
  fields.destination_mac = device_->mac();
  fields.source_mac = {2, 0, 0, 0, 1, static_cast<uint8_t>(number)};
  fields.source = endpoint(1, number);
  fields.remote = endpoint(0, 0);
  made.way = port::make_destination(fields);
  neighbours_.push_back(std::move(made));
}

void LineRelay::add_peers() {
  auto snapshot = std::make_unique<fanout::PeerSnapshot>();
  for (uint32_t peer = 0; peer < cell_.fanout; ++peer) {
    snapshot->index_of.push_back(static_cast<int32_t>(peer));
    snapshot->peers.push_back(make_peer(peer));
  }
  plane_.peers.publish(std::move(snapshot), retirer_);
}

void LineRelay::add_clock() {
  clock_ = std::make_shared<StageClock>();
  auto lookout = std::make_unique<node::Lookout>();
  lookout->of_worker.push_back(std::make_unique<stage::Observers>());
  lookout->of_worker.back()->add(clock_);
  plane_.lookout.publish(std::move(lookout), retirer_);
}

std::vector<std::pair<std::string, uint64_t>> LineRelay::stages() const {
  std::vector<std::pair<std::string, uint64_t>> out;
  for (size_t i = 0; clock_ != nullptr && i < stage::point_count; ++i) {
    const auto point = static_cast<stage::Point>(i);
    out.emplace_back(stage::point_text(point), clock_->cycles(point));
  }
  return out;
}

// As Peering::make_peer, with headers that ARP would have found.
fanout::Peer LineRelay::make_peer(uint32_t number) const {
  const port::Capabilities capabilities = device_->port().capabilities();
  fanout::Peer out;
  out.peer = number;
  out.port = &device_->port();
  out.shared_segments = capabilities.shared_segments;
  out.checksum_offload = capabilities.udp_checksum;
  out.ipv4_checksum_offload = capabilities.ipv4_checksum;
  out.copybreak_bytes = capabilities.copybreak_bytes;
  out.datagram_bytes_max = cell_.datagram_bytes;
  for (unsigned lane = 0; lane < 2; ++lane) {
    port::HeaderFields fields;
    fields.source_mac = device_->mac();
    fields.destination_mac = {2, 0, 0, 0, 2, static_cast<uint8_t>(number)};
    fields.source = endpoint(0, 0);
    fields.remote = endpoint(2, number);
    out.destinations.push_back(port::make_destination(fields));
    auto made = std::make_shared<hop::TxLane>();
    made->link_id = 0x55000000u + number;
    made->key = crypto::expand_link_key(lane_secret(number));
    out.lanes.push_back(std::move(made));
  }
  out.tx_queues = fanout::assign_tx_queues(capabilities, 1);
  out.state = fanout::make_peer_state(number, 1);
  return out;
}

unsigned LineRelay::arrival_bytes() const {
  return static_cast<unsigned>(port::ethernet_bytes + port::ipv4_bytes + port::udp_bytes +
                               wire::hop_header_bytes) +
         cell_.bundle * origin_.frame_bytes();
}

rte_mbuf* LineRelay::stamp(Neighbour& from, const std::vector<uint8_t>& frames, unsigned count) {
  wire::HopHeader hop;
  hop.frame_count = static_cast<uint8_t>(count);
  hop.link_id = from.lane->link_id;
  hop.link_seq = static_cast<uint32_t>(++from.counter);
  uint32_t tag_xor = 0;
  for (unsigned i = 0; i < count; ++i) {
    tag_xor ^=
        wire::tag_words_xor(frames.data() + i * origin_.frame_bytes() + wire::frame_offset_tag);
  }
  const std::array<uint8_t, 16> block = hop::check_block(hop, from.counter, tag_xor);
  crypto::link_checks(from.lane->key, {&block, 1}, &hop.check);

  rte_mbuf* const mbuf = rte_pktmbuf_alloc(buffers_);
  CC_ASSERT(mbuf != nullptr);
  const size_t payload = wire::hop_header_bytes + frames.size();
  char* const room =
      rte_pktmbuf_append(mbuf, static_cast<uint16_t>(from.way.header_bytes + payload));
  CC_ASSERT(room != nullptr);
  auto* const at = reinterpret_cast<uint8_t*>(room);
  std::memcpy(at, from.way.header.data(), from.way.header_bytes);
  wire::store_hop_header(at + from.way.header_bytes, hop);
  std::memcpy(at + from.way.header_bytes + wire::hop_header_bytes, frames.data(), frames.size());
  const uint32_t sum = port::sum_bytes(at + from.way.header_bytes, payload);
  port::complete_headers(at, from.way, static_cast<uint16_t>(payload), sum, {});
  return mbuf;
}

void LineRelay::prepare(unsigned datagrams) {
  std::vector<rte_mbuf*> arrivals;
  arrivals.reserve(size_t{datagrams} * cell_.offered);
  std::vector<uint8_t> frames(size_t{cell_.bundle} * origin_.frame_bytes());
  std::vector<std::vector<rte_mbuf*>> block(cell_.offered);
  for (unsigned d = 0; d < datagrams; ++d) {
    for (unsigned i = 0; i < cell_.bundle; ++i) {
      origin_.seal_next(frames.data() + i * origin_.frame_bytes());
    }
    for (unsigned n = 0; n < cell_.offered; ++n) {
      block[n].push_back(stamp(neighbours_[n], frames, cell_.bundle));
    }
    if (block[0].size() < block_datagrams && d + 1 < datagrams) continue;
    for (auto& one : block) {
      arrivals.insert(arrivals.end(), one.begin(), one.end());
      one.clear();
    }
  }
  device_->offer(std::move(arrivals));
}

// worker::Worker::run without its thread: the caller's is one of EAL as well.
void LineRelay::run() {
  if (clock_ != nullptr) clock_->restart();
  const MonotonicClock clock;
  TimeNs now = clock.now_ns();
  for (;;) {
    const uint64_t ticks = worker_->counters().ticks.read();
    const unsigned moved = worker_->step(now);
    now = clock.now_ns();
    if (worker_->counters().ticks.read() != ticks) reader_.quiescent();
    if (moved == 0 && device_->is_over()) return;
  }
}

uint64_t LineRelay::copies() const {
  uint64_t total = 0;
  for (const fanout::Peer& peer : plane_.peers.read()->peers) {
    total += peer.state->queues[0]->frames.read();
  }
  return total;
}

std::string LineRelay::check_counters() const {
  const auto& counters = line_->counters();
  const uint64_t arrived = device_->received() * cell_.bundle;
  const uint64_t duplicates = line_->drops().read(stage::Drop::duplicate);
  std::string lost;
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<stage::Drop>(i);
    const uint64_t dropped = line_->drops().read(reason);
    if (dropped == 0 || reason == stage::Drop::duplicate) continue;
    lost += fmt::format(" {} {}", dropped, stage::drop_text(reason).name);
  }
  if (!lost.empty()) return fmt::format("of {} frames were dropped:{}", arrived, lost);
  if (counters.frames.read() != arrived || arrived != units() + duplicates) {
    return fmt::format("{} frames arrived, {} seen, {} kept, {} duplicates", arrived,
                       counters.frames.read(), units(), duplicates);
  }
  if (copies() != units() * cell_.fanout) {
    return fmt::format("{} frames kept, {} copies for {} peers", units(), copies(), cell_.fanout);
  }
  return "";
}

std::string LineRelay::check_sample(ByteSpan packet) const {
  const port::Headers headers = port::parse_headers(packet, {});
  if (headers.layer != port::Layer::udp) return "no UDP datagram";
  const unsigned peer = headers.destination.address[3] - 1u;
  if (headers.destination != endpoint(2, peer) || peer >= cell_.fanout) return "a foreign address";
  const ByteSpan udp = packet.subspan(headers.payload_offset - port::udp_bytes,
                                      headers.payload_bytes + port::udp_bytes);
  const uint32_t start = sum_of_pseudo_header(packet.data() + 26, udp.size());
  if (load_be16(udp.data() + 6) == 0 || test::naive_checksum(udp, start) != 0) {
    return fmt::format("peer {}: the UDP checksum fails", peer);
  }
  const ByteSpan datagram = packet.subspan(headers.payload_offset, headers.payload_bytes);
  if (wire::check_data_datagram(datagram) != wire::DatagramFault::none) return "malformed";
  const wire::HopHeader hop = wire::load_hop_header(datagram.data());
  const auto block = hop::check_block(hop, hop.link_seq, wire::datagram_tag_xor(datagram));
  if (hop.link_id != 0x55000000u + peer || hop.hops != 1 ||
      hop.check != reference_check(lane_secret(peer), block)) {
    return fmt::format("peer {}: the link check fails", peer);
  }
  wire::FrameWalker walker(datagram);
  wire::FrameView frame;
  while (walker.next(frame)) {
    if (std::string wrong = origin_.judge({frame.data, frame.bytes}); !wrong.empty()) return wrong;
  }
  return "";
}

std::string LineRelay::check() {
  if (std::string wrong = check_counters(); !wrong.empty()) return wrong;
  for (const Bytes& packet : device_->samples()) {
    if (std::string wrong = check_sample(packet); !wrong.empty()) return "a copy: " + wrong;
  }
  return device_->samples().empty() ? "no copy was sampled" : "";
}

}  // namespace chaincast::bench
