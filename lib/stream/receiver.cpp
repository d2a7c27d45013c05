// SPDX-License-Identifier: BSD-3-Clause
#include "stream/receiver.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "stream/assembler.hpp"
#include "stream/chain.hpp"
#include "stream/descriptor.hpp"
#include "stream/statements.hpp"
#include "wire/frame.hpp"

namespace chaincast::stream {
namespace {

constexpr uint64_t looks_per_poll_max = 8192;  // probes for frames that were missing
constexpr TimeNs blocked_interval_ns = 10 * ns_per_ms;

class ReceiverMachine final : public Receiver {
 public:
  ReceiverMachine(ReceiverConfig config, const wire::Descriptor& descriptor,
                  const Digest& descriptor_digest, dedup::Window& window,
                  const crypto::Toolbox& toolbox, crypto::FrameEngine& engine,
                  std::function<const crypto::SuiteKey*(Epoch)> key_of)
      : config_(config),
        descriptor_(descriptor),
        descriptor_digest_(descriptor_digest),
        window_(window),
        toolbox_(toolbox),
        engine_(engine),
        key_of_(std::move(key_of)),
        quota_(config.statements_per_poll_max),
        statements_(descriptor_, descriptor_digest_, toolbox_, counters_),
        chain_(window.size(), rules_of(config, descriptor), counters_),
        assembler_(descriptor.object_bytes_max, counters_),
        frame_(size_t{0xffff} + 1),
        second_seqs_(window.variants_max()) {}

  void start_at_descriptor(TimeNs now_ns) override;
  bool learn_statement(ByteSpan payload, TimeNs now_ns) override;
  bool poll(TimeNs now_ns, unsigned frames_max, Sink* sink) override;
  bool accept(Seq seq, const Digest& digest) override { return chain_.accept(seq, digest); }
  TimeNs next_timer_ns() const override;
  void missing(std::vector<Missing>& out, size_t max) const override;
  std::optional<unsigned> variant_of(Seq seq, const std::array<uint8_t, 8>* digest8) const override;
  std::optional<Digest> digest_of(Seq seq) const override;
  const ReceiverStatus& status() const override { return status_; }
  const ReceiverCounters& counters() const override { return counters_; }
  const Bytes& newest_statement() const override { return statements_.newest(); }
  const std::vector<Bytes>& evidence() const override { return statements_.evidence(); }

 private:
  static ChainRules rules_of(const ReceiverConfig& config, const wire::Descriptor& descriptor) {
    const bool is_kept = descriptor.keeping == wire::Keeping::kept;
    return {.needs_final = is_kept || descriptor.delivery == wire::Delivery::final,
            .needs_accepted = descriptor.delivery == wire::Delivery::accepted,
            .gives_up = !is_kept,
            .gap_deadline_ns = config.gap_deadline_ns};
  }
  Seq ceiling() const { return window_.floor() + window_.size(); }
  bool read_variant(Seq seq, unsigned variant);
  Digest digest_of_stored(const dedup::Stored& stored);
  void offer_statement(uint16_t length);
  bool open_payload(uint16_t length, Bytes& out);
  bool read_new(TimeNs now_ns, unsigned frames_max);
  unsigned read_missing(unsigned frames_max);
  void read_seconds();
  bool check_statements(TimeNs now_ns);
  void apply(const wire::Statement& statement, TimeNs now_ns);
  bool deliver(unsigned frames_max, Sink* sink);
  void follow_without_sink();
  void report_lost(Sink* sink);
  void deliver_frame(Seq seq);
  void move_window();
  void end_conflicts();
  void tell_final();
  bool make_room();
  void update_status(TimeNs now_ns);

  const ReceiverConfig config_;
  const wire::Descriptor descriptor_;
  const Digest descriptor_digest_;
  dedup::Window& window_;
  const crypto::Toolbox& toolbox_;
  crypto::FrameEngine& engine_;
  const std::function<const crypto::SuiteKey*(Epoch)> key_of_;

