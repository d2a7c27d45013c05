// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "crypto/crypto.hpp"
#include "hop/lane.hpp"
#include "hop/links.hpp"
#include "sim/network.hpp"
#include "stage/burst.hpp"

// Links machines of several nodes over a simulated network: stamps and checks datagrams as a worker
// does, records what was used, and can inject, replay and restart.
namespace chaincast::sim {

// Cheap keyed mixing instead of SHA-256 and AES: thousands of worlds a second. Random bytes are
// seeded. Not for anything but simulation. Its AEADs record each (key, counter) that seals.
class FakeToolbox final : public crypto::Toolbox {
 public:
  explicit FakeToolbox(uint64_t seed) : random_(seed) {}
  Digest sha256(ByteSpan data) const override;
  Digest hmac_sha256(ByteSpan key, ByteSpan data) const override;
  Secret hkdf_extract(ByteSpan salt, ByteSpan input) const override;
  Bytes hkdf_expand(const Secret& prk, ByteSpan info, size_t length) const override;
  bool verify_signature(const PublicKey&, ByteSpan, const Signature&) const override;
  std::unique_ptr<crypto::Aead> aead(const Secret& key) const override;
  std::unique_ptr<crypto::Signer> signer(const Secret&) const override;
  void random_bytes(std::span<uint8_t> out) const override;
  std::unique_ptr<crypto::FrameEngine> reference_engine() const override;

  // Times that one key sealed twice under one counter.
  uint64_t reused() const { return reused_; }
  uint64_t sealed() const { return sealed_.size(); }

 private:
  friend class FakeAead;
  mutable Random random_;
  mutable std::set<std::pair<uint64_t, uint64_t>> sealed_;
  mutable uint64_t reused_ = 0;
};

struct NodeOptions {
  PublicKey key{};
  uint16_t tx_lanes = 1;
  hop::LinkTimers timers;
};

// One running node. Its Links object and lane table are new after each restart.
struct WorldNode {
  NodeOptions options;
  Endpoint address;
  std::unique_ptr<hop::Links> links;  // null: not running
  std::unique_ptr<hop::LaneTable> table;
  std::map<uint32_t, std::unique_ptr<hop::RxLane>> rx;  // by link id
  std::map<uint32_t, hop::LinkUp> up;                   // by peer
  std::map<uint32_t, std::unique_ptr<hop::TxLane>> tx;  // lane 0, by peer
  std::vector<hop::LinkMessage> messages;
  std::vector<hop::LinkConfig> peers;
  unsigned ups = 0;
  unsigned downs = 0;
  unsigned bad_checks = 0;
  unsigned unknown_links = 0;
};

class World {
 public:
  World(unsigned nodes, uint64_t seed);

  Network& network() { return network_; }
  Random& random() { return random_; }
  FakeToolbox& toolbox() { return toolbox_; }
  TimeNs now_ns() const { return now_ns_; }
  WorldNode& node(unsigned i) { return nodes_[i]; }
  unsigned size() const { return static_cast<unsigned>(nodes_.size()); }
  static Endpoint address_of(unsigned node);
  NodeId id_of(unsigned node) const;

  // Configures both ends of a link. Before start().
  void connect(unsigned a, unsigned b, uint16_t mtu_bytes = 1500);
  void start(unsigned node);
  void stop(unsigned node, bool graceful);
  void run_until(TimeNs until_ns);
  // Puts bytes on the wire as if `from` had sent them.
  void inject(unsigned from, unsigned to, Bytes bytes);
  // Something that was sent before, by chance; nothing before the first datagram.
  const Delivery* recorded();
  // Index of the peer `other` in `node`.
  uint32_t peer_of(unsigned node, unsigned other);
  bool is_up(unsigned node, unsigned other);
  // Both ends up, with each lane's id and key as the other end has them.
  bool agree(unsigned a, unsigned b);
  // A message sealed by `a` reaches the machine of `b` and is opened there.
  bool passes(unsigned a, unsigned b);
  void call(unsigned node, const std::function<void(hop::Links&, hop::LinkOutput&)>& what);

 private:
  void drain(unsigned node, hop::LinkOutput& out);
  void link_up(WorldNode& node, const hop::LinkUp& up);
  void transmit(unsigned node, hop::LinkTransmit transmit);
  void receive(const Delivery& delivery);

  FakeToolbox toolbox_;
  Random random_;
  Network network_;
  TimeNs now_ns_ = ns_per_s;
  std::vector<WorldNode> nodes_;
  std::vector<Delivery> record_;  // a sample of what was sent, bounded
};

}  // namespace chaincast::sim
