// SPDX-License-Identifier: BSD-3-Clause
#include "stream/origin.hpp"

#include <algorithm>

#include "stream/descriptor.hpp"
#include "stream/object_queue.hpp"
#include "wire/frame.hpp"
#include "wire/object.hpp"

namespace chaincast::stream {
namespace {

// Pace in picoseconds, so that 100 million frames/s are still exact to 1 in 10,000. Statements
// leave on time and may leave a debt, which the data behind them pays.
class Pace {
 public:
  Pace(uint32_t frames_per_s, TimeNs now_ns)
      : cost_ps_(1'000'000'000'000 / int64_t{frames_per_s}),
        burst_ps_(std::max<int64_t>(10'000'000'000, 64 * cost_ps_)),
        credit_ps_(burst_ps_),
        at_ns_(now_ns) {}

  void refill(TimeNs now_ns) {
    if (now_ns <= at_ns_) return;
    const TimeNs enough_ns = static_cast<TimeNs>((burst_ps_ - credit_ps_) / 1000 + 1);
    credit_ps_ += static_cast<int64_t>(std::min(now_ns - at_ns_, enough_ns)) * 1000;
    credit_ps_ = std::min(credit_ps_, burst_ps_);
    at_ns_ = now_ns;
  }
  bool allows() const { return credit_ps_ >= cost_ps_; }
  void take() { credit_ps_ -= cost_ps_; }
  TimeNs ready_ns() const {
    return allows() ? at_ns_ : at_ns_ + static_cast<TimeNs>((cost_ps_ - credit_ps_ + 999) / 1000);
  }

 private:
  int64_t cost_ps_;
  int64_t burst_ps_;
  int64_t credit_ps_;
  TimeNs at_ns_;
};

class OriginMachine final : public Origin {
 public:
  OriginMachine(SignedDescriptor signed_descriptor, TimeNs pack_wait_ns,
                const crypto::Toolbox& toolbox, const crypto::Signer& signer,
                crypto::FrameEngine& engine, std::unique_ptr<crypto::SuiteKey> key, TimeNs now_ns)
      : signed_(std::move(signed_descriptor)),
        pack_wait_ns_(pack_wait_ns),
        toolbox_(toolbox),
        signer_(signer),
        engine_(engine),
        key_(std::move(key)),
        pace_(signed_.descriptor.rate_frames_per_s, now_ns),
        last_digest_(signed_.digest) {}

  const wire::Descriptor& descriptor() const override { return signed_.descriptor; }
  const Bytes& encoded_descriptor() const override { return signed_.encoded; }
  const Digest& descriptor_digest() const override { return signed_.digest; }
  StreamId id() const override { return signed_.id; }
  Seq next_seq() const override { return next_seq_; }
  size_t queued_bytes() const override { return queued_bytes_; }
  const Bytes& newest_statement() const override { return newest_statement_; }

  Result<bool> publish(ByteSpan object) override;
  unsigned poll(TimeNs now_ns, unsigned frames_max, const Emit& emit) override;
  void end(TimeNs now_ns, const Emit& emit) override;
  TimeNs next_timer_ns() const override;

 private:
  size_t payload_max() const { return signed_.descriptor.payload_bytes_max; }
  TimeNs statement_interval_ns() const {
    return signed_.descriptor.statement_interval_ms * ns_per_ms;
  }
  TimeNs statement_due_ns() const;
  size_t packable() const;
  bool waits_for_more(TimeNs now_ns);
  void emit_data(const Emit& emit);
  void emit_cut(const Emit& emit);
  void emit_packed(size_t count, const Emit& emit);
  void emit_statement(TimeNs now_ns, uint8_t flags, const Emit& emit);
  void emit_frame(uint8_t kind, const Emit& emit);
  void pop_object();

  const SignedDescriptor signed_;
  const TimeNs pack_wait_ns_;
  const crypto::Toolbox& toolbox_;
  const crypto::Signer& signer_;
  crypto::FrameEngine& engine_;
  const std::unique_ptr<crypto::SuiteKey> key_;
  Pace pace_;

  ObjectQueue queue_;
  size_t queued_bytes_ = 0;
  size_t cut_at_ = 0;  // bytes of the front object that have left already
  TimeNs waiting_since_ns_ = time_never;
  bool is_ended_ = false;

  Bytes payload_;  // of the frame being made
  Bytes frame_;
  Seq next_seq_ = 0;
  Digest last_digest_;  // of the frame before next_seq_, or of the descriptor

  uint64_t statement_index_ = 0;
  Digest statement_hash_{};  // of the statement before
  Seq uncovered_from_ = 0;
  unsigned frames_since_statement_ = 0;  // statements apart
  TimeNs statement_ns_ = 0;
  Bytes newest_statement_;
};

Result<bool> OriginMachine::publish(ByteSpan object) {
  if (is_ended_) {
    return error(ErrorCode::refused, "stream " + signed_.descriptor.resource +
                                         ": has ended; start it again to publish more");
  }
  if (object.size() > signed_.descriptor.object_bytes_max) {
    return error(ErrorCode::refused, "stream " + signed_.descriptor.resource + ": an object of " +
                                         std::to_string(object.size()) +
                                         " bytes is above object_bytes_max " +
                                         std::to_string(signed_.descriptor.object_bytes_max) +
                                         "; cut it or raise the limit");
  }
  // An empty object costs its place as well.
  const size_t cost = object.size() + sizeof(Bytes);
  if (!queue_.empty() && queued_bytes_ + cost > origin_queue_bytes_max) return false;
  queue_.push(object);
  queued_bytes_ += cost;
  return true;
}

void OriginMachine::pop_object() {
  queued_bytes_ -= queue_.front().size() + sizeof(Bytes);
  queue_.pop();
  cut_at_ = 0;
  waiting_since_ns_ = time_never;
}

// Number of objects from the front that share one frame; 0 if the first is too large to share.
size_t OriginMachine::packable() const {
  size_t count = 0;
  size_t bytes = 0;
  for (const uint32_t object_bytes : queue_.sizes()) {
    if (!wire::packed_fits(bytes, object_bytes, payload_max())) break;
    bytes += wire::packed_length_bytes + object_bytes;
    ++count;
  }
  return count;
}

// True while everything queued fits into one frame and its time to wait has not run out.
bool OriginMachine::waits_for_more(TimeNs now_ns) {
  if (pack_wait_ns_ == 0 || cut_at_ != 0 || packable() < queue_.sizes().size()) return false;
  if (waiting_since_ns_ == time_never) waiting_since_ns_ = now_ns;
  return now_ns < waiting_since_ns_ + pack_wait_ns_;
}

void OriginMachine::emit_frame(uint8_t kind, const Emit& emit) {
  wire::FrameHeader header;
  header.payload_bytes = static_cast<uint16_t>(payload_.size());
  header.kind = kind;
  header.suite = static_cast<uint8_t>(key_->suite);
  header.epoch = key_->epoch;
  header.stream = signed_.id;
  header.seq = next_seq_;
  std::copy_n(last_digest_.begin(), header.link.size(), header.link.begin());
  frame_.resize(wire::frame_header_bytes + payload_.size());
  wire::store_frame_header(frame_.data(), header);
  std::copy(payload_.begin(), payload_.end(), frame_.begin() + wire::frame_header_bytes);
  last_digest_ = engine_.seal(*key_, frame_.data(), static_cast<uint16_t>(frame_.size()));
  ++next_seq_;
  pace_.take();
  emit(frame_, last_digest_);
}

void OriginMachine::emit_cut(const Emit& emit) {
  const ByteSpan object = queue_.front();
  const size_t bytes = std::min(object.size() - cut_at_, payload_max());
  const bool is_first = cut_at_ == 0;
  const auto from = object.begin() + static_cast<ptrdiff_t>(cut_at_);
  payload_.assign(from, from + static_cast<ptrdiff_t>(bytes));
  cut_at_ += bytes;
  const bool is_last = cut_at_ == object.size();
  if (is_last) pop_object();
  const auto kind = signed_.descriptor.carries_routes ? wire::Kind::route : wire::Kind::data;
  emit_frame(static_cast<uint8_t>(static_cast<uint8_t>(kind) | (is_first ? wire::kind_first : 0) |
                                  (is_last ? wire::kind_last : 0)),
             emit);
}

void OriginMachine::emit_packed(size_t count, const Emit& emit) {
  payload_.clear();
  for (; count > 0; --count) {
    wire::append_packed(payload_, queue_.front());
    pop_object();
  }
  const auto kind = signed_.descriptor.carries_routes ? wire::Kind::route : wire::Kind::data;
  emit_frame(static_cast<uint8_t>(static_cast<uint8_t>(kind) | wire::kind_packed_frame), emit);
}

void OriginMachine::emit_data(const Emit& emit) {
  const size_t count = cut_at_ == 0 ? packable() : 0;
  if (count >= 2) {
    emit_packed(count, emit);
  } else {
    emit_cut(emit);
  }
  ++frames_since_statement_;
}

void OriginMachine::emit_statement(TimeNs now_ns, uint8_t flags, const Emit& emit) {
  wire::Statement statement;
  statement.descriptor_digest = signed_.digest;
  statement.index = statement_index_++;
  statement.previous = statement_hash_;
  statement.first_seq = uncovered_from_;
  statement.last_seq = next_seq_ - 1;
  statement.last_digest = last_digest_;
  statement.flags = flags;
  sign_statement(statement, signed_.descriptor.network, signer_);
  newest_statement_ = wire::encode(statement);
  statement_hash_ = toolbox_.sha256(newest_statement_);
  uncovered_from_ = next_seq_;
  frames_since_statement_ = 0;
  statement_ns_ = now_ns;
  payload_ = newest_statement_;
  emit_frame(static_cast<uint8_t>(static_cast<uint8_t>(wire::Kind::statement) | wire::kind_first |
                                  wire::kind_last),
             emit);
}

TimeNs OriginMachine::statement_due_ns() const {
  if (next_seq_ == 0 || is_ended_) return time_never;
  // Receivers' windows move only so far beyond what is signed.
  if (frames_since_statement_ >= (1u << signed_.descriptor.window_log2) / 4) return 0;
  const bool is_first = statement_index_ == 0;
  const bool is_burst_over = frames_since_statement_ > 0 && queue_.empty();
  if (is_burst_over || frames_since_statement_ >= signed_.descriptor.statement_frames_max) {
    return is_first ? 0 : statement_ns_ + statement_interval_ns();
  }
  return queue_.empty() ? statement_ns_ + idle_statement_interval_ns : time_never;
}

unsigned OriginMachine::poll(TimeNs now_ns, unsigned frames_max, const Emit& emit) {
  pace_.refill(now_ns);
  unsigned emitted = 0;
  while (emitted < frames_max) {
    if (statement_due_ns() <= now_ns) {
      emit_statement(now_ns, 0, emit);
    } else if (!queue_.empty() && pace_.allows() && !waits_for_more(now_ns)) {
      emit_data(emit);
    } else {
      break;
    }
    ++emitted;
  }
  return emitted;
}

void OriginMachine::end(TimeNs now_ns, const Emit& emit) {
  if (is_ended_) return;
  while (!queue_.empty()) emit_data(emit);
  if (next_seq_ > 0) emit_statement(now_ns, wire::statement_flag_end, emit);
  is_ended_ = true;
}

TimeNs OriginMachine::next_timer_ns() const {
  TimeNs due = statement_due_ns();
  if (queue_.empty()) return due;
  TimeNs data = pace_.ready_ns();
  if (waiting_since_ns_ != time_never) data = std::max(data, waiting_since_ns_ + pack_wait_ns_);
  return std::min(due, data);
}

}  // namespace

Result<std::unique_ptr<Origin>> Origin::create(OriginConfig config, const crypto::Toolbox& toolbox,
                                               const crypto::Signer& signer,
                                               crypto::FrameEngine& engine,
                                               const crypto::StreamSecrets& secrets,
                                               TimeNs now_ns) {
  auto signed_descriptor = sign_descriptor(std::move(config.descriptor), toolbox, signer);
  if (!signed_descriptor) return signed_descriptor.error();
  const wire::Descriptor& descriptor = signed_descriptor->descriptor;
  if (is_confidential(descriptor.suite) && !secrets.has_encrypt) {
    return error(ErrorCode::refused, "stream " + descriptor.resource +
                                         ": a confidential suite needs the encryption secret; "
                                         "configure it or choose an open suite");
  }
  auto key = make_frame_key(*signed_descriptor, 0, secrets, toolbox, engine);
  if (!key) return key.error();
  return std::unique_ptr<Origin>(
      std::make_unique<OriginMachine>(std::move(signed_descriptor.value()), config.pack_wait_ns,
                                      toolbox, signer, engine, std::move(key.value()), now_ns));
}

}  // namespace chaincast::stream