  unsigned quota_;  // signature checks left until the next poll
  ReceiverCounters counters_;
  ReceiverStatus status_;
  Statements statements_;
  Chain chain_;
  Assembler assembler_;
  std::optional<wire::Statement> deferred_;  // of a kept stream, beyond the window
  Seq delivered_next_ = 0;
  Seq look_at_ = 0;  // where the search of the gaps goes on
  uint64_t seconds_seen_ = 0;
  Seq final_told_ = 0;  // to the judge
  TimeNs polled_ns_ = 0;

  Bytes frame_;    // one frame as read from the window
  Bytes payload_;  // opened
  std::vector<Seq> second_seqs_;
};

void ReceiverMachine::start_at_descriptor(TimeNs now_ns) {
  if (status_.anchored) return;
  status_.anchored = true;
  status_.anchor_is_descriptor = true;
  status_.newest_statement_ns = now_ns;
  chain_.start(0, descriptor_digest_);
  window_.anchor(0, descriptor_digest_);
  update_status(now_ns);
}

bool ReceiverMachine::learn_statement(ByteSpan payload, TimeNs now_ns) {
  if (status_.is_held) return false;
  const bool knew_one = !statements_.newest().empty();
  const uint64_t newest_before = statements_.newest_fields().index;
  statements_.offer(payload);
  const bool checked = check_statements(now_ns);
  if (status_.anchored) update_status(now_ns);
  return checked && (!knew_one || statements_.newest_fields().index > newest_before);
}

// True if one held.
bool ReceiverMachine::check_statements(TimeNs now_ns) {
  bool any = false;
  while (const auto statement = statements_.check_next(quota_)) {
    if (!statements_.is_forked()) apply(*statement, now_ns);
    any = true;
  }
  return any;
}

void ReceiverMachine::apply(const wire::Statement& s, TimeNs now_ns) {
  status_.newest_statement_ns = now_ns;
  status_.is_ended = status_.is_ended || (s.flags & wire::statement_flag_end) != 0;
  window_.mark_signed(s.last_seq);
  if (!status_.anchored) {
    status_.anchored = true;
    status_.anchor_seq = s.last_seq + 1;
    chain_.start(s.last_seq + 1, s.last_digest);
    delivered_next_ = s.last_seq + 1;
    window_.anchor(s.last_seq + 1, s.last_digest);
    return;
  }
  if (s.last_seq >= ceiling()) {
    // A kept stream catches up through its neighbours first.
    if (descriptor_.keeping == wire::Keeping::kept) {
      deferred_ = s;
      return;
    }
    chain_.jump(s.last_seq, s.last_digest);
    window_.anchor(s.last_seq + 1, s.last_digest);
    return;
  }
  if (s.last_seq >= chain_.seen_end()) chain_.note_missing(s.last_seq, now_ns);
  if (!chain_.add_word(s.last_seq, s.last_digest)) statements_.report_fork(s);
}

Digest ReceiverMachine::digest_of_stored(const dedup::Stored& stored) {
  if (links_by_digest(descriptor_.suite)) return stored.digest;
  payload_.assign(frame_.begin(), frame_.begin() + wire::frame_hashed_header_bytes);
  payload_.insert(payload_.end(), frame_.begin() + wire::frame_header_bytes,
                  frame_.begin() + stored.length);
  return toolbox_.sha256(payload_);
}

bool ReceiverMachine::open_payload(uint16_t length, Bytes& out) {
  const wire::FrameHeader header = wire::load_frame_header(frame_.data());
  const crypto::SuiteKey* key = key_of_(header.epoch);
  out.resize(length - wire::frame_header_bytes);
  if (!is_confidential(descriptor_.suite)) {
    std::copy(frame_.begin() + wire::frame_header_bytes, frame_.begin() + length, out.begin());
    return true;
  }
  return key != nullptr && engine_.open(*key, frame_.data(), length, out.data());
}

void ReceiverMachine::offer_statement(uint16_t length) {
  if (open_payload(length, payload_)) {
    statements_.offer(payload_);
  } else {
    ++counters_.unopened_frames;
  }
}

// Reads one committed variant into the chain. False if it is not readable (yet).
bool ReceiverMachine::read_variant(Seq seq, unsigned variant) {
  const bool is_whole = !links_by_digest(descriptor_.suite);
  const size_t bytes = is_whole ? dedup::Window::whole_frame : wire::frame_header_bytes;
  auto stored = window_.read(seq, variant, frame_.data(), bytes);
  if (!stored) return false;
  const uint8_t kind = frame_[wire::frame_offset_kind];
  if (!is_whole && wire::kind_of(kind) == wire::Kind::statement) {
    stored = window_.read(seq, variant, frame_.data());
    if (!stored) return false;
  }
  ChainVariant content;
  content.kind = kind;
  content.digest = digest_of_stored(*stored);
  std::copy_n(frame_.begin() + wire::frame_offset_link, content.link.size(), content.link.begin());
  chain_.add(seq, variant, content);
  ++counters_.frames;
  if (config_.judge != nullptr &&
      config_.judge->on_frame(seq, content.digest,
                              wire::tag48(frame_.data() + wire::frame_offset_tag))) {
    chain_.accept(seq, content.digest);
  }
  if (wire::kind_of(kind) == wire::Kind::statement) offer_statement(stored->length);
  return true;
}

// Frames that were missing when they were passed. Goes round the gaps, a bounded part per poll. A
// frame that closes a gap may move the floor far past itself at once, so the floor is no bound
// here.
unsigned ReceiverMachine::read_missing(unsigned frames_max) {
  unsigned found = 0;
  uint64_t looks = 0;
  std::vector<std::pair<Seq, Seq>> ranges;
  const auto collect = [&](Gaps::Map::const_iterator from) {
    for (; from != chain_.gaps().end() && looks < looks_per_poll_max; ++from) {
      const Seq first = from->first;
      const uint64_t span = std::min(from->second.last - first + 1, looks_per_poll_max - looks);
      ranges.emplace_back(first, first + span - 1);
      looks += span;
    }
  };
  collect(chain_.gaps().from(look_at_));
  if (ranges.empty()) collect(chain_.gaps().begin());
  look_at_ = ranges.empty() ? 0 : ranges.back().second + 1;
  for (const auto& [first, last] : ranges) {
    for (Seq seq = first; seq <= last && found < frames_max; ++seq) {
      if (window_.has(seq) && read_variant(seq, 0)) ++found;
    }
  }
  return found;
}

void ReceiverMachine::read_seconds() {
  const uint64_t seconds = window_.seconds();
  if (seconds == seconds_seen_) return;
  const size_t count = window_.second_seqs(second_seqs_);
  bool all = true;
  for (size_t i = 0; i < count; ++i) {
    const Seq seq = second_seqs_[i];
    if (seq < chain_.start_seq() || seq + window_.size() <= chain_.seen_end()) continue;
    const ChainEntry* at = chain_.find(seq);
    if (at != nullptr && at->variants[1].is_present) continue;
    all = at != nullptr && read_variant(seq, 1) && all;
  }
  if (all) seconds_seen_ = seconds;
}

bool ReceiverMachine::read_new(TimeNs now_ns, unsigned frames_max) {
  unsigned found = chain_.gaps().empty() ? 0 : read_missing(frames_max);
  const Seq end = std::min(window_.committed_end(), ceiling());
  // The loads of a long hole cost something too.
  const Seq look_end = std::min(end, chain_.seen_end() + looks_per_poll_max);
  Seq seq = chain_.seen_end();
  for (; seq < look_end && found < frames_max; ++seq) {
    if (!window_.has(seq)) continue;
    if (seq > chain_.seen_end()) chain_.note_missing(seq - 1, now_ns);
    if (!read_variant(seq, 0)) break;
    ++found;
  }
  if (seq == look_end && look_end < end) chain_.note_missing(look_end - 1, now_ns);
  read_seconds();
  return chain_.seen_end() < end;
}

void ReceiverMachine::report_lost(Sink* sink) {
  auto& lost = chain_.lost();
  auto [first, last] = lost.front();
  lost.pop_front();
  first = std::max(first, delivered_next_);
  if (last < first) return;
  assembler_.restart();
  counters_.lost_frames += last - first + 1;
  delivered_next_ = last + 1;
  if (sink != nullptr) sink->on_lost(first, last);
}

void ReceiverMachine::follow_without_sink() {
  assembler_.restart();
  while (!chain_.lost().empty() && chain_.lost().front().first < chain_.limit()) {
    counters_.other_frames += chain_.lost().front().first - delivered_next_;
    delivered_next_ = chain_.lost().front().first;
    report_lost(nullptr);
  }
  if (chain_.limit() <= delivered_next_) return;
  counters_.other_frames += chain_.limit() - delivered_next_;
  delivered_next_ = chain_.limit();
}

void ReceiverMachine::deliver_frame(Seq seq) {
  const ChainEntry* at = chain_.find(seq);
  const auto stored = at == nullptr ? std::nullopt : window_.read(seq, at->best(), frame_.data());
  if (!stored) {
    // Overrun: the window has moved a whole lap past the sink.
    Seq last = seq;
    while (last + 1 < chain_.limit() && chain_.find(last + 1) == nullptr) ++last;
    chain_.lost().emplace_front(seq, last);
    return;
  }
  ++delivered_next_;
  const uint8_t kind_byte = frame_[wire::frame_offset_kind];
  const wire::Kind kind = wire::kind_of(kind_byte);
  if (kind != wire::Kind::data && kind != wire::Kind::route) {
    ++counters_.other_frames;
    if (kind != wire::Kind::statement) ++counters_.unknown_kinds;
    return;
  }
  if (!open_payload(stored->length, payload_)) {
    ++counters_.unopened_frames;
    ++counters_.other_frames;
    assembler_.restart();
    return;
  }
  assembler_.take(seq, kind_byte, payload_);
}

// True if more could be delivered at once.
bool ReceiverMachine::deliver(unsigned frames_max, Sink* sink) {
  if (sink == nullptr) {
    follow_without_sink();
    return false;
  }
  for (unsigned handled = 0; handled < frames_max; ++handled) {
    if (!assembler_.flush(*sink)) return false;
    const auto& lost = chain_.lost();
    if (!lost.empty() && lost.front().first <= delivered_next_) {
      report_lost(sink);
    } else if (delivered_next_ < chain_.limit() && chain_.is_deliverable(delivered_next_)) {
      deliver_frame(delivered_next_);
    } else {
      return false;
    }
  }
  return !assembler_.flush(*sink) ? false : delivered_next_ < chain_.limit();
}

void ReceiverMachine::move_window() {
  const Seq linked = chain_.linked_next();
  if (linked > window_.next()) {
    const ChainEntry* previous = linked > 0 ? chain_.find(linked - 1) : nullptr;
    if (previous != nullptr) {
      window_.anchor(linked, previous->variants[previous->best()].digest);
    } else {
      window_.skip_to(linked);
    }
  }
  if (chain_.final_next() > 0) window_.mark_final(chain_.final_next() - 1);
}

void ReceiverMachine::tell_final() {
  if (config_.judge == nullptr) return;
  const Seq held = chain_.seen_end() - std::min<Seq>(chain_.seen_end(), window_.size());
  final_told_ = std::max({final_told_, chain_.start_seq(), held});
  for (; final_told_ < chain_.final_next(); ++final_told_) {
    const ChainEntry* at = chain_.find(final_told_);
    if (at == nullptr || at->final_variant < 0) continue;
    config_.judge->on_final(final_told_, at->variants[at->best()].digest);
  }
}

// What the origin's word decides need not take room as a conflict any longer.
void ReceiverMachine::end_conflicts() {
  chain_.tell_resolved(window_.floor(),
                       [&](Seq seq, unsigned variant) { return window_.resolve(seq, variant); });
  chain_.tell_wanted([&](Seq seq, std::span<const uint8_t, 16> digest16) {
    return window_.want(seq, digest16) || (make_room() && window_.want(seq, digest16));
  });
}

// Walks come from above: what they meet last waits longest for its turn, and is asked for then.
bool ReceiverMachine::make_room() {
  const size_t count = window_.second_seqs(second_seqs_);
  std::optional<Seq> lowest;
  for (size_t i = 0; i < count; ++i) {
    const Seq seq = second_seqs_[i];
    const ChainEntry* at = chain_.find(seq);
    const bool is_open = at != nullptr && at->final_variant < 0 && seq >= window_.floor();
    if (is_open && (!lowest || seq < *lowest)) lowest = seq;
  }
  if (!lowest || !window_.forget_second(*lowest)) return false;
  chain_.forget_second(*lowest);
  return true;
}

void ReceiverMachine::update_status(TimeNs now_ns) {
  status_.anchor_seq = chain_.start_seq();
  status_.linked_next = chain_.linked_next();
  status_.final_next = chain_.final_next();
  if (descriptor_.delivery == wire::Delivery::accepted) {
    status_.accepted_next = chain_.accepted_next();
  }
  status_.delivered_next = delivered_next_;
  status_.highest_seen = chain_.seen_end() > 0 ? chain_.seen_end() - 1 : 0;
  status_.is_held = statements_.is_forked();
  status_.is_stale = now_ns >= status_.newest_statement_ns + config_.stale_after_ns;
}

bool ReceiverMachine::poll(TimeNs now_ns, unsigned frames_max, Sink* sink) {
  quota_ = config_.statements_per_poll_max;
  polled_ns_ = now_ns;
  if (!status_.anchored || status_.is_held) return false;
  bool more = read_new(now_ns, frames_max);
  check_statements(now_ns);
  if (deferred_ && deferred_->last_seq < ceiling()) {
    const wire::Statement statement = *deferred_;
    deferred_.reset();
    apply(statement, now_ns);
  }
  if (!chain_.settle(now_ns)) statements_.report_fork(statements_.newest_fields());
  tell_final();
  end_conflicts();
  if (!statements_.is_forked()) {
    more = deliver(frames_max, sink) || more;
    move_window();
  }
  update_status(now_ns);
  return (more || statements_.has_candidates()) && !status_.is_held;
}

TimeNs ReceiverMachine::next_timer_ns() const {
  if (!status_.anchored || status_.is_held) return time_never;
  const TimeNs stale =
      status_.is_stale ? time_never : status_.newest_statement_ns + config_.stale_after_ns;
  const bool waits = chain_.is_blocked() || !assembler_.is_idle();
  return waits ? std::min(stale, polled_ns_ + blocked_interval_ns) : stale;
}

void ReceiverMachine::missing(std::vector<Missing>& out, size_t max) const {
  out.clear();
  if (config_.is_own || status_.is_held || !status_.anchored) return;
  const Seq low = window_.floor();
  const Seq high = ceiling();
  for (const auto& [first, gap] : chain_.gaps()) {
    for (Seq seq = std::max(first, low); seq <= gap.last && seq < high && out.size() < max; ++seq) {
      out.push_back({seq, std::nullopt});
    }
  }
  const size_t holes = out.size();
  chain_.contradicted(out, max);
  std::inplace_merge(out.begin(), out.begin() + static_cast<ptrdiff_t>(holes), out.end(),
                     [](const Missing& a, const Missing& b) { return a.seq < b.seq; });
}

std::optional<unsigned> ReceiverMachine::variant_of(Seq seq,
                                                    const std::array<uint8_t, 8>* digest8) const {
  const ChainEntry* at = chain_.find(seq);
  if (at == nullptr) {
    return digest8 == nullptr && window_.has(seq) ? std::optional(0u) : std::nullopt;
  }
  if (digest8 == nullptr) return at->best();
  for (unsigned v = 0; v < 2; ++v) {
    const ChainVariant& variant = at->variants[v];
    if (variant.is_present &&
        std::equal(digest8->begin(), digest8->end(), variant.digest.begin())) {
      return v;
    }
  }
  return std::nullopt;
}

std::optional<Digest> ReceiverMachine::digest_of(Seq seq) const {
  const ChainEntry* at = chain_.find(seq);
  if (at == nullptr || seq >= chain_.linked_next()) return std::nullopt;
  return at->variants[at->best()].digest;
}

}  // namespace

std::unique_ptr<Receiver> Receiver::create(ReceiverConfig config,
                                           const wire::Descriptor& descriptor,
                                           const Digest& descriptor_digest, dedup::Window& window,
                                           const crypto::Toolbox& toolbox,
                                           crypto::FrameEngine& engine,
                                           std::function<const crypto::SuiteKey*(Epoch)> key_of) {
  CC_ASSERT(key_of != nullptr);
  return std::make_unique<ReceiverMachine>(config, descriptor, descriptor_digest, window, toolbox,
                                           engine, std::move(key_of));
}

}  // namespace chaincast::stream
