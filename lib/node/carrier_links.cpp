// SPDX-License-Identifier: BSD-3-Clause
// The part of the carrier that speaks with neighbours: descriptors, refusals, repair messages.
#include <fmt/core.h>

#include <algorithm>

#include "node/carrier.hpp"

namespace chaincast::node {

namespace {

constexpr TimeNs descriptor_wait_min_ns = 50 * ns_per_ms;
constexpr TimeNs descriptor_wait_max_ns = 2 * ns_per_s;

const char* to_text(wire::StreamRefusal why) {
  switch (why) {
    case wire::StreamRefusal::unknown_resource:
      return "no such stream is configured there";
    case wire::StreamRefusal::mtu:
      return "its path cannot carry the stream's frames";
    case wire::StreamRefusal::suite:
      return "it does not verify this suite";
    case wire::StreamRefusal::capacity:
      return "it has no room for another stream";
    case wire::StreamRefusal::bad_signature:
      return "the descriptor's signature does not hold";
    case wire::StreamRefusal::conflicting:
      return "it knows the stream id with another descriptor";
  }
  return "unknown reason";
}

}  // namespace

void Carrier::on_peer_up(uint32_t peer, TimeNs now_ns) {
  for (auto& [id, carried] : carried_) meet(*carried, peer, now_ns);
}

void Carrier::on_peer_down(uint32_t peer, TimeNs now_ns) {
  for (auto& [id, carried] : carried_) {
    if (carried->neighbours.erase(peer) > 0) update_neighbours(*carried, now_ns);
  }
}

void Carrier::on_path_changed(uint32_t peer, TimeNs now_ns) {
  for (auto& [id, carried] : carried_) {
    const auto neighbour = carried->neighbours.find(peer);
    // A path that grew may carry the stream now; one that shrank may not. What the peer itself has
    // refused stays so.
    if (neighbour != carried->neighbours.end() && !neighbour->second.knows &&
        (!neighbour->second.is_refused || neighbour->second.is_by_path)) {
      carried->neighbours.erase(neighbour);
    }
    if (carried->neighbours.count(peer) == 0) meet(*carried, peer, now_ns);
  }
}

// A stream and a peer that is up: introduced, unless the path cannot carry the stream. What an
// earlier session knew is void.
void Carrier::meet(Carried& carried, uint32_t peer, TimeNs now_ns) {
  Carried::Neighbour& neighbour = carried.neighbours[peer] = {};
  neighbour.descriptor_wait_ns = descriptor_wait_min_ns;
  const size_t room = peering_->frame_room_bytes(peer);
  if (gate_ && !gate_(peer, carried.resource)) {
    neighbour.is_refused = neighbour.is_barred = true;
    neighbour.why = "it is no guest of the stream";
  } else if (carried.stream->frame_bytes_max > room) {
    neighbour.is_refused = true;
    neighbour.is_by_path = true;
    neighbour.why = fmt::format(
        "frames of {} bytes do not fit the {} bytes that the path carries; lower the stream's "
        "payload or raise the MTU on the path",
        carried.stream->frame_bytes_max, room);
    log_(fmt::format("stream {} to peer {}: {}", carried.resource, peering_->name(peer),
                     neighbour.why));
  } else {
    send_descriptor(carried, peer, now_ns);
  }
  update_neighbours(carried, now_ns);
}

void Carrier::send_descriptor(Carried& carried, uint32_t peer, TimeNs now_ns) {
  Carried::Neighbour& neighbour = carried.neighbours[peer];
  neighbour.descriptor_sent_ns = now_ns;
  ++counters_.descriptors_sent;
  peering_->send(peer, wire::DescriptorMessage{carried.stream->encoded});
}

// Descriptors travel as single datagrams: repeated, ever more slowly, until the peer shows that it
// knows the stream (any message about it) or refuses it for good.
void Carrier::repeat_descriptors(Carried& carried, TimeNs now_ns) {
  for (auto& [peer, neighbour] : carried.neighbours) {
    if (neighbour.knows || neighbour.is_final()) continue;
    if (now_ns - neighbour.descriptor_sent_ns < neighbour.descriptor_wait_ns) continue;
    neighbour.descriptor_wait_ns =
        std::min(2 * neighbour.descriptor_wait_ns, descriptor_wait_max_ns);
    send_descriptor(carried, peer, now_ns);
  }
}

void Carrier::update_neighbours(Carried& carried, TimeNs now_ns) {
  std::vector<repair::Neighbour> neighbours;
  for (const auto& [peer, neighbour] : carried.neighbours) {
    if (!neighbour.is_refused && neighbour.knows) {
      neighbours.push_back({peer, peering_->status(peer).rtt_ns});
    }
  }
  carried.repair->set_neighbours(neighbours, now_ns);
  if (carried.ballots) {
    std::vector<Ballots::Neighbour> voters;
    for (const repair::Neighbour& neighbour : neighbours) {
      const hop::LinkStatus& link = peering_->status(neighbour.peer);
      voters.push_back({neighbour.peer, link.node, !link.check_off});
    }
    carried.ballots->set_neighbours(std::move(voters));
  }
  publish_refusals(carried);
}

// A peer that has refused a stream gets no frames of it. One that has yet to answer gets them: it
// learns the stream while the first ones are on their way.
void Carrier::publish_refusals(Carried& carried) {
  auto refused_by = std::make_unique<stream::PeerSet>();
  for (const auto& [peer, neighbour] : carried.neighbours) {
    if (neighbour.is_refused) refused_by->peers.push_back(peer);
  }
  auto& published = carried.stream->refused_by;
  const stream::PeerSet* const before = published.read();
  if (before == nullptr ? refused_by->peers.empty() : before->peers == refused_by->peers) return;
  if (refused_by->peers.empty()) refused_by.reset();
  published.publish(std::move(refused_by), retirer_);
}

// Who speaks of a stream that this node does not carry takes it for one that does: because it was
// removed here, or because this node is back before its absence was noticed.
Carried* Carrier::find(StreamId id, uint32_t peer) {
  const auto found = carried_.find(id);
  if (found == carried_.end()) {
    ++counters_.unknown_stream_messages;
    if (forgotten_.count(id) == 0) {
      peering_->send(peer, wire::RefuseStream{id, wire::StreamRefusal::unknown_resource, 0});
    }
    return nullptr;
  }
  return found->second->neighbours.count(peer) != 0 ? found->second.get() : nullptr;
}

void Carrier::on_message(uint32_t peer, const wire::ControlMessage& message, TimeNs now_ns) {
  if (const auto* descriptor = std::get_if<wire::DescriptorMessage>(&message)) {
    on_descriptor(peer, descriptor->encoded, now_ns);
    return;
  }
  if (const auto* refusal = std::get_if<wire::RefuseStream>(&message)) {
    on_refusal(peer, *refusal, now_ns);
    return;
  }
  const auto about = [&](StreamId id) -> Carried* {
    Carried* carried = find(id, peer);
    if (carried == nullptr) return nullptr;
    Carried::Neighbour& neighbour = carried->neighbours[peer];
    if (neighbour.is_barred) return nullptr;
    if (!neighbour.knows && !neighbour.is_final()) {
      neighbour.knows = true;
      neighbour.is_refused = false;
      update_neighbours(*carried, now_ns);
    }
    return carried;
  };
  repair::RepairOutput out;
  if (const auto* nack = std::get_if<wire::Nack>(&message)) {
    if (Carried* carried = about(nack->stream)) carried->repair->on_nack(peer, *nack, now_ns, out);
    send(nack->stream, out);
  } else if (const auto* pending = std::get_if<wire::Pending>(&message)) {
    if (Carried* carried = about(pending->stream)) {
      carried->repair->on_pending(peer, *pending, now_ns);
    }
  } else if (const auto* tip = std::get_if<wire::Tip>(&message)) {
    if (Carried* carried = about(tip->stream)) carried->repair->on_tip(peer, *tip, now_ns, out);
    send(tip->stream, out);
  } else if (const auto* request = std::get_if<wire::TipRequest>(&message)) {
    if (Carried* carried = about(request->stream)) {
      carried->repair->on_tip_request(peer, now_ns, out);
    }
    send(request->stream, out);
  } else if (const auto* votes = std::get_if<wire::Votes>(&message)) {
    Carried* carried = about(votes->stream);
    if (carried != nullptr && carried->ballots) carried->ballots->on_votes(peer, *votes);
  }
}

// ---- votes ----------------------------------------------------------------------------------

void Carrier::make_ballots(Carried& carried, const Resource& resource) {
  stream::Stream& stream = *carried.stream;
  if (stream.descriptor.delivery != wire::Delivery::accepted) return;
  stream.origin_marks = std::make_unique<stream::OriginMarks>(stream.window->size());
  const StreamConfig& config = resource.config;
  const vote::Rule rule{config.votes_percent.value_or(stream.descriptor.votes_percent),
                        config.tolerated, config.malicious};
  carried.ballots = std::make_unique<Ballots>(rule, stream, carried.origin_node);
}

// Workers look for the origin's own link only while it matters to some stream.
void Carrier::follow_votes() {
  const bool is_voting = std::any_of(carried_.begin(), carried_.end(), [](const auto& carried) {
    return carried.second->ballots != nullptr;
  });
  plane_.is_voting.store(is_voting, std::memory_order_relaxed);
}

void Carrier::count_votes(Carried& carried) {
  carried.ballots->cast([this](uint32_t peer, const wire::Votes& votes) {
    return peering_->is_up(peer) && peering_->send(peer, votes);
  });
  for (const vote::Liar& liar : carried.ballots->take_liars()) {
    if (!false_voters_.add(carried.resource, liar)) continue;
    log_(
        fmt::format("stream {}: node {} vouched for a frame that the origin did not send, or for "
                    "two (seq {}); `show suspicion` has it",
                    carried.resource, liar.voter.hex(), liar.seq));
  }
}

Status Carrier::set_votes(const std::string& name, const vote::Rule& rule) {
  const auto found = resources_.find(name);
  if (found == resources_.end()) return not_configured(name);
  if (wire::suite_class_of(found->second->config.suite) == wire::SuiteClass::trusted) {
    return error(ErrorCode::refused,
                 fmt::format("stream {}: suite gmac takes no votes, its members trust each other; "
                             "use sha256-gmac",
                             name));
  }
  found->second->config.set_votes(rule);
  for (auto& [id, carried] : carried_) {
    if (carried->resource == name && carried->ballots) carried->ballots->set_rule(rule);
  }
  return {};
}

void Carrier::send(StreamId, repair::RepairOutput& out) {
  for (const auto& message : out.sends) peering_->send(message.peer, message.message);
  for (const auto& resend : out.resends) {
    if (peering_->is_up(resend.peer)) mailer_.resend(resend.peer, resend.frame);
  }
}

void Carrier::on_descriptor(uint32_t peer, const Bytes& encoded, TimeNs now_ns) {
  ++counters_.descriptors_received;
  const Digest digest = toolbox_.sha256(encoded);
  const StreamId id{load_be64(digest.data())};
  if (const auto known = carried_.find(id); known != carried_.end()) {
    Carried& carried = *known->second;
    if (carried.stream->descriptor_digest != digest) {
      ++counters_.descriptors_refused;
      peering_->send(peer, wire::RefuseStream{id, wire::StreamRefusal::conflicting, 0});
      return;
    }
    Carried::Neighbour& neighbour = carried.neighbours[peer];
    if (neighbour.knows || neighbour.is_final()) return;
    neighbour.knows = true;
    neighbour.is_refused = false;
    update_neighbours(carried, now_ns);
    return;
  }
  if (forgotten_.count(id) != 0) return;
  auto checked = stream::check_descriptor(encoded, config_.network, toolbox_);
  Resource* resource = nullptr;
  const wire::StreamRefusal why =
      checked ? judge(*checked, resource) : wire::StreamRefusal::bad_signature;
  if (resource == nullptr) {
    ++counters_.descriptors_refused;
    peering_->send(peer, wire::RefuseStream{id, why, 0});
    return;
  }
  auto carried = carry(*checked, *resource, nullptr, now_ns);
  if (!carried) {
    ++counters_.descriptors_refused;
    log_(fmt::format("stream {} of peer {}: refused: {}", checked->descriptor.resource,
                     peering_->name(peer), carried.error().message));
    peering_->send(peer, wire::RefuseStream{id, wire::StreamRefusal::capacity, 0});
    return;
  }
  log_(fmt::format("stream {} {}: learned from peer {}", (*carried)->resource, id.hex(),
                   peering_->name(peer)));
  Carried::Neighbour& neighbour = (*carried)->neighbours[peer];
  neighbour.knows = !neighbour.is_refused;
  update_neighbours(**carried, now_ns);
}

// The resource that takes the stream, or why none does.
wire::StreamRefusal Carrier::judge(const stream::SignedDescriptor& descriptor,
                                   Resource*& resource) const {
  const auto found = resources_.find(descriptor.descriptor.resource);
  if (found == resources_.end() || !found->second->secrets) {
    return wire::StreamRefusal::unknown_resource;
  }
  const auto& origins = found->second->config.origins;
  if (!origins.empty() &&
      std::find(origins.begin(), origins.end(), descriptor.descriptor.origin) == origins.end()) {
    return wire::StreamRefusal::unknown_resource;
  }
  // Passing frames on before they are linked would break the origin's word.
  if (descriptor.descriptor.reemit == wire::Reemit::linked) return wire::StreamRefusal::suite;
  // The class is the operator's choice: a stream of the trusted class must not slip in where the
  // configuration asks for signatures.
  if (descriptor.descriptor.suite_class != wire::suite_class_of(found->second->config.suite)) {
    return wire::StreamRefusal::suite;
  }
  const auto count = std::count_if(carried_.begin(), carried_.end(), [&](const auto& entry) {
    return entry.second->resource == descriptor.descriptor.resource;
  });
  const size_t bytes = dedup::Window::memory_bytes_of(stream::window_config(descriptor.descriptor));
  if (static_cast<size_t>(count) >= streams_per_resource_max ||
      memory_bytes() + bytes > stream_memory_bytes_max) {
    return wire::StreamRefusal::capacity;
  }
  resource = found->second.get();
  return wire::StreamRefusal::capacity;
}

void Carrier::on_refusal(uint32_t peer, const wire::RefuseStream& refusal, TimeNs now_ns) {
  const auto found = carried_.find(refusal.stream);
  if (found == carried_.end()) {
    ++counters_.unknown_stream_messages;
    return;
  }
  Carried* const carried = found->second.get();
  if (carried->neighbours.count(peer) == 0) return;
  Carried::Neighbour& neighbour = carried->neighbours[peer];
  if (neighbour.is_refused) return;
  neighbour.is_refused = true;
  neighbour.knows = false;  // it may have carried the stream until now
  neighbour.may_change = refusal.why == wire::StreamRefusal::unknown_resource ||
                         refusal.why == wire::StreamRefusal::capacity;
  neighbour.why = to_text(refusal.why);
  log_(fmt::format("stream {}: refused by peer {}: {}", carried->resource, peering_->name(peer),
                   neighbour.why));
  update_neighbours(*carried, now_ns);
}

}  // namespace chaincast::node
