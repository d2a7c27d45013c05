// SPDX-License-Identifier: BSD-3-Clause
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/assert.hpp"
#include "fanout/queue.hpp"
#include "fanout/stage.hpp"
#include "wire/frame.hpp"

// Cost of one more copy: ns per (datagram, peer) from a burst of received datagrams to net_null's
// tx, the driver's free included, and, as the floor, a bare loop that does nothing but chain a
// small buffer with a fixed header before a shared payload. Best of many short runs, so that a
// busy machine disturbs little.
//
//   micro_fanout [EAL options] -- [BYTES...]
//
// Bursts of 32 datagrams with one frame each, so that nothing can be bundled: the datagram limit of
// the peers is the datagram's size. The lcore must be an EAL thread, as workers are.
namespace {

using namespace chaincast;

constexpr unsigned burst_datagrams = 32;
constexpr unsigned runs = 60;
constexpr unsigned copies_per_run = 20'000;

class NullPort final : public port::Port {
 public:
  unsigned receive(unsigned, stage::Datagram*, unsigned, stage::Burst::Drops&) noexcept override {
    return 0;
  }
  unsigned transmit(unsigned queue, const port::Destination&, rte_mbuf** packets,
                    unsigned count) noexcept override {
    return rte_eth_tx_burst(0, static_cast<uint16_t>(queue), packets, static_cast<uint16_t>(count));
  }
  void tick(unsigned, TimeNs) noexcept override {}
  port::Info info() const override { return {}; }
  port::Capabilities capabilities() const override { return {}; }
  port::Counters counters() const override { return {}; }
  Result<port::Destination> destination(const Endpoint&, uint16_t) override {
    return error(ErrorCode::unsupported, "net_null: reaches nobody; give it destinations by hand");
  }
  Status start() override { return {}; }
  void stop() override {}
  int wait_fd(unsigned) const override { return -1; }
};

struct Pools {
  rte_mempool* received;
  rte_mempool* headers;
  rte_mempool* payloads;
};

struct Setup {
  unsigned peers;
  unsigned frame_bytes;  // the frame's 56 bytes of header included
  bool shared;
  bool offload;
};

port::Destination make_destination(unsigned number) {
  port::Destination to;
  to.l2_bytes = 14;
  to.l3_bytes = 20;
  to.header_bytes = 42;
  to.header[12] = 0x08;
  to.header[14] = 0x45;
  to.header[23] = 17;
  store_be32(&to.header[30], 0x0a000000 + number);
  return to;
}

fanout::PeerSnapshot make_peers(const Setup& setup, NullPort& port) {
  fanout::PeerSnapshot snapshot;
  for (unsigned p = 0; p < setup.peers; ++p) {
    fanout::Peer peer;
    peer.peer = p;
    peer.port = &port;
    peer.shared_segments = setup.shared;
    peer.checksum_offload = setup.offload;
    peer.ipv4_checksum_offload = setup.offload;
    peer.datagram_bytes_max = static_cast<uint16_t>(setup.frame_bytes + wire::hop_header_bytes);
    for (unsigned lane = 0; lane < 2; ++lane) {
      auto tx = std::make_shared<hop::TxLane>();
      tx->key = crypto::expand_link_key({static_cast<uint8_t>(p)});
      peer.add_way(make_destination(p), std::move(tx), 0);
    }
    peer.state = fanout::make_peer_state(p, 1);
    snapshot.index_of.push_back(static_cast<int32_t>(p));
    snapshot.peers.push_back(std::move(peer));
  }
  return snapshot;
}

void fill_burst(stage::Burst& burst, rte_mempool* pool, unsigned frame_bytes) {
  std::array<rte_mbuf*, burst_datagrams> mbufs;
  CC_ASSERT(rte_pktmbuf_alloc_bulk(pool, mbufs.data(), burst_datagrams) == 0);
  for (unsigned i = 0; i < burst_datagrams; ++i) {
    rte_mbuf* const mbuf = mbufs[i];
    mbuf->data_off = RTE_PKTMBUF_HEADROOM + 42;
    mbuf->data_len = static_cast<uint16_t>(wire::hop_header_bytes + frame_bytes);
    mbuf->pkt_len = mbuf->data_len;
    stage::Datagram& datagram = burst.datagrams[i];
    datagram.mbuf = mbuf;
    datagram.data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    datagram.bytes = mbuf->data_len;
    datagram.peer = stage::no_peer;
    datagram.hops = 1;
    datagram.frames_kept = 1;
    stage::Frame& frame = burst.frames[i];
    frame.bytes = datagram.data + wire::hop_header_bytes;
    frame.length = static_cast<uint16_t>(frame_bytes);
    frame.datagram = static_cast<uint8_t>(i);
    frame.is_priority = false;
  }
  burst.datagram_count = burst_datagrams;
  burst.frame_count = burst_datagrams;
}

template <typename Body>
double best_ns_per_copy(unsigned peers, Body&& body) {
  const unsigned rounds = std::max(copies_per_run / (peers * burst_datagrams), 20u);
  double best = 1e9;
  for (unsigned run = 0; run < runs; ++run) {
    const uint64_t start = rte_rdtsc_precise();
    for (unsigned i = 0; i < rounds; ++i) body();
    const auto cycles = static_cast<double>(rte_rdtsc_precise() - start);
    const uint64_t copies = uint64_t{rounds} * peers * burst_datagrams;
    best = std::min(
        best, cycles * 1e9 / static_cast<double>(rte_get_tsc_hz()) / static_cast<double>(copies));
  }
  return best;
}

double measure_stage(const Setup& setup, const Pools& pools) {
  NullPort port;
  const fanout::PeerSnapshot peers = make_peers(setup, port);
  fanout::FanoutConfig config;
  config.headers = pools.headers;
  config.payloads = pools.payloads;
  fanout::Fanout fanout(config);
  auto drops = std::make_unique<stage::Burst::Drops>();
  auto burst = std::make_unique<stage::Burst>(*drops);
  const double ns = best_ns_per_copy(setup.peers, [&] {
    fill_burst(*burst, pools.received, setup.frame_bytes);
    fanout.process(*burst, peers);
    burst->release();
    fanout.transmit(peers, *drops);
  });
  for (size_t i = 0; i < stage::drop_count; ++i) {
    CC_ASSERT(drops->read(static_cast<stage::Drop>(i)) == 0);
  }
  return ns;
}

// What no stage can beat: buffers, a fixed header, the driver. `touch` is written to, so that the
// frames are as warm as they are for the stage.
double measure_floor(const Setup& setup, const Pools& pools) {
  std::array<uint8_t, 64> header{};
  return best_ns_per_copy(setup.peers, [&] {
    std::array<rte_mbuf*, burst_datagrams> in;
    CC_ASSERT(rte_pktmbuf_alloc_bulk(pools.received, in.data(), burst_datagrams) == 0);
    for (rte_mbuf* mbuf : in) {
      mbuf->data_len = static_cast<uint16_t>(setup.frame_bytes);
      mbuf->pkt_len = setup.frame_bytes;
      if (setup.shared) rte_mbuf_refcnt_set(mbuf, static_cast<uint16_t>(setup.peers + 1));
    }
    for (unsigned p = 0; p < setup.peers; ++p) {
      std::array<rte_mbuf*, burst_datagrams> out;
      rte_mempool* const pool = setup.shared ? pools.headers : pools.payloads;
      CC_ASSERT(rte_pktmbuf_alloc_bulk(pool, out.data(), burst_datagrams) == 0);
      for (unsigned i = 0; i < burst_datagrams; ++i) {
        auto* const at = rte_pktmbuf_mtod(out[i], uint8_t*);
        std::memcpy(at, header.data(), 58);
        out[i]->pkt_len = 58 + setup.frame_bytes;
        if (setup.shared) {
          out[i]->data_len = 58;
          out[i]->next = in[i];
          out[i]->nb_segs = 2;
        } else {
          std::memcpy(at + 58, rte_pktmbuf_mtod(in[i], uint8_t*), setup.frame_bytes);
          out[i]->data_len = static_cast<uint16_t>(out[i]->pkt_len);
        }
      }
      rte_eth_tx_burst(0, 0, out.data(), burst_datagrams);
    }
    for (rte_mbuf* mbuf : in) rte_pktmbuf_free(mbuf);
  });
}

void start_net_null(rte_mempool* pool) {
  const rte_eth_conf conf{};
  CC_ASSERT(rte_eth_dev_configure(0, 1, 1, &conf) == 0);
  CC_ASSERT(rte_eth_rx_queue_setup(0, 0, 1024, 0, nullptr, pool) == 0);
  CC_ASSERT(rte_eth_tx_queue_setup(0, 0, 1024, 0, nullptr) == 0);
  CC_ASSERT(rte_eth_dev_start(0) == 0);
}

void report(unsigned frame_bytes, const Pools& pools) {
  for (const bool shared : {true, false}) {
    for (const unsigned peers : {1u, 8u, 32u, 64u}) {
      const Setup software{peers, frame_bytes, shared, false};
      const Setup offload{peers, frame_bytes, shared, true};
      std::printf("%5u B  %-6s  N=%-2u  floor %5.1f  offload %5.1f  software sums %5.1f ns/copy\n",
                  frame_bytes, shared ? "shared" : "linear", peers, measure_floor(offload, pools),
                  measure_stage(offload, pools), measure_stage(software, pools));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> words(argv, argv + argc);
  std::array<std::string, 7> own = {
      "--no-huge", "-m", "1024", "--no-pci", "--no-shconf", "--vdev", "net_null0,no-rx=1"};
  for (size_t i = 0; i < own.size(); ++i) {
    words.insert(words.begin() + 1 + static_cast<ptrdiff_t>(i), own[i].data());
  }
  const int used = rte_eal_init(static_cast<int>(words.size()), words.data());
  CC_ASSERT(used >= 0);
  const Pools pools = {rte_pktmbuf_pool_create("received", 16383, 256, 0, 2176, 0),
                       rte_pktmbuf_pool_create("headers", 65535, 512, 0, 256, 0),
                       rte_pktmbuf_pool_create("payloads", 16383, 512, 0, 2176, 0)};
  CC_ASSERT(pools.received != nullptr && pools.headers != nullptr && pools.payloads != nullptr);
  start_net_null(pools.received);
  bool has_sizes = false;
  for (size_t i = static_cast<size_t>(used) + 1; i < words.size(); ++i) {
    report(static_cast<unsigned>(std::strtoul(words[i], nullptr, 10)), pools);
    has_sizes = true;
  }
  if (!has_sizes) {
    for (const unsigned bytes : {64u, 1400u}) report(bytes, pools);
  }
  return 0;
}
