// SPDX-License-Identifier: BSD-3-Clause
#include "repair/repair.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/random.hpp"

namespace chaincast::repair {
namespace {

constexpr TimeNs rtt_unknown_ns = 10 * ns_per_ms;
constexpr TimeNs answer_interval_min_ns = 5 * ns_per_ms;
constexpr TimeNs tip_answer_interval_ns = 10 * ns_per_ms;
constexpr TimeNs start_patience_ns = 200 * ns_per_ms;
constexpr unsigned start_neighbours = 2;
constexpr unsigned map_bits = 64;
constexpr size_t answers_max = 4096;
constexpr unsigned doublings_max = 6;

struct Peer {
  uint32_t peer = 0;
  TimeNs rtt_ns = 0;
  std::optional<wire::Tip> tip;
  TimeNs tip_sent_ns = 0;
  bool tip_is_due = true;

  TimeNs round_trip_ns() const { return rtt_ns == 0 ? rtt_unknown_ns : rtt_ns; }
  bool claims(Seq seq) const {
    return tip && !tip->empty && tip->linked_seq >= seq && tip->retained_from <= seq;
  }
};

// One seq that is missing.
struct Ask {
  TimeNs next_try_ns = 0;
  unsigned tries = 0;
  uint32_t last_peer = 0;
};

// When (peer, seq, kind of nack) was answered last. A collision forgets, and costs one answer more.
struct Answer {
  uint32_t peer = 0;
  bool by_digest = false;
  Seq seq = 0;
  TimeNs at_ns = 0;
  bool is_used = false;
};

class RepairMachine final : public Repair {
 public:
  RepairMachine(RepairConfig config, StreamId stream, const wire::Descriptor& descriptor,
                stream::Receiver& receiver, dedup::Window& window, bool is_origin, uint64_t seed)
      : config_(config),
        stream_(stream),
        receiver_(receiver),
        window_(window),
        is_origin_(is_origin),
        random_(seed),
        answers_(answers_max),
        frame_(wire::frame_header_bytes + size_t{descriptor.payload_bytes_max} + 8) {}

  void set_neighbours(const std::vector<Neighbour>& neighbours, TimeNs now_ns) override;
  void configure(const RepairConfig& config) override;
  void on_nack(uint32_t peer, const wire::Nack& nack, TimeNs now_ns, RepairOutput& out) override;
  void on_pending(uint32_t peer, const wire::Pending& pending, TimeNs now_ns) override;
  void on_tip(uint32_t peer, const wire::Tip& tip, TimeNs now_ns, RepairOutput& out) override;
  void on_tip_request(uint32_t peer, TimeNs now_ns, RepairOutput& out) override;
  void tick(TimeNs now_ns, RepairOutput& out) override;
  TimeNs next_timer_ns() const override;
  const RepairCounters& counters() const override { return counters_; }

 private:
  using Missing = stream::Receiver::Missing;
  Peer* find(uint32_t peer);
  wire::Tip make_tip() const;
  void send_tip(Peer& peer, TimeNs now_ns, RepairOutput& out);
  void send_tips(TimeNs now_ns, RepairOutput& out);
  TimeNs tips_due_ns() const;
  uint64_t gaps() const {
    return receiver_.counters().gap_frames + receiver_.counters().contradictions;
  }
  void ask_for_start(TimeNs now_ns, RepairOutput& out);
  void try_start(TimeNs now_ns);
  void collect_wanted();
  void forget_found();
  const Peer* choose(Seq seq, const Ask& ask);
  void ask_for_missing(TimeNs now_ns, RepairOutput& out);
  bool add_to_nack(wire::Nack& nack, const Missing& missing) const;
  bool may_answer(uint32_t peer, Seq seq, bool by_digest, TimeNs now_ns);
  bool answer(uint32_t peer, Seq seq, const std::array<uint8_t, 8>* digest8, RepairOutput& out);

  RepairConfig config_;
  const StreamId stream_;
  stream::Receiver& receiver_;
  dedup::Window& window_;
  const bool is_origin_;
  Random random_;
  RepairCounters counters_;

