// SPDX-License-Identifier: BSD-3-Clause
// Ports, peers and streams come and go while traffic runs.
#include <fmt/core.h>

#include <algorithm>

#include "node/key_files.hpp"
#include "node/node.hpp"

namespace chaincast::node {

namespace {

template <typename List>
void erase_named(List& list, const std::string& name) {
  std::erase_if(list, [&](const auto& item) { return item.name == name; });
}

PeerSettings settings_of(const PeerConfig& config, const Secret& secret,
                         const Node::PortRecord& record) {
  const port::Capabilities capabilities = record.port->capabilities();
  PeerSettings settings;
  settings.link.name = config.name;
  settings.link.remote = config.address;
  settings.link.secret = secret;
  settings.link.node = config.node;
  settings.link.check_off = !config.check;
  settings.link.mtu_bytes = capabilities.mtu_bytes;
  settings.link.control_port = capabilities.control_port;
  settings.port = record.port.get();
  settings.rate_bytes_per_s = config.rate_bits_per_s / 8;
  settings.receive_rate_bytes_per_s = config.receive_rate_bits_per_s / 8;
  settings.queue_packets = config.queue_packets;
  settings.copy_forced = record.config.copy != CopyMode::automatic;
  settings.copy_shared = record.config.copy == CopyMode::shared;
  return settings;
}

}  // namespace

Result<Node::PortRecord*> Node::find_port(const std::string& name_or_id) {
  for (auto& record : ports_) {
    if (record->config.name == name_or_id || std::to_string(record->id) == name_or_id) {
      return record.get();
    }
  }
  return error(
      ErrorCode::not_found,
      fmt::format("port {}: no such port; `show port summary all` lists them", name_or_id));
}

Status Node::add_port(const PortConfig& config) {
  if (find_port(config.name).ok()) {
    return error(ErrorCode::exists, fmt::format("port {}: exists already; choose another name or "
                                                "detach it first",
                                                config.name));
  }
  const unsigned workers = config_.node.workers;
  auto pool = pools_.of_port(config_, config, config.queues != 0 ? config.queues : workers,
                             environment_.numa_node ? environment_.numa_node(config) : -1);
  if (!pool) return pool.error();
  auto record = std::make_unique<PortRecord>();
  while (std::any_of(ports_.begin(), ports_.end(),
                     [&](const auto& other) { return other->id == record->id; })) {
    ++record->id;
  }
  auto port = environment_.make_port(config, record->id, workers, *pool);
  if (!port) {
    pools_.release(*pool);
    return port.error();
  }
  if (const unsigned tx_queues = (*port)->capabilities().tx_queues;
      tx_queues < workers && config.role == port::Role::fabric) {
    return error(ErrorCode::unsupported,
                 fmt::format("port {}: its device has {} tx queues for {} workers; lower [node] "
                             "workers, or give the device more queues (qpairs=, queues=)",
                             config.name, tx_queues, workers));
  }
  record->config = config;
  record->port = std::move(port).value();
  record->pool = *pool;
  if (Status started = record->port->start(); !started) return started;
  record->is_started = true;
  const port::Info info = record->port->info();
  sight_->add_port(*record->port,
                   {record->id, {config.name, info.driver + " " + info.device}, info.addresses});
  ports_.push_back(std::move(record));
  config_.ports.push_back(config);
  publish_receive_plan();
  return {};
}

Status Node::set_port_started(PortRecord& record, bool started) {
  record.was_cut_off = false;
  if (record.is_started == started) return {};
  if (started) {
    if (Status done = record.port->start(); !done) return done;
  }
  record.is_started = started;
  peering_->pause_port(record.port.get(), !started);
  publish_receive_plan();
  mailer_->flush();
  retirer_.flush();  // no worker receives from it or sends to it any more
  if (!started) record.port->stop();
  return {};
}

Status Node::change_port(PortRecord& record, const std::function<Status(port::Port&)>& change) {
  const bool was_started = record.is_started;
  if (Status stopped = set_port_started(record, false); !stopped) return stopped;
  Status changed = change(*record.port);
  if (!was_started) return changed;
  Status started = set_port_started(record, true);
  return changed ? started : changed;
}

Status Node::set_port_mtu(PortRecord& record, uint16_t mtu_bytes) {
  Status changed = change_port(record, [&](port::Port& port) { return port.set_mtu(mtu_bytes); });
  if (!changed) return changed;
  record.config.mtu_bytes = mtu_bytes;
  for (PortConfig& port : config_.ports) {
    if (port.name == record.config.name) port.mtu_bytes = mtu_bytes;
  }
  peering_->follow_mtu(record.port.get(), now_ns());
  return {};
}

Status Node::set_port_promiscuous(PortRecord& record, bool is_on) {
  if (Status set = record.port->set_promiscuous(is_on); !set) return set;
  record.config.promisc = is_on;
  for (PortConfig& port : config_.ports) {
    if (port.name == record.config.name) port.promisc = is_on;
  }
  return {};
}

// One line per change, and its peers need not wait until they have been silent for long.
void Node::follow_link(PortRecord& record, TimeNs now_ns) {
  const bool has_link = !record.is_started || record.port->has_link();
  if (has_link == record.has_link) return;
  record.has_link = has_link;
  const bool is_gone = !has_link && !record.port->info().is_present;
  const char* state = has_link ? "link up" : is_gone ? "its device is gone" : "link down";
  log_.say(has_link ? LogLevel::info : LogLevel::warning,
           fmt::format("port {}: {}", record.config.name, state));
  if (!has_link) {
    peering_->lose_port(record.port.get(), fmt::format("port {}: {}", record.config.name, state),
                        now_ns);
  }
  if (is_gone) {
    if (Status stopped = set_port_started(record, false); !stopped) {
      log_.warning(stopped.error().message);
    }
  }
}

// Every turn of control may try again what failed: the port says when its other end is there.
void Node::reconnect(PortRecord& record) {
  if (!record.port->wants_restart() || (!record.is_started && !record.was_cut_off)) return;
  Status done = set_port_started(record, false);
  if (done) done = set_port_started(record, true);
  record.was_cut_off = !done;
  if (!done) log_.warning(done.error().message);
}

Status Node::remove_port(const std::string& name) {
  auto found = find_port(name);
  if (!found) return found.error();
  PortRecord* record = *found;
  if (peering_->uses_port(record->port.get())) {
    return error(ErrorCode::refused,
                 fmt::format("port {}: peers use it; `remove peer` them first", name));
  }
  if (Status stopped = set_port_started(*record, false); !stopped) return stopped;
  rte_mempool* const pool = record->pool;
  erase_named(config_.ports, record->config.name);
  sight_->remove_port(record->id);
  std::erase_if(ports_, [record](const auto& other) { return other.get() == record; });
  pools_.release(pool);
  return {};
}

// Which worker polls which queue. Where the device steers, worker w has the queue of its UDP port;
// worker 0 has the one before these, control's own, and polls it first. Elsewhere worker 0 has all
// queues. Unless rules steer, datagrams are handed over by their UDP port. A transmit queue has its
// housekeeping done by the worker that sends on it.
void Node::publish_receive_plan() {
  auto plan = std::make_unique<ReceivePlan>();
  const unsigned workers = plane_.workers();
  const auto worker_at = [workers](unsigned place, bool has_control) {
    return std::min(place - (has_control && place > 0 ? 1 : 0), workers - 1);
  };
  plan->queues.resize(workers);
  plan->ticks.resize(workers);
  for (const auto& record : ports_) {
    if (!record->is_started) continue;
    const port::Capabilities capabilities = record->port->capabilities();
    port::Port* port = record->port.get();
    const uint16_t base = port->info().udp_port;
    const bool has_control = capabilities.control_port;
    const bool is_hashed = capabilities.control_queue == port::ControlQueue::hashed;
    for (uint16_t q = 0; q < capabilities.rx_queues; ++q) {
      const unsigned worker = is_hashed ? 0 : worker_at(q, has_control);
      ReceiveQueue queue{port, q, {}, base};
      for (unsigned place = 0;
           !capabilities.steers_ports && workers > 1 && place < workers + (has_control ? 1 : 0);
           ++place) {
        queue.worker_of.push_back(static_cast<uint8_t>(worker_at(place, has_control)));
      }
      auto& polled = plan->queues[worker];
      const bool is_first = capabilities.control_queue == port::ControlQueue::own && q == 0;
      polled.insert(is_first ? polled.begin() : polled.end(), std::move(queue));
    }
    for (uint16_t q = 0; q < capabilities.tx_queues; ++q) {
      plan->ticks[fanout::tx_queue_worker(capabilities, workers, q)].emplace_back(port, q);
    }
  }
  plane_.receive.publish(std::move(plan), retirer_);
}

Status Node::add_peer(const PeerConfig& config) {
  auto port = find_port(config.port);
  if (!port)
    return error(port.error().code, fmt::format("peer {}: {}", config.name, port.error().message));
  if ((*port)->config.role == port::Role::edge) {
    return error(ErrorCode::refused,
                 fmt::format("peer {}: port {} is an edge port; peers need a fabric port",
                             config.name, config.port));
  }
  PeerConfig known = config;
  if (Status read = read_secret(known); !read) return read;
  const identity::SecretFile& secret = *known.secret;
  if (secret.kind != identity::SecretFile::Kind::full) {
    return error(ErrorCode::invalid,
                 fmt::format("peer {}: {} holds a relay secret; a link needs a full one "
                             "(`chaincast keygen secret FILE`)",
                             config.name, config.secret_file));
  }
  auto added = peering_->add(settings_of(config, secret.secret, **port), now_ns());
  if (!added) return added.error();
  sight_->add_peer(*added);
  config_.peers.push_back(std::move(known));
  return {};
}

Status Node::open_link(const std::string& name, const NodeId& node,
                       const std::vector<Endpoint>& endpoints, const Secret& secret,
                       const std::optional<hop::Paths>& paths) {
  std::vector<Endpoint> places = endpoints;
  if (paths) {
    places = paths->own;
    places.insert(places.end(), paths->seen.begin(), paths->seen.end());
  }
  PeerConfig config;
  config.name = name;
  config.node = node;
  for (const auto& record : ports_) {
    if (record->config.role == port::Role::edge) continue;
    const auto own = record->port->info().addresses;
    for (const Endpoint& endpoint : places) {
      const bool is_reached = std::any_of(own.begin(), own.end(), [&](const auto& address) {
        return address.is_ipv6 == endpoint.is_ipv6;
      });
      if (!is_reached) continue;
      config.address = endpoint;
      config.port = record->config.name;
      PeerSettings settings = settings_of(config, secret, *record);
      settings.link.paths = paths;
      if (paths) settings.link.control_port = false;
      auto added = peering_->add(settings, now_ns());
      if (!added) return added.error();
      sight_->add_peer(*added);
      return {};
    }
  }
  return error(ErrorCode::not_found,
               fmt::format("peer {}: none of its {} data addresses has the family of a fabric "
                           "port here",
                           name, places.size()));
}

void Node::close_link(const std::string& name) {
  auto peer = peering_->find(name);
  if (!peer) return;
  sight_->remove_peer(*peer);
  if (Status removed = peering_->remove(name, now_ns()); !removed) {
    log_.warning(removed.error().message);
  }
}

Status Node::remove_peer(const std::string& name) {
  const auto peer = peering_->find(name);
  if (peer && std::none_of(config_.peers.begin(), config_.peers.end(),
                           [&](const PeerConfig& config) { return config.name == name; })) {
    return error(ErrorCode::refused,
                 fmt::format("peer {}: a link of the network, not of the configuration; `leave` "
                             "its streams, or lower `set degree`",
                             name));
  }
  if (Status removed = peering_->remove(name, now_ns()); !removed) return removed;
  if (peer) sight_->remove_peer(*peer);
  retirer_.flush();
  erase_named(config_.peers, name);
  return {};
}

Status Node::set_peer_rate(const std::string& name, uint64_t rate_bits_per_s) {
  if (Status set = peering_->set_rate(name, rate_bits_per_s / 8); !set) return set;
  for (PeerConfig& peer : config_.peers) {
    if (peer.name == name) peer.rate_bits_per_s = rate_bits_per_s;
  }
  return {};
}

Status Node::add_stream(const StreamConfig& config) {
  StreamConfig known = config;
  if (Status read = read_secret(known); !read) return read;
  if (!known.secret && !membership_) {
    return error(ErrorCode::invalid,
                 fmt::format("stream {}: needs a secret; name its file, or set [membership] "
                             "address, so that members hand it over",
                             config.name));
  }
  if (Status added = carrier_->add(config, known.secret, now_ns()); !added) return added;
  if (membership_) membership_->add_stream(known, now_ns());
  config_.streams.push_back(std::move(known));
  return {};
}

Status Node::remove_stream(const std::string& name) {
  if (Status removed = carrier_->remove(name, now_ns()); !removed) return removed;
  if (membership_) membership_->remove_stream(name, now_ns());
  erase_named(config_.streams, name);
  return {};
}

}  // namespace chaincast::node
