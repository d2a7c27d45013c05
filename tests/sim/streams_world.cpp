// SPDX-License-Identifier: BSD-3-Clause
#include "sim/streams_world.hpp"

#include <algorithm>

namespace chaincast::sim {
namespace {

constexpr TimeNs step_ns = 2 * ns_per_ms;
constexpr Node nobody = ~Node{0};
constexpr uint8_t type_frame = 0;
constexpr uint8_t type_control = 1;

}  // namespace

StreamsWorld::StreamsWorld(test::Crypto& crypto, StreamsConfig config)
    : crypto_(crypto),
      config_(std::move(config)),
      random_(config_.seed * 7919),
      network_(config_.seed),
      members_(config_.nodes) {
  network_.set_default(config_.conditions);
  origin_ = crypto_.origin(config_.descriptor, now_ns_);
  key_ = crypto_.key(*origin_);
  join_nodes();
  for (Node n = 0; n < count(); ++n) start(n);
  for (Node n = 0; n < count(); ++n) at(n).node->receiver->start_at_descriptor(now_ns_);
}

// A ring with chords, so that every node hears at least two others.
void StreamsWorld::join_nodes() {
  const auto join = [&](Node a, Node b) {
    auto& list = at(a).neighbours;
    if (a == b || std::find(list.begin(), list.end(), b) != list.end()) return;
    list.push_back(b);
    at(b).neighbours.push_back(a);
  };
  for (Node n = 0; n < count(); ++n) join(n, (n + 1) % count());
  for (Node n = 0; n < count() / 2; ++n)
    join(static_cast<Node>(random_.below(count())), static_cast<Node>(random_.below(count())));
}

void StreamsWorld::start(Node n) {
  Member& m = at(n);
  test::NodeConfig node_config = config_.node;
  node_config.receiver.is_own = n == 0;
  m.repair.reset();
  m.node = std::make_unique<test::TestNode>(crypto_, *origin_, node_config);
  m.repair = repair::Repair::create(config_.repair, origin_->id(), config_.descriptor,
                                    *m.node->receiver, *m.node->window, n == 0, config_.seed + n);
  std::vector<repair::Neighbour> neighbours;
  for (Node other : m.neighbours) neighbours.push_back({other, 4 * ns_per_ms});
  m.repair->set_neighbours(neighbours, now_ns_);
  m.is_running = true;
}

void StreamsWorld::publish(Bytes object) {
  published_.push_back(object);
  queue_.push_back(std::move(object));
}

void StreamsWorld::send_frame(Node from, Node but, ByteSpan frame) {
  Bytes datagram{type_frame};
  datagram.insert(datagram.end(), frame.begin(), frame.end());
  for (Node other : at(from).neighbours) {
    if (other != but) network_.send(from, other, datagram, now_ns_);
  }
}

void StreamsWorld::send_all(Node from, const repair::RepairOutput& out) {
  for (const auto& send : out.sends) {
    Bytes datagram{type_control};
    const Bytes encoded = wire::encode(send.message);
    datagram.insert(datagram.end(), encoded.begin(), encoded.end());
    network_.send(from, send.peer, std::move(datagram), now_ns_);
  }
  for (const auto& resend : out.resends) {
    Bytes datagram{type_frame};
    datagram.insert(datagram.end(), resend.frame.begin(), resend.frame.end());
    network_.send(from, resend.peer, std::move(datagram), now_ns_);
  }
}

// The forger is faster than anybody: every node has the forgery before the truth.
void StreamsWorld::forge(ByteSpan frame) {
  if (frame.size() == wire::frame_header_bytes || !random_.chance(config_.forge_share)) return;
  test::Emitted original;
  original.frame.assign(frame.begin(), frame.end());
  for (unsigned i = 0; i < config_.forgeries; ++i) {
    const test::Emitted forged = test::forge(crypto_, *key_, original, static_cast<uint8_t>(i + 1));
    for (Node n = 1; n < count(); ++n) at(n).node->offer(forged.frame);
  }
  ++forged_;
}

void StreamsWorld::emit() {
  if (!at(0).is_running) return;
  std::erase_if(queue_, [&](const Bytes& object) { return origin_->publish(object).value(); });
  const auto emit_one = [&](ByteSpan frame, const Digest&) {
    forge(frame);
    if (at(0).node->offer(frame)) send_frame(0, nobody, frame);
  };
  origin_->poll(now_ns_, config_.frames_per_step, emit_one);
  if (wants_end_ && queue_.empty() && origin_->queued_bytes() == 0) {
    origin_->end(now_ns_, emit_one);
    wants_end_ = false;
  }
}

void StreamsWorld::handle(Node to, Node from, const wire::ControlMessage& message) {
  repair::RepairOutput out;
  repair::Repair& repair = *at(to).repair;
  if (const auto* nack = std::get_if<wire::Nack>(&message)) {
    repair.on_nack(from, *nack, now_ns_, out);
  } else if (const auto* pending = std::get_if<wire::Pending>(&message)) {
    repair.on_pending(from, *pending, now_ns_);
  } else if (const auto* tip = std::get_if<wire::Tip>(&message)) {
    repair.on_tip(from, *tip, now_ns_, out);
  } else if (std::holds_alternative<wire::TipRequest>(message)) {
    repair.on_tip_request(from, now_ns_, out);
  }
  send_all(to, out);
}

void StreamsWorld::receive(const Delivery& delivery) {
  Member& m = at(delivery.to);
  if (!m.is_running) return;
  const ByteSpan content = ByteSpan(delivery.bytes).subspan(1);
  if (delivery.bytes[0] == type_frame) {
    if (m.node->offer(content)) send_frame(delivery.to, delivery.from, content);
    return;
  }
  const auto message = wire::parse_control(content);
  ASSERT_TRUE(message.ok()) << message.error().message;
  handle(delivery.to, delivery.from, *message);
}

void StreamsWorld::step() {
  emit();
  now_ns_ += step_ns;
  while (const auto delivery = network_.receive(now_ns_)) receive(*delivery);
  for (Node n = 0; n < count(); ++n) {
    Member& m = at(n);
    if (!m.is_running) continue;
    m.node->poll(now_ns_);
    repair::RepairOutput out;
    m.repair->tick(now_ns_, out);
    send_all(n, out);
  }
}

bool StreamsWorld::is_delivered() const {
  if (!queue_.empty()) return false;
  return std::all_of(members_.begin(), members_.end(), [&](const Member& m) {
    return !m.is_running || m.node->sink.objects.size() >= published_.size();
  });
}

void StreamsWorld::run(TimeNs duration_ns, bool until_delivered) {
  for (const TimeNs end = now_ns_ + duration_ns; now_ns_ < end;) {
    if (until_delivered && is_delivered()) return;
    step();
  }
}

}  // namespace chaincast::sim
