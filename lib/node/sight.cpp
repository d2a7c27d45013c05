// SPDX-License-Identifier: BSD-3-Clause
#include "node/sight.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>

namespace chaincast::node {

namespace {

int64_t unix_offset_ns(const Clock& clock) {
  timespec real;
  clock_gettime(CLOCK_REALTIME, &real);
  return real.tv_sec * int64_t{ns_per_s} + real.tv_nsec - static_cast<int64_t>(clock.now_ns());
}

}  // namespace

Sight::Sight(Plane& plane, rcu::Retirer& retirer, const base::ThreadStarter& threads,
             const Clock& clock)
    : plane_(plane), retirer_(retirer), threads_(threads), clock_(clock) {}

Sight::~Sight() {
  is_tapped_ = is_metered_ = false;
  tracers_.clear();
  publish();
}

void Sight::add_port(const port::Port& port, capture::PortInterface interface) {
  CC_ASSERT(interface.id < capture::ports_max);
  if (is_tapped_) capture_->add_port(interface);
  ports_.push_back({&port, std::move(interface)});
  tell_ports();
}

void Sight::remove_port(uint16_t id) {
  std::erase_if(ports_, [id](const KnownPort& known) { return known.interface.id == id; });
  tell_ports();
}

void Sight::add_peer(uint32_t peer) {
  peers_.insert(peer);
  for (const auto& meter : meters_) meter->add_peer(peer, retirer_);
}

void Sight::remove_peer(uint32_t peer) {
  peers_.erase(peer);
  for (const auto& meter : meters_) meter->remove_peer(peer, retirer_);
}

void Sight::tell_ports() {
  if (!is_tapped_) return;
  capture::PortIds ids;
  for (const KnownPort& known : ports_) ids.emplace_back(known.port, known.interface.id);
  for (unsigned w = 0; w < plane_.workers(); ++w) capture_->tap(w)->set_ports(ids, retirer_);
}

Status Sight::start_capture(capture::CaptureConfig config) {
  if (is_tapped_ && capture_->progress().state == capture::State::running) {
    return error(ErrorCode::exists, fmt::format("{}: a capture is running; `capture stop` first",
                                                capture_->config().file));
  }
  config.workers = plane_.workers();
  config.unix_offset_ns = unix_offset_ns(clock_);
  auto started = capture::Capture::start(std::move(config), plane_.streams, clock_, threads_);
  if (!started) return started.error();
  if (is_tapped_) {
    if (Status stopped = stop_capture(); !stopped) return stopped;
  }
  capture_ = std::move(started).value();
  for (const KnownPort& known : ports_) capture_->add_port(known.interface);
  is_tapped_ = true;
  tell_ports();
  publish();
  return {};
}

Status Sight::stop_capture() {
  if (capture_ == nullptr) {
    return error(ErrorCode::not_found, "capture: none has been started; `capture start FILE`");
  }
  is_tapped_ = false;
  publish();
  capture_->stop();
  return {};
}

void Sight::start_trace(uint32_t frames) {
  clear_trace();
  trace_.wanted = trace_.left = std::min(frames, trace::frames_max);
  budget_ = std::make_unique<trace::Budget>(trace_.wanted);
  for (unsigned w = 0; w < plane_.workers(); ++w) {
    tracers_.push_back(std::make_shared<trace::Tracer>(w, *budget_, clock_));
  }
  publish();
}

void Sight::clear_trace() {
  tracers_.clear();
  publish();
  trace_ = {};
}

// Once the last frame has come, nobody looks any more.
const Sight::Trace& Sight::read_trace() {
  if (tracers_.empty()) return trace_;
  trace_.left = budget_->left();
  trace::Entry entry;
  for (const auto& tracer : tracers_) {
    while (tracer->take_finished(entry)) trace_.entries.push_back(entry);
  }
  std::stable_sort(
      trace_.entries.begin(), trace_.entries.end(),
      [](const trace::Entry& a, const trace::Entry& b) { return a.arrived_ns < b.arrived_ns; });
  if (trace_.entries.size() == trace_.wanted) {
    tracers_.clear();
    publish();
  }
  return trace_;
}

void Sight::start_latency() {
  set_latency(false);
  meters_.clear();
  for (unsigned w = 0; w < plane_.workers(); ++w) {
    meters_.push_back(std::make_shared<latency::Meter>(clock_));
    for (const uint32_t peer : peers_) meters_.back()->add_peer(peer, retirer_);
  }
  set_latency(true);
}

void Sight::set_latency(bool on) {
  is_metered_ = on;
  publish();
}

// Returns when no worker uses an observer of before.
void Sight::publish() {
  std::unique_ptr<Lookout> lookout;
  if (is_tapped_ || is_metered_ || !tracers_.empty()) {
    lookout = std::make_unique<Lookout>();
    for (unsigned w = 0; w < plane_.workers(); ++w) {
      auto observers = std::make_unique<stage::Observers>();
      // The meter comes first, so that others' work is not in its times before a stage.
      if (is_metered_) observers->add(meters_[w]);
      if (!tracers_.empty()) observers->add(tracers_[w]);
      if (is_tapped_) observers->add(capture_->tap(w));
      lookout->of_worker.push_back(std::move(observers));
    }
  }
  plane_.lookout.publish(std::move(lookout), retirer_);
  retirer_.flush();
}

}  // namespace chaincast::node
