// SPDX-License-Identifier: BSD-3-Clause
#include "load/tester.hpp"

#include <rte_cycles.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "port/headers.hpp"
#include "wire/datagram.hpp"
#include "wire/frame.hpp"

namespace chaincast::bench::load {

namespace {

constexpr unsigned burst = 64;
constexpr unsigned headers_bytes =
    port::ethernet_bytes + port::ipv4_bytes + port::udp_bytes + wire::hop_header_bytes;
constexpr unsigned peer_offset = 32;  // the low half of the IPv4 destination

// What is known of one frame.
struct Seen {
  uint64_t sent = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  uint32_t copies = 0;
};

// The seq, whether the packet is one piece or a header before a shared payload.
uint64_t seq_of(const rte_mbuf* packet) {
  size_t at = headers_bytes + wire::frame_offset_seq;
  while (packet != nullptr && at >= packet->data_len) {
    at -= packet->data_len;
    packet = packet->next;
  }
  return packet == nullptr ? ~uint64_t{0}
                           : load_be64(rte_pktmbuf_mtod_offset(packet, uint8_t*, at));
}

class Run {
 public:
  Run(Cable& cable, const TesterPlan& plan, std::vector<rte_mbuf*> packets, uint64_t first_seq)
      : cable_(cable),
        plan_(plan),
        packets_(std::move(packets)),
        first_seq_(first_seq),
        seen_(packets_.size()) {}

  TesterResult run() {
    const auto hz = static_cast<double>(rte_get_tsc_hz());
    const double interval = hz / plan_.frames_per_s;
    const auto patience = static_cast<uint64_t>(static_cast<double>(plan_.drain_ns) * hz / 1e9);
    const auto punctual = static_cast<uint64_t>(hz / 1e6);
    const uint64_t start = rte_rdtsc();
    uint64_t active = start;
    for (bool is_over = false; !is_over || rte_rdtsc() - active < patience;) {
      const uint64_t now = rte_rdtsc();
      const uint64_t due =
          start + static_cast<uint64_t>(static_cast<double>(out_.offered) * interval);
      is_over = out_.offered == plan_.attempts || next_ == packets_.size();
      if (!is_over && now >= due) {
        out_.late += now - due > punctual ? 1 : 0;
        offer(now);
        active = now;
      }
      if (receive()) active = rte_rdtsc();
      if (is_over && out_.complete == next_ && !plan_.change) break;
    }
    for (; next_ < packets_.size(); ++next_) rte_pktmbuf_free(packets_[next_]);
    sum_up(hz);
    return std::move(out_);
  }

 private:
  void offer(uint64_t now) {
    if (out_.offered == 0) first_attempt_ = now;
    last_attempt_ = now;
    if (plan_.change && out_.offered == plan_.change_at) {
      changed_ = rte_rdtsc();
      plan_.change();
    }
    ++out_.offered;
    seen_[next_].sent = rte_rdtsc();
    if (cable_.send(&packets_[next_], 1) == 1) {
      ++next_;
    } else {
      ++out_.missed;
    }
  }

  // All that has come is taken off the cable before any of it is looked at, so that the time of one
  // copy has nothing of the work for another.
  bool receive() {
    unsigned count = 0;
    while (count + burst <= got_.size()) {
      const unsigned more = cable_.receive(got_.data() + count, burst);
      if (more == 0) break;
      std::fill_n(when_.begin() + count, more, rte_rdtsc());
      count += more;
    }
    if (count == 0) return false;
    if (first_copy_ == 0) first_copy_ = when_[0];
    last_copy_ = when_[count - 1];
    for (unsigned i = 0; i < count; ++i) {
      if (i + 4 < count) rte_prefetch0(got_[i + 4]);
      take(got_[i], when_[i]);
    }
    rte_pktmbuf_free_bulk(got_.data(), count);
    return true;
  }

  void take(const rte_mbuf* packet, uint64_t now) {
    if (packet->pkt_len < headers_bytes + wire::frame_header_bytes) return;
    if (changed_ != 0) watch(packet, now);
    const uint64_t index = seq_of(packet) - first_seq_;
    if (index >= seen_.size() || seen_[index].sent == 0 || seen_[index].copies == plan_.fanout) {
      ++out_.twice;
      return;
    }
    Seen& frame = seen_[index];
    ++out_.delivered;
    if (frame.copies++ == 0) frame.first = now;
    frame.last = now;
    if (frame.copies == plan_.fanout) ++out_.complete;
  }

  void watch(const rte_mbuf* packet, uint64_t now) {
    const unsigned peer = load_be16(rte_pktmbuf_mtod_offset(packet, uint8_t*, peer_offset)) - 1u;
    if (peer != plan_.watched_peer) return;
    if (first_watched_ == 0) first_watched_ = now;
    last_watched_ = now;
  }

  void sum_up(double hz) {
    const auto ns = [hz](uint64_t cycles) { return static_cast<double>(cycles) * 1e9 / hz; };
    out_.offer_ns = ns(last_attempt_ - first_attempt_);
    if (first_watched_ != 0) {
      out_.first_watched_ns = ns(first_watched_ - changed_);
      out_.last_watched_ns = ns(last_watched_ - changed_);
    }
    out_.deliver_ns = ns(last_copy_ - first_copy_);
    const auto warm = static_cast<size_t>(plan_.warm_share * static_cast<double>(seen_.size()));
    std::vector<const Seen*> timed;
    for (size_t i = warm; i < seen_.size(); ++i) {
      if (seen_[i].copies != plan_.fanout) continue;
      out_.latency_ns.push_back(ns(seen_[i].first - seen_[i].sent));
      out_.skew_ns.push_back(ns(seen_[i].last - seen_[i].first));
      timed.push_back(&seen_[i]);
    }
    const auto slow = timed.begin() + static_cast<ptrdiff_t>(timed.size() / 1000);
    std::nth_element(timed.begin(), slow, timed.end(), [](const Seen* a, const Seen* b) {
      return a->first - a->sent > b->first - b->sent;
    });
    for (auto it = timed.begin(); it != slow; ++it) {
      out_.slow_at_ns.push_back(ns((*it)->sent - first_attempt_));
    }
  }

  Cable& cable_;
  const TesterPlan plan_;
  std::vector<rte_mbuf*> packets_;
  const uint64_t first_seq_;
  std::vector<Seen> seen_;
  std::array<rte_mbuf*, 8 * burst> got_{};
  std::array<uint64_t, 8 * burst> when_{};
  size_t next_ = 0;  // packet to offer
  uint64_t first_attempt_ = 0, last_attempt_ = 0;
  uint64_t first_copy_ = 0, last_copy_ = 0;
  uint64_t changed_ = 0, first_watched_ = 0, last_watched_ = 0;
  TesterResult out_;
};

}  // namespace

TesterResult test(Cable& cable, const TesterPlan& plan, std::vector<rte_mbuf*> packets,
                  uint64_t first_seq) {
  return Run(cable, plan, std::move(packets), first_seq).run();
}

}  // namespace chaincast::bench::load
