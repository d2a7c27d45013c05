// SPDX-License-Identifier: BSD-3-Clause
#include "console/unix/subscription.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace chaincast::console {

namespace {

constexpr size_t noted_streams_max = 64;  // of either kind
// Of a ring: shown to a client that is awake before the node's turn is over.
constexpr size_t commit_bytes = 32 * 1024;

ByteSpan bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

bool Subscription::on_object(const cli::Delivered& delivered) {
  if (!way_->can_hold(delivered.object.size())) {
    ++counters_.too_long;
    on_lost(delivered.stream, delivered.first_seq, delivered.last_seq);
    return true;
  }
  if (!way_->has_room(notices(), delivered.object.size())) {
    ++counters_.output_full;
    return false;
  }
  put_notices();
  way_->put({local::Type::object, delivered.stream, delivered.first_seq, delivered.last_seq,
             delivered.object});
  ++counters_.delivered_objects;
  return true;
}

void Subscription::on_lost(StreamId stream, Seq first, Seq last) {
  const auto known = std::find_if(losses_.begin(), losses_.end(),
                                  [&](const Loss& loss) { return loss.stream == stream; });
  if (known != losses_.end()) {
    known->first = std::min(known->first, first);
    known->last = std::max(known->last, last);
  } else if (losses_.size() < noted_streams_max) {
    losses_.push_back({stream, first, last});
  } else {
    is_overrun_ = true;
  }
  tell();
}

void Subscription::on_origin(StreamId stream, bool is_lost) {
  if (!watches_origins_) return;
  const auto known = std::find_if(origins_.begin(), origins_.end(),
                                  [&](const Origin& origin) { return origin.stream == stream; });
  if (known != origins_.end()) {
    known->is_lost = is_lost;
  } else if (origins_.size() < noted_streams_max) {
    origins_.push_back({stream, is_lost});
  } else {
    is_overrun_ = true;
  }
  tell();
}

void Subscription::on_closed(const std::string& reason) {
  id.reset();
  closing_ = reason;
  tell();
}

void Subscription::tell() {
  // At once where nothing else waits; otherwise they wait for the next object and merge.
  if (closing_) {
    if (!way_->has_room(notices(), closing_->size())) return;
    put_notices();
    way_->put({local::Type::closed, {}, 0, 0, bytes_of(*closing_)});
    closing_.reset();
  } else if (notices() > 0 && way_->is_idle() && way_->has_room(notices(), 0)) {
    put_notices();
  }
}

void Subscription::put_notices() {
  for (const Loss& loss : losses_) {
    way_->put({local::Type::lost, loss.stream, loss.first, loss.last, {}});
    ++counters_.loss_notices;
  }
  losses_.clear();
  for (const Origin& origin : origins_) {
    way_->put({origin.is_lost ? local::Type::origin_lost : local::Type::origin_back,
               origin.stream,
               0,
               0,
               {}});
    ++counters_.origin_notices;
  }
  origins_.clear();
}

RingWay::RingWay(SharedRing memory)
    : memory_(std::move(memory)),
      writer_(memory_.control(), memory_.data(), memory_.data_bytes()) {}

bool RingWay::has_room(size_t losses, size_t bytes) {
  is_full_ =
      !writer_.has_room(losses * local::ring_record_bytes(0) + local::ring_record_bytes(bytes));
  return !is_full_;
}

void RingWay::put(const local::RingRecord& record) {
  const bool written = writer_.write(record);
  CC_ASSERT(written);
  if (writer_.uncommitted_bytes() >= commit_bytes) wakes_ |= writer_.commit();
}

bool RingWay::commit() {
  wakes_ |= writer_.commit();
  return std::exchange(wakes_, false);
}

// With room for the notices that may have to be told before it.
bool RingWay::can_hold(size_t bytes) const {
  return local::ring_record_bytes(bytes) + 2 * noted_streams_max * local::ring_record_bytes(0) <=
         writer_.data_bytes();
}

bool RingWay::is_idle() {
  return writer_.uncommitted_bytes() == 0 && writer_.is_drained();
}

TimeNs RingWay::stalled_ns(TimeNs now_ns) {
  const uint64_t read = writer_.read_bytes();
  if (!is_full_ || read != seen_bytes_ || seen_ns_ == 0) {
    seen_bytes_ = read;
    seen_ns_ = now_ns;
  }
  return now_ns - seen_ns_;
}

}  // namespace chaincast::console
