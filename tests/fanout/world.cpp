// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/world.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "support/checksum.hpp"
#include "support/mbufs.hpp"
#include "wire/frame.hpp"

namespace chaincast::test {

using fanout::Peer;

unsigned RecordingPort::transmit(unsigned queue, const port::Destination& to, rte_mbuf** packets,
                                 unsigned count) noexcept {
  const unsigned taken = std::min(count, room);
  for (unsigned i = 0; i < taken; ++i) {
    rte_mbuf* packet = packets[i];
    const char* why = nullptr;
    EXPECT_EQ(rte_mbuf_check(packet, 1, &why), 0) << why;
    Sent record;
    record.queue = queue;
    record.segments = packet->nb_segs;
    record.ol_flags = packet->ol_flags;
    record.l2_len = packet->l2_len;
    record.l3_len = packet->l3_len;
    record.to = &to;
    record.bytes = bytes_of(packet);
    EXPECT_EQ(record.bytes.size(), packet->pkt_len);
    sent.push_back(std::move(record));
    if (holds) {
      held_.push_back(packet);
    } else {
      rte_pktmbuf_free(packet);
    }
  }
  room -= room == ~0u ? 0 : taken;
  return taken;
}

void RecordingPort::release() {
  for (rte_mbuf* packet : held_) rte_pktmbuf_free(packet);
  held_.clear();
}

uint32_t aes_check(const std::array<uint8_t, 16>& key, const std::array<uint8_t, 16>& block) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  std::array<uint8_t, 32> out{};
  int length = 0;
  CC_ASSERT(EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, key.data(), nullptr) == 1);
  CC_ASSERT(EVP_EncryptUpdate(context, out.data(), &length, block.data(), 16) == 1);
  EVP_CIPHER_CTX_free(context);
  return load_be32(out.data());
}

World::World(unsigned w, uint64_t seed, unsigned header_count, unsigned payload_count,
             uint16_t payload_room)
    : random(seed),
      worker(w),
      headers(make_pool(header_count, 256)),
      payloads(make_pool(payload_count, payload_room)),
      received(make_pool(1023, 9472)) {
  make_fanout({});
}

void World::make_fanout(fanout::FanoutConfig config) {
  config.worker = worker;
  config.headers = headers;
  config.payloads = payloads;
  fanout = std::make_unique<fanout::Fanout>(config);
}

World::~World() {
  fanout.reset();
  peers.peers.clear();
  ports_.clear();
  for (rte_mempool* pool : {headers, payloads, received}) {
    EXPECT_EQ(rte_mempool_avail_count(pool), pool->size) << "mbufs are missing";
    rte_mempool_free(pool);
  }
}

namespace {

port::Destination make_destination(Random& random, uint32_t number, const PeerKind& kind,
                                   uint16_t remote_port) {
  port::Destination to;
  to.remote.is_ipv6 = kind.is_ipv6;
  to.remote.port = remote_port;
  to.remote.address[3] = static_cast<uint8_t>(number);
  to.local_port = 7000;
  if (!kind.has_headers) return to;
  ByteWriter header;
  header.bytes(random_bytes(random, 12));
  if (kind.has_vlan) header.be16(0x8100).be16(42);
  header.be16(kind.is_ipv6 ? 0x86dd : 0x0800);
  to.l2_bytes = static_cast<uint8_t>(header.size());
  if (kind.is_ipv6) {
    header.be32(0x60000000).be16(0).u8(17).u8(64);
    header.bytes(random_bytes(random, 32));
  } else {
    // Garbage where fanout fills in: nothing may depend on zeros there.
    header.u8(0x45).u8(0).be16(0xdead).be16(0).be16(0x4000).u8(64).u8(17).be16(0xbeef);
    header.be64(random.next());
  }
  to.l3_bytes = static_cast<uint8_t>(header.size() - to.l2_bytes);
  header.be16(to.local_port).be16(remote_port).be16(0x1111).be16(0x2222);
  to.header_bytes = static_cast<uint8_t>(header.size());
  std::copy(header.buffer().begin(), header.buffer().end(), to.header.begin());
  return to;
}

}  // namespace

