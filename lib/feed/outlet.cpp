// SPDX-License-Identifier: BSD-3-Clause
#include "feed/outlet.hpp"

#include <algorithm>

#include "port/port.hpp"

namespace chaincast::feed {

bool Outlet::on_object(const cli::Delivered& delivered) {
  const size_t bytes = delivered.object.size();
  if (bytes == 0 || bytes > object_bytes_max) {
    (bytes == 0 ? counters_.empty : counters_.too_long).add();
    return true;
  }
  if (!waiting_.empty() && waiting_bytes_ + bytes > waiting_bytes_max) {
    counters_.full.add();
    return false;
  }
  waiting_.emplace_back(delivered.object.begin(), delivered.object.end());
  waiting_bytes_ += bytes;
  pump();
  return true;
}

void Outlet::on_lost(StreamId, Seq first, Seq last) {
  counters_.lost_frames.add(last - first + 1);
}

void Outlet::on_closed(const std::string&) {}

bool Outlet::is_new(const Endpoint& from, const Request& request, TimeNs now_ns) const {
  if (!reader_) return true;
  if (reader_->address == from) return reader_->id != request.reader;
  return !reader_->is_open && now_ns >= reader_->until_ns + forget_ns;
}

void Outlet::receive(const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
  if (!port::is_loopback(from)) {
    counters_.foreign.add();
    return;
  }
  const std::optional<Request> request = parse_request(datagram);
  if (!request) {
    counters_.malformed.add();
    return;
  }
  if (is_new(from, *request, now_ns)) {
    reader_ = Reader();
    reader_->address = from;
    reader_->id = request->reader;
    reader_->number = request->number - 1;
  } else if (reader_->address != from) {
    counters_.second_reader.add();
    return;
  }
  begin(*request, now_ns);
}

void Outlet::begin(const Request& request, TimeNs now_ns) {
  const uint32_t ahead = request.number - reader_->number;
  if (ahead > uint32_t{1} << 31) return;  // overtaken by a later one
  if (ahead == 0) {
    // It asks again because the end of the answer has not reached it. What went before it must not
    // go twice.
    if (!reader_->is_open) close();
    return;
  }
  counters_.requests.add();
  // The answer to the request before has come to its end for the reader.
  const uint64_t missing = reader_->sent - std::min(reader_->sent, request.taken);
  if (missing > reader_->unseen) {
    counters_.unseen.add(missing - reader_->unseen);
    reader_->unseen = missing;
  }
  reader_->number = request.number;
  reader_->is_open = true;
  reader_->has_some = false;
  reader_->room = request.room;
  reader_->until_ns = now_ns + request.hold_ms * ns_per_ms;
  pump();
}

// A first object always fits: an empty buffer takes any one datagram.
bool Outlet::fits(const Bytes& object) const {
  if (!reader_->has_some) return reader_->room > 0;
  return weight(object.size()) <= reader_->room;
}

void Outlet::pump() {
  if (!reader_ || !reader_->is_open) return;
  while (!waiting_.empty() && fits(waiting_.front())) {
    const Bytes& object = waiting_.front();
    is_blocked_ = !socket_.send(reader_->address, object);
    if (is_blocked_) return;
    reader_->room -= std::min(reader_->room, weight(object.size()));
    reader_->has_some = true;
    ++reader_->sent;
    counters_.objects.add();
    counters_.bytes.add(object.size());
    waiting_bytes_ -= object.size();
    waiting_.pop_front();
  }
}

void Outlet::close() {
  is_blocked_ = !socket_.send(reader_->address, {});
  reader_->is_open = is_blocked_;
}

void Outlet::turn(TimeNs now_ns) {
  if (!reader_ || !reader_->is_open) return;
  pump();
  if (reader_->has_some || now_ns >= reader_->until_ns) close();
}

TimeNs Outlet::wake_at_ns() const {
  if (!reader_ || !reader_->is_open || is_blocked_) return time_never;
  return reader_->has_some ? 0 : reader_->until_ns;
}

}  // namespace chaincast::feed
