// SPDX-License-Identifier: BSD-3-Clause
#include "node/peering.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "punch/probe.hpp"

namespace chaincast::node {

namespace {

constexpr TimeNs resolve_interval_ns = 20 * ns_per_ms;
constexpr TimeNs refresh_interval_ns = 60 * ns_per_s;
constexpr unsigned unreached_logged = 3;    // hellos without a next hop until a line is logged
constexpr uint16_t mtu_floor_bytes = 1280;  // every path carries it (RFC 8200); probing goes up

uint16_t ip_udp_bytes(const Endpoint& remote) {
  return remote.is_ipv6 ? 48 : 28;
}

// The UDP port that a lane is sent from, of `ports` from `base`.
uint16_t source_port(uint16_t base, size_t lane, unsigned ports) {
  const size_t offset = lane == 0 || ports == 0 ? 0 : (lane - 1) % ports;
  return static_cast<uint16_t>(base + offset);
}

// Bulk lane 1 + w goes to the peer's UDP port of its worker w, so that a stream stays on the lcore
// that its lane names all along the path.
uint16_t destination_port(const hop::LinkUp& link, size_t lane) {
  const unsigned first = link.remote_control_port && lane != 0 ? 1 : 0;
  const auto base = static_cast<uint16_t>(link.remote.port + first);
  return source_port(base, lane, link.remote_ports - first);
}

// What an idle link saves up: 20 ms, or a few bursts.
void set_bucket(rate::Bucket& bucket, uint64_t bytes_per_s) {
  bucket.configure(bytes_per_s, std::max<uint64_t>(bytes_per_s / 50, 65'536));
}

}  // namespace

const char* to_text(hop::LinkState state) {
  switch (state) {
    case hop::LinkState::never_heard:
      return "never heard";
    case hop::LinkState::connecting:
      return "connecting";
    case hop::LinkState::up:
      return "up";
    case hop::LinkState::down:
      return "down";
    case hop::LinkState::wrong_key:
      return "wrong key";
    case hop::LinkState::wrong_version:
      return "wrong version";
    case hop::LinkState::duplicate_id:
      return "duplicate id";
  }
  return "?";
}

Peering::Peering(PeeringConfig config, Plane& plane, Mailer& mailer, rcu::Retirer& retirer,
                 const crypto::Toolbox& toolbox, PeerListener& listener, PeerLog log)
    : config_(std::move(config)),
      plane_(plane),
      mailer_(mailer),
      retirer_(retirer),
      listener_(listener),
      log_(std::move(log)) {
  hop::LinksConfig links;
  links.node = config_.node;
  links.key = config_.key;
  links.suites = config_.suites;
  links.tx_lanes = static_cast<uint16_t>(config_.workers);
  links.receive_ports = static_cast<uint16_t>(config_.workers);
  links.timers = config_.timers;
  links.receive_counters = [this](uint32_t peer) { return receive_counters(peer); };
  links.last_heard = [this](uint32_t peer) { return last_heard(peer); };
  links.allocate_link_id = [this](uint32_t random) { return plane_.lanes.allocate(random); };
  links.release_link_id = [this](uint32_t link_id) { release_lane(link_id); };
  links_ = std::make_unique<hop::Links>(std::move(links), toolbox, config_.seed);
}

Peering::~Peering() = default;

Result<uint32_t> Peering::add(const PeerSettings& settings, TimeNs now_ns) {
  auto added = links_->add(settings.link, now_ns);
  if (!added) return added;
  Record& record = records_[*added];
  record.settings = settings;
  record.state = fanout::make_peer_state(*added, config_.workers, settings.queue_packets);
  set_bucket(record.state->bucket, settings.rate_bytes_per_s);
  if (settings.receive_rate_bytes_per_s != 0) {
    record.receive_budget = std::make_shared<rate::Bucket>();
    set_bucket(*record.receive_budget, settings.receive_rate_bytes_per_s);
  }
  publish();
  return added;
}

Status Peering::remove(const std::string& name, TimeNs now_ns) {
  auto peer = find(name);
  if (!peer) return peer.error();
  hop::LinkOutput out;
  if (Status removed = links_->remove(*peer, now_ns, out); !removed) return removed;
  for (const hop::LinkTransmit& transmit_one : out.transmits) transmit(transmit_one);
  mailer_.flush();  // the goodbye leaves before the lanes do
  out.transmits.clear();
  handle(out, now_ns);
  auto node = records_.extract(*peer);
  if (node.mapped().is_up) listener_.on_peer_down(*peer, now_ns);
  publish();
  mailer_.drain(node.mapped().state);
  mailer_.flush();
  retirer_.retire_shared(node.mapped().state);
  for (auto& lane : node.mapped().tx_lanes) retirer_.retire_shared(lane);
  return {};
}

void Peering::set_paths(uint32_t peer, const hop::Paths& paths, TimeNs now_ns) {
  links_->set_paths(peer, paths, now_ns);
}

void Peering::receive(const ControlDatagram& datagram, TimeNs now_ns) {
  const ByteSpan bytes(datagram.data, datagram.bytes);
  if (on_probe_ && datagram.peer == stage::no_peer && punch::is_probe(bytes)) {
    return on_probe_(datagram.from, bytes, now_ns);
  }
  hop::LinkOutput out;
  links_->receive(datagram.from, bytes, datagram.peer, now_ns, out);
  handle(out, now_ns);
}

void Peering::tick(TimeNs now_ns) {
  hop::LinkOutput out;
  links_->tick(now_ns, out);
  handle(out, now_ns);
  if (now_ns < next_resolve_ns_) return;
  next_resolve_ns_ = now_ns + resolve_interval_ns;
  for (auto& [peer, record] : records_) {
    if (!record.is_up || paused_ports_.count(record.settings.port) != 0) continue;
    if (record.is_resolved) {
      refresh(record, now_ns);
    } else {
      resolve(peer, now_ns);
    }
  }
}

TimeNs Peering::next_timer_ns() const {
  TimeNs next = links_->next_timer_ns();
  for (const auto& [peer, record] : records_) {
    if (!record.is_up) continue;
    // Resolved ones only want an eye on the port's version.
    next = std::min(next, record.is_resolved ? next_resolve_ns_ + ns_per_s : next_resolve_ns_);
  }
  return next;
}

bool Peering::send(uint32_t peer, const wire::ControlMessage& message) {
  hop::LinkOutput out;
  if (!is_up(peer) || !links_->send(peer, message, out)) return false;
  for (const hop::LinkTransmit& transmit_one : out.transmits) transmit(transmit_one);
  return true;
}

bool Peering::ping(uint32_t peer, TimeNs now_ns) {
  hop::LinkOutput out;
  const bool sent = links_->ping(peer, now_ns, out);
  handle(out, now_ns);
  return sent;
}

void Peering::shutdown(TimeNs now_ns) {
  hop::LinkOutput out;
  links_->shutdown(now_ns, out);
  for (const hop::LinkTransmit& transmit_one : out.transmits) transmit(transmit_one);
  mailer_.flush();
  out.transmits.clear();
  handle(out, now_ns);
}

// The order that hop::LinkOutput asks for: ups, transmits, everything else.
void Peering::handle(hop::LinkOutput& out, TimeNs now_ns) {
  for (const hop::LinkEvent& event : out.events) {
    if (const auto* up = std::get_if<hop::LinkUp>(&event)) on_up(*up, now_ns);
  }
  for (const hop::LinkTransmit& message : out.transmits) transmit(message);
  for (const hop::LinkEvent& event : out.events) {
    if (const auto* down = std::get_if<hop::LinkDown>(&event)) {
      on_down(down->peer, down->why, now_ns);
    } else if (const auto* message = std::get_if<hop::LinkMessage>(&event)) {
      listener_.on_message(message->peer, message->message, now_ns);
    } else if (const auto* changed = std::get_if<hop::LinkChanged>(&event)) {
      on_changed(changed->peer, now_ns);
    }
  }
}

void Peering::transmit(const hop::LinkTransmit& message) {
  const auto found = records_.find(message.peer);
  if (found == records_.end()) return;
  if (!message.is_hello) {
    mailer_.send_sealed(message);
    return;
  }
  Record& record = found->second;
  port::Port& port = *record.settings.port;
  note_next_hop(record, message.peer, mailer_.send_raw(port, message, port.info().udp_port));
}

void Peering::note_next_hop(Record& record, uint32_t peer, const Status& reached) {
  if (reached) {
    record.next_hop_problem.clear();
    record.unreached = 0;
    return;
  }
  record.next_hop_problem = reached.error().message;
  // The first question to a neighbour is always still open.
  if (++record.unreached == unreached_logged) log_(name(peer), record.next_hop_problem);
}

void Peering::on_up(const hop::LinkUp& up, TimeNs now_ns) {
  Record& record = records_.at(up.peer);
  const Endpoint remote = up.remote;
  for (auto& lane : record.tx_lanes) retirer_.retire_shared(std::move(lane));
  record.tx_lanes.clear();
  for (const hop::LaneKeys& keys : up.tx) {
    auto lane = std::make_shared<hop::TxLane>();
    lane->link_id = keys.link_id;
    lane->key = keys.key;
    lane->check_off = up.check_off;
    record.tx_lanes.push_back(std::move(lane));
  }
  record.rx_link_ids.clear();
  for (size_t i = 0; i < up.rx.size(); ++i) {
    auto lane = std::make_unique<hop::RxLane>();
    lane->link_id = up.rx[i].link_id;
    lane->key = up.rx[i].key;
    lane->peer = up.peer;
    lane->lane = static_cast<uint8_t>(i);
    lane->check_off = up.check_off;
    lane->budget = record.receive_budget;
    lane->source = remote;
    lane->source.port = source_port(remote.port, i, up.remote_ports);
    plane_.lanes.install(lane.get());
    record.rx_link_ids.push_back(lane->link_id);
    rx_lanes_[lane->link_id] = std::move(lane);
  }
  record.link = up;
  record.is_up = true;
  record.is_resolved = false;
  resolve(up.peer, now_ns);
}

// The headers of every lane; false (with the reason in the record) while a next hop is unknown.
bool Peering::find_destinations(Record& record) {
  std::vector<port::Destination> found;
  const uint16_t base = record.settings.port->info().udp_port;
  // A NAT has a mapping of its own for each port, so crossed links use one.
  const unsigned own_ports = record.settings.link.paths
                                 ? 1
                                 : config_.workers + (record.settings.link.control_port ? 1 : 0);
  const uint64_t version = record.settings.port->destinations_version();
  for (size_t lane = 0; lane < record.tx_lanes.size(); ++lane) {
    Endpoint to = record.link.remote;
    to.port = destination_port(record.link, lane);
    const uint16_t from = source_port(base, lane, own_ports);
    auto destination = record.settings.port->destination(to, from);
    if (!destination) {
      record.next_hop_problem = destination.error().message;
      return false;
    }
    found.push_back(*destination);
  }
  record.destinations = std::move(found);
  record.destinations_version = version;
  record.next_hop_problem.clear();
  return true;
}

void Peering::resolve(uint32_t peer, TimeNs now_ns) {
  Record& record = records_.at(peer);
  if (!find_destinations(record)) return;  // tried again every resolve_interval_ns
  record.is_resolved = true;
  record.resolved_ns = now_ns;
  publish();
  on_changed(peer, now_ns);
  listener_.on_peer_up(peer, now_ns);
}

// A next hop may move to another MAC; asking also keeps the neighbour entry in use. What is known
// stays in use until something better is.
void Peering::refresh(Record& record, TimeNs now_ns) {
  if (record.settings.port->destinations_version() == record.destinations_version &&
      now_ns - record.resolved_ns < refresh_interval_ns) {
    return;
  }
  record.resolved_ns = now_ns;
  if (find_destinations(record)) publish();
}

void Peering::pause_port(const port::Port* port, bool is_paused) {
  if (is_paused) {
    paused_ports_.insert(port);
  } else {
    paused_ports_.erase(port);
  }
  publish();
}

void Peering::lose_port(const port::Port* port, const std::string& why, TimeNs now_ns) {
  hop::LinkOutput out;
  for (const auto& [peer, record] : records_) {
    if (record.settings.port == port) links_->lose(peer, why, now_ns, out);
  }
  handle(out, now_ns);
}

void Peering::follow_mtu(const port::Port* port, TimeNs now_ns) {
  hop::LinkOutput out;
  for (const auto& [peer, record] : records_) {
    if (record.settings.port != port) continue;
    links_->set_mtu(peer, port->capabilities().mtu_bytes, now_ns, out);
  }
  handle(out, now_ns);
}

void Peering::on_down(uint32_t peer, const std::string& why, TimeNs now_ns) {
  const auto found = records_.find(peer);
  if (found == records_.end() || !found->second.is_up) return;
  Record& record = found->second;
  const bool was_usable = record.is_resolved;
  record.is_up = false;
  record.is_resolved = false;
  publish();
  for (auto& lane : record.tx_lanes) retirer_.retire_shared(std::move(lane));
  record.tx_lanes.clear();
  log_(record.settings.link.name, fmt::format("down: {}", why));  // may be removed already
  record.logged = hop::LinkState::down;
  if (was_usable) listener_.on_peer_down(peer, now_ns);
}

void Peering::on_changed(uint32_t peer, TimeNs now_ns) {
  const auto found = records_.find(peer);
  if (found == records_.end()) return;
  Record& record = found->second;
  const hop::LinkStatus& status = links_->status(peer);
  if (status.state != record.logged && (status.state != hop::LinkState::up || is_up(peer))) {
    record.logged = status.state;
    log_(name(peer), status.detail.empty()
                         ? std::string(to_text(status.state))
                         : fmt::format("{}: {}", to_text(status.state), status.detail));
  }
  if (is_up(peer) && usable_mtu_bytes(peer) != record.mtu_bytes) {
    publish();
    listener_.on_path_changed(peer, now_ns);
  }
}

void Peering::release_lane(uint32_t link_id) {
  plane_.lanes.remove(link_id);
  auto node = rx_lanes_.extract(link_id);
  if (node.empty()) return;
  const hop::RxLane& lane = *node.mapped();
  if (const auto record = records_.find(lane.peer); record != records_.end()) {
    record->second.rx_datagrams += lane.datagrams.read();
    record->second.rx_bytes += lane.bytes.read();
    record->second.rx_lost += lane.lost.read();
  }
  retirer_.retire(std::move(node.mapped()));
}

bool Peering::is_up(uint32_t peer) const {
  const auto found = records_.find(peer);
  return found != records_.end() && found->second.is_up && found->second.is_resolved;
}

uint16_t Peering::usable_mtu_bytes(uint32_t peer) const {
  const uint16_t proven = links_->status(peer).mtu_bytes;
  const uint16_t local = records_.at(peer).settings.port->capabilities().mtu_bytes;
  return std::min(local, std::max(proven, mtu_floor_bytes));
}

size_t Peering::frame_room_bytes(uint32_t peer) const {
  if (!is_up(peer)) return 0;
  return static_cast<size_t>(usable_mtu_bytes(peer)) - ip_udp_bytes(records_.at(peer).link.remote) -
         wire::hop_header_bytes;
}

std::vector<uint32_t> Peering::peers_up() const {
  std::vector<uint32_t> up;
  for (const auto& [peer, record] : records_) {
    if (record.is_up && record.is_resolved) up.push_back(peer);
  }
  return up;
}

Result<uint32_t> Peering::find(const std::string& name) const {
  for (const auto& [peer, record] : records_) {
    if (record.settings.link.name == name) return peer;
  }
  return error(ErrorCode::not_found,
               fmt::format("peer {}: not configured; `show peers` lists the names", name));
}

bool Peering::uses_port(const port::Port* port) const {
  return std::any_of(records_.begin(), records_.end(),
                     [port](const auto& entry) { return entry.second.settings.port == port; });
}

fanout::Peer Peering::make_peer(uint32_t peer) const {
  const Record& record = records_.at(peer);
  const port::Capabilities capabilities = record.settings.port->capabilities();
  fanout::Peer out;
  out.peer = peer;
  out.node = record.link.node;
  out.port = record.settings.port;
  out.shared_segments =
      record.settings.copy_forced ? record.settings.copy_shared : capabilities.shared_segments;
  out.checksum_offload = capabilities.udp_checksum;
  out.ipv4_checksum_offload = capabilities.ipv4_checksum;
  out.copybreak_bytes = capabilities.copybreak_bytes;
  out.send_pool = capabilities.send_pool;
  out.datagram_bytes_max =
      static_cast<uint16_t>(usable_mtu_bytes(peer) - ip_udp_bytes(record.link.remote));
  const std::vector<uint16_t> queues = fanout::assign_tx_queues(capabilities, config_.workers);
  const size_t ways = std::min({record.destinations.size(), record.tx_lanes.size(), queues.size()});
  for (size_t i = 0; i < ways; ++i) {
    out.add_way(record.destinations[i], record.tx_lanes[i], queues[i]);
  }
  out.state = record.state;
  return out;
}

void Peering::publish() {
  auto next = std::make_unique<fanout::PeerSnapshot>();
  next->index_of.assign(records_.empty() ? 0 : records_.rbegin()->first + size_t{1}, -1);
  for (auto& [peer, record] : records_) {
    if (!record.is_up || !record.is_resolved) continue;
    if (paused_ports_.count(record.settings.port) != 0) continue;
    record.mtu_bytes = usable_mtu_bytes(peer);
    next->index_of[peer] = static_cast<int32_t>(next->peers.size());
    next->peers.push_back(make_peer(peer));
  }
  plane_.peers.publish(std::move(next), retirer_);
}

wire::Report Peering::receive_counters(uint32_t peer) const {
  wire::Report report;
  const auto found = records_.find(peer);
  if (found == records_.end()) return report;
  for (uint32_t link_id : found->second.rx_link_ids) {
    const auto lane = rx_lanes_.find(link_id);
    if (lane == rx_lanes_.end()) continue;
    report.datagrams_received += lane->second->datagrams.read();
    report.datagrams_lost += lane->second->lost.read();
    report.bytes_received += lane->second->bytes.read();
  }
  return report;
}

TimeNs Peering::last_heard(uint32_t peer) const {
  TimeNs newest = 0;
  const auto found = records_.find(peer);
  if (found == records_.end()) return 0;
  for (uint32_t link_id : found->second.rx_link_ids) {
    const auto lane = rx_lanes_.find(link_id);
    if (lane == rx_lanes_.end()) continue;
    newest = std::max(newest, lane->second->last_heard_ns.load(std::memory_order_relaxed));
  }
  return newest;
}

uint64_t Peering::drops(uint32_t peer, stage::Drop reason) const {
  uint64_t total = 0;
  for (const auto& queue : records_.at(peer).state->queues) {
    if (queue) total += queue->drops.read(reason);
  }
  return total;
}

Peering::Traffic Peering::traffic(uint32_t peer) const {
  const Record& record = records_.at(peer);
  const wire::Report live = receive_counters(peer);
  Traffic traffic;
  for (const auto& queue : record.state->queues) {
    if (!queue) continue;
    traffic.tx_datagrams += queue->datagrams.read();
    traffic.tx_bytes += queue->bytes.read();
    traffic.tx_frames += queue->frames.read();
  }
  traffic.rx_datagrams = record.rx_datagrams + live.datagrams_received;
  traffic.rx_bytes = record.rx_bytes + live.bytes_received;
  traffic.rx_lost = record.rx_lost + live.datagrams_lost;
  for (uint32_t link_id : record.rx_link_ids) {
    const auto lane = rx_lanes_.find(link_id);
    traffic.rx_lanes.push_back(lane == rx_lanes_.end() ? 0 : lane->second->datagrams.read());
  }
  return traffic;
}

Status Peering::set_rate(const std::string& name, uint64_t rate_bytes_per_s) {
  auto peer = find(name);
  if (!peer) return peer.error();
  Record& record = records_.at(*peer);
  record.settings.rate_bytes_per_s = rate_bytes_per_s;
  set_bucket(record.state->bucket, rate_bytes_per_s);
  return {};
}

}  // namespace chaincast::node