Peer& World::add_peer(uint32_t number, const PeerKind& kind) {
  CC_ASSERT(kinds_.count(number) == 0);
  kinds_[number] = kind;
  ports_[number] = std::make_unique<RecordingPort>();
  Peer made;
  made.peer = number;
  made.port = ports_[number].get();
  made.shared_segments = kind.shared_segments;
  made.checksum_offload = kind.udp_offload;
  made.ipv4_checksum_offload = kind.ipv4_offload;
  made.copybreak_bytes = kind.copybreak_bytes;
  made.send_pool = kind.send_pool;
  made.datagram_bytes_max = kind.datagram_bytes_max;
  for (unsigned lane = 0; lane < 2 + worker; ++lane) {
    const port::Destination to =
        make_destination(random, number, kind, static_cast<uint16_t>(7100 + lane));
    auto tx = std::make_shared<hop::TxLane>();
    tx->link_id = static_cast<uint32_t>(random.next());
    tx->check_off = kind.check_off;
    // Some lanes begin just below the end of the counter's low half.
    tx->counter = random.chance(0.5) ? 0 : 0xfffffffd;
    counters[{number, lane}] = tx->counter;
    std::array<uint8_t, 16> key;
    fill_random(random, key);
    tx->key = crypto::expand_link_key(key);
    keys_[number].push_back(key);
    made.add_way(to, std::move(tx), static_cast<uint16_t>(10 + lane));
  }
  made.state = fanout::make_peer_state(number, worker + 1, kind.queue_packets);
  peers.peers.push_back(std::move(made));
  index_peers();
  return peer(number);
}

void World::remove_peer(uint32_t number) {
  std::erase_if(peers.peers, [&](const Peer& p) { return p.peer == number; });
  index_peers();
}

void World::index_peers() {
  peers.index_of.clear();
  for (size_t i = 0; i < peers.peers.size(); ++i) {
    const uint32_t number = peers.peers[i].peer;
    if (peers.index_of.size() <= number) peers.index_of.resize(number + 1, -1);
    peers.index_of[number] = static_cast<int32_t>(i);
  }
}

Peer& World::peer(uint32_t number) {
  return peers.peers[static_cast<size_t>(peers.index_of.at(number))];
}

fanout::PeerQueue& World::queue(uint32_t number) {
  return *peer(number).state->queues[worker];
}

Bytes World::make_frame(unsigned payload_bytes) {
  wire::FrameHeader header;
  header.payload_bytes = static_cast<uint16_t>(payload_bytes);
  header.kind = wire::kind_first | wire::kind_last;
  header.stream.value = random.next();
  header.seq = next_seq_++;
  fill_random(random, header.tag);
  Bytes bytes(wire::frame_header_bytes + payload_bytes);
  wire::store_frame_header(bytes.data(), header);
  fill_random(random, std::span(bytes).subspan(wire::frame_header_bytes));
  return bytes;
}

TestFrame World::frame_refused_by(std::vector<uint32_t> numbers, unsigned payload_bytes) {
  auto refused_by = std::make_unique<stream::PeerSet>();
  refused_by->peers = std::move(numbers);
  stream::Stream& stream = streams_.emplace_back();
  stream.refused_by.publish(std::move(refused_by), retirer_);
  return {make_frame(payload_bytes), true, false, &stream};
}

rte_mbuf* World::make_datagram(uint8_t frames, uint8_t hops, uint8_t flags, const Bytes& body,
                               unsigned headroom) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(received);
  CC_ASSERT(mbuf != nullptr);
  mbuf->data_off = static_cast<uint16_t>(headroom);
  auto* data = reinterpret_cast<uint8_t*>(
      rte_pktmbuf_append(mbuf, static_cast<uint16_t>(wire::hop_header_bytes + body.size())));
  CC_ASSERT(data != nullptr);
  std::memset(data, 0xee, wire::hop_header_bytes);
  data[1] = flags;
  data[2] = frames;
  data[3] = hops;
  std::copy(body.begin(), body.end(), data + wire::hop_header_bytes);
  return mbuf;
}

// As commit leaves it: in memory byte order.
static uint32_t sum_of(const Bytes& frame) {
  return __builtin_bswap16(static_cast<uint16_t>(~naive_checksum(frame)));
}

