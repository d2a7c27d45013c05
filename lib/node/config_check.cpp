// SPDX-License-Identifier: BSD-3-Clause
// Relations between values, and what follows from them.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "node/config_fields.hpp"
#include "ops/nearest.hpp"
#include "wire/membership.hpp"

namespace chaincast::node {

namespace {

constexpr size_t socket_path_max = 107;
constexpr size_t udp_overhead_bytes = 8 + wire::hop_header_bytes + wire::frame_header_bytes;

class Checker {
 public:
  explicit Checker(const Config& config) : config_(config) {}

  std::vector<Problem> run() {
    check_node();
    for (size_t i = 0; i < config_.ports.size(); ++i) check_port(i);
    for (size_t i = 0; i < config_.peers.size(); ++i) check_peer(i);
    for (size_t i = 0; i < config_.streams.size(); ++i) check_stream(i);
    if (config_.repair.retry_max_ns < config_.repair.retry_min_ns) {
      add("repair", 0, "retry_max_ms", "is less than retry_min_ms; raise it");
    }
    check_rest();
    check_membership();
    check_names("port", config_.ports);
    check_names("peer", config_.peers);
    check_names("stream", config_.streams);
    return std::move(problems_);
  }

 private:
  void add(std::string section, size_t index, std::string key, std::string message) {
    problems_.push_back({std::move(section), index, std::move(key), std::move(message)});
  }

  void check_name(const char* section, size_t index, const std::string& name) {
    const bool stream = std::string_view(section) == "stream";
    const bool fits =
        !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [&](char c) {
          const bool upper = c >= 'A' && c <= 'Z' && !stream;
          return upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                 c == '_' || c == '-';
        });
    if (!fits) {
      add(section, index, "name",
          fmt::format("'{}' is no name; use 1..64 of {}a-z 0-9 . _ -", name, stream ? "" : "A-Z "));
    } else if (name == "all") {
      add(section, index, "name", "'all' means every one in commands; choose another");
    }
  }

  template <typename T>
  void check_names(const char* section, const std::vector<T>& entries) {
    for (size_t i = 0; i < entries.size(); ++i) {
      check_name(section, i, entries[i].name);
      for (size_t j = 0; j < i; ++j) {
        if (entries[i].name != entries[j].name) continue;
        add(section, i, "name",
            fmt::format("'{}' names another [[{}]] already; choose another", entries[i].name,
                        section));
        break;
      }
    }
  }

  void check_node() {
    const NodeConfig& node = config_.node;
    check_name("node", 0, node.name);
    if (node.socket.size() > socket_path_max) {
      add("node", 0, "socket",
          fmt::format("'{}' has {} bytes, a socket's path at most {}; set a "
                      "shorter one",
                      node.socket, node.socket.size(), socket_path_max));
    }
    if (node.network.empty()) {
      add("node", 0, "network", "is empty; write the same text on every node");
    }
    const auto& cpus = node.worker_cpus;
    if (!cpus.empty() && cpus.size() != node.workers) {
      add("node", 0, "worker_cpus",
          fmt::format("has {} cpus for {} workers; list one per worker", cpus.size(),
                      node.workers));
    }
    for (size_t i = 0; i < cpus.size(); ++i) {
      if (std::find(cpus.begin(), cpus.begin() + static_cast<ptrdiff_t>(i), cpus[i]) !=
          cpus.begin() + static_cast<ptrdiff_t>(i)) {
        add("node", 0, "worker_cpus",
            fmt::format("cpu {} is listed twice; give each worker its own", cpus[i]));
      }
    }
  }

  void check_rest() {
    const RestConfig& rest = config_.rest;
    if (rest.address && !port::is_loopback(*rest.address) && rest.token_file.empty()) {
      add("rest", 0, "address",
          fmt::format("{} is not a loopback address: whoever reaches it could command the node; "
                      "set token to a file that `chaincast keygen token` made",
                      port::to_text(*rest.address)));
    }
  }

