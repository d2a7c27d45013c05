// SPDX-License-Identifier: BSD-3-Clause
#include "capture/capture.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "capture/comments.hpp"

namespace chaincast::capture {

namespace {

constexpr std::chrono::milliseconds look_again{1};
// Between two looks at whether the capture has been stopped or added to.
constexpr unsigned records_per_turn_max = 1024;

const char* remedy_of(int reason) {
  if (reason == EEXIST) return "remove it or choose another name";
  if (reason == ENOENT || reason == ENOTDIR) return "make its directory first";
  if (reason == EACCES || reason == EPERM || reason == EROFS) {
    return "choose a directory that the node may write to";
  }
  return "choose another place";
}

// The port's own end of a datagram whose other end is `remote`.
Endpoint own_end(const PortInterface& port, const Endpoint& remote, uint16_t udp_port) {
  Endpoint out;
  out.is_ipv6 = remote.is_ipv6;
  for (const Endpoint& address : port.addresses) {
    if (address.is_ipv6 != remote.is_ipv6) continue;
    out = address;
    break;
  }
  out.port = udp_port;
  return out;
}

}  // namespace

Result<std::unique_ptr<Capture>> Capture::start(CaptureConfig config,
                                                const stream::StreamTable& streams,
                                                const Clock& clock,
                                                const base::ThreadStarter& threads) {
  const int fd = open(config.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    return error(errno == EEXIST ? ErrorCode::exists : ErrorCode::io,
                 fmt::format("{}: cannot be created: {}; {}", config.file, std::strerror(errno),
                             remedy_of(errno)));
  }
  std::FILE* const file = fdopen(fd, "wb");
  CC_ASSERT(file != nullptr);
  std::unique_ptr<Capture> out(new Capture(std::move(config), streams, clock, file));
  ByteWriter head;
  put_section(head, out->config_.application);
  out->write(head.buffer());
  out->writer_ = threads.start("cc-capture",
                               [capture = out.get()](std::stop_token stop) { capture->run(stop); });
  return out;
}

Capture::Capture(CaptureConfig config, const stream::StreamTable& streams, const Clock& clock,
                 std::FILE* file)
    : config_(std::move(config)), clock_(clock), file_(file) {
  for (unsigned w = 0; w < config_.workers; ++w) {
    taps_.push_back(std::make_shared<Tap>(config_.filter, streams, clock, config_.ring_bytes));
  }
}

Capture::~Capture() {
  stop();
}

void Capture::add_port(PortInterface port) {
  const std::lock_guard lock(mutex_);
  // Packets of the port that had this id before are still its own.
  const size_t turns_max = config_.ring_bytes / sizeof(Record) / records_per_turn_max + 1;
  for (size_t i = 0; i < turns_max && drain(); ++i) continue;
  ByteWriter out;
  put_interface(out, port.interface);
  write(out.buffer());
  interfaces_[port.id] = {std::move(port), interface_count_++, 0};
}

void Capture::stop() {
  for (const auto& tap : taps_) tap->close();
  if (!writer_.joinable()) return;
  writer_.request_stop();
  wake_.notify_all();
  writer_.join();
}

Progress Capture::progress() const {
  const std::lock_guard lock(mutex_);
  Progress out = progress_;
  for (const auto& tap : taps_) {
    for (uint16_t id = 0; id < ports_max; ++id) out.missed += tap->missed(id);
  }
  return out;
}

const char* to_text(State state) {
  constexpr std::array<const char*, 4> names = {"running", "full", "failed", "ended"};
  return names[static_cast<size_t>(state)];
}

void Capture::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    // Asked before the last look: whoever stops has published all.
    const bool is_last = stop.stop_requested();
    if (drain()) {
      lock.unlock();  // others get their turn
      lock.lock();
      continue;
    }
    flush();
    if (is_last) break;
    wake_.wait_for(lock, stop, look_again, [] { return false; });
  }
  end(State::ended);
}

// At most records_per_turn_max of each ring. False: there was nothing.
bool Capture::drain() {
  bool any = false;
  for (const auto& tap : taps_) {
    for (unsigned i = 0; i < records_per_turn_max; ++i) {
      const std::span<const uint8_t> bytes = tap->ring().front();
      if (bytes.empty()) break;
      put(bytes);
      tap->ring().pop();
      any = true;
    }
  }
  return any;
}

void Capture::put(std::span<const uint8_t> bytes) {
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  const auto found = interfaces_.find(record.port_id);
  if (record.is_void || progress_.state != State::running || found == interfaces_.end()) return;
  Written& written = found->second;
  const ByteSpan datagram(bytes.data() + sizeof record, record.bytes);
  std::vector<Loss> losses(record.losses);
  if (!losses.empty()) {
    std::memcpy(losses.data(), bytes.data() + losses_offset(record.bytes),
                losses.size() * sizeof(Loss));
  }
  const std::vector<std::string> notes = comments(record, datagram, losses);
  const Endpoint own = own_end(written.port, record.remote, record.local_port);
  Packet packet;
  packet.interface = written.number;
  packet.unix_ns = record.time_ns + static_cast<TimeNs>(config_.unix_offset_ns);
  packet.is_outgoing = record.is_outgoing;
  packet.source = record.is_outgoing ? own : record.remote;
  packet.destination = record.is_outgoing ? record.remote : own;
  packet.datagram = datagram;
  packet.comments = notes;
  ByteWriter out;
  put_packet(out, packet);
  if (progress_.bytes + out.size() > config_.bytes_max) return end(State::full);
  write(out.buffer());
  ++written.packets;
  if (++progress_.packets >= config_.packets_max) end(State::full);
}

void Capture::write(ByteSpan block) {
  if (file_ == nullptr) return;
  if (std::fwrite(block.data(), 1, block.size(), file_.get()) != block.size()) {
    return fail(errno);
  }
  progress_.bytes += block.size();
}

void Capture::flush() {
  if (file_ != nullptr && std::fflush(file_.get()) != 0) fail(errno);
}

// The statistics at the end of the file.
void Capture::complete() {
  const TimeNs unix_ns = clock_.now_ns() + static_cast<TimeNs>(config_.unix_offset_ns);
  for (const auto& [id, written] : interfaces_) {
    uint64_t missed = 0;
    for (const auto& tap : taps_) missed += tap->missed(id);
    ByteWriter out;
    put_statistics(out, written.number, unix_ns, written.packets, missed);
    write(out.buffer());
  }
  flush();
}

// The first end counts.
void Capture::end(State state) {
  if (progress_.state != State::running) return;
  progress_.state = state;
  for (const auto& tap : taps_) tap->close();
  complete();
  file_.reset();
}

void Capture::fail(int reason) {
  progress_.state = State::failed;
  progress_.problem = std::strerror(reason);
  for (const auto& tap : taps_) tap->close();
  file_.reset();
}

}  // namespace chaincast::capture
