// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>

#include "base/bytes.hpp"

namespace chaincast::session::tls {

// Messages that wait to be written, cut into pieces of at most one TLS record, so that small ones
// share a record. Private to the driver. Memory: the messages, and one record.
class Outbox {
 public:
  static constexpr size_t record_bytes = 16 * 1024;
  static constexpr size_t messages_max = 65'536;

  void add(Bytes message);
  // Ahead of all messages, before any is begun.
  void add_hello(ByteSpan frame);
  // What is to be written next; empty where nothing is. No message is handed out that has not been
  // before unless `may_begin`.
  ByteSpan next(bool may_begin);
  // Something was handed out and has not left, or is the hello.
  bool has_begun() const { return record_written_ < record_.size(); }
  struct Written {
    uint64_t messages = 0;  // that were begun by this; they count as sent
    uint64_t bytes = 0;     // of them
  };
  // Of next(), `count` bytes have left.
  Written written(size_t count);

  bool is_empty() const { return queued_bytes_ == 0; }
  // Of messages and their lengths.
  size_t queued_bytes() const { return queued_bytes_; }
  size_t messages() const { return messages_.size(); }
  // Messages of which nothing has been handed out move behind those of `to`.
  void move_unbegun(Outbox& to);

 private:
  std::deque<Bytes> messages_;
  size_t front_taken_ = 0;  // of the first message, its length included
  Bytes record_;
  size_t record_written_ = 0;
  size_t queued_bytes_ = 0;
  Written begun_;
};

}  // namespace chaincast::session::tls
