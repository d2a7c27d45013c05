// SPDX-License-Identifier: BSD-3-Clause
#include "port/memory/memory.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstring>

#include "base/ring.hpp"
#include "stats/counter.hpp"

namespace chaincast::port {

namespace {

constexpr unsigned inboxes_max = 256;

struct Packet {
  rte_mbuf* mbuf = nullptr;
  Endpoint source;
  uint16_t local_port = 0;
};

// What a port receives. A slot of the network: reused after its port is gone, never freed before
// the network. Senders count themselves in `users` before they look at anything but is_open.
struct Inbox {
  MemoryConfig config;
  rte_mempool* pool = nullptr;
  std::vector<std::unique_ptr<base::MpmcRing<Packet>>> rings;  // one per queue
  bool is_attached = false;                                    // control only
  std::atomic<bool> is_open{false};                            // written by control
  std::atomic<int> users{0};                                   // senders looking at the slot

  bool owns(const Endpoint& address) const {
    for (const Endpoint& own : config.addresses) {
      if (own.is_ipv6 == address.is_ipv6 && own.address == address.address) return true;
    }
    return false;
  }
  void drain() {
    Packet packet;
    for (auto& ring : rings) {
      while (ring->pop(packet)) rte_pktmbuf_free(packet.mbuf);
    }
  }
};

enum class Delivery { done, full, unreachable, no_buffer };

bool copy_out(const rte_mbuf* from, rte_mbuf* to) {
  if (from->pkt_len > rte_pktmbuf_tailroom(to)) return false;
  for (const rte_mbuf* segment = from; segment != nullptr; segment = segment->next) {
    std::memcpy(rte_pktmbuf_append(to, segment->data_len), rte_pktmbuf_mtod(segment, const void*),
                segment->data_len);
  }
  return true;
}

class Network final : public MemoryNetwork {
 public:
  Result<std::unique_ptr<Port>> attach(const MemoryConfig& config, rte_mempool* pool) override;

  size_t pending() const override {
    size_t total = 0;
    for (unsigned i = 0; i < count_.load(std::memory_order_acquire); ++i) {
      for (const auto& ring : inboxes_[i]->rings) total += ring->size();
    }
    return total;
  }

  // Any worker. Does not take the packet.
  Delivery deliver(const rte_mbuf* packet, const Endpoint& source, const Endpoint& to) noexcept {
    const unsigned count = count_.load(std::memory_order_acquire);
    for (unsigned i = 0; i < count; ++i) {
      Inbox& inbox = *inboxes_[i];
      Delivery result = Delivery::unreachable;
      inbox.users.fetch_add(1, std::memory_order_seq_cst);
      if (inbox.is_open.load(std::memory_order_seq_cst) && inbox.owns(to)) {
        result = push(inbox, packet, source, to.port);
      }
      inbox.users.fetch_sub(1, std::memory_order_release);
      if (result != Delivery::unreachable) return result;
    }
    return Delivery::unreachable;
  }

 private:
  Inbox* free_slot() {
    const unsigned count = count_.load(std::memory_order_relaxed);
    for (unsigned i = 0; i < count; ++i) {
      if (!inboxes_[i]->is_attached) return inboxes_[i].get();
    }
    if (count == inboxes_max) return nullptr;
    inboxes_[count] = std::make_unique<Inbox>();
    count_.store(count + 1, std::memory_order_release);
    return inboxes_[count].get();
  }

  static Delivery push(Inbox& inbox, const rte_mbuf* packet, const Endpoint& source,
                       uint16_t port) noexcept {
    rte_mbuf* copy = rte_pktmbuf_alloc(inbox.pool);
    if (copy == nullptr) return Delivery::no_buffer;
    if (!copy_out(packet, copy)) {
      rte_pktmbuf_free(copy);
      return Delivery::no_buffer;
    }
    const unsigned index = unsigned{port} - unsigned{inbox.config.udp_port};
    const unsigned queue = index < inbox.rings.size() ? index : 0;
    if (inbox.rings[queue]->push(Packet{copy, source, port})) return Delivery::done;
    rte_pktmbuf_free(copy);
    return Delivery::full;
  }

  std::array<std::unique_ptr<Inbox>, inboxes_max> inboxes_;  // [0, count_) are set
  std::atomic<unsigned> count_{0};                           // written by control
};

class MemoryPort final : public Port {
 public:
  MemoryPort(std::shared_ptr<Network> network, Inbox& inbox)
      : network_(std::move(network)), inbox_(inbox), queues_(inbox.config.queues) {}
  ~MemoryPort() override {
    stop();
    while (inbox_.users.load(std::memory_order_seq_cst) != 0) {
    }
    inbox_.drain();
    inbox_.is_attached = false;
  }

  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override {
    CC_ASSERT(queue < queues_.size());
    unsigned count = 0;
    Packet packet;
    while (count < max && inbox_.rings[queue]->pop(packet)) {
      queues_[queue].rx_packets.add();
      queues_[queue].rx_bytes.add(packet.mbuf->pkt_len);
      const unsigned index = unsigned{packet.local_port} - unsigned{inbox_.config.udp_port};
      const bool is_edge = inbox_.config.role == Role::edge;
      if (is_edge || index >= inbox_.rings.size()) {
        drops.add(is_edge ? stage::Drop::not_implemented : stage::Drop::rx_other_port);
        rte_pktmbuf_free(packet.mbuf);
        continue;
      }
      stage::Datagram& datagram = out[count++];
      datagram = stage::Datagram{};
      datagram.mbuf = packet.mbuf;
      datagram.data = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
      datagram.bytes = packet.mbuf->data_len;
      datagram.local_port = packet.local_port;
      datagram.port_id = inbox_.config.id;
      datagram.source = packet.source;
    }
    return count;
  }