rte_mbuf* World::arrive(uint32_t source, uint8_t hops, const std::vector<TestFrame>& frames,
                        unsigned headroom) {
  Bytes body;
  for (const TestFrame& frame : frames) {
    body.insert(body.end(), frame.bytes.begin(), frame.bytes.end());
  }
  // As ethdev ports deliver: the link, IP and UDP headers stand before the hop header.
  rte_mbuf* mbuf = make_datagram(static_cast<uint8_t>(frames.size()), hops, 0, body, headroom);
  const unsigned at = burst->datagram_count++;
  stage::Datagram& datagram = burst->datagrams.at(at);
  datagram = {};
  datagram.mbuf = mbuf;
  datagram.data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  datagram.bytes = mbuf->data_len;
  datagram.peer = source;
  datagram.hops = hops;
  datagram.frame_count = static_cast<uint8_t>(frames.size());
  const uint8_t* next = datagram.data + wire::hop_header_bytes;
  for (const TestFrame& frame : frames) {
    if (frame.is_kept) {
      stage::Frame& kept = burst->frames.at(burst->frame_count++);
      kept = {};
      kept.bytes = next;
      kept.length = static_cast<uint16_t>(frame.bytes.size());
      kept.datagram = static_cast<uint8_t>(at);
      kept.is_priority = frame.is_priority;
      kept.stream = frame.stream;
      kept.sum = burst->wants_sums ? sum_of(frame.bytes) : stage::no_sum;
      ++datagram.frames_kept;
    }
    next += frame.bytes.size();
  }
  return mbuf;
}

void World::pack_round() {
  fanout->pack(*burst, peers);
  burst->frame_count = 0;
}

void World::process() {
  fanout->process(*burst, peers);
  burst->release();
}

unsigned World::transmit() {
  return fanout->transmit(peers, *drops);
}

void World::check_headers(uint32_t number, const Sent& sent, unsigned lane) {
  const PeerKind& k = kind(number);
  const port::Destination& to = peer(number).ways[lane].to;
  ASSERT_GE(sent.bytes.size(), to.header_bytes + wire::hop_header_bytes);
  Bytes expected(to.header.begin(), to.header.begin() + to.header_bytes);
  Bytes headers_sent(sent.bytes.begin(), sent.bytes.begin() + to.header_bytes);
  uint8_t* const ip = headers_sent.data() + to.l2_bytes;
  uint8_t* const udp = ip + to.l3_bytes;
  const auto udp_bytes = static_cast<uint16_t>(sent.bytes.size() - to.l2_bytes - to.l3_bytes);
  EXPECT_EQ(load_be16(udp + 4), udp_bytes);
  Bytes pseudo;
  if (k.is_ipv6) {
    EXPECT_EQ(load_be16(ip + 4), udp_bytes);
    pseudo = ByteWriter().bytes({ip + 8, 32}).be32(udp_bytes).be32(17).take();
  } else {
    EXPECT_EQ(load_be16(ip + 2), udp_bytes + to.l3_bytes);
    if (k.ipv4_offload) {
      EXPECT_EQ(load_be16(ip + 10), 0);
    } else {
      EXPECT_EQ(naive_checksum({ip, 20}), 0) << "IPv4 header checksum";
    }
    pseudo = ByteWriter().bytes({ip + 12, 8}).be16(17).be16(udp_bytes).take();
  }
  const auto pseudo_sum = static_cast<uint16_t>(~naive_checksum(pseudo));
  if (k.udp_offload) {
    EXPECT_EQ(load_be16(udp + 6), pseudo_sum);
  } else {
    EXPECT_NE(load_be16(udp + 6), 0);
    const ByteSpan content(sent.bytes.data() + to.l2_bytes + to.l3_bytes, udp_bytes);
    EXPECT_EQ(naive_checksum(content, pseudo_sum), 0) << "UDP checksum";
  }
  const bool v4_offload = k.ipv4_offload && !k.is_ipv6;
  uint64_t flags =
      (k.udp_offload ? RTE_MBUF_F_TX_UDP_CKSUM : 0) | (v4_offload ? RTE_MBUF_F_TX_IP_CKSUM : 0);
  if (flags != 0) flags |= k.is_ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
  EXPECT_EQ(sent.ol_flags, flags);
  EXPECT_EQ(sent.l2_len, to.l2_bytes);
  EXPECT_EQ(sent.l3_len, to.l3_bytes);
  // Everything that was not completed is the template's.
  for (Bytes* header : {&expected, &headers_sent}) {
    uint8_t* const at = header->data() + to.l2_bytes;
    std::memset(at + (k.is_ipv6 ? 4 : 2), 0, 2);
    if (!k.is_ipv6) std::memset(at + 10, 0, 2);
    std::memset(at + to.l3_bytes + 4, 0, 4);
  }
  EXPECT_EQ(to_hex(headers_sent), to_hex(expected));
}