  std::vector<Peer> peers_;  // nearest first
  std::map<Seq, Ask> asks_;
  std::vector<Missing> wanted_;  // of this tick, ascending
  std::vector<Answer> answers_;
  Bytes frame_;
  uint64_t gaps_seen_ = 0;         // when was looked for what is missing
  bool has_tail_missing_ = false;  // a tip claims what nobody has sent here
  TimeNs tips_sent_ns_ = 0;
  Seq linked_at_tip_ = 0;
  TimeNs start_asked_ns_ = 0;
  TimeNs first_tip_ns_ = time_never;
  size_t start_turn_ = 0;
};

Peer* RepairMachine::find(uint32_t peer) {
  const auto at =
      std::find_if(peers_.begin(), peers_.end(), [&](const Peer& p) { return p.peer == peer; });
  return at == peers_.end() ? nullptr : &*at;
}

void RepairMachine::set_neighbours(const std::vector<Neighbour>& neighbours, TimeNs) {
  std::vector<Peer> next;
  for (const Neighbour& n : neighbours) {
    const Peer* known = find(n.peer);
    next.push_back(known != nullptr ? *known : Peer{});
    next.back().peer = n.peer;
    next.back().rtt_ns = n.rtt_ns;
  }
  std::stable_sort(next.begin(), next.end(), [](const Peer& a, const Peer& b) {
    return a.round_trip_ns() < b.round_trip_ns();
  });
  peers_ = std::move(next);
}

void RepairMachine::configure(const RepairConfig& config) {
  config_ = config;
  if (!config.enabled) asks_.clear();
}

// ---- tips and starting ----

wire::Tip RepairMachine::make_tip() const {
  const stream::ReceiverStatus& status = receiver_.status();
  wire::Tip tip;
  tip.stream = stream_;
  // Slots outlive the floor: a frame is gone only when the one W above it is there.
  const Seq end = window_.committed_end();
  const Seq overwritten_end = end > window_.size() ? end - window_.size() : 0;
  tip.retained_from = std::max(status.anchor_seq, overwritten_end);
  tip.statement = receiver_.newest_statement();
  if (status.linked_next > status.anchor_seq) {
    if (const auto digest = receiver_.digest_of(status.linked_next - 1)) {
      tip.empty = false;
      tip.linked_seq = status.linked_next - 1;
      std::copy_n(digest->begin(), tip.digest8.size(), tip.digest8.begin());
    }
  }
  return tip;
}

void RepairMachine::send_tip(Peer& peer, TimeNs now_ns, RepairOutput& out) {
  out.sends.push_back({peer.peer, make_tip()});
  peer.tip_sent_ns = now_ns;
  peer.tip_is_due = false;
  ++counters_.tips_sent;
}

TimeNs RepairMachine::tips_due_ns() const {
  if (!receiver_.status().anchored) return time_never;
  const bool has_moved = receiver_.status().linked_next != linked_at_tip_;
  return tips_sent_ns_ + (has_moved ? config_.tip_interval_ns : config_.tip_idle_ns);
}

void RepairMachine::send_tips(TimeNs now_ns, RepairOutput& out) {
  if (!receiver_.status().anchored) return;
  const bool all = now_ns >= tips_due_ns();
  for (Peer& peer : peers_) {
    if (all || peer.tip_is_due) send_tip(peer, now_ns, out);
  }
  if (!all) return;
  tips_sent_ns_ = now_ns;
  linked_at_tip_ = receiver_.status().linked_next;
}

void RepairMachine::on_tip_request(uint32_t peer, TimeNs now_ns, RepairOutput& out) {
  Peer* known = find(peer);
  if (known == nullptr || !receiver_.status().anchored) return;
  if (now_ns < known->tip_sent_ns + tip_answer_interval_ns && known->tip_sent_ns != 0) return;
  send_tip(*known, now_ns, out);
}

void RepairMachine::on_tip(uint32_t peer, const wire::Tip& tip, TimeNs now_ns, RepairOutput&) {
  ++counters_.tips_received;
  Peer* known = find(peer);
  if (known == nullptr) return;
  known->tip = tip;
  if (receiver_.status().anchored) {
    has_tail_missing_ |= !tip.empty && tip.linked_seq > receiver_.status().highest_seen;
    if (!tip.statement.empty() && tip.statement != receiver_.newest_statement()) {
      receiver_.learn_statement(tip.statement, now_ns);
    }
    return;
  }
  first_tip_ns_ = std::min(first_tip_ns_, now_ns);
  try_start(now_ns);
}

void RepairMachine::ask_for_start(TimeNs now_ns, RepairOutput& out) {
  if (peers_.empty() || now_ns < start_asked_ns_ + config_.tip_interval_ns) return;
  start_asked_ns_ = now_ns;
  const size_t count = std::min<size_t>(start_neighbours, peers_.size());
  for (size_t i = 0; i < count; ++i) {
    out.sends.push_back({peers_[start_turn_++ % peers_.size()].peer, wire::TipRequest{stream_}});
  }
}

// Where to start: with everything if a neighbour has it and will for half a window yet, else at the
// newest statement that two neighbours (or one, after a while) know.
void RepairMachine::try_start(TimeNs now_ns) {
  std::vector<std::pair<uint64_t, const Bytes*>> statements;
  size_t answered = 0;
  for (const Peer& peer : peers_) {
    if (!peer.tip) continue;
    ++answered;
    if (peer.tip->retained_from == 0 && peer.tip->linked_seq < window_.size() / 2) {
      receiver_.start_at_descriptor(now_ns);
      return;
    }
    const auto parsed = wire::parse_statement(peer.tip->statement);
    if (parsed) statements.emplace_back(parsed->index, &peer.tip->statement);
  }
  const bool has_waited =
      first_tip_ns_ != time_never && now_ns >= first_tip_ns_ + start_patience_ns;
  if (answered < std::min<size_t>(start_neighbours, peers_.size()) && !has_waited) return;
  std::sort(statements.begin(), statements.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [index, payload] : statements) {
    if (receiver_.learn_statement(*payload, now_ns)) return;
  }
}

// ---- asking ----

// What the receiver misses, and what neighbours have linked beyond all that was seen here.
void RepairMachine::collect_wanted() {
  receiver_.missing(wanted_, config_.outstanding_max);
  const stream::ReceiverStatus& status = receiver_.status();
  Seq seq = std::max(status.linked_next, status.highest_seen > 0 ? status.highest_seen + 1 : 0);
  if (!wanted_.empty()) seq = std::max(seq, wanted_.back().seq + 1);
  Seq end = 0;  // one above the highest
  for (const Peer& peer : peers_) {
    if (peer.tip && !peer.tip->empty) end = std::max(end, peer.tip->linked_seq + 1);
  }
  const Seq ceiling = window_.floor() + window_.size();
  for (; seq < std::min(end, ceiling) && wanted_.size() < config_.outstanding_max; ++seq) {
    if (!window_.has(seq)) wanted_.push_back({seq, std::nullopt});
  }
}

void RepairMachine::forget_found() {
  auto wanted = wanted_.begin();
  for (auto at = asks_.begin(); at != asks_.end();) {
    while (wanted != wanted_.end() && wanted->seq < at->first) ++wanted;
    if (wanted != wanted_.end() && wanted->seq == at->first) {
      ++at;
      continue;
    }
    if (at->second.tries > 0 && window_.has(at->first)) ++counters_.frames_repaired;
    at = asks_.erase(at);
  }
}

// The nearest neighbour that claims to have it, then the next one; if nobody claims it, any.
const Peer* RepairMachine::choose(Seq seq, const Ask& ask) {
  const size_t claiming = static_cast<size_t>(
      std::count_if(peers_.begin(), peers_.end(), [&](const Peer& p) { return p.claims(seq); }));
  size_t turn = ask.tries % (claiming == 0 ? peers_.size() : claiming);
  for (const Peer& peer : peers_) {
    if (claiming != 0 && !peer.claims(seq)) continue;
    if (turn-- == 0) return &peer;
  }
  return nullptr;
}

bool RepairMachine::add_to_nack(wire::Nack& nack, const Missing& missing) const {
  if (nack.map != 0 &&
      (nack.by_digest || missing.digest8 || missing.seq - nack.first_seq >= map_bits)) {
    return false;
  }
  if (nack.map == 0) nack.first_seq = missing.seq;
  nack.map |= uint64_t{1} << (missing.seq - nack.first_seq);
  nack.by_digest = missing.digest8.has_value();
  if (missing.digest8) nack.digest8 = *missing.digest8;
  return true;
}

void RepairMachine::ask_for_missing(TimeNs now_ns, RepairOutput& out) {
  gaps_seen_ = gaps();
  has_tail_missing_ = false;
  collect_wanted();
  forget_found();
  if (peers_.empty()) return;
  std::map<uint32_t, wire::Nack> open;  // by peer
  unsigned nacks = 0;
  const auto close = [&](uint32_t peer, wire::Nack& nack) {
    out.sends.push_back({peer, nack});
    ++counters_.nacks_sent;
    nack = {.stream = stream_};
  };
  for (const Missing& missing : wanted_) {
    const auto [at, is_new] = asks_.try_emplace(missing.seq);
    Ask& ask = at->second;
    if (is_new) ask.next_try_ns = now_ns + config_.first_wait_ns;
    if (ask.next_try_ns > now_ns) continue;
    const Peer* peer = choose(missing.seq, ask);
    if (peer == nullptr) continue;
    auto [nack, is_first] = open.try_emplace(peer->peer, wire::Nack{.stream = stream_});
    if (nack->second.map == 0 && nacks++ >= config_.nacks_per_tick_max) break;
    if (!add_to_nack(nack->second, missing)) {
      close(peer->peer, nack->second);
      if (nacks++ >= config_.nacks_per_tick_max) break;
      add_to_nack(nack->second, missing);
    }
    const TimeNs base = std::max(config_.retry_min_ns, 2 * peer->round_trip_ns());
    const TimeNs wait = std::min(base << std::min(ask.tries, doublings_max), config_.retry_max_ns);
    ask.next_try_ns = now_ns + wait + random_.below(wait / 4 + 1);
    ask.last_peer = peer->peer;
    ++ask.tries;
    ++counters_.frames_asked;
  }
  for (auto& [peer, nack] : open) {
    if (nack.map != 0) close(peer, nack);
  }
}

// The one that was asked has not got it: the next one at once, until all have been asked.
void RepairMachine::on_pending(uint32_t peer, const wire::Pending& pending, TimeNs now_ns) {
  for (unsigned bit = 0; bit < map_bits; ++bit) {
    if ((pending.map >> bit & 1) == 0) continue;
    const auto at = asks_.find(pending.first_seq + bit);
    if (at == asks_.end() || at->second.tries == 0 || at->second.last_peer != peer) continue;
    if (at->second.tries < peers_.size()) at->second.next_try_ns = now_ns;
  }
}

// ---- answering ----

bool RepairMachine::may_answer(uint32_t peer, Seq seq, bool by_digest, TimeNs now_ns) {
  const Peer* known = find(peer);
  const TimeNs interval =
      std::max(answer_interval_min_ns, known == nullptr ? rtt_unknown_ns : known->rtt_ns);
  Answer& last = answers_[(seq * 31 + peer * 2654435761u + (by_digest ? 1 : 0)) % answers_max];
  const bool is_same =
      last.is_used && last.peer == peer && last.seq == seq && last.by_digest == by_digest;
  if (is_same && now_ns < last.at_ns + interval) {
    ++counters_.suppressed;
    return false;
  }
  last = {peer, by_digest, seq, now_ns, true};
  return true;
}

bool RepairMachine::answer(uint32_t peer, Seq seq, const std::array<uint8_t, 8>* digest8,
                           RepairOutput& out) {
  const std::optional<unsigned> variant = receiver_.variant_of(seq, digest8);
  if (!variant) return false;
  const auto stored = window_.read(seq, *variant, frame_.data());
  if (!stored) return false;
  out.resends.push_back({peer, seq, Bytes(frame_.begin(), frame_.begin() + stored->length)});
  ++counters_.frames_resent;
  return true;
}

void RepairMachine::on_nack(uint32_t peer, const wire::Nack& nack, TimeNs now_ns,
                            RepairOutput& out) {
  ++counters_.nacks_received;
  if (!config_.enabled || !receiver_.status().anchored) return;
  wire::Pending pending{.stream = stream_, .first_seq = nack.first_seq};
  wire::Pending gone = pending;
  gone.gone = true;
  const uint64_t map = nack.by_digest ? 1 : nack.map;
  for (unsigned bit = 0; bit < map_bits && nack.first_seq + bit >= nack.first_seq; ++bit) {
    if ((map >> bit & 1) == 0) continue;
    const Seq seq = nack.first_seq + bit;
    if (!may_answer(peer, seq, nack.by_digest, now_ns)) continue;
    if (answer(peer, seq, nack.by_digest ? &nack.digest8 : nullptr, out)) continue;
    const bool may_come = seq >= receiver_.status().final_next || seq >= window_.next();
    (may_come ? pending : gone).map |= uint64_t{1} << bit;
  }
  if (pending.map != 0) {
    out.sends.push_back({peer, pending});
    ++counters_.pending_sent;
  }
  if (gone.map != 0) {
    out.sends.push_back({peer, gone});
    ++counters_.gone_sent;
  }
}

void RepairMachine::tick(TimeNs now_ns, RepairOutput& out) {
  if (!receiver_.status().anchored) {
    try_start(now_ns);
    if (!receiver_.status().anchored) {
      ask_for_start(now_ns, out);
      return;
    }
  }
  send_tips(now_ns, out);
  if (config_.enabled && !is_origin_) ask_for_missing(now_ns, out);
}

TimeNs RepairMachine::next_timer_ns() const {
  if (peers_.empty()) return time_never;
  if (!receiver_.status().anchored) return start_asked_ns_ + config_.tip_interval_ns;
  // What is missing waits for its first question, not for a tip.
  const bool looks = config_.enabled && !is_origin_;
  if (looks && (has_tail_missing_ || gaps_seen_ != gaps())) return 0;
  TimeNs due = tips_due_ns();
  for (const Peer& peer : peers_) {
    if (peer.tip_is_due) return 0;
  }
  for (const auto& [seq, ask] : asks_) due = std::min(due, ask.next_try_ns);
  return due;
}

}  // namespace

std::unique_ptr<Repair> Repair::create(RepairConfig config, StreamId stream,
                                       const wire::Descriptor& descriptor,
                                       stream::Receiver& receiver, dedup::Window& window,
                                       bool is_origin, uint64_t seed) {
  return std::make_unique<RepairMachine>(config, stream, descriptor, receiver, window, is_origin,
                                         seed);
}

}  // namespace chaincast::repair
