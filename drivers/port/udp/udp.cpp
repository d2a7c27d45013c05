// SPDX-License-Identifier: BSD-3-Clause
#include "port/udp/udp.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>

#include "base/ring.hpp"
#include "port/udp/receiver.hpp"
#include "port/udp/sender.hpp"
#include "port/udp/socket.hpp"

namespace chaincast::port {

namespace {

using udp::Receiver;
using udp::Sender;
using udp::Socket;

constexpr uint16_t queues_max = 64;
constexpr size_t addresses_max = 4;
constexpr unsigned mtu_default_bytes = 1500;
constexpr unsigned mtu_max_bytes = 65535;
constexpr unsigned ip_udp_bytes = 28;

struct alignas(base::cache_line_bytes) Queue {
  // Outlive stop(), so that counters never run backwards.
  udp::ReceiveCounters received;
  udp::SendCounters sent;
  // Made by start(), gone after stop(); one socket and receiver per address.
  std::vector<Socket> sockets;
  std::vector<std::unique_ptr<Receiver>> receivers;
  std::unique_ptr<Sender> sender;
  Descriptor poll;  // only with several sockets
  unsigned first_receiver = 0;
};

class UdpPort final : public Port {
 public:
  UdpPort(const UdpConfig& config, rte_mempool* pool, uint16_t mtu_bytes)
      : config_(config), pool_(pool), mtu_bytes_(mtu_bytes), queues_(config.queues) {}

  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override {
    Queue& q = queues_[queue];
    unsigned count = 0;
    const auto receivers = static_cast<unsigned>(q.receivers.size());
    // Each address comes first in turn, so that a busy one does not starve the other.
    for (unsigned i = 0; i < receivers && count < max; ++i) {
      const unsigned index = (q.first_receiver + i) % receivers;
      count += q.receivers[index]->receive(out + count, max - count, drops);
    }
    if (receivers > 1) q.first_receiver = (q.first_receiver + 1) % receivers;
    if (config_.role != Role::edge) return count;
    drops.add(stage::Drop::not_implemented, count);
    for (unsigned i = 0; i < count; ++i) rte_pktmbuf_free(out[i].mbuf);
    return 0;
  }

  unsigned transmit(unsigned queue, const Destination& to, rte_mbuf** packets,
                    unsigned count) noexcept override {
    Queue& q = queues_[queue];
    // The datagram leaves from the destination's local port, whichever queue sends it.
    const unsigned index = unsigned{to.local_port} - unsigned{config_.udp_port};
    const Queue& from = index < queues_.size() ? queues_[index] : q;
    for (const Socket& socket : from.sockets) {
      if (socket.is_ipv6 == to.remote.is_ipv6) {
        return q.sender->transmit(socket.fd.get(), to.remote, packets, count);
      }
    }
    q.sent.full.add(count);
    return 0;
  }

  void tick(unsigned, TimeNs) noexcept override {}

  Info info() const override;
  Capabilities capabilities() const override;
  Counters counters() const override;
  Result<Destination> destination(const Endpoint& remote, uint16_t local_port) override;
  Status start() override;
  void stop() override;
  int wait_fd(unsigned queue) const override {
    const Queue& q = queues_[queue];
    if (q.sockets.size() == 1) return q.sockets[0].fd.get();
    return q.poll.get();
  }

 private:
  Status open_queue(uint16_t queue);