void World::check_hop(uint32_t number, unsigned lane, ByteSpan datagram, uint32_t tag_xor) {
  const hop::TxLane& tx = *peer(number).ways[lane].lane;
  EXPECT_EQ(datagram[0], 1) << "version";
  EXPECT_EQ(load_be32(&datagram[4]), tx.link_id);
  uint64_t& last = counters[{number, lane}];
  const uint64_t counter =
      counters_have_holes
          ? last + static_cast<uint32_t>(load_be32(&datagram[8]) - static_cast<uint32_t>(last))
          : last + 1;
  EXPECT_GT(counter, last);
  EXPECT_EQ(load_be32(&datagram[8]), static_cast<uint32_t>(counter));
  last = counter;
  if (kind(number).check_off) {
    EXPECT_EQ(load_be32(&datagram[12]), 0u);
    return;
  }
  // docs/wire.md, Link check: the counter's high half is folded into the link id.
  std::array<uint8_t, 16> block;
  std::copy_n(datagram.begin(), 12, block.begin());
  store_be32(block.data() + 4, tx.link_id ^ static_cast<uint32_t>(counter >> 32));
  store_be32(block.data() + 12, tag_xor);
  EXPECT_EQ(load_be32(&datagram[12]), aes_check(keys_[number][lane], block));
}

std::vector<Bytes> World::decode(uint32_t number, const Sent& sent, bool is_control) {
  const Peer& p = peer(number);
  unsigned lane = 0;
  while (lane < p.ways.size() && sent.to != &p.ways[lane].to) ++lane;
  CC_ASSERT(lane < p.ways.size());
  EXPECT_EQ(sent.queue, 10 + lane);
  const unsigned headers_bytes = p.ways[lane].to.header_bytes;
  if (headers_bytes > 0) check_headers(number, sent, lane);
  const ByteSpan datagram = ByteSpan(sent.bytes).subspan(headers_bytes);
  last_flags = datagram[1];
  last_hops = datagram[3];
  const unsigned count = datagram[2];
  std::vector<Bytes> frames;
  uint32_t tag_xor = 0;
  size_t at = wire::hop_header_bytes;
  for (unsigned i = 0; i < count; ++i) {
    CC_ASSERT(at + 56 <= datagram.size());
    const size_t length = 56 + size_t{load_be16(&datagram[at])};
    CC_ASSERT(at + length <= datagram.size());
    frames.emplace_back(datagram.begin() + static_cast<ptrdiff_t>(at),
                        datagram.begin() + static_cast<ptrdiff_t>(at + length));
    for (unsigned word = 0; word < 4; ++word) tag_xor ^= load_be32(&datagram[at + 40 + 4 * word]);
    at += length;
  }
  if (!is_control) {
    EXPECT_EQ(at, datagram.size()) << "trailing bytes";
    EXPECT_GT(count, 0u);
    EXPECT_LE(datagram.size(), p.datagram_bytes_max);
    EXPECT_LE(last_hops, wire::hops_max);
    check_hop(number, lane, datagram, tag_xor);
  }
  return frames;
}

std::vector<Bytes> World::take(uint32_t number) {
  std::vector<Bytes> frames;
  for (const Sent& sent : port(number).sent) {
    for (Bytes& frame : decode(number, sent)) frames.push_back(std::move(frame));
  }
  port(number).sent.clear();
  return frames;
}

}  // namespace chaincast::test
