// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "fanout/queue.hpp"
#include "fanout/stage.hpp"
#include "stream/stream.hpp"
#include "support/checksum.hpp"
#include "support/eal.hpp"
#include "support/stub_port.hpp"

// A port that records, peers of every kind, bursts made by hand, and a decoder of copies that
// shares no code with the module: checksums by RFC 1071's own loop, link checks by OpenSSL.
namespace chaincast::test {

struct Sent {
  unsigned queue = 0;
  Bytes bytes;  // all segments
  unsigned segments = 0;
  uint64_t ol_flags = 0;
  unsigned l2_len = 0, l3_len = 0;
  const port::Destination* to = nullptr;
};

class RecordingPort final : public StubPort {
 public:
  ~RecordingPort() override { release(); }

  unsigned transmit(unsigned queue, const port::Destination& to, rte_mbuf** packets,
                    unsigned count) noexcept override;
  // Frees the packets it holds.
  void release();

  unsigned room = ~0u;  // packets it still takes
  bool holds = false;   // keeps the mbufs, as a NIC with a slow ring does
  std::vector<Sent> sent;

 private:
  std::vector<rte_mbuf*> held_;
};

struct PeerKind {
  bool is_ipv6 = false;
  bool has_vlan = false;
  bool has_headers = true;
  bool shared_segments = true;
  bool udp_offload = false;
  bool ipv4_offload = false;
  bool check_off = false;
  uint16_t copybreak_bytes = 0;
  rte_mempool* send_pool = nullptr;
  uint16_t datagram_bytes_max = 1472;
  unsigned queue_packets = 1024;
};

struct TestFrame {
  Bytes bytes;
  bool is_kept = true;
  bool is_priority = false;
  stream::Stream* stream = nullptr;
};

inline std::vector<Bytes> bytes_of(const std::vector<TestFrame>& frames) {
  std::vector<Bytes> out;
  for (const TestFrame& frame : frames) out.push_back(frame.bytes);
  return out;
}

// One node's surroundings. Pools are checked for leaks at the end of its life.
class World {
 public:
  explicit World(unsigned worker = 0, uint64_t seed = 1, unsigned headers = 4095,
                 unsigned payloads = 4095, uint16_t payload_room = 9472);
  ~World();

  void make_fanout(fanout::FanoutConfig config);
  // Peer numbers are given by the caller, in any order.
  fanout::Peer& add_peer(uint32_t number, const PeerKind& kind = {});
  void remove_peer(uint32_t number);
  fanout::Peer& peer(uint32_t number);
  fanout::PeerQueue& queue(uint32_t number);
  const PeerKind& kind(uint32_t number) const { return kinds_.at(number); }

  Bytes make_frame(unsigned payload_bytes);
  TestFrame frame(unsigned payload_bytes, bool is_priority = false) {
    return {make_frame(payload_bytes), true, is_priority};
  }
  // A frame of a stream that these peers, in ascending order, have refused.
  TestFrame frame_refused_by(std::vector<uint32_t> numbers, unsigned payload_bytes);
  // Adds a datagram with its kept frames to the burst.
  rte_mbuf* arrive(uint32_t source, uint8_t hops, const std::vector<TestFrame>& frames,
                   unsigned headroom = 170);
  // pack() of what has arrived since the last round of the burst.
  void pack_round();
  // process(), then release() of the burst.
  void process();
  unsigned transmit();
  rte_mbuf* make_datagram(uint8_t frames, uint8_t hops, uint8_t flags, const Bytes& body,
                          unsigned headroom = 128);

  // Checks everything about a copy and returns its frames. Continues the lane's counter.
  std::vector<Bytes> decode(uint32_t number, const Sent& sent, bool is_control = false);
  // Frames of everything that the peer's port took since the last call.
  std::vector<Bytes> take(uint32_t number);
  RecordingPort& port(uint32_t number) { return *ports_.at(number); }
  uint64_t dropped(stage::Drop reason) const { return drops->read(reason); }

  Random random;
  const unsigned worker;
  rte_mempool* headers;
  rte_mempool* payloads;
  rte_mempool* received;
  std::unique_ptr<stage::Burst::Drops> drops = std::make_unique<stage::Burst::Drops>();
  std::unique_ptr<stage::Burst> burst = std::make_unique<stage::Burst>(*drops);
  fanout::PeerSnapshot peers;
  std::unique_ptr<fanout::Fanout> fanout;
  std::map<std::pair<uint32_t, unsigned>, uint64_t> counters;  // (peer, lane): last seen
  bool counters_have_holes = false;                            // after evictions
  uint8_t last_hops = 0;                                       // of the last decoded copy
  uint8_t last_flags = 0;

 private:
  void index_peers();
  void check_headers(uint32_t number, const Sent& sent, unsigned lane);
  void check_hop(uint32_t number, unsigned lane, ByteSpan datagram, uint32_t tag_xor);

  std::map<uint32_t, PeerKind> kinds_;
  std::map<uint32_t, std::unique_ptr<RecordingPort>> ports_;
  std::map<uint32_t, std::vector<std::array<uint8_t, 16>>> keys_;
  uint64_t next_seq_ = 0;
  rcu::Retirer retirer_;
  std::deque<stream::Stream> streams_;
};

uint32_t aes_check(const std::array<uint8_t, 16>& key, const std::array<uint8_t, 16>& block);

}  // namespace chaincast::test
