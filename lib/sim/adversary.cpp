// SPDX-License-Identifier: BSD-3-Clause
#include "sim/adversary.hpp"

#include <algorithm>
#include <array>

namespace chaincast::sim {
namespace {

constexpr TimeNs accuse_interval_ns = 500 * ns_per_ms, news_interval_ns = 50 * ns_per_ms;

constexpr std::array<std::string_view, malices> names = {"omit",   "forge",   "twice", "redirect",
                                                         "accuse", "silence", "news",  "corrupt"};

void to_all(const graph::Member& honest, const graph::MessagePtr& message, graph::Output& out) {
  for (const graph::LinkStatus& link : honest.links()) {
    out.sends.push_back({{link.peer, link.address}, message});
  }
}

graph::RecordRef own_record(const graph::Member& honest) {
  const graph::Entry* entry = honest.view().find(honest.id());
  CC_ASSERT(entry != nullptr);
  return entry->record;
}

}  // namespace

std::optional<Malice> malice_of(std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<Malice>(at - names.begin());
}

std::string_view name_of(Malice malice) {
  return names[static_cast<size_t>(malice)];
}

bool Adversary::is_accomplice(const NodeId& id) const {
  return std::any_of(accomplices_.begin(), accomplices_.end(),
                     [&](const graph::Contact& c) { return c.id == id; });
}

void Adversary::on_message(const graph::Peer& from, const graph::Message& message) {
  if (const auto* ping = std::get_if<graph::Ping>(&message)) digests_[from.id] = ping->digest;
  if (const auto* pong = std::get_if<graph::Pong>(&message)) digests_[from.id] = pong->digest;
}

void Adversary::act(const graph::Member& honest, TimeNs now_ns, graph::Output& out) {
  std::vector<graph::Output::Send> sends;
  for (graph::Output::Send& send : out.sends) {
    graph::MessagePtr message = is_accomplice(send.to.id) ? send.message : altered(send, honest);
    if (message) sends.push_back({send.to, std::move(message)});
  }
  out.sends = std::move(sends);
  if (now_ns < next_ns_) return;
  next_ns_ = time_never;
  if (malice_ == Malice::accuse) {
    next_ns_ = now_ns + accuse_interval_ns;
    add_accusations(honest, out);
  } else if (malice_ == Malice::news) {
    next_ns_ = now_ns + news_interval_ns;
    add_news(honest, out);
  }
}

graph::MessagePtr Adversary::altered(const graph::Output::Send& send, const graph::Member& honest) {
  switch (malice_) {
    case Malice::omit:
      return without_others(send, honest);
    case Malice::forge:
      return with_forgery(send, honest);
    case Malice::twice:
      return with_other_record(send, honest);
    case Malice::redirect:
      return sent_round(send);
    case Malice::silence: {
      const bool is_passing_on = std::holds_alternative<graph::News>(*send.message) ||
                                 std::holds_alternative<graph::Compare>(*send.message) ||
                                 std::holds_alternative<graph::Fetch>(*send.message) ||
                                 std::holds_alternative<graph::Graph>(*send.message);
      return is_passing_on ? nullptr : in_step(send);
    }
    case Malice::accuse:
    case Malice::news:
    case Malice::corrupt:
      return send.message;
  }
  return send.message;
}

// Whoever hears its own digest looks no further.
graph::MessagePtr Adversary::in_step(const graph::Output::Send& send) {
  const auto said = digests_.find(send.to.id);
  if (said == digests_.end()) return send.message;
  if (const auto* ping = std::get_if<graph::Ping>(send.message.get())) {
    return graph::make_message(graph::Ping{ping->nonce, said->second, ping->is_linked});
  }
  if (const auto* pong = std::get_if<graph::Pong>(send.message.get())) {
    return graph::make_message(graph::Pong{pong->nonce, said->second});
  }
  return send.message;
}

graph::MessagePtr Adversary::without_others(const graph::Output::Send& send,
                                            const graph::Member& honest) {
  const auto is_ours = [&](const NodeId& id) { return id == honest.id() || is_accomplice(id); };
  if (std::holds_alternative<graph::Graph>(*send.message)) {
    graph::View ours(honest.view().store());
    ours.merge(own_record(honest));
    for (const graph::Contact& c : accomplices_) {
      if (const graph::Entry* entry = honest.view().find(c.id)) ours.merge(entry->record);
    }
    return graph::make_message(graph::Graph{ours.root()});
  }
  if (const auto* news = std::get_if<graph::News>(send.message.get())) {
    graph::News ours;
    for (const graph::RecordRef& r : news->records) {
      if (is_ours(r->id)) ours.records.push_back(r);
    }
    return ours.records.empty() ? nullptr : graph::make_message(std::move(ours));
  }
  const bool is_comparing = std::holds_alternative<graph::Compare>(*send.message) ||
                            std::holds_alternative<graph::Fetch>(*send.message);
  return is_comparing ? nullptr : in_step(send);
}

// Of some honest node, that it has no links any more: in its name, under a counter of years to
// come, signed by the only key at hand.
graph::RecordRef Adversary::forged(const graph::Member& honest) {
  const graph::View& view = honest.view();
  const graph::EntryRef victim = view.live_at((forgeries_++ * 37) % view.live());
  auto* record = new graph::Record;
  record->said = victim->record->said;
  record->said.counter += 1'000'000;
  record->said.links.clear();
  record->said.signature = signer_.sign(wire::signed_bytes(record->said, authority_.network));
  const Bytes encoded = wire::encode(record->said);
  record->id = victim->id();
  record->digest = authority_.toolbox.sha256(encoded);
  record->bytes = static_cast<uint32_t>(encoded.size());
  return graph::RecordRef(record);
}

graph::MessagePtr Adversary::with_forgery(const graph::Output::Send& send,
                                          const graph::Member& honest) {
  const graph::RecordRef lie = forged(honest);
  if (lie->id == honest.id() || lie->id == send.to.id) return send.message;
  if (std::holds_alternative<graph::Graph>(*send.message)) {
    graph::View view = honest.view();
    view.merge(lie);
    return graph::make_message(graph::Graph{view.root()});
  }
  if (const auto* news = std::get_if<graph::News>(send.message.get())) {
    if (news->records.size() + news->accusations.size() >= graph::news_facts_max) {
      return send.message;
    }
    graph::News more = *news;
    more.records.push_back(lie);
    return graph::make_message(std::move(more));
  }
  return send.message;
}

// The same record with another content, as valid: one link less.
graph::RecordRef Adversary::twin(const graph::RecordRef& own) {
  if (own_ == own) return twin_;
  own_ = own;
  wire::NodeRecord said = own->said;
  if (said.links.empty()) return twin_ = own;
  said.links.pop_back();
  return twin_ = graph::sign(std::move(said), authority_, signer_);
}

graph::MessagePtr Adversary::with_other_record(const graph::Output::Send& send,
                                               const graph::Member& honest) {
  if (send.to.id.bytes.back() % 2 == 0) return send.message;
  const graph::RecordRef own = own_record(honest);
  if (const auto* news = std::get_if<graph::News>(send.message.get())) {
    graph::News other = *news;
    for (graph::RecordRef& r : other.records) {
      if (r->id == honest.id()) r = twin(own);
    }
    return graph::make_message(std::move(other));
  }
  if (std::holds_alternative<graph::Attached>(*send.message)) {
    return graph::make_message(graph::Attached{twin(own)});
  }
  return send.message;
}

graph::MessagePtr Adversary::sent_round(const graph::Output::Send& send) {
  Accomplices some = accomplices_;
  if (some.size() > graph::contacts_max) some.resize(graph::contacts_max);
  if (std::holds_alternative<graph::Redirect>(*send.message)) {
    return graph::make_message(graph::Redirect{some, some});
  }
  const bool is_answer = std::holds_alternative<graph::Attached>(*send.message) ||
                         std::holds_alternative<graph::Refused>(*send.message);
  if (is_answer) return graph::make_message(graph::Refused{graph::Refusal::full, some});
  return send.message;
}

void Adversary::add_accusations(const graph::Member& honest, graph::Output& out) {
  graph::News news;
  for (const graph::LinkStatus& link : honest.links()) {
    const graph::Entry* entry = honest.view().find(link.peer);
    if (!entry || is_accomplice(link.peer)) continue;
    const uint64_t counter = entry->record->said.counter;
    const auto [at, is_new] = accused_.try_emplace(link.peer, counter);
    if (!is_new && at->second == counter) continue;
    at->second = counter;
    wire::Suspicion suspicion;
    suspicion.suspect = link.peer;
    suspicion.counter = counter;
    if (news.accusations.size() == graph::news_facts_max) break;
    news.accusations.push_back(graph::sign(std::move(suspicion), authority_, signer_));
  }
  if (!news.accusations.empty()) to_all(honest, graph::make_message(std::move(news)), out);
}

void Adversary::add_news(const graph::Member& honest, graph::Output& out) {
  wire::NodeRecord said = own_record(honest)->said;
  counter_ = std::max(counter_, said.counter) + 1;
  said.counter = counter_;
  said.addresses.front().port = static_cast<uint16_t>(1 + counter_ % 60'000);
  graph::News news;
  news.records.push_back(graph::sign(std::move(said), authority_, signer_));
  to_all(honest, graph::make_message(std::move(news)), out);
}

}  // namespace chaincast::sim