  const UdpConfig config_;
  rte_mempool* const pool_;
  const uint16_t mtu_bytes_;
  std::vector<Queue> queues_;
  bool is_up_ = false;
};

Info UdpPort::info() const {
  Info out;
  out.name = config_.name;
  out.driver = "udp";
  out.id = config_.id;
  out.role = config_.role;
  out.is_up = is_up_;
  out.udp_port = config_.udp_port;
  out.addresses = config_.addresses;
  for (Endpoint& address : out.addresses) {
    address.port = config_.udp_port;
    out.device += (out.device.empty() ? "" : ",") + address_text(address);
  }
  if (!is_up_) return out;
  const Socket& socket = queues_[0].sockets[0];
  uint64_t rx_messages = 0, tx_messages = 0;
  for (const Queue& queue : queues_) {
    rx_messages += queue.received.messages.read();
    tx_messages += queue.sent.messages.read();
  }
  out.details = {
      {"segmentation", socket.has_segmentation ? "UDP_SEGMENT" : "none, sendmmsg"},
      {"coalescing", socket.has_coalescing ? "UDP_GRO" : "none, recvmmsg"},
      {"receive_buffer_bytes", std::to_string(socket.receive_buffer_bytes)},
      {"send_buffer_bytes", std::to_string(socket.send_buffer_bytes)},
      {"rx_messages", std::to_string(rx_messages)},
      {"tx_messages", std::to_string(tx_messages)},
  };
  if (socket.receive_buffer_bytes < config_.socket_buffer_bytes) {
    out.details.emplace_back(
        "advice", fmt::format("the kernel granted {} of {} bytes of receive buffer; raise "
                              "net.core.rmem_max and wmem_max",
                              socket.receive_buffer_bytes, config_.socket_buffer_bytes));
  }
  return out;
}

Capabilities UdpPort::capabilities() const {
  Capabilities out;
  out.rx_queues = out.tx_queues = config_.queues;
  out.mtu_bytes = mtu_bytes_;
  out.shared_segments = true;
  out.steers_ports = true;
  return out;
}

Counters UdpPort::counters() const {
  Counters out;
  for (const Queue& queue : queues_) {
    out.rx_packets += queue.received.packets.read();
    out.rx_bytes += queue.received.bytes.read();
    out.rx_missed += queue.received.missed.read();
    out.tx_packets += queue.sent.packets.read();
    out.tx_bytes += queue.sent.bytes.read();
    out.tx_full += queue.sent.full.read();
    out.tx_failed += queue.sent.failed.read();
    out.tx_unreachable += queue.sent.unreachable.read();
  }
  return out;
}

Result<Destination> UdpPort::destination(const Endpoint& remote, uint16_t local_port) {
  const bool has_family =
      std::any_of(config_.addresses.begin(), config_.addresses.end(),
                  [&](const Endpoint& own) { return own.is_ipv6 == remote.is_ipv6; });
  if (!has_family) {
    return error(ErrorCode::refused,
                 fmt::format("port '{}' has no {} address and cannot reach {}; give it one",
                             config_.name, remote.is_ipv6 ? "IPv6" : "IPv4", to_text(remote)));
  }
  Destination out;
  out.remote = remote;
  out.local_port = local_port;
  return out;
}

Status UdpPort::open_queue(uint16_t index) {
  Queue& queue = queues_[index];
  const auto udp_port = static_cast<uint16_t>(config_.udp_port + index);
  for (const Endpoint& address : config_.addresses) {
    Result<Socket> socket = udp::open_socket(config_, address, udp_port);
    if (!socket.ok()) return socket.error();
    queue.sockets.push_back(std::move(socket).value());
  }
  if (queue.sockets.size() > 1) queue.poll = Descriptor(epoll_create1(EPOLL_CLOEXEC));
  for (const Socket& socket : queue.sockets) {
    queue.receivers.push_back(
        std::make_unique<Receiver>(socket.fd.get(), pool_, config_.id, udp_port, queue.received));
    epoll_event event{};
    event.events = EPOLLIN;
    if (queue.sockets.size() > 1 &&
        epoll_ctl(queue.poll.get(), EPOLL_CTL_ADD, socket.fd.get(), &event) != 0) {
      return error(ErrorCode::io, fmt::format("port '{}': cannot watch its sockets; raise the "
                                              "limit of open files (ulimit -n)",
                                              config_.name));
    }
  }
  queue.sender = std::make_unique<Sender>(queue.sockets[0].has_segmentation, queue.sent);
  return {};
}

Status UdpPort::start() {
  if (is_up_) return {};
  for (uint16_t i = 0; i < config_.queues; ++i) {
    if (Status opened = open_queue(i); !opened.ok()) {
      stop();
      return opened;
    }
  }
  is_up_ = true;
  return {};
}

void UdpPort::stop() {
  for (Queue& queue : queues_) {
    queue.receivers.clear();
    queue.sender.reset();
    queue.poll = Descriptor();
    queue.sockets.clear();
    queue.first_receiver = 0;
  }
  is_up_ = false;
}

Status check(const UdpConfig& config) {
  const unsigned last_port = unsigned{config.udp_port} + config.queues - 1;
  if (config.addresses.empty() || config.addresses.size() > addresses_max) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}' has {} addresses; give it 1 to {}", config.name,
                             config.addresses.size(), addresses_max));
  }
  if (config.queues == 0 || config.queues > queues_max) {
    return error(ErrorCode::invalid, fmt::format("port '{}' has {} queues; give it 1 to {}",
                                                 config.name, config.queues, queues_max));
  }
  if (config.udp_port == 0 || last_port > 65535) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}': UDP ports {}..{} are not all in 1..65535; choose another "
                             "udp_port",
                             config.name, config.udp_port, last_port));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Port>> make_udp(const UdpConfig& config, rte_mempool* pool) {
  if (Status checked = check(config); !checked.ok()) return checked.error();
  unsigned mtu = config.mtu_bytes;
  if (mtu == 0) mtu = udp::interface_mtu(config.addresses[0]);
  if (mtu == 0) mtu = mtu_default_bytes;
  const unsigned room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
  mtu = std::min({mtu, mtu_max_bytes, room + ip_udp_bytes});
  return std::unique_ptr<Port>(std::make_unique<UdpPort>(config, pool, static_cast<uint16_t>(mtu)));
}

}  // namespace chaincast::port
