// SPDX-License-Identifier: BSD-3-Clause
#include "sim/links_world.hpp"

#include <algorithm>

#include "support/random.hpp"
#include "wire/datagram.hpp"

namespace chaincast::sim {
namespace {

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

uint64_t absorb(uint64_t state, ByteSpan data) {
  state = mix(state + 0x9e3779b97f4a7c15ull + data.size());
  size_t i = 0;
  for (; i + 8 <= data.size(); i += 8) state = mix(state ^ load_be64(data.data() + i)) + i;
  uint64_t rest = 1;
  for (; i < data.size(); ++i) rest = (rest << 8) | data[i];
  return mix(state ^ rest);
}

template <size_t N>
std::array<uint8_t, N> squeeze(uint64_t state) {
  std::array<uint8_t, N> out;
  for (size_t i = 0; i < N; i += 8) store_be64(out.data() + i, mix(state += 0x9e3779b97f4a7c15ull));
  return out;
}

}  // namespace

class FakeAead final : public crypto::Aead {
 public:
  FakeAead(const FakeToolbox& owner, uint64_t key) : owner_(owner), key_(key) {}
  Bytes seal(uint64_t counter, ByteSpan aad, ByteSpan plaintext) const override {
    if (!owner_.sealed_.emplace(key_, counter).second) ++owner_.reused_;
    Bytes out(plaintext.begin(), plaintext.end());
    crypt(counter, out);
    const auto tag = squeeze<16>(absorb(absorb(key_ ^ mix(counter), aad), out));
    out.insert(out.end(), tag.begin(), tag.end());
    return out;
  }
  Result<Bytes> open(uint64_t counter, ByteSpan aad, ByteSpan sealed) const override {
    if (sealed.size() < 16) return error(ErrorCode::invalid, "short");
    Bytes out(sealed.begin(), sealed.end() - 16);
    const auto tag = squeeze<16>(absorb(absorb(key_ ^ mix(counter), aad), out));
    if (!std::equal(tag.begin(), tag.end(), sealed.end() - 16)) {
      return error(ErrorCode::invalid, "tag");
    }
    crypt(counter, out);
    return out;
  }

