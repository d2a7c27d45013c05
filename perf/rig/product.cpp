// SPDX-License-Identifier: BSD-3-Clause
#include "rig/product.hpp"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "crypto/ipsec_mb/engine.hpp"
#include "crypto/openssl/sha256.hpp"
#include "fanout/queue.hpp"
#include "port/headers.hpp"
#include "rig/null_engine.hpp"
#include "support/checksum.hpp"
#include "wire/datagram.hpp"

namespace chaincast::bench {

namespace {

constexpr uint32_t neighbours_first = 2000;  // peer numbers of those that send
constexpr uint32_t peer_links_first = 0x55000000u;

std::array<uint8_t, 16> lane_secret(unsigned number, unsigned lane) {
  return {static_cast<uint8_t>(number), static_cast<uint8_t>(number >> 8),
          static_cast<uint8_t>(lane), 0x5a};
}

uint32_t peer_link(uint32_t peer, unsigned lane) {
  return peer_links_first + (peer << 8) + lane;
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

Endpoint bench_endpoint(uint8_t group, unsigned number) {
  Endpoint out;
  out.address = {10, group, static_cast<uint8_t>((number + 1) >> 8),
                 static_cast<uint8_t>(number + 1)};
  out.port = udp_port;
  return out;
}

std::unique_ptr<crypto::FrameEngine> make_frame_engine(bool is_plain) {
  if (is_plain) return std::make_unique<NullEngine>();
  auto made = crypto::ipsec_mb::make_engine(crypto::openssl::sha256);
  CC_ASSERT(made.ok());
  return std::move(made).value();
}

Product::Product(const ProductConfig& config, rte_mempool* headers, rte_mempool* payloads)
    : config_(config), plane_(config.workers) {
  fanout::FanoutConfig fanout;
  fanout.headers = headers;
  fanout.payloads = payloads;
  auto plan = std::make_unique<node::ReceivePlan>();
  for (unsigned w = 0; w < config.workers; ++w) {
    fanout.worker = w;
    lines_.push_back(
        std::make_unique<node::Line>(w, plane_, make_frame_engine(config.is_plain), fanout));
    workers_.push_back(std::make_unique<worker::Worker>("bench", *lines_[w], worker::Idle::poll));
    plan->queues.push_back({{config.rx[w], 0, {}, udp_port}});
    plan->ticks.push_back({{config.tx, static_cast<uint16_t>(w)}});
    if (config.tx != config.rx[w]) plan->ticks.back().emplace_back(config.rx[w], uint16_t{0});
  }
  plane_.receive.publish(std::move(plan), retirer_);
  for (unsigned i = 0; i < config.neighbours; ++i) add_neighbour(i);
  set_fanout(config.fanout);
}

Product::~Product() {
  workers_.clear();
  lines_.clear();
  plane_.lookout.publish(nullptr, retirer_);
  plane_.peers.publish(nullptr, retirer_);
  plane_.receive.publish(nullptr, retirer_);
  retirer_.flush();
}

void Product::add_stream(std::shared_ptr<stream::Stream> stream) {
  CC_ASSERT(plane_.streams.insert(std::move(stream)));
}

void Product::add_neighbour(unsigned number) {
  std::vector<Way>& ways = ways_.emplace_back();
  for (unsigned w = 0; w < config_.workers; ++w) {
    Way way;
    way.lane = std::make_unique<hop::RxLane>();
    way.lane->link_id = plane_.lanes.allocate(0x10203000u * (number + 1));
    way.lane->peer = neighbours_first + number;
    way.lane->lane = static_cast<uint8_t>(1 + w);
    way.lane->source = bench_endpoint(1, number);
    way.lane->key = crypto::expand_link_key(lane_secret(neighbours_first + number, w));
    plane_.lanes.install(way.lane.get());
    port::HeaderFields fields;
    fields.destination_mac = config_.rx_macs[w];
    fields.source_mac = {2, 0, 0, 0, 1, static_cast<uint8_t>(number)};
    fields.source = bench_endpoint(1, number);
    fields.remote = config_.own;
    way.to = port::make_destination(fields);
    ways.push_back(std::move(way));
  }
}

Endpoint Product::peer_endpoint(uint32_t number) const {
  if (!config_.has_peer_ports) return bench_endpoint(2, number);
  Endpoint out = config_.peers_first;
  out.port = static_cast<uint16_t>(out.port + number);
  return out;
}

void Product::set_fanout(unsigned fanout) {
  auto snapshot = std::make_unique<fanout::PeerSnapshot>();
  if (const fanout::PeerSnapshot* old = plane_.peers.read(); old != nullptr) {
    const auto kept = static_cast<ptrdiff_t>(std::min<size_t>(fanout, old->peers.size()));
    snapshot->peers.assign(old->peers.begin(), old->peers.begin() + kept);
    gone_.insert(gone_.end(), old->peers.begin() + kept, old->peers.end());
  }
  for (uint32_t peer = 0; peer < fanout; ++peer) {
    snapshot->index_of.push_back(static_cast<int32_t>(peer));
    if (peer >= snapshot->peers.size()) snapshot->peers.push_back(make_peer(peer));
  }
  plane_.peers.publish(std::move(snapshot), retirer_);
}

// As Peering::make_peer, with headers that ARP would have found.
fanout::Peer Product::make_peer(uint32_t number) {
  const port::Capabilities capabilities = config_.tx->capabilities();
  fanout::Peer out;
  out.peer = number;
  out.port = config_.tx;
  out.shared_segments = capabilities.shared_segments;
  out.checksum_offload = capabilities.udp_checksum;
  out.ipv4_checksum_offload = capabilities.ipv4_checksum;
  out.copybreak_bytes = capabilities.copybreak_bytes;
  out.send_pool = capabilities.send_pool;
  out.datagram_bytes_max = config_.datagram_bytes;
  const std::vector<uint16_t> queues = fanout::assign_tx_queues(capabilities, config_.workers);
  for (unsigned lane = 0; lane < 1 + config_.workers; ++lane) {
    port::Destination to;
    if (config_.has_peer_ports) {
      auto made = config_.tx->destination(peer_endpoint(number), config_.own.port);
      CC_ASSERT(made.ok());
      to = std::move(made).value();
    } else {
      port::HeaderFields fields;
      fields.source_mac = config_.tx_mac;
      fields.destination_mac = {
          2, 0, 0, 2, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)};
      fields.source = config_.own;
      fields.remote = peer_endpoint(number);
      to = port::make_destination(fields);
    }
    auto made = std::make_shared<hop::TxLane>();
    made->link_id = peer_link(number, lane);
    made->key = crypto::expand_link_key(lane_secret(number, lane));
    out.add_way(to, std::move(made), queues[lane]);
  }
  out.state = fanout::make_peer_state(number, config_.workers);
  return out;
}

rte_mbuf* Product::stamp(unsigned neighbour, unsigned worker, std::span<const uint8_t> frames,
                         unsigned count, rte_mempool* pool) {
  Way& from = ways_[neighbour][worker];
  wire::HopHeader hop;
  hop.frame_count = static_cast<uint8_t>(count);
  hop.link_id = from.lane->link_id;
  hop.link_seq = static_cast<uint32_t>(++from.counter);
  uint32_t tag_xor = 0;
  for (size_t at = 0; at < frames.size();
       at += wire::frame_header_bytes + load_be16(frames.data() + at)) {
    tag_xor ^= wire::tag_words_xor(frames.data() + at + wire::frame_offset_tag);
  }
  const std::array<uint8_t, 16> block = hop::check_block(hop, from.counter, tag_xor);
  crypto::link_checks(from.lane->key, {&block, 1}, &hop.check);

  rte_mbuf* const mbuf = rte_pktmbuf_alloc(pool);
  CC_ASSERT(mbuf != nullptr);
  const size_t payload = wire::hop_header_bytes + frames.size();
  char* const room =
      rte_pktmbuf_append(mbuf, static_cast<uint16_t>(from.to.header_bytes + payload));
  CC_ASSERT(room != nullptr);
  auto* const at = reinterpret_cast<uint8_t*>(room);
  std::memcpy(at, from.to.header.data(), from.to.header_bytes);
  wire::store_hop_header(at + from.to.header_bytes, hop);
  std::memcpy(at + from.to.header_bytes + wire::hop_header_bytes, frames.data(), frames.size());
  const uint32_t sum = port::sum_bytes(at + from.to.header_bytes, payload);
  port::complete_headers(at, from.to, static_cast<uint16_t>(payload), sum, {});
  return mbuf;
}

uint64_t Product::frames() const {
  uint64_t total = 0;
  for (const auto& line : lines_) total += line->counters().frames.read();
  return total;
}

uint64_t Product::kept() const {
  uint64_t total = 0;
  for (const auto& line : lines_) total += line->counters().frames_kept.read();
  return total;
}

uint64_t Product::copies() const {
  uint64_t total = 0;
  for (const fanout::Peer& peer : plane_.peers.read()->peers) {
    for (unsigned w = 0; w < config_.workers; ++w) total += peer.state->queues[w]->frames.read();
  }
  return total;
}

uint64_t Product::dropped(stage::Drop reason) const {
  uint64_t total = 0;
  for (const auto& line : lines_) total += line->drops().read(reason);
  return total;
}

std::string Product::losses(std::span<const stage::Drop> except) const {
  std::string lost;
  for (size_t i = 0; i < stage::drop_count; ++i) {
    const auto reason = static_cast<stage::Drop>(i);
    const uint64_t count = dropped(reason);
    if (count == 0 || reason == stage::Drop::duplicate ||
        std::find(except.begin(), except.end(), reason) != except.end()) {
      continue;
    }
    lost += fmt::format(" {} {}", count, stage::drop_text(reason).name);
  }
  return lost;
}

std::string Product::check_packet(ByteSpan packet, ByteSpan& datagram) const {
  const port::Headers headers = port::parse_headers(packet, {});
  if (headers.layer != port::Layer::udp) return "no UDP datagram";
  const unsigned peer = load_be16(headers.destination.address.data() + 2) - 1u;
  if (headers.destination != bench_endpoint(2, peer)) return "a foreign address";
  const ByteSpan udp = packet.subspan(headers.payload_offset - port::udp_bytes,
                                      headers.payload_bytes + port::udp_bytes);
  const uint32_t start = sum_of_pseudo_header(packet.data() + 26, udp.size());
  if (load_be16(udp.data() + 6) == 0 || test::naive_checksum(udp, start) != 0) {
    return fmt::format("peer {}: the UDP checksum fails", peer);
  }
  datagram = packet.subspan(headers.payload_offset, headers.payload_bytes);
  if (wire::check_data_datagram(datagram) != wire::DatagramFault::none) return "malformed";
  const wire::HopHeader hop = wire::load_hop_header(datagram.data());
  const auto block = hop::check_block(hop, hop.link_seq, wire::datagram_tag_xor(datagram));
  const unsigned lane = hop.link_id & 0xff;
  if (hop.link_id != peer_link(peer, lane) || hop.hops != 1 ||
      hop.check != reference_check(lane_secret(peer, lane), block)) {
    return fmt::format("peer {}: the link check fails", peer);
  }
  return "";
}

}  // namespace chaincast::bench
