// SPDX-License-Identifier: BSD-3-Clause
#include "nat_world.hpp"

#include <algorithm>

namespace chaincast::test {

namespace {

constexpr TimeNs step_ns = 10 * ns_per_ms;
constexpr TimeNs follow_ns = 200 * ns_per_ms;  // as often hosts tell each other what they know
constexpr uint16_t port = 7000, relay_port = 7100;

Endpoint at(uint8_t third, uint8_t host, uint16_t udp) {
  Endpoint out;
  out.address = {203, 0, third, host};
  out.port = udp;
  return out;
}

Secret key_of(const NodeId& node, uint8_t server) {
  Secret out;
  out.fill(server);
  std::copy(node.bytes.begin(), node.bytes.end(), out.begin());
  return out;
}

}  // namespace

Nat::Nat(uint8_t number, Depends mapping, Depends filtering, uint64_t seed)
    : address_(at(113, number, 0)), mapping_(mapping), filtering_(filtering), random_(seed) {}

Endpoint Nat::key(const Endpoint& to, Depends depends) {
  Endpoint out = to;
  if (depends == Depends::nothing) return {};
  if (depends == Depends::address) out.port = 0;
  return out;
}

Endpoint Nat::send(const Endpoint& to) {
  Mapped& mapped = mappings_[key(to, mapping_)];
  while (mapped.port == 0) {
    const auto drawn = static_cast<uint16_t>(1024 + random_.below(65536 - 1024));
    const bool is_taken = std::any_of(mappings_.begin(), mappings_.end(),
                                      [&](const auto& one) { return one.second.port == drawn; });
    if (!is_taken) mapped.port = drawn;
  }
  mapped.sent_to.insert(key(to, filtering_));
  Endpoint out = address_;
  out.port = mapped.port;
  return out;
}

bool Nat::lets_in(const Endpoint& from, uint16_t to_port) const {
  return std::any_of(mappings_.begin(), mappings_.end(), [&](const auto& one) {
    return one.second.port == to_port && one.second.sent_to.contains(key(from, filtering_));
  });
}

struct NatWorld::Host {
  Host(const WorldConfig& config, unsigned number, const crypto::Toolbox& toolbox)
      : nat(static_cast<uint8_t>(11 + number), config.mapping[number], config.filtering[number],
            config.seed * 2 + number),
        prober(
            [&] {
              links_config.key.fill(static_cast<uint8_t>(config.seed * 2 + number));
              const Digest digest = toolbox.sha256(links_config.key);
              std::copy_n(digest.begin(), 16, links_config.node.bytes.begin());
              return links_config.node;
            }(),
            toolbox) {
    links_config.suites = 0x1f;
    links_config.allocate_link_id = [this](uint32_t r) { return table->allocate(r); };
    links_config.release_link_id = [this](uint32_t id) { table->remove(id); };
    links = std::make_unique<hop::Links>(links_config, toolbox, config.seed + number);
  }
  hop::LinksConfig links_config;
  Nat nat;
  punch::Prober prober;
  std::unique_ptr<hop::LaneTable> table = std::make_unique<hop::LaneTable>();
  std::unique_ptr<hop::Links> links;
  bool is_open = false;
  std::optional<punch::Candidates> theirs;
  std::optional<Endpoint> granted;
  TimeNs up_ns = 0, asked_ns = 0;
};

NatWorld::NatWorld(const WorldConfig& config, const crypto::Toolbox& toolbox)
    : config_(config), toolbox_(toolbox), random_(config.seed) {
  for (unsigned i = 0; i < 2; ++i) hosts_[i] = std::make_unique<Host>(config, i, toolbox);
  const auto make_relay = [&](uint8_t number) {
    punch::RelayConfig relay;
    relay.address = at(113, number, relay_port);
    return std::make_unique<punch::Relay>(
        relay, toolbox, [number](const NodeId& id) { return std::optional(key_of(id, number)); },
        [this, number](unsigned socket, const Endpoint& to, ByteSpan datagram) {
          launch(at(113, number, static_cast<uint16_t>(relay_port + socket)), to,
                 Bytes(datagram.begin(), datagram.end()));
          return true;
        });
  };
  relay_ = make_relay(1);
  another_ = make_relay(2);
  for (auto& host : hosts_) {
    host->up_ns = now_ns_;
    for (uint8_t server : {uint8_t{1}, uint8_t{2}}) {
      const auto& relay = server == 1 ? relay_ : another_;
      for (const Endpoint& vantage : relay->vantage_points()) {
        host->prober.set(vantage, key_of(host->links_config.node, server), true, now_ns_);
      }
    }
  }
}

NatWorld::~NatWorld() = default;

void NatWorld::launch(const Endpoint& from, const Endpoint& to, Bytes bytes) {
  ++sent_;
  if (random_.chance(config_.loss)) return;
  Flying flying;
  flying.at_ns = now_ns_ + 5 * ns_per_ms + random_.below(35 * ns_per_ms);
  flying.order = ++order_;
  flying.from = from;
  flying.to = to;
  flying.bytes = std::move(bytes);
  flying_.push(std::move(flying));
}

void NatWorld::land(const Flying& flying) {
  for (uint8_t server : {uint8_t{1}, uint8_t{2}}) {
    if (flying.to.address != at(113, server, 0).address) continue;
    punch::Relay& relay = server == 1 ? *relay_ : *another_;
    const unsigned sockets = punch::vantages + relay.config().pairs_max;
    if (flying.to.port < relay_port || flying.to.port >= relay_port + sockets) return;
    return relay.receive(flying.to.port - relay_port, flying.from, flying.bytes, now_ns_);
  }
  for (auto& host : hosts_) {
    if (flying.to.address != host->nat.address().address) continue;
    if (!host->nat.lets_in(flying.from, flying.to.port)) return;
    if (punch::is_probe(flying.bytes)) {
      punch::Prober::Datagrams out;
      host->prober.receive(flying.from, flying.bytes, now_ns_, out);
      for (auto& [to, bytes] : out) launch(host->nat.send(to), to, std::move(bytes));
      return;
    }
    if (!host->is_open) return;
    hop::LinkOutput out;
    host->links->receive(flying.from, flying.bytes, 0, now_ns_, out);
    for (auto& one : out.transmits) launch(host->nat.send(one.to), one.to, std::move(one.bytes));
  }
}

// What hosts tell each other through the supernode, and when they ask it to forward.
void NatWorld::follow(unsigned number) {
  Host& host = *hosts_[number];
  Host& other = *hosts_[1 - number];
  if (!host.prober.is_settled(now_ns_)) return;
  other.theirs = punch::Candidates{host.prober.mapping(), {}, host.prober.seen()};
  if (!host.theirs || host.theirs->seen.empty()) return;
  hop::Paths paths;
  paths.own = {at(0, static_cast<uint8_t>(1 + number), port)};  // nobody's out here
  paths.seen = host.theirs->seen;
  paths.searches = host.prober.mapping() == punch::Mapping::independent &&
                   host.theirs->mapping == punch::Mapping::dependent;
  paths.relay = host.granted;
  if (host.is_open) {
    host.links->set_paths(0, paths, now_ns_);
  } else {
    hop::LinkConfig link;
    link.name = "other";
    link.secret.fill(0x33);
    link.node = other.links_config.node;
    link.remote = paths.seen.front();
    link.paths = paths;
    host.is_open = host.links->add(link, now_ns_).ok();
    host.up_ns = now_ns_;
  }
  const auto state = host.links->status(0).state;
  if (state == hop::LinkState::up) host.up_ns = now_ns_;
  const TimeNs down_ns = now_ns_ - host.up_ns;
  if (down_ns >= 1500 * ns_per_ms && now_ns_ - host.asked_ns >= 5 * ns_per_s) {
    host.asked_ns = now_ns_;
    host.prober.ask_again(now_ns_);
  }
  if (down_ns < config_.relay_after_ns || host.granted) return;
  const auto granted = relay_->open(host.links_config.node, other.links_config.node, now_ns_);
  for (auto& one : hosts_) {
    one->granted = granted;
    one->prober.set(*granted, key_of(one->links_config.node, 1), false, now_ns_);
  }
}

void NatWorld::turn(unsigned number) {
  Host& host = *hosts_[number];
  punch::Prober::Datagrams probes;
  host.prober.tick(now_ns_, probes);
  for (auto& [to, bytes] : probes) launch(host.nat.send(to), to, std::move(bytes));
  if (now_ns_ % follow_ns == 0) follow(number);
  if (!host.is_open) return;
  hop::LinkOutput out;
  host.links->tick(now_ns_, out);
  for (auto& one : out.transmits) launch(host.nat.send(one.to), one.to, std::move(one.bytes));
}

void NatWorld::run_for(TimeNs ns) {
  const TimeNs end_ns = now_ns_ + ns;
  while (now_ns_ < end_ns) {
    now_ns_ += step_ns;
    while (!flying_.empty() && flying_.top().at_ns <= now_ns_) {
      const Flying flying = flying_.top();
      flying_.pop();
      land(flying);
    }
    for (unsigned i = 0; i < 2; ++i) turn(i);
    relay_->tick(now_ns_);
  }
}

bool NatWorld::is_up() const {
  return std::all_of(hosts_.begin(), hosts_.end(), [](const auto& host) {
    return host->is_open && host->links->status(0).state == hop::LinkState::up;
  });
}

bool NatWorld::run_until_up(TimeNs ns, std::optional<hop::Path> wanted) {
  const TimeNs end_ns = now_ns_ + ns;
  const auto is_done = [&] {
    return is_up() && (!wanted || (path(0) == *wanted && path(1) == *wanted));
  };
  while (!is_done() && now_ns_ < end_ns) run_for(step_ns);
  return is_done();
}

hop::Path NatWorld::path(unsigned host) const {
  return hosts_[host]->links->status(0).path;
}
Endpoint NatWorld::remote(unsigned host) const {
  return hosts_[host]->links->config(0).remote;
}
uint64_t NatWorld::sessions(unsigned host) const {
  return hosts_[host]->links->status(0).sessions;
}
punch::Mapping NatWorld::mapping(unsigned host) const {
  return hosts_[host]->prober.mapping();
}
Nat& NatWorld::nat(unsigned host) {
  return hosts_[host]->nat;
}

}  // namespace chaincast::test