  void check_port(size_t i) {
    const PortConfig& port = config_.ports[i];
    const bool udp = port.driver == PortDriver::udp;
    if (udp && !port.address) add("port", i, "address", "is missing; driver udp needs ip:port");
    if (udp && port.address && port.address->port == 0) {
      add("port", i, "address", "needs a UDP port other than 0; peers must know it");
    }
    if (udp && !port.device.empty()) {
      add("port", i, "device", "is for driver ethdev; remove it, or set driver = \"ethdev\"");
    }
    if (udp && !port.ip.empty()) add("port", i, "ip", "is for driver ethdev; udp takes address");
    if (udp && !port.gateways.empty()) {
      add("port", i, "gateway", "is for driver ethdev; the kernel routes for udp");
    }
    if (udp && !port.members.empty()) add("port", i, "members", "is for driver ethdev; remove it");
    if (udp && port.vlan != 0) {
      add("port", i, "vlan", "is for driver ethdev; the kernel tags for udp (a vlan interface)");
    }
    if (udp && port.udp_port) {
      add("port", i, "udp_port", "is for driver ethdev; udp listens on the port of its address");
    }
    if (udp && port.role == port::Role::edge) {
      add("port", i, "role", "an edge port needs whole packets; use driver = \"ethdev\"");
    }
    if (!udp && port.address) {
      add("port", i, "address", "is for driver udp; ethdev takes ip and udp_port");
    }
    if (!udp && port.device.empty()) {
      add("port", i, "device", "is missing; driver ethdev needs a PCI address or device string");
    }
    if (!udp && port.ip.empty() && port.role == port::Role::fabric) {
      add("port", i, "ip",
          "is missing; a fabric port needs its own address, e.g. [\"10.0.0.1/24\"]");
    }
    if (port.queues != 0 && port.queues < config_.node.workers) {
      add("port", i, "queues",
          fmt::format("{} for {} workers; give each worker one, or leave it out", port.queues,
                      config_.node.workers));
    }
    if (port.gateways.size() == 2 && port.gateways[0].is_ipv6 == port.gateways[1].is_ipv6) {
      add("port", i, "gateway", "lists two of one family; keep one");
    }
    for (const Endpoint& gateway : port.gateways) {
      if (!has_family(port, gateway.is_ipv6)) {
        add("port", i, "gateway",
            fmt::format("{} has no address of its family in ip; add one",
                        port::address_text(gateway)));
      }
    }
    check_twins(i);
  }

  // Two ports cannot own one device or one socket address.
  void check_twins(size_t i) {
    const PortConfig& port = config_.ports[i];
    for (size_t j = 0; j < i; ++j) {
      const PortConfig& other = config_.ports[j];
      if (port.address && other.address && *port.address == *other.address) {
        add("port", i, "address",
            fmt::format("{} is [[port]] {}'s already; choose another", port::to_text(*port.address),
                        other.name));
      }
      if (!port.device.empty() && port.device == other.device) {
        add("port", i, "device",
            fmt::format("'{}' is [[port]] {}'s already; choose another", port.device, other.name));
      }
    }
  }

  static bool has_family(const PortConfig& port, bool is_ipv6) {
    if (port.driver == PortDriver::udp) return port.address && port.address->is_ipv6 == is_ipv6;
    return std::any_of(port.ip.begin(), port.ip.end(), [&](const InterfaceAddress& interface) {
      return interface.address.is_ipv6 == is_ipv6;
    });
  }

  void check_peer(size_t i) {
    const PeerConfig& peer = config_.peers[i];
    if (peer.address.port == 0) {
      add("peer", i, "address", "needs the UDP port of the peer's fabric port, not 0");
    }
    for (size_t j = 0; j < i; ++j) {
      if (config_.peers[j].address == peer.address && config_.peers[j].port == peer.port) {
        add("peer", i, "address",
            fmt::format("{} is [[peer]] {}'s already; remove one", port::to_text(peer.address),
                        config_.peers[j].name));
      }
    }
    std::vector<std::string> fabric;
    for (const PortConfig& port : config_.ports) {
      if (port.role == port::Role::fabric) fabric.push_back(port.name);
    }
    if (peer.port.empty()) {
      add("peer", i, "port",
          fabric.empty() ? "no fabric [[port]] exists; add one"
                         : fmt::format("must name one of {}", fmt::join(fabric, ", ")));
      return;
    }
    const auto found = std::find_if(config_.ports.begin(), config_.ports.end(),
                                    [&](const PortConfig& port) { return port.name == peer.port; });
    if (found == config_.ports.end()) {
      add("peer", i, "port",
          fmt::format("no [[port]] is called '{}'{}", peer.port,
                      ops::suggestion(peer.port, fabric)));
    } else if (found->role == port::Role::edge) {
      add("peer", i, "port",
          fmt::format("'{}' is an edge port; peers are on fabric ports", peer.port));
    } else if (!has_family(*found, peer.address.is_ipv6)) {
      add("peer", i, "address",
          fmt::format("{}: port '{}' has no {} address; add one or change it",
                      port::to_text(peer.address), peer.port,
                      peer.address.is_ipv6 ? "IPv6" : "IPv4"));
    }
  }

