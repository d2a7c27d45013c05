// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/ethdev.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "port/ethdev/device.hpp"
#include "port/ethdev/memif.hpp"
#include "port/ethdev/queue.hpp"

namespace chaincast::port {

namespace {

using ethdev::Context;
using ethdev::Device;
using ethdev::Queue;
using ethdev::Setup;
using ethdev::Steering;

constexpr unsigned control_burst = 64;  // packets per queue and call
// Workers do not wake control when they have handed it packets.
constexpr TimeNs control_interval_ns = 2 * ns_per_ms;
constexpr TimeNs link_interval_ns = 100 * ns_per_ms;  // between two looks at the link
constexpr TimeNs reconnect_interval_ns = ns_per_s;    // between two attempts of a memif client

NeighbourConfig neighbour_config(const EthdevConfig& config, const Mac& mac) {
  NeighbourConfig out;
  out.mac = mac;
  out.vlan = config.vlan;
  out.addresses = config.addresses;
  out.gateway_v4 = config.gateway_v4;
  out.gateway_v6 = config.gateway_v6;
  return out;
}

const char* steering_name(Steering steering) {
  switch (steering) {
    case Steering::none:
      return "none";
    case Steering::rules:
      return "flow rules";
    case Steering::hash:
      return "hash key";
  }
  return "?";
}

// Asks the kernel about, or tells it of, the interface below a device.
class Interface {
 public:
  explicit Interface(const std::string& device) : name_(interface_below(device)) {}
  bool exists() const { return !name_.empty(); }
  bool is_present() const { return if_nametoindex(name_.c_str()) != 0; }
  bool is_running() const {
    ifreq request{};
    return call(SIOCGIFFLAGS, request) && (request.ifr_flags & IFF_RUNNING) != 0;
  }
  bool set_up(bool is_up) const {
    ifreq request{};
    if (!call(SIOCGIFFLAGS, request)) return false;
    request.ifr_flags =
        static_cast<int16_t>(is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    return call(SIOCSIFFLAGS, request);
  }

 private:
  bool call(unsigned long what, ifreq& request) const {
    name_.copy(request.ifr_name, sizeof request.ifr_name - 1);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    const bool is_done = ioctl(fd, what, &request) == 0;
    close(fd);
    return is_done;
  }
  const std::string name_;
};

// DPDK's interrupt thread tells of a device that was pulled out; control looks at the flag.
int note_removal(uint16_t, rte_eth_event_type, void* flag, void*) {
  static_cast<std::atomic<bool>*>(flag)->store(true, std::memory_order_relaxed);
  return 0;
}

class EthdevPort final : public Port {
 public:
  EthdevPort(const EthdevConfig& config, Device device, const Setup& setup, rte_mempool* pool)
      : config_(config),
        pool_(pool),
        driver_(device.info().driver_name),
        interface_(config.device),
        mac_(mac_of(device)),
        neighbours_(neighbour_config(config, mac_)),
        queues_(std::max(setup.capabilities.rx_queues, setup.capabilities.tx_queues)) {
    context_.port_id = config.id;
    context_.is_edge = config.role == Role::edge;
    context_.wants_idle_bursts = kind_of(config.device).has_members;
    context_.pool = pool;
    Local& local = context_.local;
    local.mac = mac_;
    local.vlan = config.vlan;
    local.udp_port = config.udp_port;
    local.udp_port_count = static_cast<uint16_t>(1 + config.workers);
    for (const InterfaceAddress& own : config.addresses) {
      local.addresses[local.address_count++] = own.address;
    }
    adopt(std::move(device), setup);
  }
  ~EthdevPort() override { dismiss(); }

  unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                   stage::Burst::Drops& drops) noexcept override {
    CC_ASSERT(queue < setup_.capabilities.rx_queues);
    return queues_[queue].receive(context_, static_cast<uint16_t>(queue), out, max, drops);
  }
  unsigned transmit(unsigned queue, const Destination&, rte_mbuf** packets,
                    unsigned count) noexcept override {
    CC_ASSERT(queue < setup_.capabilities.tx_queues);
    return queues_[queue].transmit(context_, static_cast<uint16_t>(queue), packets, count);
  }
  void tick(unsigned queue, TimeNs) noexcept override {
    if (queue < setup_.capabilities.tx_queues) {
      queues_[queue].tick(context_, static_cast<uint16_t>(queue));
    }
  }

