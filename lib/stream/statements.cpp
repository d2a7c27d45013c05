// SPDX-License-Identifier: BSD-3-Clause
#include "stream/statements.hpp"

#include <algorithm>

#include "stream/descriptor.hpp"

namespace chaincast::stream {

bool Statements::is_known(const Candidate& candidate) const {
  const auto at = known_.find(candidate.fields.index);
  return at != known_.end() && at->second.hash == candidate.hash;
}

void Statements::offer(ByteSpan payload) {
  auto parsed = wire::parse_statement(payload);
  if (!parsed || parsed->descriptor_digest != descriptor_digest_) {
    ++counters_.statements_bad;
    return;
  }
  Candidate candidate{*parsed, Bytes(payload.begin(), payload.end()), toolbox_.sha256(payload)};
  if (is_known(candidate)) return;
  const auto same = [&](const Candidate& c) { return c.hash == candidate.hash; };
  if (std::any_of(candidates_.begin(), candidates_.end(), same)) return;
  const auto place =
      std::upper_bound(candidates_.begin(), candidates_.end(), candidate.fields.index,
                       [](uint64_t index, const Candidate& c) { return index < c.fields.index; });
  candidates_.insert(place, std::move(candidate));
  if (candidates_.size() > statement_candidates_max) candidates_.erase(candidates_.begin());
}

std::optional<wire::Statement> Statements::check_next(unsigned& quota) {
  while (!candidates_.empty()) {
    if (is_known(candidates_.back())) {
      candidates_.pop_back();
      continue;
    }
    if (quota == 0) return std::nullopt;
    --quota;
    const Candidate candidate = std::move(candidates_.back());
    candidates_.pop_back();
    ++counters_.statements_checked;
    if (!check_statement(candidate.fields, descriptor_, toolbox_)) {
      ++counters_.statements_bad;
      continue;
    }
    accept(candidate);
    return candidate.fields;
  }
  return std::nullopt;
}

void Statements::learn(uint64_t index, const Digest& hash, const Bytes& payload,
                       const Bytes& witness) {
  Known& known = known_[index];
  if (known.hash == Digest{}) {
    known = {hash, payload};
  } else if (known.hash == hash) {
    if (known.payload.empty()) known.payload = payload;
  } else if (!is_forked()) {
    // Known by hash only: the statement after it, signed too, holds that hash.
    const auto after = known_.find(index + 1);
    const bool by_hash = known.payload.empty() && after != known_.end();
    evidence_ = {by_hash ? after->second.payload : known.payload, witness};
  }
}

void Statements::accept(const Candidate& candidate) {
  const wire::Statement& s = candidate.fields;
  learn(s.index, candidate.hash, candidate.payload, candidate.payload);
  if (s.index > 0) learn(s.index - 1, s.previous, {}, candidate.payload);
  if (newest_.empty() || s.index > newest_fields_.index) {
    newest_ = candidate.payload;
    newest_fields_ = s;
  }
  while (known_.size() > statement_known_max) known_.erase(known_.begin());
}

void Statements::report_fork(const wire::Statement& statement) {
  if (is_forked()) return;
  evidence_ = {newest_, wire::encode(statement)};
}

}  // namespace chaincast::stream