  void check_membership() {
    const MembershipConfig& membership = config_.membership;
    if (!membership.address) {
      const bool has_some = !membership.genesis_file.empty() || !membership.trackers.empty() ||
                            membership.is_supernode || !membership.state_file.empty() ||
                            membership.degree != 0 || membership.is_behind_nat ||
                            membership.relay.has_value();
      if (has_some) {
        add("membership", 0, "address", "is missing; set where other nodes reach this one");
      }
      return;
    }
    if (port::is_unspecified(*membership.address)) {
      add("membership", 0, "address",
          fmt::format("{} is no address that others can reach; name one of this node",
                      port::to_text(*membership.address)));
    }
    if (membership.is_supernode && !config_.streams.empty()) {
      add("membership", 0, "supernode",
          "carries no stream; remove the [[stream]] sections, or leave it out");
    }
    check_crossing(membership);
    if (config_.streams.size() > wire::node_resources_max) {
      add("membership", 0, "address",
          fmt::format("{} [[stream]] sections; a node of a network is in at most {} subnetworks",
                      config_.streams.size(), wire::node_resources_max));
    }
  }

  void check_crossing(const MembershipConfig& membership) {
    if (membership.is_behind_nat && membership.trackers.empty()) {
      add("membership", 0, "behind_nat", "needs a tracker to pass on what is for this node");
    }
    if (membership.is_behind_nat && (membership.is_supernode || membership.relay)) {
      add("membership", 0, "behind_nat",
          "is no place for a supernode or a relay, which others have to reach; remove one");
    }
    if (!membership.relay) return;
    if (port::is_unspecified(*membership.relay)) {
      add("membership", 0, "relay",
          fmt::format("{} is no address that others can reach; name one of this node",
                      port::to_text(*membership.relay)));
    }
    const size_t last = membership.relay->port + size_t{1} + membership.relay_pairs;
    if (membership.relay->port == 0 || last > 65535) {
      add("membership", 0, "relay",
          fmt::format("UDP ports {}..{} are not all in 1..65535; choose another",
                      membership.relay->port, last));
    }
  }

  void check_secret(size_t i) {
    const StreamConfig& stream = config_.streams[i];
    const bool is_member = config_.membership.address.has_value();
    if (!stream.secret_file.empty() || stream.secret || (is_member && !stream.publish)) return;
    add("stream", i, "secret",
        is_member ? "is missing; whoever publishes brings it (`chaincast keygen secret FILE`)"
                  : "is missing; set it, or [membership] address, so that members hand it over");
  }

  void check_delivery(size_t i) {
    const StreamConfig& stream = config_.streams[i];
    if (stream.keeping == wire::Keeping::kept && stream.delivery != wire::Delivery::final) {
      const bool is_linked = stream.delivery == wire::Delivery::linked;
      add("stream", i, "delivery",
          fmt::format("\"{}\" is refused with keeping = \"kept\", which hands out what is final; "
                      "leave it out",
                      is_linked ? "linked" : "accepted"));
    }
    // A member's own rule stands beside a delivery that the host decides.
    const bool is_trusted = wire::suite_class_of(stream.suite) == wire::SuiteClass::trusted;
    if (!stream.publish || is_trusted || stream.delivery == wire::Delivery::accepted) return;
    constexpr const char* remedy =
        "is of use with delivery = \"accepted\" alone; set that, or leave it out";
    if (stream.votes_percent) add("stream", i, "votes", remedy);
    if (stream.tolerated != 0) add("stream", i, "tolerated", remedy);
    if (stream.malicious != malicious_default) add("stream", i, "malicious", remedy);
  }

