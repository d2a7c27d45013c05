// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "crypto/openssl/toolbox.hpp"
#include "fanout/queue.hpp"
#include "node/line.hpp"
#include "stream/descriptor.hpp"
#include "support/eal.hpp"
#include "support/stub_port.hpp"

// The whole line of one node without its control plane: worker lines over a plane made by hand,
// neighbours that stamp datagrams as the wire document says, and ports that tests feed and read.
namespace chaincast::test {

// What neighbours send to one node, and what the node sends to them.
class RigPort final : public StubPort {
 public:
  explicit RigPort(unsigned queues) : waiting_(queues) {}
  struct Arrival {
    Bytes bytes;
    Endpoint source;
    uint16_t local_port = 0;
  };
  // Thread of the queue: one datagram more, or false.
  using Fill = std::function<bool(unsigned queue, Arrival& out)>;
  using Take = std::function<void(unsigned queue, const port::Destination& to, ByteSpan datagram)>;
  Fill fill;                                     // unset: what put() has left
  Take take;                                     // unset: kept in `sent`
  std::vector<rte_mempool*> pools;               // [queue], set by the rig
  std::vector<std::pair<uint16_t, Bytes>> sent;  // (remote UDP port, datagram)
  unsigned room = ~0u;                           // datagrams that transmit still takes

  void put(unsigned queue, Arrival arrival) { waiting_[queue].push_back(std::move(arrival)); }

  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override;
  unsigned transmit(unsigned queue, const port::Destination& to, rte_mbuf** packets,
                    unsigned count) noexcept override;

 private:
  std::vector<std::deque<Arrival>> waiting_;
};

// A stream with its secrets, and a chain of frames that its origin (or a member) makes.
struct RigStream {
  stream::SignedDescriptor descriptor;
  std::shared_ptr<stream::Stream> stream;
  std::unique_ptr<crypto::SuiteKey> key;  // of the sealing engine
  Seq next_seq = 0;
  Link16 link{};  // of the next frame

  // Header and payload, sealed; the chain goes on behind it.
  Bytes next_frame(crypto::FrameEngine& engine, ByteSpan payload);
};

struct RigConfig {
  unsigned workers = 1;
  unsigned neighbours = 2;  // peers 0 .. n-1: they send, and get copies if they are listed below
  std::vector<uint32_t> receivers{1};  // peers in the snapshot
  bool check_off = false;
  bool use_ipsec_mb = false;
  unsigned pool_packets = 4095;
};

class LineRig {
 public:
  static constexpr uint16_t base_port = 7000;

  explicit LineRig(const RigConfig& config);
  // Every pool must be whole again.
  ~LineRig();

  // Anchored at its descriptor. `edit` may change the descriptor before it is signed.
  RigStream& add_stream(const std::string& name, wire::Suite suite,
                        const std::function<void(wire::Descriptor&)>& edit = {},
                        uint64_t signed_lead_max = 0);

  // The datagram that `peer` would send on lane `lane` with these frames; its counter moves on.
  Bytes stamp(uint32_t peer, unsigned lane, const std::vector<Bytes>& frames, uint8_t hops = 0);
  // Stamps whatever the body is: count, flags and tag_xor as given.
  Bytes stamp_raw(uint32_t peer, unsigned lane, ByteSpan body, wire::HopHeader hop,
                  uint32_t tag_xor);
  const Endpoint& source_of(uint32_t peer, unsigned lane) const;
  hop::RxLane& rx_lane(uint32_t peer, unsigned lane) { return *rx_lanes_.at(peer).at(lane); }
  void put(uint32_t peer, unsigned lane, Bytes datagram);
  void put(const Endpoint& source, Bytes datagram);

  // One turn of every line on the calling thread.
  void turn();
  uint64_t dropped(stage::Drop reason) const;
  uint64_t dropped_total() const;
  // Frames that went to `peer` since the last call, and all control datagrams taken by lines freed.
  std::vector<Bytes> take_frames(uint32_t peer);
  unsigned take_control();
  // Mbufs that are not in their pools.
  size_t mbufs_out() const;

  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  std::unique_ptr<crypto::FrameEngine> engine;  // of the caller's thread
  std::unique_ptr<crypto::Signer> signer = toolbox->signer(Secret{1});
  node::Plane plane;
  RigPort port;
  rcu::Retirer retirer;
  std::vector<std::unique_ptr<node::Line>> lines;
  std::vector<std::unique_ptr<RigStream>> streams;
  TimeNs now_ns = ns_per_s;

 private:
  std::unique_ptr<crypto::FrameEngine> make_engine() const;
  void add_lanes(uint32_t peer);
  fanout::Peer make_receiver(uint32_t peer);

  const RigConfig config_;
  std::vector<rte_mempool*> pools_;
  std::vector<std::vector<std::unique_ptr<hop::RxLane>>> rx_lanes_;  // [peer][lane]
  std::vector<std::vector<uint64_t>> counters_;                      // [peer][lane]
};

// Frames of a datagram; expects them to fill it exactly.
std::vector<Bytes> frames_of(ByteSpan datagram);

}  // namespace chaincast::test
