// SPDX-License-Identifier: BSD-3-Clause
#include "vote/vote.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.hpp"

namespace chaincast::vote {
namespace {

constexpr size_t liars_max = 256;
constexpr double error_max = 1e-6 * (1 + 1e-9);  // that liars alone are enough; and rounding

void check(const Rule& rule) {
  CC_ASSERT(rule.percent <= 100);
  CC_ASSERT(rule.malicious <= malicious_max);
}

}  // namespace

size_t votes_against(size_t parents, unsigned malicious) {
  if (malicious == 0) return 1;
  const double lies = static_cast<double>(malicious) / 100;
  const auto all = static_cast<double>(parents);
  double exactly = std::pow(lies, all);  // that so many lie, from all of them downwards
  double or_more = exactly;
  size_t votes = parents + 1;
  while (votes > 1 && or_more <= error_max) {
    --votes;
    const auto lying = static_cast<double>(votes);
    exactly *= lying / (all - lying + 1) * (1 - lies) / lies;
    or_more += exactly;
  }
  return votes;
}

Votes::Votes(const VoteConfig& config) : config_(config), slots_(config.window) {
  CC_ASSERT(config.window > 0);
  check(config.rule);
  count_needed();
}

void Votes::count_needed() {
  const Rule& rule = config_.rule;
  needed_ = std::max({(parents_.size() * rule.percent + 99) / 100, size_t{rule.tolerated} + 1,
                      votes_against(parents_.size(), rule.malicious)});
}

bool Votes::is_sufficient() const {
  return parents_.size() > 2 * size_t{config_.rule.tolerated} && needed_ <= parents_.size();
}

size_t Votes::parents_wanted() const {
  size_t out = 2 * size_t{config_.rule.tolerated} + 1;
  while (votes_against(out, config_.rule.malicious) > out) ++out;
  return out;
}

bool Votes::is_parent(const NodeId& id) const {
  return std::binary_search(parents_.begin(), parents_.end(), id);
}

std::vector<Seq> Votes::set_parents(std::vector<NodeId> parents) {
  std::sort(parents.begin(), parents.end());
  parents.erase(std::unique(parents.begin(), parents.end()), parents.end());
  if (parents.size() > parents_max) parents.resize(parents_max);
  parents_ = std::move(parents);
  count_needed();
  return decide_all();
}

std::vector<Seq> Votes::set_rule(const Rule& rule) {
  check(rule);
  config_.rule = rule;
  count_needed();
  return decide_all();
}

std::vector<Seq> Votes::decide_all() {
  std::vector<Seq> out;
  for (Seq seq = floor_; seq < floor_ + slots_.size(); ++seq) {
    Slot& at = slot(seq);
    if (at.votes.empty() || at.is_accepted || !decide(at)) continue;
    ++counters_.accepted_by_votes;
    out.push_back(seq);
  }
  return out;
}

std::optional<Outcome> Votes::outside(Seq seq) {
  if (seq < floor_) {
    ++counters_.late;
    return Outcome::late;
  }
  if (seq - floor_ >= slots_.size()) {
    ++counters_.ahead;
    return Outcome::ahead;
  }
  return std::nullopt;
}

// Accepts the digest that enough present parents vouch for, if there is one.
bool Votes::decide(Slot& slot) {
  if (!is_sufficient()) return false;
  for (const Vote& candidate : slot.votes) {
    size_t count = 0;
    for (const Vote& vote : slot.votes) {
      count += vote.digest == candidate.digest && is_parent(vote.voter) ? 1u : 0u;
    }
    if (count < needed_) continue;
    slot.is_accepted = true;
    slot.digest = candidate.digest;
    return true;
  }
  return false;
}

Outcome Votes::on_vote(const NodeId& voter, Seq seq, const Digest& digest) {
  ++counters_.votes;
  if (const auto refused = outside(seq)) return *refused;
  if (!is_parent(voter)) {
    ++counters_.not_parent;
    return Outcome::not_parent;
  }
  Slot& at = slot(seq);
  const auto before = std::find_if(at.votes.begin(), at.votes.end(),
                                   [&](const Vote& vote) { return vote.voter == voter; });
  if (before != at.votes.end()) {
    if (before->digest == digest) {
      ++counters_.repeated;
      return Outcome::repeated;
    }
    ++counters_.double_votes;
    name(voter, seq);
    return Outcome::double_vote;
  }
  // Parents change: those of before may not fill the list for good.
  if (at.votes.size() >= 2 * parents_max) {
    std::erase_if(at.votes, [&](const Vote& vote) { return !is_parent(vote.voter); });
  }
  at.votes.push_back({voter, digest});
  if (at.is_signed && at.digest != digest) name(voter, seq);
  if (at.is_accepted) {
    ++counters_.repeated;
    return Outcome::repeated;
  }
  if (!decide(at)) return Outcome::counted;
  ++counters_.accepted_by_votes;
  return Outcome::accepted;
}

Outcome Votes::on_origin_link(Seq seq, const Digest& digest) {
  if (const auto refused = outside(seq)) return *refused;
  Slot& at = slot(seq);
  if (at.is_accepted) {
    ++counters_.repeated;
    return Outcome::repeated;
  }
  at.is_accepted = true;
  at.digest = digest;
  ++counters_.accepted_by_origin;
  return Outcome::accepted;
}

Outcome Votes::on_signed(Seq seq, const Digest& digest) {
  if (const auto refused = outside(seq)) return *refused;
  Slot& at = slot(seq);
  const bool is_same = at.is_accepted && at.digest == digest;
  if (!at.is_signed) {
    for (const Vote& vote : at.votes) {
      if (vote.digest != digest) name(vote.voter, seq);
    }
  }
  at.is_signed = true;
  if (is_same) {
    ++counters_.repeated;
    return Outcome::repeated;
  }
  if (at.is_accepted) ++counters_.overruled;
  at.is_accepted = true;
  at.digest = digest;
  ++counters_.accepted_by_signature;
  return Outcome::accepted;
}

void Votes::advance(Seq floor) {
  if (floor <= floor_) return;
  const Seq closed = std::min<Seq>(floor - floor_, slots_.size());
  for (Seq i = 0; i < closed; ++i) slot(floor_ + i) = {};
  floor_ = floor;
}

std::optional<Digest> Votes::accepted(Seq seq) const {
  if (seq < floor_ || seq - floor_ >= slots_.size()) return std::nullopt;
  const Slot& at = slots_[seq % slots_.size()];
  if (!at.is_accepted) return std::nullopt;
  return at.digest;
}

void Votes::name(const NodeId& voter, Seq seq) {
  if (liars_.size() < liars_max) liars_.push_back({voter, seq});
}

std::vector<Liar> Votes::take_liars() {
  return std::exchange(liars_, {});
}

}  // namespace chaincast::vote