  void check_stream(size_t i) {
    check_secret(i);
    const StreamConfig& stream = config_.streams[i];
    if (!stream.guests.empty() && !config_.membership.address) {
      add("stream", i, "guests", "needs [membership] address; set it or remove the guests");
    }
    if (wire::suite_class_of(stream.suite) == wire::SuiteClass::trusted) {
      const char* remedy =
          "is refused with suite gmac, whose members are trusted and sign nothing "
          "per frame; use sha256-gmac";
      if (stream.delivery == wire::Delivery::final) {
        add("stream", i, "delivery", fmt::format("\"final\" {}", remedy));
      }
      if (stream.delivery == wire::Delivery::accepted) {
        add("stream", i, "delivery", fmt::format("\"accepted\" {}", remedy));
      }
      if (stream.votes_percent) add("stream", i, "votes", remedy);
      if (stream.tolerated != 0) add("stream", i, "tolerated", remedy);
      if (stream.malicious != malicious_default) add("stream", i, "malicious", remedy);
      if (stream.keeping == wire::Keeping::kept) {
        add("stream", i, "keeping", fmt::format("\"kept\" {}", remedy));
      }
    }
    check_delivery(i);
    if (stream.window_frames != 0 &&
        (!std::has_single_bit(stream.window_frames) || stream.window_frames < 1024)) {
      add("stream", i, "window",
          fmt::format("{} must be 0 or a power of two, 1024..1048576 frames",
                      stream.window_frames));
    }
    if (!stream.publish) return;
    // Some fabric port must carry the frames, or nobody could ever get one.
    size_t best = 0;
    for (const PortConfig& port : config_.ports) {
      if (port.role != port::Role::fabric) continue;
      const size_t overhead = udp_overhead_bytes + (has_family(port, false) ? 20 : 40);
      best = std::max<size_t>(best, port.mtu_bytes - overhead);
    }
    if (best != 0 && stream.payload_bytes > best) {
      add("stream", i, "payload",
          fmt::format("{} bytes fit no fabric port: the largest mtu leaves "
                      "{}; lower it or raise that mtu",
                      stream.payload_bytes, best));
    }
  }

  const Config& config_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> check_config(const Config& config) {
  return Checker(config).run();
}

std::vector<Problem> resolve_config(Config& config) {
  std::vector<Problem> problems;
  std::vector<std::string> fabric;
  bool has_ipv6 = false;
  for (const PortConfig& port : config.ports) {
    if (port.role != port::Role::fabric) continue;
    fabric.push_back(port.name);
    if (port.address) has_ipv6 |= port.address->is_ipv6;
    for (const InterfaceAddress& ip : port.ip) has_ipv6 |= ip.address.is_ipv6;
  }
  for (PeerConfig& peer : config.peers) {
    if (peer.port.empty() && fabric.size() == 1) peer.port = fabric.front();
  }
  for (size_t i = 0; i < config.streams.size(); ++i) {
    const auto payload = parse_payload(config.streams[i].payload, has_ipv6);
    if (payload) {
      config.streams[i].payload_bytes = *payload;
    } else {
      problems.push_back({"stream", i, "payload", payload.error().message});
    }
  }
  return problems;
}

std::string default_socket(const std::string& name, const std::string& directory) {
  if (directory == "/etc" || directory.starts_with("/etc/")) {
    return "/run/chaincast/" + name + ".sock";
  }
  return directory.empty() ? name + ".sock" : directory + "/" + name + ".sock";
}

std::optional<Digest> network_from_hex(const std::string& network) {
  const auto bytes = from_hex(network);
  if (!bytes || bytes->size() != 32) return std::nullopt;
  Digest out;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

uint8_t window_log2_of(const StreamConfig& stream) {
  if (stream.window_frames != 0) {
    return static_cast<uint8_t>(std::countr_zero(stream.window_frames));
  }
  const uint64_t frames = std::bit_ceil(uint64_t{stream.rate_frames_per_s} / 2 + 1);
  return static_cast<uint8_t>(std::clamp(std::countr_zero(frames), 13, 20));
}

wire::Descriptor descriptor_of(const StreamConfig& stream) {
  wire::Descriptor out;
  out.resource = stream.name;
  out.suite_class = wire::suite_class_of(stream.suite).value();
  out.suite = stream.suite;
  out.payload_bytes_max = stream.payload_bytes;
  out.object_bytes_max = stream.object_bytes_max;
  out.rate_frames_per_s = stream.rate_frames_per_s;
  out.window_log2 = window_log2_of(stream);
  out.statement_frames_max = static_cast<uint16_t>(stream.statement_frames);
  out.statement_interval_ms = stream.statement_interval_ms;
  out.delivery = stream.delivery;
  if (stream.delivery == wire::Delivery::accepted) {
    out.votes_percent = static_cast<uint8_t>(stream.votes_percent.value_or(votes_default_percent));
  }
  out.keeping = stream.keeping;
  out.carries_routes = stream.routes;
  return out;
}

}  // namespace chaincast::node
