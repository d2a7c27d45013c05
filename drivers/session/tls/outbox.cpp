// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/outbox.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "session/frame.hpp"

namespace chaincast::session::tls {

void Outbox::add(Bytes message) {
  queued_bytes_ += frame_header_bytes + message.size();
  messages_.push_back(std::move(message));
}

void Outbox::add_hello(ByteSpan frame) {
  CC_ASSERT(record_.empty() && front_taken_ == 0);
  record_.assign(frame.begin(), frame.end());
  queued_bytes_ += frame.size();
}

ByteSpan Outbox::next(bool may_begin) {
  if (record_written_ == record_.size()) {
    record_.clear();
    record_written_ = 0;
  }
  // What libssl has begun with must stay as it is, and may grow.
  while (may_begin && record_written_ == 0 && record_.size() + frame_header_bytes < record_bytes &&
         !messages_.empty()) {
    const Bytes& message = messages_.front();
    if (front_taken_ == 0) {
      std::array<uint8_t, frame_header_bytes> header;
      store_be32(header.data(), static_cast<uint32_t>(message.size()));
      record_.insert(record_.end(), header.begin(), header.end());
      front_taken_ = header.size();
      ++begun_.messages;
      begun_.bytes += message.size();
    }
    const size_t offset = front_taken_ - frame_header_bytes;
    const size_t count = std::min(record_bytes - record_.size(), message.size() - offset);
    const ByteSpan part = ByteSpan(message).subspan(offset, count);
    record_.insert(record_.end(), part.begin(), part.end());
    front_taken_ += count;
    if (offset + count < message.size()) break;
    messages_.pop_front();
    front_taken_ = 0;
  }
  return ByteSpan(record_).subspan(record_written_);
}

Outbox::Written Outbox::written(size_t count) {
  record_written_ += count;
  queued_bytes_ -= count;
  return std::exchange(begun_, {});
}

void Outbox::move_unbegun(Outbox& to) {
  const auto from = messages_.begin() + (front_taken_ > 0 ? 1 : 0);
  for (auto message = from; message != messages_.end(); ++message) {
    queued_bytes_ -= frame_header_bytes + message->size();
    to.add(std::move(*message));
  }
  messages_.erase(from, messages_.end());
}

}  // namespace chaincast::session::tls
