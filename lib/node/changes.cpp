// SPDX-License-Identifier: BSD-3-Clause
// Ports, peers and streams come and go while traffic runs.
#include <fmt/core.h>

#include <algorithm>

#include "node/node.hpp"

namespace chaincast::node {

namespace {

template <typename List>
void erase_named(List& list, const std::string& name) {
  std::erase_if(list, [&](const auto& item) { return item.name == name; });
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
  const unsigned queues = config.queues != 0 ? config.queues : config_.node.workers;
  auto port = environment_.make_port(config, queues, payload_pool_);
  if (!port) return port.error();
  if (const unsigned tx_queues = (*port)->capabilities().tx_queues;
      tx_queues < config_.node.workers && config.role == port::Role::fabric) {
    return error(ErrorCode::unsupported,
                 fmt::format("port {}: its device has {} tx queues for {} workers; lower [node] "
                             "workers, or give the device more queues (qpairs=, queues=)",
                             config.name, tx_queues, config_.node.workers));
  }
  auto record = std::make_unique<PortRecord>();
  record->config = config;
  record->port = std::move(port).value();
  while (std::any_of(ports_.begin(), ports_.end(),
                     [&](const auto& other) { return other->id == record->id; })) {
    ++record->id;
  }
  if (Status started = record->port->start(); !started) return started;
  record->is_started = true;
  ports_.push_back(std::move(record));
  config_.ports.push_back(config);
  publish_receive_plan();
  return {};
}

Status Node::set_port_started(PortRecord& record, bool started) {
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

Status Node::remove_port(const std::string& name) {
  auto found = find_port(name);
  if (!found) return found.error();
  PortRecord* record = *found;
  if (peering_->uses_port(record->port.get())) {
    return error(ErrorCode::refused,
                 fmt::format("port {}: peers use it; `remove peer` them first", name));
  }
  if (Status stopped = set_port_started(*record, false); !stopped) return stopped;
  erase_named(config_.ports, record->config.name);
  std::erase_if(ports_, [record](const auto& other) { return other.get() == record; });
  return {};
}

// Which worker polls which queue: queue w, and with it UDP port base + w, belongs to worker w. A
// port with fewer queues is polled by worker 0, which hands datagrams over by their UDP port. A
// transmit queue has its housekeeping done by the worker that sends on it.
void Node::publish_receive_plan() {
  auto plan = std::make_unique<ReceivePlan>();
  const unsigned workers = plane_.workers();
  plan->queues.resize(workers);
  plan->ticks.resize(workers);
  for (const auto& record : ports_) {
    if (!record->is_started) continue;
    const port::Capabilities capabilities = record->port->capabilities();
    port::Port* port = record->port.get();
    const uint16_t base = port->info().udp_port;
    for (uint16_t q = 0; q < capabilities.rx_queues; ++q) {
      const unsigned worker = std::min<unsigned>(q, workers - 1);
      ReceiveQueue queue{port, q, {}, base};
      if (!capabilities.steers_ports && workers > 1) {
        for (unsigned w = 0; w < workers; ++w) queue.worker_of.push_back(static_cast<uint8_t>(w));
      }
      plan->queues[worker].push_back(std::move(queue));
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
  auto secret = identity::load_secret(config.secret_file);
  if (!secret) {
    return error(secret.error().code,
                 fmt::format("peer {}: {}", config.name, secret.error().message));
  }
  if (secret->kind != identity::SecretFile::Kind::full) {
    return error(ErrorCode::invalid,
                 fmt::format("peer {}: {} holds a relay secret; a link needs a full one "
                             "(`chaincast keygen secret FILE`)",
                             config.name, config.secret_file));
  }
  PeerSettings settings;
  settings.link.name = config.name;
  settings.link.remote = config.address;
  settings.link.secret = secret->secret;
  settings.link.node = config.node;
  settings.link.check_off = !config.check;
  settings.link.mtu_bytes = (*port)->port->capabilities().mtu_bytes;
  settings.port = (*port)->port.get();
  settings.rate_bytes_per_s = config.rate_bits_per_s / 8;
  settings.receive_rate_bytes_per_s = config.receive_rate_bits_per_s / 8;
  settings.queue_packets = config.queue_packets;
  settings.copy_forced = (*port)->config.copy != CopyMode::automatic;
  settings.copy_shared = (*port)->config.copy == CopyMode::shared;
  auto added = peering_->add(settings, now_ns());
  if (!added) return added.error();
  config_.peers.push_back(config);
  return {};
}

Status Node::remove_peer(const std::string& name) {
  if (Status removed = peering_->remove(name, now_ns()); !removed) return removed;
  retirer_.flush();
  erase_named(config_.peers, name);
  return {};
}

Status Node::add_stream(const StreamConfig& config) {
  auto secret = identity::load_secret(config.secret_file);
  if (!secret) {
    return error(secret.error().code,
                 fmt::format("stream {}: {}", config.name, secret.error().message));
  }
  if (Status added = carrier_->add(config, *secret, now_ns()); !added) return added;
  config_.streams.push_back(config);
  return {};
}

Status Node::remove_stream(const std::string& name) {
  if (Status removed = carrier_->remove(name, now_ns()); !removed) return removed;
  erase_named(config_.streams, name);
  return {};
}

}  // namespace chaincast::node