 private:
  void crypt(uint64_t counter, Bytes& bytes) const {
    for (size_t i = 0; i < std::min<size_t>(bytes.size(), 64); ++i) {
      bytes[i] = static_cast<uint8_t>(bytes[i] ^ mix(key_ + counter * 131 + i));
    }
  }
  const FakeToolbox& owner_;
  uint64_t key_;
};

Digest FakeToolbox::sha256(ByteSpan data) const {
  return squeeze<32>(absorb(1, data));
}
Digest FakeToolbox::hmac_sha256(ByteSpan key, ByteSpan data) const {
  return squeeze<32>(absorb(absorb(2, key), data));
}
Secret FakeToolbox::hkdf_extract(ByteSpan salt, ByteSpan input) const {
  return squeeze<32>(absorb(absorb(3, salt), input));
}
Bytes FakeToolbox::hkdf_expand(const Secret& prk, ByteSpan info, size_t length) const {
  const auto all = squeeze<64>(absorb(absorb(4, prk), info));
  return Bytes(all.begin(), all.begin() + static_cast<long>(length));
}
bool FakeToolbox::verify_signature(const PublicKey&, ByteSpan, const Signature&) const {
  return false;
}
std::unique_ptr<crypto::Aead> FakeToolbox::aead(const Secret& key) const {
  return std::make_unique<FakeAead>(*this, absorb(5, key));
}
std::unique_ptr<crypto::Signer> FakeToolbox::signer(const Secret&) const {
  return nullptr;
}
void FakeToolbox::random_bytes(std::span<uint8_t> out) const {
  test::fill_random(random_, out);
}
std::unique_ptr<crypto::FrameEngine> FakeToolbox::reference_engine() const {
  return nullptr;
}

World::World(unsigned nodes, uint64_t seed)
    : toolbox_(seed ^ 0x70), random_(seed ^ 0x9e37), network_(seed ^ 0x51), nodes_(nodes) {
  for (unsigned i = 0; i < nodes; ++i) {
    nodes_[i].address = address_of(i);
    store_be64(nodes_[i].options.key.data(), mix(seed * 64 + i));  // so that id order varies
  }
}

Endpoint World::address_of(unsigned node) {
  Endpoint out;
  out.address = {10, 0, 0, static_cast<uint8_t>(node + 1)};
  out.port = 7000;
  return out;
}

NodeId World::id_of(unsigned node) const {
  const Digest digest = toolbox_.sha256(nodes_[node].options.key);
  NodeId out;
  std::copy_n(digest.begin(), out.bytes.size(), out.bytes.begin());
  return out;
}

void World::connect(unsigned a, unsigned b, uint16_t mtu_bytes) {
  hop::LinkConfig config;
  config.mtu_bytes = mtu_bytes;
  config.secret.fill(static_cast<uint8_t>(a * 16 + b));
  for (const auto& [one, other] : {std::pair(a, b), std::pair(b, a)}) {
    config.name = "n" + std::to_string(other);
    config.remote = address_of(other);
    nodes_[one].peers.push_back(config);
  }
}

void World::start(unsigned index) {
  WorldNode& node = nodes_[index];
  node.table = std::make_unique<hop::LaneTable>();
  hop::LinksConfig config;
  config.key = node.options.key;
  config.node = id_of(index);
  config.tx_lanes = node.options.tx_lanes;
  config.timers = node.options.timers;
  config.allocate_link_id = [table = node.table.get()](uint32_t r) { return table->allocate(r); };
  config.release_link_id = [&node](uint32_t id) {
    node.table->remove(id);
    node.rx.erase(id);
  };
  node.links = std::make_unique<hop::Links>(std::move(config), toolbox_, random_.next());
  for (const hop::LinkConfig& peer : node.peers) CC_ASSERT(node.links->add(peer, now_ns_).ok());
}

void World::stop(unsigned index, bool graceful) {
  WorldNode& node = nodes_[index];
  if (graceful) call(index, [&](hop::Links& l, hop::LinkOutput& o) { l.shutdown(now_ns_, o); });
  node.links.reset();
  node.rx.clear();
  node.up.clear();
  node.tx.clear();
}

void World::call(unsigned node, const std::function<void(hop::Links&, hop::LinkOutput&)>& what) {
  hop::LinkOutput out;
  what(*nodes_[node].links, out);
  drain(node, out);
}

void World::link_up(WorldNode& node, const hop::LinkUp& up) {
  ++node.ups;
  node.up[up.peer] = up;
  auto tx = std::make_unique<hop::TxLane>();
  tx->link_id = up.tx[0].link_id;
  tx->key = up.tx[0].key;
  node.tx[up.peer] = std::move(tx);
  for (const hop::LaneKeys& keys : up.rx) {
    auto lane = std::make_unique<hop::RxLane>();
    lane->link_id = keys.link_id;
    lane->peer = up.peer;
    lane->source = up.remote;
    lane->key = keys.key;
    node.table->install(lane.get());
    node.rx[keys.link_id] = std::move(lane);
  }
}

void World::drain(unsigned index, hop::LinkOutput& out) {
  WorldNode& node = nodes_[index];
  for (const hop::LinkEvent& event : out.events) {
    if (const auto* up = std::get_if<hop::LinkUp>(&event)) link_up(node, *up);
  }
  for (hop::LinkTransmit& transmit_one : out.transmits) transmit(index, std::move(transmit_one));
  for (const hop::LinkEvent& event : out.events) {
    if (const auto* down = std::get_if<hop::LinkDown>(&event)) {
      ++node.downs;
      node.up.erase(down->peer);
      node.tx.erase(down->peer);
    } else if (const auto* message = std::get_if<hop::LinkMessage>(&event)) {
      node.messages.push_back(*message);
    }
  }
}

void World::transmit(unsigned index, hop::LinkTransmit transmit) {
  const unsigned to = transmit.to.address[3] - 1u;
  if (!transmit.is_hello) {
    const auto found = nodes_[index].tx.find(transmit.peer);
    CC_ASSERT(found != nodes_[index].tx.end());
    hop::TxLane& lane = *found->second;
    wire::HopHeader hop = wire::load_hop_header(transmit.bytes.data());
    hop.link_id = lane.link_id;
    hop.link_seq = static_cast<uint32_t>(++lane.counter);
    const std::array<std::array<uint8_t, 16>, 1> blocks{
        {hop::check_block(hop, lane.counter, transmit.tag_xor)}};
    crypto::link_checks(lane.key, blocks, &hop.check);
    wire::store_hop_header(transmit.bytes.data(), hop);
  }
  const bool keep = record_.size() < 64;
  if (keep) {
    record_.push_back({now_ns_, index, to, transmit.bytes});
  } else if (random_.chance(0.1)) {
    record_[random_.below(64)] = {now_ns_, index, to, transmit.bytes};
  }
  network_.send(index, to, std::move(transmit.bytes), now_ns_);
}

void World::inject(unsigned from, unsigned to, Bytes bytes) {
  network_.send(from, to, std::move(bytes), now_ns_);
}

const Delivery* World::recorded() {
  return record_.empty() ? nullptr : &record_[random_.below(record_.size())];
}

// What stage `hop` does with one control datagram.
void World::receive(const Delivery& delivery) {
  WorldNode& node = nodes_[delivery.to];
  if (node.links == nullptr) return;
  const Endpoint from = address_of(delivery.from);
  const wire::DatagramHead head = wire::read_head(delivery.bytes);
  uint32_t peer = stage::no_peer;
  if (head.type == wire::DatagramType::control && head.fault == wire::DatagramFault::none) {
    hop::RxLane* lane = node.table->find(head.hop.link_id);
    if (lane == nullptr || lane->source != from) {
      ++node.unknown_links;
      return;
    }
    const wire::SealedControl sealed = wire::read_sealed_control(delivery.bytes);
    const uint64_t counter = lane->replay.extend(head.hop.link_seq);
    if (lane->replay.judge(counter) != hop::ReplayWindow::Verdict::fresh) return;
    const std::array<std::array<uint8_t, 16>, 1> blocks{
        {hop::check_block(head.hop, counter, sealed.tag_xor)}};
    uint32_t check = 0;
    crypto::link_checks(lane->key, blocks, &check);
    if (check != head.hop.check) {
      ++node.bad_checks;
      return;
    }
    lane->replay.accept(counter);
    peer = lane->peer;
  }
  call(delivery.to, [&](hop::Links& links, hop::LinkOutput& out) {
    links.receive(from, delivery.bytes, peer, now_ns_, out);
  });
}

void World::run_until(TimeNs until_ns) {
  while (true) {
    TimeNs next = network_.next_ns();
    for (const WorldNode& node : nodes_) {
      if (node.links != nullptr) next = std::min(next, node.links->next_timer_ns());
    }
    if (next > until_ns) break;
    now_ns_ = std::max(now_ns_, next);
    while (const auto delivery = network_.receive(now_ns_)) receive(*delivery);
    for (unsigned i = 0; i < size(); ++i) {
      if (nodes_[i].links == nullptr || nodes_[i].links->next_timer_ns() > now_ns_) continue;
      call(i, [&](hop::Links& links, hop::LinkOutput& out) { links.tick(now_ns_, out); });
      CC_ASSERT(nodes_[i].links->next_timer_ns() > now_ns_);
    }
  }
  now_ns_ = until_ns;
}

uint32_t World::peer_of(unsigned index, unsigned other) {
  for (const uint32_t peer : nodes_[index].links->peers()) {
    if (nodes_[index].links->config(peer).remote == address_of(other)) return peer;
  }
  return stage::no_peer;
}

bool World::is_up(unsigned index, unsigned other) {
  WorldNode& node = nodes_[index];
  return node.links != nullptr &&
         node.links->status(peer_of(index, other)).state == hop::LinkState::up;
}

bool World::agree(unsigned a, unsigned b) {
  if (!is_up(a, b) || !is_up(b, a)) return false;
  const hop::LinkUp& one = nodes_[a].up.at(peer_of(a, b));
  const hop::LinkUp& other = nodes_[b].up.at(peer_of(b, a));
  const auto same = [](const std::vector<hop::LaneKeys>& x, const std::vector<hop::LaneKeys>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](const hop::LaneKeys& p, const hop::LaneKeys& q) {
                        return p.link_id == q.link_id && p.key.round_keys == q.key.round_keys;
                      });
  };
  return same(one.tx, other.rx) && same(one.rx, other.tx);
}

bool World::passes(unsigned a, unsigned b) {
  wire::TipRequest tip;
  tip.stream.value = random_.next();
  bool sent = false;
  call(a, [&](hop::Links& links, hop::LinkOutput& out) {
    sent = links.send(peer_of(a, b), tip, out);
  });
  run_until(now_ns_ + ns_per_s);
  const auto& messages = nodes_[b].messages;
  return sent && std::any_of(messages.begin(), messages.end(), [&](const hop::LinkMessage& m) {
           const auto* got = std::get_if<wire::TipRequest>(&m.message);
           return got != nullptr && got->stream == tip.stream;
         });
}

}  // namespace chaincast::sim