  Info info() const override;
  Capabilities capabilities() const override { return setup_.capabilities; }
  Counters counters() const override;
  std::vector<std::pair<std::string, uint64_t>> extended_counters() const override;
  Result<Destination> destination(const Endpoint& remote, uint16_t local_port) override;
  uint64_t destinations_version() const override { return neighbours_.version(); }
  TimeNs control(TimeNs now_ns) override;
  bool wants_restart() const override { return has_waiting_server_; }
  bool has_link() const override { return is_present_ && link_.link_status == RTE_ETH_LINK_UP; }
  Status set_mtu(uint16_t mtu_bytes) override;
  Status set_promiscuous(bool is_on) override;
  Status set_link(bool is_up) override;
  Status reset() override;
  Status start() override;
  void stop() override;
  int wait_fd(unsigned) const override { return -1; }

 private:
  static Mac mac_of(const Device& device);
  void adopt(Device device, const Setup& setup);
  void dismiss();
  void look_at_link(TimeNs now_ns);
  bool steer();
  void send(Frames& frames);

  EthdevConfig config_;  // mtu and promiscuity change
  rte_mempool* const pool_;
  const std::string driver_;
  const Interface interface_;
  std::optional<Device> device_;  // none after a reset that failed
  Setup setup_;
  const Mac mac_;
  Context context_;
  Neighbours neighbours_;  // control
  std::vector<Queue> queues_;
  bool is_started_ = false;
  std::atomic<bool> was_removed_{false};
  bool is_present_ = true;
  rte_eth_link link_{};
  TimeNs link_due_ns_ = 0;
  TimeNs reconnect_due_ns_ = 0;  // of a memif client; 0: not known since it was started
  bool has_waiting_server_ = false;
  TimeNs now_ns_ = 0;
  uint64_t frames_lost_ = 0;  // control's frames without buffer or place
};

Mac EthdevPort::mac_of(const Device& device) {
  rte_ether_addr address{};
  rte_eth_macaddr_get(device.id(), &address);
  // net_ring has none, and nobody answers to nobody.
  if (rte_is_zero_ether_addr(&address) != 0) rte_eth_random_addr(address.addr_bytes);
  Mac mac;
  std::copy(std::begin(address.addr_bytes), std::end(address.addr_bytes), mac.begin());
  return mac;
}

void EthdevPort::adopt(Device device, const Setup& setup) {
  device_.emplace(std::move(device));
  setup_ = setup;
  context_.device = device_->id();
  was_removed_ = false;
  is_present_ = true;
  rte_eth_dev_callback_register(context_.device, RTE_ETH_EVENT_INTR_RMV, note_removal,
                                &was_removed_);
  look_at_link(now_ns_);
}

void EthdevPort::dismiss() {
  if (!device_) return;
  rte_eth_dev_callback_unregister(context_.device, RTE_ETH_EVENT_INTR_RMV, note_removal,
                                  &was_removed_);
  device_.reset();
}

// Drivers of virtual devices know little of their link: the kernel knows that of an interface.
void EthdevPort::look_at_link(TimeNs now_ns) {
  if (now_ns < link_due_ns_ || !device_) return;
  link_due_ns_ = now_ns + link_interval_ns;
  if (rte_eth_link_get_nowait(device_->id(), &link_) != 0) link_ = {};
  is_present_ = !was_removed_.load(std::memory_order_relaxed) &&
                (!interface_.exists() || interface_.is_present());
  if (interface_.exists() && !interface_.is_running()) link_.link_status = RTE_ETH_LINK_DOWN;
  if (reconnect_due_ns_ == 0 && now_ns != 0) reconnect_due_ns_ = now_ns + reconnect_interval_ns;
  has_waiting_server_ = !has_link() && ethdev::is_memif_client(config_.device) && now_ns != 0 &&
                        now_ns >= reconnect_due_ns_ && ethdev::has_memif_server(config_.device) &&
                        !ethdev::has_memif_connection(config_.device);
}

Info EthdevPort::info() const {
  Info out;
  out.name = config_.name;
  out.driver = driver_;
  out.device = config_.device;
  out.id = config_.id;
  out.role = config_.role;
  out.numa_node = device_ ? rte_eth_dev_socket_id(device_->id()) : -1;
  out.udp_port = config_.udp_port;
  out.mac = mac_text(mac_);
  for (const InterfaceAddress& own : config_.addresses) {
    out.addresses.push_back(own.address);
    out.addresses.back().port = config_.udp_port;
  }
  out.is_present = device_.has_value() && is_present_;
  out.is_up = is_started_ && has_link();
  out.is_promiscuous = device_ && rte_eth_promiscuous_get(device_->id()) == 1;
  out.mtu_max_bytes = setup_.mtu_max_bytes;
  const NeighbourCounters& answers = neighbours_.counters();
  out.details = {
      {"link", has_link() ? "up" : "down"},
      {"speed_mbps",
       std::to_string(link_.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link_.link_speed)},
      {"vlan", std::to_string(config_.vlan)},
      {"steering", steering_name(setup_.steering)},
      {"steering_rules", std::to_string(setup_.steering_rules)},
      {"arp_answered", std::to_string(answers.answered_arp)},
      {"ndp_answered", std::to_string(answers.answered_ndp)},
      {"echo_answered", std::to_string(answers.answered_echo)},
      {"address_conflicts", std::to_string(answers.conflicts)},
      {"control_frames_lost", std::to_string(frames_lost_)},
      {"neighbours", std::to_string(neighbours_.entries().size())},
  };
  return out;
}

Counters EthdevPort::counters() const {
  Counters out;
  for (const Queue& queue : queues_) {
    out.rx_packets += queue.rx_packets.read();
    out.rx_bytes += queue.rx_bytes.read();
    out.tx_packets += queue.tx_packets.read();
    out.tx_bytes += queue.tx_bytes.read();
    out.tx_full += queue.tx_full.read();
  }
  rte_eth_stats stats{};
  if (device_ && rte_eth_stats_get(device_->id(), &stats) == 0) {
    out.rx_missed = stats.imissed + stats.rx_nombuf;
    out.tx_failed = stats.oerrors;
  }
  return out;
}

std::vector<std::pair<std::string, uint64_t>> EthdevPort::extended_counters() const {
  std::vector<std::pair<std::string, uint64_t>> out;
  if (!device_) return out;
  const int count = rte_eth_xstats_get(device_->id(), nullptr, 0);
  if (count <= 0) return out;
  const auto size = static_cast<unsigned>(count);
  std::vector<rte_eth_xstat> values(size);
  std::vector<rte_eth_xstat_name> names(size);
  if (rte_eth_xstats_get(device_->id(), values.data(), size) != count ||
      rte_eth_xstats_get_names(device_->id(), names.data(), size) != count) {
    return out;
  }
  for (unsigned i = 0; i < size; ++i) {
    if (values[i].id < size) out.emplace_back(names[values[i].id].name, values[i].value);
  }
  return out;
}

Result<Destination> EthdevPort::destination(const Endpoint& remote, uint16_t local_port) {
  Frames frames;
  const NextHop hop = neighbours_.resolve(remote, now_ns_, frames);
  send(frames);
  const std::string what = fmt::format("port '{}' cannot reach {}", config_.name, to_text(remote));
  switch (hop.reach) {
    case Reach::resolved:
      break;
    case Reach::unresolved:
      return error(ErrorCode::not_found,
                   fmt::format("{}: next hop {} has not answered {}; check cable, VLAN and the "
                               "other end's address",
                               what, address_text(hop.neighbour),
                               remote.is_ipv6 ? "neighbour solicitation" : "ARP"));
    case Reach::no_address:
      return error(ErrorCode::refused, fmt::format("{}: it has no {} address; give it one", what,
                                                   remote.is_ipv6 ? "IPv6" : "IPv4"));
    case Reach::no_route:
      return error(ErrorCode::refused,
                   fmt::format("{}: not on its link and no {} gateway; add one to gateway, or "
                               "correct the prefix length in ip",
                               what, remote.is_ipv6 ? "IPv6" : "IPv4"));
    case Reach::full:
      return error(ErrorCode::refused, fmt::format("{}: its neighbour table is full ({} entries)",
                                                   what, neighbours_.entries().size()));
  }
  HeaderFields fields;
  fields.source_mac = mac_;
  fields.destination_mac = hop.mac;
  fields.vlan = config_.vlan;
  fields.source = hop.source;
  fields.source.port = local_port;
  fields.remote = remote;
  return make_destination(fields);
}

TimeNs EthdevPort::control(TimeNs now_ns) {
  now_ns_ = now_ns;
  Frames frames;
  look_at_link(now_ns);
  for (uint16_t i = 0; i < setup_.capabilities.rx_queues; ++i) {
    rte_mbuf* mbuf = nullptr;
    for (unsigned n = 0; n < control_burst && queues_[i].to_control.pop(mbuf); ++n) {
      const ByteSpan frame(rte_pktmbuf_mtod(mbuf, const uint8_t*), mbuf->data_len);
      neighbours_.receive(frame, parse_headers(frame, ethdev::hints_of(mbuf)), now_ns, frames);
      rte_pktmbuf_free(mbuf);
    }
  }
  neighbours_.tick(now_ns, frames);
  send(frames);
  return now_ns + control_interval_ns;
}

// Hands frames to the worker of queue 0.
void EthdevPort::send(Frames& frames) {
  for (const Bytes& frame : frames) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    char* room = nullptr;
    if (mbuf != nullptr) room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
    if (room != nullptr) {
      std::memcpy(room, frame.data(), frame.size());
      if (queues_[0].from_control.push(std::move(mbuf))) continue;
    }
    rte_pktmbuf_free(mbuf);
    ++frames_lost_;
  }
  frames.clear();
}

Status EthdevPort::start() {
  if (is_started_) return {};
  reconnect_due_ns_ = 0;
  has_waiting_server_ = false;
  if (!device_) {
    return error(ErrorCode::refused, fmt::format("port '{}': its device '{}' is gone; plug it in "
                                                 "and `port reset {}`",
                                                 config_.name, config_.device, config_.name));
  }
  if (Status started = ethdev::start_device(config_, device_->id()); !started.ok()) return started;
  if (!steer()) {
    rte_eth_dev_stop(device_->id());
    return error(ErrorCode::io, fmt::format("port '{}': device '{}' no longer steers UDP ports; "
                                            "attach it again",
                                            config_.name, config_.device));
  }
  is_started_ = true;
  link_due_ns_ = 0;
  look_at_link(now_ns_);
  return {};
}

// What set_up() found possible, again: starting a device forgets it.
bool EthdevPort::steer() {
  const uint16_t queues = setup_.capabilities.rx_queues;
  switch (setup_.steering) {
    case Steering::none:
      return true;
    case Steering::rules:
      return ethdev::steer_ports(device_->id(), config_, queues) > 0;
    case Steering::hash:
      return ethdev::hash_by_port(device_->info(), device_->id(), config_, queues);
  }
  return false;
}

void EthdevPort::stop() {
  if (!is_started_) return;
  is_started_ = false;
  if (!device_) return;
  rte_flow_error failure{};
  if (setup_.steering_rules > 0) rte_flow_flush(device_->id(), &failure);
  rte_eth_dev_stop(device_->id());
}

Status EthdevPort::set_promiscuous(bool is_on) {
  if (!device_) return start();
  EthdevConfig wanted = config_;
  wanted.is_promiscuous = is_on;
  if (const int result = ethdev::set_promiscuous(wanted, device_->id()); result != 0) {
    return error(
        ErrorCode::unsupported,
        fmt::format("port '{}': {} cannot change its promiscuous mode ({}); leave it as it "
                    "is",
                    config_.name, driver_, strerror(-result)));
  }
  config_.is_promiscuous = is_on;
  return {};
}

Status EthdevPort::set_link(bool is_up) {
  if (!device_) return start();
  link_due_ns_ = 0;
  const int result =
      is_up ? rte_eth_dev_set_link_up(device_->id()) : rte_eth_dev_set_link_down(device_->id());
  if (result == 0 || (interface_.exists() && interface_.set_up(is_up))) return {};
  if (result == -ENOTSUP && !interface_.exists()) return Port::set_link(is_up);
  return error(ErrorCode::io, fmt::format("port '{}': device '{}' does not take its link {} ({})",
                                          config_.name, config_.device, is_up ? "up" : "down",
                                          strerror(result == -ENOTSUP ? errno : -result)));
}

Status EthdevPort::set_mtu(uint16_t mtu_bytes) {
  EthdevConfig wanted = config_;
  wanted.mtu_bytes = mtu_bytes;
  if (device_ && complete_device(wanted.device, mtu_bytes) ==
                     complete_device(config_.device, config_.mtu_bytes)) {
    Result<Setup> setup = ethdev::set_up(wanted, *device_, pool_);
    if (!setup.ok()) {
      const Result<Setup> restored = ethdev::set_up(config_, *device_, pool_);
      return restored.ok() ? setup.error() : restored.error();
    }
    setup_ = setup.value();
    config_ = wanted;
    return {};
  }
  // The device itself is made for an MTU.
  std::swap(config_, wanted);
  Status done = reset();
  if (done.ok()) return done;
  std::swap(config_, wanted);
  if (Status restored = reset(); !restored.ok()) return restored;
  return done;
}

Status EthdevPort::reset() {
  stop();
  dismiss();
  if (Status usable = ethdev::diagnose(config_); !usable.ok()) return usable;
  Result<Device> device = Device::attach(config_);
  if (!device.ok()) return device.error();
  Result<Setup> setup = ethdev::set_up(config_, device.value(), pool_);
  if (!setup.ok()) return setup.error();
  const Capabilities& can = setup->capabilities;
  if (std::max(can.rx_queues, can.tx_queues) > queues_.size()) {
    return error(
        ErrorCode::refused,
        fmt::format("port '{}': device '{}' has more queues now; detach the port and attach "
                    "it again",
                    config_.name, config_.device));
  }
  // Some make up an address each time. Those do not filter by it either, if they cannot take it.
  if (rte_ether_addr mac{}; mac_of(*device) != mac_) {
    std::copy(mac_.begin(), mac_.end(), std::begin(mac.addr_bytes));
    rte_eth_dev_default_mac_addr_set(device->id(), &mac);
  }
  adopt(std::move(device).value(), setup.value());
  return {};
}

Status check(const EthdevConfig& config) {
  if (config.addresses.size() > own_addresses_max) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}' has {} addresses; give it at most {}", config.name,
                             config.addresses.size(), own_addresses_max));
  }
  const unsigned last_port = unsigned{config.udp_port} + config.workers;
  if (config.workers == 0 || last_port > 65535) {
    return error(ErrorCode::invalid,
                 fmt::format("port '{}': needs a worker and UDP ports in 1..65535, has {} workers "
                             "and ports {}..{}; lower udp_port",
                             config.name, config.workers, config.udp_port, last_port));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Port>> make_ethdev(const EthdevConfig& config, rte_mempool* pool) {
  if (Status checked = check(config); !checked.ok()) return checked.error();
  if (Status usable = ethdev::diagnose(config); !usable.ok()) return usable.error();
  Result<Device> device = Device::attach(config);
  if (!device.ok()) return device.error();
  Result<Setup> setup = ethdev::set_up(config, device.value(), pool);
  if (!setup.ok()) return setup.error();
  return std::unique_ptr<Port>(
      std::make_unique<EthdevPort>(config, std::move(device).value(), setup.value(), pool));
}

}  // namespace chaincast::port
