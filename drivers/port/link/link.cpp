// SPDX-License-Identifier: BSD-3-Clause
#include "port/link/link.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/random.hpp"
#include "base/ring.hpp"
#include "port/link/hold.hpp"
#include "stats/counter.hpp"

namespace chaincast::port {

namespace {

using link::Hold;

bool is_probability(double p) {
  return p >= 0 && p <= 1;
}

bool is_wire(const LinkSettings& s) {
  return s.delay_ns == 0 && s.jitter_ns == 0 && s.loss == 0 && s.duplication == 0 &&
         s.reordering == 0 && s.flip == 0 && s.rate_bytes_per_s == 0 && !s.is_cut &&
         s.cut_remote_count == 0;
}

// One writer at a time; readers never wait: who finds it busy keeps what he has until next time.
class SharedSettings {
 public:
  void write(const LinkSettings& settings) {
    while (is_busy_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    settings_ = settings;
    version_.fetch_add(1, std::memory_order_release);
    is_busy_.clear(std::memory_order_release);
  }
  LinkSettings read() const {
    while (is_busy_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    LinkSettings out = settings_;
    is_busy_.clear(std::memory_order_release);
    return out;
  }
  bool refresh(LinkSettings& out, uint64_t& version) const noexcept {
    const uint64_t newest = version_.load(std::memory_order_acquire);
    if (newest == version || is_busy_.test_and_set(std::memory_order_acquire)) return false;
    out = settings_;
    version = version_.load(std::memory_order_relaxed);
    is_busy_.clear(std::memory_order_release);
    return true;
  }

 private:
  mutable std::atomic_flag is_busy_;
  std::atomic<uint64_t> version_{1};
  LinkSettings settings_;
};

struct alignas(base::cache_line_bytes) Queue {
  Queue(uint64_t seed, unsigned held_packets_max) : random(seed), hold(held_packets_max) {}
  Random random;
  Hold hold;
  LinkSettings settings;
  uint64_t version = 0;
  bool is_wire = true;
  TimeNs free_ns = 0;      // when the throttled line is idle again
  TimeNs last_due_ns = 0;  // order is kept unless reordering says otherwise
  stats::Counter offered, passed, lost, cut, throttled, overflow, no_buffer;
  stats::Counter duplicated, reordered, flipped;
};

class Link final : public LinkPort {
 public:
  Link(std::unique_ptr<Port> inside, const LinkConfig& config, rte_mempool* pool,
       const Clock& clock)
      : inside_(std::move(inside)), pool_(pool), clock_(clock) {
    shared_.write(config.settings);
    const Capabilities can = inside_->capabilities();
    takes_segments_ = can.shared_segments;
    const unsigned count = std::max<unsigned>(can.rx_queues, can.tx_queues);
    for (unsigned i = 0; i < count; ++i) {
      queues_.push_back(std::make_unique<Queue>(config.seed + i, config.held_packets_max));
    }
  }

  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override {
    Queue& q = *queues_[queue];
    if (q.hold.size() > 0) drain(q, queue, clock_.now_ns());
    return inside_->receive(queue, out, max, drops);
  }
  unsigned transmit(unsigned queue, const Destination& to, rte_mbuf** packets,
                    unsigned count) noexcept override;
  void tick(unsigned queue, TimeNs now_ns) noexcept override {
    drain(*queues_[queue], queue, clock_.now_ns());
    inside_->tick(queue, now_ns);
  }

  Info info() const override;
  Capabilities capabilities() const override { return inside_->capabilities(); }
  Counters counters() const override { return inside_->counters(); }
  std::vector<std::pair<std::string, uint64_t>> extended_counters() const override;
  Result<Destination> destination(const Endpoint& remote, uint16_t local_port) override {
    return inside_->destination(remote, local_port);
  }
  uint64_t destinations_version() const override { return inside_->destinations_version(); }
  TimeNs control(TimeNs now_ns) override { return inside_->control(now_ns); }
  bool has_link() const override { return inside_->has_link(); }
  Status set_mtu(uint16_t mtu_bytes) override { return inside_->set_mtu(mtu_bytes); }
  Status set_promiscuous(bool is_on) override { return inside_->set_promiscuous(is_on); }
  Status set_link(bool is_up) override { return inside_->set_link(is_up); }
  Status reset() override { return inside_->reset(); }
  Status start() override { return inside_->start(); }
  void stop() override { inside_->stop(); }
  int wait_fd(unsigned queue) const override { return inside_->wait_fd(queue); }

  Status set(const LinkSettings& settings) override;
  LinkSettings settings() const override { return shared_.read(); }
  LinkCounters link_counters() const override;

 private:
  void offer(Queue& q, const Destination& to, rte_mbuf* packet, TimeNs now_ns) noexcept;
  void hold(Queue& q, const Destination& to, const rte_mbuf* packet, TimeNs due_ns) noexcept;
  bool is_cut(const LinkSettings& settings, const Endpoint& remote) const noexcept;
  void flip_bit(Queue& q, rte_mbuf* packet, const Destination& to) noexcept;
  void drain(Queue& q, unsigned queue, TimeNs now_ns) noexcept;

  const std::unique_ptr<Port> inside_;
  rte_mempool* const pool_;
  const Clock& clock_;
  bool takes_segments_ = false;
  SharedSettings shared_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

unsigned Link::transmit(unsigned queue, const Destination& to, rte_mbuf** packets,
                        unsigned count) noexcept {
  Queue& q = *queues_[queue];
  if (shared_.refresh(q.settings, q.version)) q.is_wire = is_wire(q.settings);
  if (q.is_wire && q.hold.size() == 0) {
    const unsigned sent = inside_->transmit(queue, to, packets, count);
    q.offered.add(sent);
    q.passed.add(sent);
    return sent;
  }
  const TimeNs now_ns = clock_.now_ns();
  for (unsigned i = 0; i < count; ++i) {
    offer(q, to, packets[i], now_ns);
    rte_pktmbuf_free(packets[i]);
  }
  drain(q, queue, now_ns);
  return count;
}

// Decides one packet's fate. It stays the caller's: what waits is a copy.
void Link::offer(Queue& q, const Destination& to, rte_mbuf* packet, TimeNs now_ns) noexcept {
  const LinkSettings& s = q.settings;
  q.offered.add();
  if (is_cut(s, to.remote)) return q.cut.add();
  // Always the same draws, so that one setting's change leaves the others' choices alone.
  const bool is_lost = q.random.chance(s.loss);
  const bool is_doubled = q.random.chance(s.duplication);
  const bool is_reordered = q.random.chance(s.reordering);
  const TimeNs jitter_ns = s.jitter_ns == 0 ? 0 : q.random.below(s.jitter_ns + 1);
  if (is_lost) return q.lost.add();

  TimeNs leaves_ns = now_ns;
  if (s.rate_bytes_per_s > 0) {
    const TimeNs start_ns = std::max(now_ns, q.free_ns);
    const auto backlog_s = static_cast<double>(start_ns - now_ns) * 1e-9;
    if (backlog_s * static_cast<double>(s.rate_bytes_per_s) >
        static_cast<double>(s.rate_queue_bytes)) {
      return q.throttled.add();
    }
    const double took_s = packet->pkt_len / static_cast<double>(s.rate_bytes_per_s);
    leaves_ns = q.free_ns = start_ns + static_cast<TimeNs>(took_s * 1e9);
  }
  TimeNs due_ns = std::max(leaves_ns + s.delay_ns + jitter_ns, q.last_due_ns);
  if (is_reordered) {
    due_ns += s.reorder_ns;
    q.reordered.add();
  } else {
    q.last_due_ns = due_ns;
  }
  hold(q, to, packet, due_ns);
  if (is_doubled) {
    q.offered.add();
    q.duplicated.add();
    hold(q, to, packet, due_ns);
  }
}

void Link::hold(Queue& q, const Destination& to, const rte_mbuf* packet, TimeNs due_ns) noexcept {
  rte_mbuf* copy = rte_pktmbuf_copy(packet, pool_, 0, UINT32_MAX);
  if (copy == nullptr || (copy->nb_segs > 1 && !takes_segments_)) {
    rte_pktmbuf_free(copy);
    return q.no_buffer.add();
  }
  if (q.random.chance(q.settings.flip)) flip_bit(q, copy, to);
  if (q.hold.push(due_ns, copy, to)) return;
  rte_pktmbuf_free(copy);
  q.overflow.add();
}

// One bit behind the headers, in the first buffer.
void Link::flip_bit(Queue& q, rte_mbuf* packet, const Destination& to) noexcept {
  if (packet->data_len <= to.header_bytes) return;
  const uint64_t bit = q.random.below(uint64_t{packet->data_len - unsigned{to.header_bytes}} * 8);
  auto* bytes = rte_pktmbuf_mtod_offset(packet, uint8_t*, to.header_bytes);
  bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1u << (bit % 8)));
  q.flipped.add();
}

bool Link::is_cut(const LinkSettings& settings, const Endpoint& remote) const noexcept {
  for (unsigned i = 0; i < settings.cut_remote_count; ++i) {
    const Endpoint& cut = settings.cut_remotes[i];
    if (cut.is_ipv6 == remote.is_ipv6 && cut.address == remote.address &&
        (cut.port == 0 || cut.port == remote.port)) {
      return true;
    }
  }
  return settings.is_cut;
}

// Sends what is due, in runs to one remote. What the port inside does not take waits on.
void Link::drain(Queue& q, unsigned queue, TimeNs now_ns) noexcept {
  constexpr unsigned run_max = 64;
  while (q.hold.is_due(now_ns)) {
    const Destination to = q.hold.front_destination();
    rte_mbuf* packets[run_max];
    unsigned count = 0;
    while (count < run_max && q.hold.is_due(now_ns) &&
           q.hold.front_destination().remote == to.remote &&
           q.hold.front_destination().local_port == to.local_port) {
      packets[count++] = q.hold.front();
      q.hold.pop();
    }
    const unsigned sent = inside_->transmit(queue, to, packets, count);
    q.passed.add(sent);
    if (sent == count) continue;
    // Ahead of all others, in their order: the earliest time of all.
    for (unsigned i = sent; i < count; ++i) CC_ASSERT(q.hold.push(0, packets[i], to));
    return;
  }
}

Status check(const LinkSettings& settings) {
  for (const double p : {settings.loss, settings.duplication, settings.reordering, settings.flip}) {
    if (is_probability(p)) continue;
    return error(ErrorCode::invalid,
                 fmt::format("link: probability {} is not in 0..1; write 0.05 for 5 %", p));
  }
  if (settings.cut_remote_count > partitions_max) {
    return error(ErrorCode::invalid, fmt::format("link: {} remotes to cut off, at most {}",
                                                 settings.cut_remote_count, partitions_max));
  }
  return {};
}

Status Link::set(const LinkSettings& settings) {
  if (Status checked = check(settings); !checked.ok()) return checked;
  shared_.write(settings);
  return {};
}

LinkCounters Link::link_counters() const {
  LinkCounters out;
  for (const auto& q : queues_) {
    out.offered += q->offered.read();
    out.passed += q->passed.read();
    out.lost += q->lost.read();
    out.cut += q->cut.read();
    out.throttled += q->throttled.read();
    out.overflow += q->overflow.read();
    out.no_buffer += q->no_buffer.read();
    out.duplicated += q->duplicated.read();
    out.reordered += q->reordered.read();
    out.flipped += q->flipped.read();
  }
  // Workers go on counting meanwhile, so the difference may be off by a burst.
  const uint64_t gone =
      out.passed + out.lost + out.cut + out.throttled + out.overflow + out.no_buffer;
  out.held = out.offered > gone ? out.offered - gone : 0;
  return out;
}

std::vector<std::pair<std::string, uint64_t>> Link::extended_counters() const {
  std::vector<std::pair<std::string, uint64_t>> out = inside_->extended_counters();
  const LinkCounters c = link_counters();
  for (const auto& [name, value] : {std::pair<const char*, uint64_t>{"link_offered", c.offered},
                                    {"link_passed", c.passed},
                                    {"link_lost", c.lost},
                                    {"link_cut", c.cut},
                                    {"link_throttled", c.throttled},
                                    {"link_overflow", c.overflow},
                                    {"link_no_buffer", c.no_buffer},
                                    {"link_duplicated", c.duplicated},
                                    {"link_reordered", c.reordered},
                                    {"link_flipped", c.flipped},
                                    {"link_held", c.held}}) {
    out.emplace_back(name, value);
  }
  return out;
}

Info Link::info() const {
  Info out = inside_->info();
  const LinkSettings s = shared_.read();
  out.details.emplace_back(
      "link", is_wire(s) ? "wire"
                         : fmt::format("delay {} us, jitter {} us, loss {}, duplication {}, "
                                       "reordering {}, flip {}, rate {} B/s{}",
                                       s.delay_ns / ns_per_us, s.jitter_ns / ns_per_us, s.loss,
                                       s.duplication, s.reordering, s.flip, s.rate_bytes_per_s,
                                       s.is_cut                 ? ", cut"
                                       : s.cut_remote_count > 0 ? ", partly cut"
                                                                : ""));
  return out;
}

}  // namespace

Result<std::unique_ptr<LinkPort>> make_link(std::unique_ptr<Port> inside, const LinkConfig& config,
                                            rte_mempool* pool, const Clock& clock) {
  if (Status checked = check(config.settings); !checked.ok()) return checked.error();
  return std::unique_ptr<LinkPort>(std::make_unique<Link>(std::move(inside), config, pool, clock));
}

}  // namespace chaincast::port