  unsigned transmit(unsigned queue, const Destination& to, rte_mbuf** packets,
                    unsigned count) noexcept override {
    CC_ASSERT(queue < queues_.size());
    QueueCounters& counters = queues_[queue];
    const Endpoint source = source_of(to);
    unsigned taken = 0;
    for (; taken < count; ++taken) {
      rte_mbuf* packet = packets[taken];
      CC_ASSERT(inbox_.config.shared_segments || packet->nb_segs == 1);
      const Delivery result = network_->deliver(packet, source, to.remote);
      if (result == Delivery::full) break;
      if (result == Delivery::done) {
        counters.tx_packets.add();
        counters.tx_bytes.add(packet->pkt_len);
      } else {
        (result == Delivery::unreachable ? counters.tx_unreachable : counters.tx_failed).add();
      }
      rte_pktmbuf_free(packet);
    }
    counters.tx_full.add(count - taken);
    return taken;
  }

  void tick(unsigned, TimeNs) noexcept override {}

  Info info() const override {
    const MemoryConfig& config = inbox_.config;
    Info out;
    out.name = config.name;
    out.driver = "memory";
    out.id = config.id;
    out.role = config.role;
    out.is_up = inbox_.is_open.load(std::memory_order_relaxed);
    out.udp_port = config.udp_port;
    out.addresses = config.addresses;
    for (Endpoint& address : out.addresses) address.port = config.udp_port;
    return out;
  }

  Capabilities capabilities() const override {
    Capabilities out;
    out.rx_queues = out.tx_queues = inbox_.config.queues;
    out.mtu_bytes = inbox_.config.mtu_bytes;
    out.shared_segments = inbox_.config.shared_segments;
    out.steers_ports = true;
    return out;
  }

  Counters counters() const override {
    Counters out;
    for (const QueueCounters& queue : queues_) {
      out.rx_packets += queue.rx_packets.read();
      out.rx_bytes += queue.rx_bytes.read();
      out.tx_packets += queue.tx_packets.read();
      out.tx_bytes += queue.tx_bytes.read();
      out.tx_full += queue.tx_full.read();
      out.tx_failed += queue.tx_failed.read();
      out.tx_unreachable += queue.tx_unreachable.read();
    }
    return out;
  }

  Result<Destination> destination(const Endpoint& remote, uint16_t local_port) override {
    for (const Endpoint& own : inbox_.config.addresses) {
      if (own.is_ipv6 != remote.is_ipv6) continue;
      Destination out;
      out.remote = remote;
      out.local_port = local_port;
      return out;
    }
    return error(
        ErrorCode::refused,
        fmt::format("port '{}' has no {} address and cannot reach {}; give it one",
                    inbox_.config.name, remote.is_ipv6 ? "IPv6" : "IPv4", to_text(remote)));
  }

  Status start() override {
    inbox_.is_open.store(true, std::memory_order_seq_cst);
    return {};
  }
  void stop() override { inbox_.is_open.store(false, std::memory_order_seq_cst); }
  int wait_fd(unsigned) const override { return -1; }

 private:
  struct alignas(base::cache_line_bytes) QueueCounters {
    stats::Counter rx_packets, rx_bytes, tx_packets, tx_bytes, tx_full, tx_failed, tx_unreachable;
  };

  Endpoint source_of(const Destination& to) const noexcept {
    Endpoint source;
    for (const Endpoint& own : inbox_.config.addresses) {
      if (own.is_ipv6 == to.remote.is_ipv6) {
        source = own;
        break;
      }
    }
    source.port = to.local_port;
    return source;
  }

  const std::shared_ptr<Network> network_;
  Inbox& inbox_;  // owned by network_
  std::vector<QueueCounters> queues_;
};

Result<std::unique_ptr<Port>> Network::attach(const MemoryConfig& config, rte_mempool* pool) {
  if (config.addresses.empty() || config.queues == 0) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}' needs an address and a queue", config.name));
  }
  const unsigned count = count_.load(std::memory_order_relaxed);
  for (unsigned i = 0; i < count; ++i) {
    if (!inboxes_[i]->is_attached) continue;
    for (const Endpoint& address : config.addresses) {
      if (!inboxes_[i]->owns(address)) continue;
      return error(ErrorCode::exists,
                   fmt::format("port '{}': address {} belongs to port '{}'; choose another",
                               config.name, address_text(address), inboxes_[i]->config.name));
    }
  }
  Inbox* inbox = free_slot();
  if (inbox == nullptr) {
    return error(ErrorCode::refused, fmt::format("port '{}': the network holds {} ports at most",
                                                 config.name, inboxes_max));
  }
  // A sender that looks at a closed slot reads is_open only.
  inbox->config = config;
  inbox->pool = pool;
  inbox->rings.clear();
  for (unsigned i = 0; i < config.queues; ++i) {
    inbox->rings.push_back(std::make_unique<base::MpmcRing<Packet>>(config.ring_packets));
  }
  inbox->is_attached = true;
  auto self = std::static_pointer_cast<Network>(shared_from_this());
  return std::unique_ptr<Port>(std::make_unique<MemoryPort>(std::move(self), *inbox));
}

}  // namespace

std::shared_ptr<MemoryNetwork> MemoryNetwork::make() {
  return std::make_shared<Network>();
}

}  // namespace chaincast::port
