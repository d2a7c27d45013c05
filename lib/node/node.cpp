// SPDX-License-Identifier: BSD-3-Clause
#include "node/node.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <sched.h>

#include <algorithm>

#include "cli/files.hpp"
#include "node/changer.hpp"
#include "node/features.hpp"
#include "node/key_files.hpp"

namespace chaincast::node {

namespace {

constexpr TimeNs control_idle_ns = 20 * ns_per_ms;
constexpr unsigned control_datagrams_per_turn_max = 512;

uint32_t all_suites() {
  uint32_t bits = 0;
  for (unsigned suite = 1; suite <= 5; ++suite) bits |= 1u << suite;
  return bits;
}

}  // namespace

Node::Node(Config config, const Environment& environment, identity::Identity identity)
    : config_(std::move(config)),
      environment_(environment),
      log_(environment.log, config_.node.log_level, clock_),
      identity_(std::move(identity)),
      started_ns_(clock_.now_ns()),
      plane_(config_.node.workers) {}

Result<std::unique_ptr<Node>> Node::create(Config config, const Environment& environment) {
  auto identity = identity::load_identity(environment.toolbox, config.node.key_file);
  if (!identity) return identity.error();
  config.node.public_key = identity->public_key;
  std::unique_ptr<Node> node(new Node(std::move(config), environment, std::move(identity).value()));
  Status pools = node->pools_.create(
      node->config_, [log = &node->log_](const std::string& text) { log->warning(text); });
  if (!pools) return pools.error();
  if (Status made = node->make_workers(); !made) return made.error();
  if (Status made = node->make_features(); !made) return made.error();
  return node;
}

Node::~Node() {
  for (auto& worker : workers_) worker->stop();
  // Workers are gone: what still waits in the rings is freed here.
  for (auto& mailbox : plane_.mailboxes) {
    Command command;
    while (mailbox->commands.pop(command)) rte_pktmbuf_free(command.mbuf);
    ControlDatagram datagram;
    while (mailbox->control.pop(datagram)) rte_pktmbuf_free(datagram.mbuf);
    stage::Datagram handed_over;
    for (const auto& ring : mailbox->handover) {
      while (ring != nullptr && ring->pop(handed_over)) rte_pktmbuf_free(handed_over.mbuf);
    }
  }
  membership_.reset();
  sight_.reset();
  carrier_.reset();
  plane_.peers.publish(nullptr, retirer_);
  plane_.receive.publish(nullptr, retirer_);
  peering_.reset();
  retirer_.flush();
  lines_.clear();
  for (auto& record : ports_) record->port->stop();
  ports_.clear();
}

Status Node::make_workers() {
  for (unsigned w = 0; w < config_.node.workers; ++w) {
    auto engine = environment_.make_engine(config_.node.crypto);
    if (!engine) return engine.error();
    fanout::FanoutConfig fanout;
    fanout.worker = w;
    fanout.headers = pools_.headers();
    fanout.payloads = pools_.payloads();
    lines_.push_back(std::make_unique<Line>(w, plane_, std::move(engine).value(), fanout));
    workers_.push_back(std::make_unique<worker::Worker>(
        fmt::format("cc-worker-{}", w), *lines_.back(),
        config_.node.idle == Idle::poll ? worker::Idle::poll : worker::Idle::sleep));
  }
  return {};
}

Status Node::make_features() {
  sight_ = std::make_unique<Sight>(plane_, retirer_, environment_.threads, clock_);
  mailer_ = std::make_unique<Mailer>(plane_, pools_.payloads(), [this] { wait_for_workers(); });
  auto engine = environment_.make_engine(config_.node.crypto);
  if (!engine) return engine.error();
  CarrierConfig carrier;
  const auto hex = network_from_hex(config_.node.network);
  carrier.network = hex ? *hex : environment_.toolbox.sha256(as_bytes(config_.node.network));
  carrier.repair = config_.repair;
  environment_.toolbox.random_bytes(
      {reinterpret_cast<uint8_t*>(&carrier.seed), sizeof carrier.seed});
  carrier_ = std::make_unique<Carrier>(carrier, plane_, *mailer_, retirer_, environment_.toolbox,
                                       std::move(engine).value(), *identity_.signer,
                                       [this](const std::string& text) { log_.info(text); });
  PeeringConfig peering;
  peering.node = identity_.id;
  peering.key = identity_.public_key;
  peering.suites = all_suites();
  peering.workers = config_.node.workers;
  peering.seed = carrier.seed ^ 0x9e3779b97f4a7c15ull;
  peering_ = std::make_unique<Peering>(peering, plane_, *mailer_, retirer_, environment_.toolbox,
                                       *carrier_,
                                       [this](const std::string& peer, const std::string& text) {
                                         log_.info(fmt::format("peer {}: {}", peer, text));
                                       });
  carrier_->attach(*peering_);

  if (Status made = make_membership(carrier.network); !made) return made;
  changer_ = std::make_unique<Changer>(*this);
  const Config wanted = config_;
  config_.ports.clear();
  config_.peers.clear();
  config_.streams.clear();
  for (const PortConfig& port : wanted.ports) {
    if (Status added = add_port(port); !added) return added;
  }
  for (const StreamConfig& stream : wanted.streams) {
    if (Status added = add_stream(stream); !added) return added;
  }
  for (const PeerConfig& peer : wanted.peers) {
    if (Status added = add_peer(peer); !added) return added;
  }
  fill_table(table_, this);
  return open_sessions();
}

Status Node::make_membership(const Digest& network) {
  MembershipConfig& wanted = config_.membership;
  if (!wanted.address) return {};
  if (!environment_.make_sessions) {
    return error(ErrorCode::unsupported, "[membership]: this build has no sessions; remove it");
  }
  if (Status read = read_genesis(wanted, environment_.toolbox); !read) return read;
  if (wanted.genesis && wanted.genesis->network != network) {
    return error(ErrorCode::invalid,
                 fmt::format("[node] network is not what {} begins; set network = \"{}\"",
                             wanted.genesis_file, to_hex(wanted.genesis->network)));
  }
  carrier_->set_gate([this](uint32_t peer, const std::string& stream) {
    return membership_->lets_in(peering_->name(peer), peering_->status(peer).node, stream);
  });
  membership_ = std::make_unique<Membership>(wanted, network, identity_, environment_.toolbox,
                                             membership_hooks());
  carrier_->set_kinship(membership_.get());
  if (wanted.genesis) carrier_->set_votes_default(wanted.genesis->votes_percent);
  peering_->set_probe_handler([this](const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
    membership_->on_probe(from, datagram, now_ns);
  });
  return {};
}

MembershipHooks Node::membership_hooks() {
  MembershipHooks hooks;
  hooks.open_link = [this](const std::string& name, const NodeId& node,
                           const std::vector<Endpoint>& endpoints, const Secret& secret,
                           const std::optional<hop::Paths>& paths) {
    return open_link(name, node, endpoints, secret, paths);
  };
  hooks.set_paths = [this](const std::string& name, const hop::Paths& paths) {
    if (const auto peer = peering_->find(name)) peering_->set_paths(*peer, paths, now_ns());
  };
  hooks.is_up = [this](const std::string& name) {
    const auto peer = peering_->find(name);
    return peer && peering_->is_up(*peer);
  };
  hooks.probe = [this](const Endpoint& to, const Bytes& datagram) { send_probe(to, datagram); };
  hooks.close_link = [this](const std::string& name) { close_link(name); };
  hooks.take_secret = [this](const std::string& stream, const identity::SecretFile& secret) {
    return carrier_->give(stream, secret);
  };
  hooks.log = [this](LogLevel level, const std::string& text) { log_.say(level, text); };
  return hooks;
}

// From the UDP port that lane 0 of links has: it is that port's mapping that is asked for.
void Node::send_probe(const Endpoint& to, const Bytes& datagram) {
  for (const auto& record : ports_) {
    if (record->config.role == port::Role::edge) continue;
    const port::Info info = record->port->info();
    const bool is_reached =
        std::any_of(info.addresses.begin(), info.addresses.end(),
                    [&](const Endpoint& own) { return own.is_ipv6 == to.is_ipv6; });
    if (!is_reached) continue;
    hop::LinkTransmit probe;
    probe.to = to;
    probe.is_hello = true;
    probe.bytes = datagram;
    (void)mailer_->send_raw(*record->port, probe, info.udp_port);
    return;
  }
}

Status Node::open_relay() {
  const MembershipConfig& wanted = config_.membership;
  if (!wanted.relay) return {};
  if (!environment_.make_relay_sockets) {
    return error(ErrorCode::unsupported, "[membership] relay: this build has none; remove it");
  }
  auto sockets =
      environment_.make_relay_sockets(*wanted.relay, punch::vantages + wanted.relay_pairs);
  if (!sockets) return sockets.error();
  membership_->attach(std::move(*sockets));
  return {};
}

// Once the ports are there, whose addresses other nodes are told.
Status Node::open_sessions() {
  if (!membership_) return {};
  std::vector<Endpoint> data;
  for (const auto& record : ports_) {
    if (record->config.role == port::Role::edge) continue;
    const auto own = record->port->info().addresses;
    data.insert(data.end(), own.begin(), own.end());
  }
  auto sessions = environment_.make_sessions(membership_->session_config(data), *identity_.signer);
  if (!sessions) return sessions.error();
  membership_->attach(std::move(*sessions));
  if (Status opened = open_relay(); !opened) return opened;
  membership_->start(now_ns());
  return {};
}

// ---- running --------------------------------------------------------------------------------

Status Node::start_workers() {
  is_threaded_ = true;
  for (unsigned w = 0; w < workers_.size(); ++w) {
    const int cpu =
        config_.node.worker_cpus.empty() ? -1 : static_cast<int>(config_.node.worker_cpus[w]);
    if (Status started = workers_[w]->start(environment_.worker_threads, cpu); !started)
      return started;
  }
  return {};
}

void Node::wait_for_workers() {
  if (is_threaded_) {
    const timespec moment{0, static_cast<long>(100 * ns_per_us)};
    ppoll(nullptr, 0, &moment, nullptr);
    return;
  }
  for (auto& worker : workers_) worker->step(now_ns());
}

void Node::step(TimeNs now_ns) {
  for (auto& worker : workers_) worker->step(now_ns);
  control_turn(now_ns);
  if (membership_) poll_descriptors(now_ns);
}

void Node::receive_control(TimeNs now_ns) {
  for (auto& mailbox : plane_.mailboxes) {
    ControlDatagram datagram;
    unsigned count = 0;
    while (count < control_datagrams_per_turn_max && mailbox->control.pop(datagram)) {
      ++count;
      peering_->receive(datagram, now_ns);
      rte_pktmbuf_free(datagram.mbuf);
    }
  }
}

// Returns when the next of them is due.
TimeNs Node::turn_ports(TimeNs now_ns) {
  TimeNs next = time_never;
  for (auto& record : ports_) {
    if (record->control_due_ns <= now_ns) record->control_due_ns = record->port->control(now_ns);
    next = std::min(next, record->control_due_ns);
    follow_link(*record, now_ns);
    reconnect(*record);
  }
  pools_.sweep();
  return next;
}

TimeNs Node::control_turn(TimeNs now_ns) {
  receive_control(now_ns);
  if (peering_->next_timer_ns() <= now_ns) peering_->tick(now_ns);
  if (membership_) membership_->tick(now_ns);
  const TimeNs ports_due_ns = turn_ports(now_ns);
  if (!is_stopping()) changer_->tick(now_ns);
  const bool is_busy = carrier_->poll(now_ns);
  retirer_.flush();
  if (is_busy) return now_ns;
  const TimeNs membership_ns = membership_ ? membership_->next_timer_ns() : time_never;
  const TimeNs next = std::min({peering_->next_timer_ns(), carrier_->next_timer_ns(now_ns),
                                ports_due_ns, membership_ns, now_ns + control_idle_ns});
  // Workers hand control datagrams over without a wake-up: look at least this often.
  return std::min(next, now_ns + 2 * ns_per_ms);
}

void Node::poll_descriptors(TimeNs until_ns) {
  std::vector<Pollable*> polled(consoles_.begin(), consoles_.end());
  if (membership_) polled.push_back(&membership_->sessions());
  if (membership_ && membership_->crossing().sockets() != nullptr) {
    polled.push_back(membership_->crossing().sockets());
  }
  std::vector<pollfd> fds;
  std::vector<size_t> ends;
  for (const Pollable* one : polled) {
    one->add_poll_fds(fds);
    ends.push_back(fds.size());
    until_ns = std::min(until_ns, one->wake_at_ns());
  }
  const TimeNs now = now_ns();
  const TimeNs wait_ns = until_ns > now ? until_ns - now : 0;
  const timespec wait{static_cast<time_t>(wait_ns / ns_per_s),
                      static_cast<long>(wait_ns % ns_per_s)};
  ppoll(fds.data(), fds.size(), &wait, nullptr);
  size_t begin = 0;
  for (size_t i = 0; i < polled.size(); ++i) {
    polled[i]->on_ready({fds.data() + begin, ends[i] - begin}, now_ns());
    begin = ends[i];
  }
}

int Node::run() {
  while (!is_stopping()) {
    poll_descriptors(control_turn(now_ns()));
  }
  return drain() ? 0 : 2;
}

bool Node::drain() {
  const TimeNs deadline = now_ns() + config_.node.drain_timeout_s * ns_per_s;
  log_.info("draining: last statements, queued frames, goodbye to peers");
  // What applications have handed over leaves before the last statement, which covers it.
  const auto is_queued = [this] {
    return std::any_of(carrier_->carried().begin(), carrier_->carried().end(), [](const auto& c) {
      return c.second->origin && c.second->origin->queued_bytes() > 0;
    });
  };
  while (is_queued() && now_ns() < deadline) {
    if (!is_threaded_) wait_for_workers();
    poll_descriptors(control_turn(now_ns()));
  }
  const bool is_drained = !is_queued();
  carrier_->end(now_ns());
  // A few turns more, so that neighbours can still ask for the last frames.
  const TimeNs linger = std::min(deadline, now_ns() + 300 * ns_per_ms);
  while (!peering_->peers_up().empty() && now_ns() < linger) {
    if (!is_threaded_) wait_for_workers();
    poll_descriptors(control_turn(now_ns()));
  }
  if (membership_) {
    membership_->leave(now_ns());
    const TimeNs goodbye_ns = now_ns() + 200 * ns_per_ms;
    while (!membership_->is_quiet() && now_ns() < goodbye_ns) {
      poll_descriptors(now_ns() + ns_per_ms);
    }
  }
  peering_->shutdown(now_ns());
  return is_drained && now_ns() < deadline + ns_per_s;
}

// ---- service --------------------------------------------------------------------------------

ops::Reply Node::run(std::string_view line) {
  return table_.run(line);
}

ops::Reply Node::run_in(cli::SessionId session, std::string_view line) {
  session_ = session;
  ops::Reply reply = run(line);
  session_ = 0;
  return reply;
}

void Node::close_session(cli::SessionId session) {
  // A node that stops has nothing to go back to.
  if (is_stopping()) return;
  changer_->on_closed(session, now_ns());
}

Result<cli::StreamInfo> Node::stream(std::string_view name) {
  return carrier_->info(name);
}

cli::PublishResult Node::publish(std::string_view stream, ByteSpan object) {
  return carrier_->publish(stream, object);
}

Result<cli::SubscriptionId> Node::subscribe(std::string_view stream, cli::Subscriber* subscriber) {
  return carrier_->subscribe(stream, subscriber);
}

void Node::unsubscribe(cli::SubscriptionId subscription) {
  carrier_->unsubscribe(subscription);
}

std::vector<std::string> Node::complete(std::string_view line) {
  return table_.complete(line, [this](ops::ArgumentType type, std::string_view prefix) {
    std::vector<std::string> names;
    if (type == ops::ArgumentType::file) return cli::files_with(prefix);
    if (type == ops::ArgumentType::port) {
      for (const auto& record : ports_) names.push_back(record->config.name);
    } else if (type == ops::ArgumentType::peer) {
      for (uint32_t peer : peering_->peers()) names.push_back(peering_->name(peer));
    } else if (type == ops::ArgumentType::stream) {
      for (const auto& [name, resource] : carrier_->resources()) names.push_back(name);
    }
    return names;
  });
}

ops::Json Node::status() {
  return {{"name", config_.node.name},
          {"node", identity_.id.hex()},
          {"version", CHAINCAST_VERSION},
          {"uptime_s", (now_ns() - started_ns_) / ns_per_s},
          {"forwarding", plane_.is_forwarding.load(std::memory_order_relaxed)},
          {"workers", workers_.size()},
          {"ports", ports_.size()},
          {"peers", peering_->peers().size()},
          {"peers_up", peering_->peers_up().size()},
          {"streams", carrier_->carried().size()}};
}

uint64_t Node::drops(stage::Drop reason) const {
  uint64_t total = 0;
  for (const auto& line : lines_) total += line->drops().read(reason);
  return total - drops_cleared_[static_cast<size_t>(reason)];
}

void Node::clear_drops() {
  for (size_t i = 0; i < stage::drop_count; ++i) {
    drops_cleared_[i] += drops(static_cast<stage::Drop>(i));
  }
}

void Node::set_log_level(LogLevel level) {
  config_.node.log_level = level;
  log_.set_level(level);
}

void Node::set_repair(const repair::RepairConfig& repair) {
  config_.repair = repair;
  carrier_->set_repair(repair);
}

Status Node::set_votes(const std::string& stream, const vote::Rule& rule) {
  if (Status set = carrier_->set_votes(stream, rule); !set) return set;
  for (StreamConfig& config : config_.streams) {
    if (config.name == stream) config.set_votes(rule);
  }
  return {};
}

void Node::set_idle(Idle idle) {
  config_.node.idle = idle;
  for (auto& worker : workers_) {
    worker->set_idle(idle == Idle::poll ? worker::Idle::poll : worker::Idle::sleep);
  }
}

}  // namespace chaincast::node
