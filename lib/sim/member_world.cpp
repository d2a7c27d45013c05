// SPDX-License-Identifier: BSD-3-Clause
#include "sim/member_world.hpp"

#include <algorithm>

namespace chaincast::sim {
namespace {

Secret seed_of(uint64_t world, Index node) {
  Secret out{};
  store_be64(out.data(), world);
  store_be32(out.data() + 8, node);
  return out;
}

}  // namespace

MemberWorld::MemberWorld(const MemberWorldConfig& config, Latencies latencies)
    : config_(config),
      latencies_(std::move(latencies)),
      toolbox_(make_fake_crypto(config.seed)),
      authority_{*toolbox_, admission_, {}},
      random_(config.seed),
      store_(*toolbox_) {}

// What holds facts goes before the store that they are in.
MemberWorld::~MemberWorld() {
  queue_.clear();
  nodes_.clear();
  analyst_.clear();
}

Endpoint MemberWorld::address(Index node) const {
  Endpoint out;
  store_be32(out.address.data(), node);
  out.port = 7000;
  return out;
}

Index MemberWorld::index(const NodeId& id) const {
  const auto at = index_.find(id);
  return at == index_.end() ? size() : at->second;
}

Index MemberWorld::add(const Arrival& arrival) {
  const Index index = size();
  Node node;
  node.arrival = arrival;
  node.signer = toolbox_->signer(seed_of(config_.seed, index));
  node.id = graph::id_of(*toolbox_, node.signer->public_key());
  CC_ASSERT(index_.emplace(node.id, index).second);
  nodes_.push_back(std::move(node));
  return index;
}

void MemberWorld::start(Index index, const std::vector<Index>& trackers) {
  Node& node = nodes_[index];
  CC_ASSERT(!node.member);
  graph::Self self;
  self.addresses = {address(index)};
  self.first_counter = node.counter + 1;
  const Arrival& arrival = node.arrival;
  if (arrival.resource) {
    self.resources.push_back({*arrival.resource, arrival.is_host, arrival.is_private});
    if (arrival.is_private) self.guests[*arrival.resource] = arrival.guests;
  } else {
    self.roles = wire::role_supernode;
  }
  node.member = std::make_unique<graph::Member>(config_.member, std::move(self), store_, analyst_,
                                                authority_, *node.signer, random_.next());
  node.join =
      std::make_unique<join::Join>(config_.join, *node.member, arrival.resource, random_.next());
  node.started_ns = now_ns_;
  make_adversary(node);
  std::vector<Endpoint> addresses;
  for (const Index tracker : trackers) addresses.push_back(address(tracker));
  graph::Output out;
  node.member->start(now_ns_);
  node.join->start(std::move(addresses), node.remembered, now_ns_, out);
  settle(index, out);
}

void MemberWorld::set_malice(Index index, Malice malice) {
  Node& node = nodes_[index];
  if (!node.malice) accomplices_.push_back({node.id, address(index), 0});
  node.malice = malice;
  make_adversary(node);
  graph::Output out;
  settle(index, out);
}

void MemberWorld::make_adversary(Node& node) {
  if (!node.malice || !node.member) return;
  node.adversary =
      std::make_unique<Adversary>(*node.malice, accomplices_, authority_, *node.signer);
}

void MemberWorld::remember(Node& node) {
  node.counter += node.member->counters().records_published + 1000;
  node.remembered.clear();
  for (const graph::LinkStatus& link : node.member->links()) {
    node.remembered.push_back({link.peer, link.address, 0});
  }
  // Link partners inside the subnetwork first: they are asked for the data link.
  std::stable_partition(node.remembered.begin(), node.remembered.end(), [&](const auto& contact) {
    return nodes_[index(contact.id)].arrival.resource == node.arrival.resource;
  });
}

void MemberWorld::crash(Index index) {
  Node& node = nodes_[index];
  CC_ASSERT(node.member);
  remember(node);
  node.join.reset();
  node.adversary.reset();
  node.member.reset();
  node.timer_ns = time_never;
}

void MemberWorld::leave(Index index) {
  Node& node = nodes_[index];
  graph::Output out;
  node.member->leave(now_ns_, out);
  settle(index, out);
  crash(index);
}

std::vector<Index> MemberWorld::running() const {
  std::vector<Index> out;
  for (Index i = 0; i < size(); ++i) {
    if (nodes_[i].member) out.push_back(i);
  }
  return out;
}

void MemberWorld::clear_traffic() {
  for (Node& node : nodes_) node.sent = {};
}

void MemberWorld::run_until(TimeNs until_ns) {
  while (!queue_.empty() && queue_.front().at_ns <= until_ns) {
    std::pop_heap(queue_.begin(), queue_.end(), later);
    const Event event = std::move(queue_.back());
    queue_.pop_back();
    now_ns_ = std::max(now_ns_, event.at_ns);
    handle(event);
  }
  now_ns_ = until_ns;
}

bool MemberWorld::run_until_true(const std::function<bool()>& condition, TimeNs within_ns,
                                 TimeNs step_ns) {
  const TimeNs end_ns = now_ns_ + within_ns;
  while (!condition()) {
    if (now_ns_ >= end_ns) return false;
    run_until(std::min(now_ns_ + step_ns, end_ns));
  }
  return true;
}

void MemberWorld::handle(const Event& event) {
  Node& node = nodes_[event.to];
  if (!event.message && node.timer_ns == event.at_ns) node.timer_ns = time_never;
  if (!node.member || (event.message && nodes_[event.from].side != node.side)) return;
  ++events_;
  graph::Output out;
  if (event.message) {
    print_ = (print_ ^ (event.at_ns + event.from)) * 0x9e3779b97f4a7c15ull + event.to;
    print_ += event.message->index() + event.bytes;
    deliver(node, event, out);
  } else {
    node.member->tick(now_ns_, out);
    node.join->tick(now_ns_, out);
  }
  settle(event.to, out);
}

void MemberWorld::deliver(Node& node, const Event& event, graph::Output& out) {
  const graph::Peer from{nodes_[event.from].id, address(event.from)};
  graph::MessagePtr message = event.message;
  if (config_.check_messages || nodes_[event.from].malice) message = through_bytes(*message, node);
  if (!message) {
    CC_ASSERT(nodes_[event.from].malice);
    ++refused_messages_;
    return node.member->on_bad_message(from, now_ns_, out);
  }
  if (node.adversary) node.adversary->on_message(from, *message);
  if (node.join->on_message(from, *message, now_ns_, out)) return;
  node.member->on_message(from, *message, now_ns_, out);
  node.join->look(now_ns_);
}

graph::MessagePtr MemberWorld::through_bytes(const graph::Message& message, const Node& receiver) {
  const Bytes encoded = graph::encode(message);
  if (!std::holds_alternative<graph::Graph>(message)) {
    CC_ASSERT(encoded.size() == graph::encoded_bytes(message));
  }
  auto decoded = graph::decode(encoded, authority_, receiver.member->view());
  if (!decoded) return nullptr;
  CC_ASSERT(graph::encode(*decoded) == encoded);
  return std::make_shared<const graph::Message>(std::move(decoded).value());
}

// When the session between two nodes can carry a message.
TimeNs MemberWorld::ready_ns(Index from, Index to) {
  const uint64_t key = (uint64_t{std::min(from, to)} << 32) | std::max(from, to);
  const TimeNs born_ns = std::max(nodes_[from].started_ns, nodes_[to].started_ns);
  const auto [at, is_new] = sessions_.try_emplace(key);
  Session& session = at->second;
  if (is_new || session.made_ns < born_ns) {
    session.made_ns = now_ns_;
    session.ready_ns =
        now_ns_ + 2 * config_.session_round_trips * latencies_.one_way_ns(place(from), place(to));
  }
  return std::max(now_ns_, session.ready_ns);
}

void MemberWorld::settle(Index index, graph::Output& out) {
  Node& node = nodes_[index];
  if (node.adversary) node.adversary->act(*node.member, now_ns_, out);
  const graph::Message* sized = nullptr;  // news goes to many links
  size_t bytes = 0;
  for (graph::Output::Send& send : out.sends) {
    if (send.message.get() != sized) {
      sized = send.message.get();
      bytes = graph::encoded_bytes(*sized);
    }
    const Index to = load_be32(send.to.address.address.data());
    CC_ASSERT(to < size());
    node.sent.messages += 1;
    node.sent.bytes += bytes + config_.overhead_bytes;
    const TimeNs at_ns = ready_ns(index, to) + latencies_.one_way_ns(place(index), place(to));
    enqueue({at_ns, serial_++, to, index, std::move(send.message), bytes});
  }
  schedule(index);
}

void MemberWorld::enqueue(Event event) {
  queue_.push_back(std::move(event));
  std::push_heap(queue_.begin(), queue_.end(), later);
}

void MemberWorld::schedule(Index index) {
  Node& node = nodes_[index];
  if (!node.member) return;
  TimeNs wanted_ns = std::min(node.member->next_timer_ns(), node.join->next_timer_ns());
  if (node.adversary) wanted_ns = std::min(wanted_ns, node.adversary->next_timer_ns());
  if (wanted_ns == time_never) return;
  const TimeNs at_ns = std::max(now_ns_ + 1, wanted_ns);
  if (at_ns >= node.timer_ns) return;
  node.timer_ns = at_ns;
  enqueue({at_ns, serial_++, index, index, nullptr, 0});
}

}  // namespace chaincast::sim
