// SPDX-License-Identifier: BSD-3-Clause
#include "rig/line_relay.hpp"

#include <fmt/core.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <algorithm>
#include <numeric>

#include "base/assert.hpp"
#include "port/headers.hpp"
#include "rig/machine.hpp"
#include "wire/datagram.hpp"

namespace chaincast::bench {

namespace {

constexpr unsigned block_datagrams = 64;  // of one neighbour before the next one's copies of them

ProductConfig product_config(const Cell& cell,
                             const std::vector<std::unique_ptr<Device>>& devices) {
  ProductConfig out;
  for (const auto& device : devices) {
    out.rx.push_back(&device->port());
    out.rx_macs.push_back(device->mac());
  }
  out.tx = out.rx[0];
  out.tx_mac = devices[0]->mac();
  out.workers = cell.workers;
  out.neighbours = cell.offered;
  out.fanout = cell.fanout;
  out.datagram_bytes = cell.datagram_bytes;
  out.is_plain = cell.is_plain;
  out.own = bench_endpoint(0, 0);
  return out;
}

}  // namespace

LineRelay::LineRelay(const Cell& cell, const Pools& pools, const crypto::Toolbox& toolbox,
                     rcu::Reader& reader)
    : cell_(cell),
      buffers_(cell.mtu_bytes > 1500 ? pools.jumbo : pools.received),
      reader_(reader),
      sealing_(make_frame_engine(cell.is_plain)) {
  for (unsigned w = 0; w < cell.workers; ++w) {
    devices_.push_back(std::make_unique<Device>(
        DeviceConfig{"net_null" + std::to_string(w), buffers_, cell.mtu_bytes, bench_endpoint(0, 0),
                     cell.sink, w == 0 ? cell.workers : 1}));
  }
  product_ = std::make_unique<Product>(product_config(cell, devices_), pools.headers, buffers_);
  if (cell.has_stage_clock) add_clock();
  for (unsigned w = 0; w < cell.workers; ++w) {
    origins_.push_back(std::make_unique<Origin>(
        toolbox, *sealing_,
        OriginConfig{cell.suite, cell.unit_bytes, "bench" + std::to_string(w), cell.is_plain}));
    product_->add_stream(origins_[w]->stream(*sealing_));
  }
}

LineRelay::~LineRelay() {
  for (auto& device : devices_) device->drop_rest();
  product_.reset();
}

void LineRelay::add_clock() {
  clock_ = std::make_shared<StageClock>();
  auto lookout = std::make_unique<node::Lookout>();
  for (unsigned w = 0; w < cell_.workers; ++w) {
    lookout->of_worker.push_back(std::make_unique<stage::Observers>());
  }
  lookout->of_worker[0]->add(clock_);
  product_->plane().lookout.publish(std::move(lookout), product_->retirer());
}

std::vector<std::pair<std::string, uint64_t>> LineRelay::stages() const {
  std::vector<std::pair<std::string, uint64_t>> out;
  for (size_t i = 0; clock_ != nullptr && i < stage::point_count; ++i) {
    const auto point = static_cast<stage::Point>(i);
    out.emplace_back(stage::point_text(point), clock_->cycles(point));
  }
  return out;
}

unsigned LineRelay::arrival_bytes() const {
  const unsigned payload = cell_.mix.empty()
                               ? cell_.unit_bytes
                               : std::accumulate(cell_.mix.begin(), cell_.mix.end(), 0u) /
                                     static_cast<unsigned>(cell_.mix.size());
  return static_cast<unsigned>(port::ethernet_bytes + port::ipv4_bytes + port::udp_bytes +
                               wire::hop_header_bytes) +
         cell_.bundle * static_cast<unsigned>(wire::frame_header_bytes + payload);
}

// The frames of one datagram, back to back.
std::vector<uint8_t> LineRelay::seal(Origin& origin, unsigned number) {
  std::vector<uint8_t> frames;
  for (unsigned i = 0; i < cell_.bundle; ++i) {
    const uint16_t payload =
        cell_.mix.empty() ? cell_.unit_bytes : cell_.mix[number % cell_.mix.size()];
    const size_t at = frames.size();
    frames.resize(at + wire::frame_header_bytes + payload);
    origin.seal_next(frames.data() + at, payload);
  }
  return frames;
}

void LineRelay::prepare(unsigned datagrams) {
  for (unsigned w = 0; w < cell_.workers; ++w) {
    std::vector<rte_mbuf*> arrivals;
    arrivals.reserve(size_t{datagrams} * cell_.offered);
    std::vector<std::vector<rte_mbuf*>> block(cell_.offered);
    for (unsigned d = 0; d < datagrams; ++d) {
      const std::vector<uint8_t> frames = seal(*origins_[w], d);
      for (unsigned n = 0; n < cell_.offered; ++n) {
        block[n].push_back(product_->stamp(n, w, frames, cell_.bundle, buffers_));
      }
      if (block[0].size() < block_datagrams && d + 1 < datagrams) continue;
      for (auto& one : block) {
        arrivals.insert(arrivals.end(), one.begin(), one.end());
        one.clear();
      }
    }
    devices_[w]->offer(std::move(arrivals));
  }
}

// worker::Worker::run without its thread: the caller's is one of EAL as well.
void LineRelay::run_worker(unsigned number, rcu::Reader& reader) {
  worker::Worker& worker = product_->worker(number);
  const MonotonicClock clock;
  TimeNs now = clock.now_ns();
  for (;;) {
    const uint64_t ticks = worker.counters().ticks.read();
    const unsigned moved = worker.step(now);
    now = clock.now_ns();
    if (worker.counters().ticks.read() != ticks) reader.quiescent();
    if (moved == 0 && devices_[number]->is_over()) return;
  }
}

// The second worker runs on EAL's second lcore.
void LineRelay::get_ready() {
  if (cell_.workers == 1) return;
  CC_ASSERT(cell_.workers == 2 && rte_lcore_count() == 2);
  devices_[1]->stop_offering_after(devices_[0]->offer_cycles());
  is_second_ready_ = may_second_run_ = false;
  const auto body = [](void* argument) {
    auto& self = *static_cast<LineRelay*>(argument);
    rcu::Reader reader;
    const Undisturbed undisturbed;
    self.is_second_ready_ = true;
    while (!self.may_second_run_) rte_pause();
    self.run_worker(1, reader);
    return 0;
  };
  CC_ASSERT(rte_eal_remote_launch(body, this, rte_get_next_lcore(rte_lcore_id(), 1, 1)) == 0);
  while (!is_second_ready_) rte_pause();
}

void LineRelay::run() {
  if (clock_ != nullptr) clock_->restart();
  may_second_run_ = true;
  run_worker(0, reader_);
  if (cell_.workers == 2) rte_eal_wait_lcore(rte_get_next_lcore(rte_lcore_id(), 1, 1));
}

void LineRelay::run_by_turns(TimeNs turn_ns) {
  for (;;) {
    const unsigned moved = product_->worker(0).step(turns_now_ns_);
    turns_now_ns_ += turn_ns;
    if (moved == 0 && devices_[0]->is_over()) return;
  }
}

uint64_t LineRelay::arrived() {
  uint64_t total = 0;
  for (const auto& device : devices_) total += device->received();
  return total;
}

std::string LineRelay::check_counters() {
  const uint64_t arrived = this->arrived() * cell_.bundle;
  const uint64_t duplicates = product_->dropped(stage::Drop::duplicate);
  if (const std::string lost = product_->losses(); !lost.empty()) {
    return fmt::format("of {} frames were dropped:{}", arrived, lost);
  }
  if (product_->frames() != arrived || arrived != units() + duplicates) {
    return fmt::format("{} frames arrived, {} seen, {} kept, {} duplicates", arrived,
                       product_->frames(), units(), duplicates);
  }
  if (copies() != units() * cell_.fanout) {
    return fmt::format("{} frames kept, {} copies for {} peers", units(), copies(), cell_.fanout);
  }
  return "";
}

std::string LineRelay::check_sample(ByteSpan packet) const {
  ByteSpan datagram;
  if (std::string wrong = product_->check_packet(packet, datagram); !wrong.empty()) return wrong;
  wire::FrameWalker walker(datagram);
  wire::FrameView frame;
  while (walker.next(frame)) {
    const auto from = std::find_if(origins_.begin(), origins_.end(), [&](const auto& origin) {
      return origin->has_made({frame.data, frame.bytes});
    });
    if (from == origins_.end()) return "a frame nobody made";
    std::string wrong = (*from)->judge({frame.data, frame.bytes});
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string LineRelay::check() {
  if (std::string wrong = check_counters(); !wrong.empty()) return wrong;
  for (const Bytes& packet : devices_[0]->samples()) {
    if (std::string wrong = check_sample(packet); !wrong.empty()) return "a copy: " + wrong;
  }
  return devices_[0]->samples().empty() && cell_.fanout > 0 ? "no copy was sampled" : "";
}

}  // namespace chaincast::bench
