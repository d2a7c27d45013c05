// SPDX-License-Identifier: BSD-3-Clause
#include "node/config_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "ops/nearest.hpp"

namespace chaincast::node {

namespace {

template <typename Enum>
constexpr Choice named(std::string_view name, Enum value) {
  return {name, static_cast<unsigned>(value)};
}

constexpr std::array idle_choices = {named("sleep", Idle::sleep), named("poll", Idle::poll)};
constexpr std::array crypto_choices = {named("auto", CryptoChoice::automatic),
                                       named("ipsec_mb", CryptoChoice::ipsec_mb),
                                       named("openssl", CryptoChoice::openssl)};
constexpr std::array log_choices = {
    named("trace", LogLevel::trace), named("debug", LogLevel::debug), named("info", LogLevel::info),
    named("warning", LogLevel::warning), named("error", LogLevel::error)};
constexpr std::array driver_choices = {named("udp", PortDriver::udp),
                                       named("ethdev", PortDriver::ethdev)};
constexpr std::array role_choices = {named("fabric", port::Role::fabric),
                                     named("edge", port::Role::edge)};
constexpr std::array copy_choices = {named("auto", CopyMode::automatic),
                                     named("shared", CopyMode::shared),
                                     named("linear", CopyMode::linear)};
constexpr std::array checksum_choices = {named("auto", ChecksumMode::automatic),
                                         named("software", ChecksumMode::software),
                                         named("hardware", ChecksumMode::hardware)};
constexpr std::array suite_choices = {
    named("sha256-gmac", wire::Suite::sha256_gmac), named("sha256-gcm", wire::Suite::sha256_gcm),
    named("sha256-gmac-ct", wire::Suite::sha256_gmac_ct),
    named("sha256-gcm-ct", wire::Suite::sha256_gcm_ct), named("gmac", wire::Suite::gmac)};
constexpr std::array delivery_choices = {named("linked", wire::Delivery::linked),
                                         named("final", wire::Delivery::final),
                                         named("accepted", wire::Delivery::accepted)};
constexpr std::array keeping_choices = {named("live", wire::Keeping::live),
                                        named("kept", wire::Keeping::kept)};

// A text that stands for a T: `parse` gives Result<T>.
template <typename T, typename Parse>
void take(FieldVisitor& visitor, const Key& key, std::string text, T& value, Parse parse) {
  if (!visitor.text(key, text)) return;
  auto parsed = parse(text);
  if (parsed) {
    value = std::move(*parsed);
  } else {
    visitor.problem(key, parsed.error().message);
  }
}

void take_endpoint(FieldVisitor& visitor, const Key& key, std::optional<Endpoint>& value) {
  take(visitor, key, value ? port::to_text(*value) : "", value,
       [](const std::string& text) -> Result<std::optional<Endpoint>> {
         const auto parsed = port::parse_endpoint(text);
         if (!parsed) return parsed.error();
         return std::optional(*parsed);
       });
}

template <typename T, typename Format, typename Parse>
void take_list(FieldVisitor& visitor, const Key& key, std::vector<T>& value, size_t max,
               Format format, Parse parse) {
  std::vector<std::string> texts;
  for (const T& element : value) texts.push_back(format(element));
  if (!visitor.texts(key, texts, max)) return;
  value.clear();
  for (const std::string& text : texts) {
    auto parsed = parse(text);
    if (!parsed) return visitor.problem(key, parsed.error().message);
    value.push_back(std::move(*parsed));
  }
}

Result<InterfaceAddress> parse_interface(const std::string& text) {
  const size_t slash = text.find('/');
  const auto bad = [&] {
    return error(ErrorCode::invalid,
                 fmt::format("'{}' is not an address with prefix length; write 10.0.0.1/24 or "
                             "fd00::1/64",
                             text));
  };
  if (slash == std::string::npos) return bad();
  const auto address = port::parse_address(text.substr(0, slash));
  if (!address) return bad();
  InterfaceAddress out{*address, 0};
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data() + slash + 1, end, out.prefix_bits);
  const unsigned bits_max = address->is_ipv6 ? 128 : 32;
  if (code != std::errc() || stop != end || out.prefix_bits > bits_max) return bad();
  return out;
}

std::string interface_text(const InterfaceAddress& interface) {
  return fmt::format("{}/{}", port::address_text(interface.address), interface.prefix_bits);
}

Result<NodeId> parse_node_id(const std::string& text) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != 16) {
    return error(ErrorCode::invalid, fmt::format("'{}' is not a node id of 32 hex digits; copy it "
                                                 "from the peer's `show status`",
                                                 text));
  }
  NodeId id;
  std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
  return id;
}

Result<std::optional<NodeId>> parse_node(const std::string& text) {
  const auto id = parse_node_id(text);
  if (!id) return id.error();
  return std::optional(*id);
}

Result<PublicKey> parse_key(const std::string& text) {
  const auto bytes = from_hex(text);
  if (!bytes || bytes->size() != 32) {
    return error(
        ErrorCode::invalid,
        fmt::format("'{}' is not an Ed25519 public key of 64 hex digits; copy it from what "
                    "`chaincast keygen` printed at the origin, or `origin` of `show "
                    "streams`",
                    text));
  }
  PublicKey key;
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

void visit_rate(FieldVisitor& visitor, const Key& key, uint64_t& bits_per_s) {
  take(visitor, key, rate_text(bits_per_s), bits_per_s, parse_rate);
}

void visit_link(FieldVisitor& visitor, PortConfig& port) {
  const Key key{"link", "impair what this port sends, for labs and tests"};
  if (!visitor.enter(key, port.link.has_value())) return;
  if (!port.link) port.link.emplace();
  Impairment& link = *port.link;
  visitor.number(Key{"delay_ms", "one-way delay"}, link.delay_ms, {0, 60'000, "ms"});
  visitor.number(Key{"jitter_ms", "added to the delay, evenly spread"}, link.jitter_ms,
                 {0, 60'000, "ms"});
  visitor.real(Key{"loss", "probability that a datagram is lost"}, link.loss);
  visitor.real(Key{"duplicate", "probability that it is sent twice"}, link.duplicate);
  visitor.real(Key{"reorder", "probability that a later one overtakes it"}, link.reorder);
  visit_rate(visitor, Key{"rate", "rate limit, as in [[peer]]"}, link.rate_bits_per_s);
  visitor.number(Key{"seed", "of the random numbers: equal seeds lose alike"}, link.seed,
                 {0, INT64_MAX, ""});
  visitor.leave();
}

constexpr size_t text_bytes_max = 4096;

}  // namespace

std::string range_text(const Range& range) {
  return fmt::format("{}..{}{}{}", range.min, range.max, range.unit.empty() ? "" : " ", range.unit);
}

bool choose_by_name(FieldVisitor& visitor, const Key& key, unsigned& value,
                    std::span<const Choice> choices) {
  std::string given;
  if (!visitor.text(key, given)) return false;
  std::vector<std::string> names;
  for (const Choice& choice : choices) {
    if (choice.name == given) {
      value = choice.value;
      return true;
    }
    names.emplace_back(choice.name);
  }
  const std::string near = ops::nearest_word(given, names);
  visitor.problem(key, fmt::format("'{}' must be one of {}{}", given, fmt::join(names, ", "),
                                   near.empty() ? "" : "; did you mean '" + near + "'?"));
  return false;
}

bool is_clean_text(const std::string& text) {
  return !text.empty() && text.size() <= text_bytes_max &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

std::string clean_text_rule() {
  return fmt::format(
      "must have 1..{} characters and no control characters; leave the key out for its default",
      text_bytes_max);
}

Result<uint64_t> parse_rate(const std::string& text) {
  if (text == "unlimited") return uint64_t{0};
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  uint64_t scale = 0;
  if (unit == "bit") scale = 1;
  if (unit == "kbit") scale = 1'000;
  if (unit == "Mbit") scale = 1'000'000;
  if (unit == "Gbit") scale = 1'000'000'000;
  constexpr uint64_t rate_max = 10'000'000'000'000;  // 10 Tbit/s
  if (code != std::errc() || scale == 0 || value == 0 || value > rate_max / scale) {
    return error(ErrorCode::invalid,
                 fmt::format("'{}' is not a rate; write \"unlimited\" or a whole number with bit, "
                             "kbit, Mbit or Gbit (per second), e.g. \"100Mbit\"",
                             text));
  }
  return value * scale;
}

std::string rate_text(uint64_t bits_per_s) {
  if (bits_per_s == 0) return "unlimited";
  if (bits_per_s % 1'000'000'000 == 0) return fmt::format("{}Gbit", bits_per_s / 1'000'000'000);
  if (bits_per_s % 1'000'000 == 0) return fmt::format("{}Mbit", bits_per_s / 1'000'000);
  if (bits_per_s % 1'000 == 0) return fmt::format("{}kbit", bits_per_s / 1'000);
  return fmt::format("{}bit", bits_per_s);
}

Result<uint16_t> parse_payload(const std::string& text, bool has_ipv6) {
  if (text == "default") return wire::payload_default_bytes;
  if (text == "lan") return has_ipv6 ? wire::payload_lan_ipv6_bytes : wire::payload_lan_ipv4_bytes;
  if (text == "jumbo") return wire::payload_jumbo_bytes;
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc() || stop != end || value < wire::payload_bytes_min ||
      value > wire::payload_bytes_limit) {
    return error(ErrorCode::invalid,
                 fmt::format("'{}' must be \"default\", \"lan\", \"jumbo\" or "
                             "{}..{} bytes",
                             text, wire::payload_bytes_min, wire::payload_bytes_limit));
  }
  return static_cast<uint16_t>(value);
}

void visit(FieldVisitor& visitor, NodeConfig& node) {
  visitor.text(Key{"name", "this node's name in commands and logs", true}, node.name);
  visitor.path(Key{"key", "file of the identity, made by `chaincast keygen`", true}, node.key_file);
  visitor.text(Key{"network",
                   "network id: 64 hex digits, or a text whose SHA-256 it is; the same "
                   "on every node",
                   true},
               node.network);
  visitor.path(Key{"socket",
                   "control socket; unless set /run/chaincast/NAME.sock for a file under "
                   "/etc, else NAME.sock beside this file"},
               node.socket);
  visitor.number(Key{"workers", "forwarding threads"}, node.workers, {1, 16, "threads"});
  visitor.numbers(Key{"worker_cpus", "one cpu per worker; empty: any"}, node.worker_cpus,
                  {0, 1023, "cpu"});
  visitor.choice(Key{"idle", "a worker without traffic sleeps, or polls on (one core each)"},
                 node.idle, idle_choices);
  visitor.choice(Key{"crypto", "engine of the workers"}, node.crypto, crypto_choices);
  visitor.choice(Key{"log_level", "least important lines to log"}, node.log_level, log_choices);
  visitor.texts(Key{"eal", "DPDK EAL options, one word each"}, node.eal, 64);
  visitor.number(Key{"pool_mbufs", "packet buffers; 0: computed from ports and peers"},
                 node.pool_mbufs, {0, 16'777'215, "mbufs"});
  visitor.number(Key{"memory_mb", "memory of EAL without hugepages; 0: computed"}, node.memory_mb,
                 {0, 1'048'576, "MiB"});
  visitor.number(Key{"drain_timeout_s", "longest wait for queues to empty when stopping"},
                 node.drain_timeout_s, {0, 3600, "s"});
}

void visit(FieldVisitor& visitor, PortConfig& port) {
  visitor.text(Key{"name", "name of the port", true}, port.name);
  visitor.choice(Key{"driver", "kernel sockets, or a DPDK device"}, port.driver, driver_choices);
  visitor.choice(Key{"role", "fabric carries chaincast; edge is a site's LAN"}, port.role,
                 role_choices);
  take_endpoint(visitor, Key{"address", "udp: own ip:port; worker n listens on port + n"},
                port.address);
  visitor.text(Key{"device", "ethdev: PCI address, or device string as for --vdev"}, port.device);
  visitor.texts(Key{"members", "ethdev: the devices that a net_bonding device is made of"},
                port.members, 8);
  take_list(visitor, Key{"ip", "ethdev: own addresses with prefix length"}, port.ip, 16,
            interface_text, parse_interface);
  take_list(visitor, Key{"gateway", "ethdev: next hop beyond the prefixes, one per family"},
            port.gateways, 2, port::address_text, port::parse_address);
  visitor.number(Key{"vlan", "ethdev: 802.1Q tag of what the port sends and takes; 0: untagged"},
                 port.vlan, {0, 4094, ""});
  visitor.number(Key{"udp_port",
                     "ethdev: control on this UDP port, the bulk of worker n on + 1 + n; unless "
                     "set 7000"},
                 port.udp_port, {1, 65'000, ""});
  visitor.number(Key{"mtu", "largest IP packet"}, port.mtu_bytes, {1280, 65'535, "bytes"});
  visitor.number(Key{"queues",
                     "receive and transmit queues; 0: one per worker, and on a NIC that fills it "
                     "one for control and routes"},
                 port.queues, {0, 64, "queues"});
  visitor.choice(Key{"copy", "copies share their payload, or are linear"}, port.copy, copy_choices);
  visitor.choice(Key{"checksum", "who computes UDP checksums"}, port.checksum, checksum_choices);
  visitor.flag(Key{"promisc", "take packets for other MAC addresses"}, port.promisc);
  visit_link(visitor, port);
}

void visit(FieldVisitor& visitor, PeerConfig& peer) {
  visitor.text(Key{"name", "name of the peer", true}, peer.name);
  take(visitor, Key{"address", "ip:port of its fabric port", true},
       peer.address.port != 0 ? port::to_text(peer.address) : "", peer.address,
       port::parse_endpoint);
  visitor.text(Key{"port", "own port towards it; may be left out with one fabric port"}, peer.port);
  visitor.path(Key{"secret", "file of the link secret, the same on both ends", true},
               peer.secret_file);
  take(visitor, Key{"node", "its node id (32 hex digits); unless set, whoever has the secret"},
       peer.node ? peer.node->hex() : "", peer.node, parse_node);
  visit_rate(visitor, Key{"rate", "\"unlimited\", or bits per second such as \"100Mbit\""},
             peer.rate_bits_per_s);
  visit_rate(visitor,
             Key{"receive_rate", "frames it sends beyond this rate are dropped (link_budget)"},
             peer.receive_rate_bits_per_s);
  visitor.flag(Key{"check", "link check on every datagram; off only where both ends agree"},
               peer.check);
  visitor.number(Key{"queue", "bulk datagrams that may wait for it"}, peer.queue_packets,
                 {16, 65'536, "packets"});
}

void visit(FieldVisitor& visitor, StreamConfig& stream) {
  visitor.text(Key{"name", "the resource's name, the same on every node", true}, stream.name);
  visitor.path(Key{"secret", "file of the stream secret; members of a network may leave it out"},
               stream.secret_file);
  visitor.flag(Key{"publish", "this node is an origin of the stream"}, stream.publish);
  visitor.choice(Key{"suite", "how frames are authenticated (docs/security.md)"}, stream.suite,
                 suite_choices);
  visitor.mixed(Key{"payload",
                    "largest frame payload: \"default\" (1160), \"lan\" (1400, 1380 with "
                    "IPv6), \"jumbo\" (8860), or bytes"},
                stream.payload);
  visitor.number(Key{"object_bytes_max", "largest object"}, stream.object_bytes_max,
                 {1 << 20, 16 << 20, "bytes"});
  visitor.number(Key{"rate", "declared rate; sizes the window, held by the origin"},
                 stream.rate_frames_per_s, {1, 100'000'000, "frames/s"});
  visitor.number(Key{"window", "frames that may be out of order, a power of two; 0: from the rate"},
                 stream.window_frames, {0, 1 << 20, "frames"});
  const bool chosen =
      visitor.choice(Key{"delivery",
                         "objects are handed out when linked, when accepted by votes, or "
                         "when final (always where keeping = \"kept\")"},
                     stream.delivery, delivery_choices);
  const bool kept = visitor.choice(Key{"keeping",
                                       "live gives gaps up after gap_deadline_ms, kept "
                                       "never does"},
                                   stream.keeping, keeping_choices);
  if (kept && !chosen && stream.keeping == wire::Keeping::kept) {
    stream.delivery = wire::Delivery::final;
  }
  visitor.number(Key{"votes",
                     "delivery at accepted: share of the parents that must vouch; unless set "
                     "the genesis file's, or 50; of a member, instead of the host's"},
                 stream.votes_percent, {0, 100, "%"});
  visitor.number(
      Key{"tolerated", "delivery at accepted: parents that may lie together; one more must vouch"},
      stream.tolerated, {0, tolerated_max, "parents"});
  visitor.number(Key{"malicious",
                     "delivery at accepted: share of the members that may lie together; a node "
                     "with few parents then waits for the signature (membership.md, \"Votes\")"},
                 stream.malicious, {0, vote::malicious_max, "%"});
  visitor.flag(Key{"routes", "objects are route updates: lane 0, ahead of others"}, stream.routes);
  visitor.number(Key{"statement_frames", "frames between two signed statements, at most"},
                 stream.statement_frames, {1, 65'535, "frames"});
  visitor.number(Key{"statement_interval_ms", "least time between two statements"},
                 stream.statement_interval_ms, {1, 10'000, "ms"});
  visitor.number(Key{"pack_wait_us", "how long small objects wait to share a frame"},
                 stream.pack_wait_us, {0, 1'000'000, "us"});
  visitor.number(Key{"gap_deadline_ms", "live: age at which a gap is given up"},
                 stream.gap_deadline_ms, {10, 3'600'000, "ms"});
  take_list(
      visitor, Key{"origins", "public keys (64 hex digits) of allowed origins; empty: any"},
      stream.origins, 256, [](const PublicKey& key) { return to_hex(key); }, parse_key);
  take_list(
      visitor,
      Key{"guests",
          "node ids (32 hex digits) that this node lets into the stream's subnetwork; empty: all"},
      stream.guests, guests_max, [](const NodeId& id) { return id.hex(); }, parse_node_id);
}

void visit(FieldVisitor& visitor, repair::RepairConfig& repair) {
  visitor.flag(Key{"enabled", "ask neighbours for what is missing"}, repair.enabled);
  visitor.milliseconds(Key{"first_wait_ms", "allowance for reordering before the first request"},
                       repair.first_wait_ns, {0, 10'000, "ms"});
  visitor.milliseconds(Key{"retry_min_ms", "least time between two requests for one frame"},
                       repair.retry_min_ns, {1, 10'000, "ms"});
  visitor.milliseconds(Key{"retry_max_ms", "most time between them"}, repair.retry_max_ns,
                       {1, 60'000, "ms"});
  visitor.milliseconds(Key{"tip_interval_ms", "tips while frames move"}, repair.tip_interval_ns,
                       {10, 10'000, "ms"});
  visitor.milliseconds(Key{"tip_idle_ms", "tips of an idle stream"}, repair.tip_idle_ns,
                       {10, 60'000, "ms"});
  visitor.number(Key{"nacks_per_tick_max", "requests per stream and tick"},
                 repair.nacks_per_tick_max, {1, 1024, "messages"});
  visitor.number(Key{"outstanding_max", "frames of a stream asked for at once"},
                 repair.outstanding_max, {1, 65'536, "frames"});
}

void visit(FieldVisitor& visitor, MetricsConfig& metrics) {
  take_endpoint(visitor,
                Key{"address",
                    "ip:port that serves /metrics over HTTP to whoever reaches it, e.g. "
                    "127.0.0.1:9100; unset: nothing is served"},
                metrics.address);
}

void visit(FieldVisitor& visitor, RestConfig& rest) {
  take_endpoint(visitor,
                Key{"address",
                    "ip:port that serves the commands over HTTP, e.g. 127.0.0.1:8080; unset: "
                    "nothing is served"},
                rest.address);
  visitor.path(Key{"token",
                   "file of the token that writes have to show; needed where the address "
                   "is not a loopback one"},
               rest.token_file);
}

void visit(FieldVisitor& visitor, MembershipConfig& membership) {
  take_endpoint(visitor,
                Key{"address",
                    "ip:port that takes sessions of other nodes (TCP); port 0: any; unset: this "
                    "node knows only its [[peer]]s"},
                membership.address);
  visitor.path(Key{"genesis", "file that the network begins with; unset: anyone is admitted"},
               membership.genesis_file);
  take_list(
      visitor, Key{"trackers", "ip:port of nodes that tell whom to join; empty: the first node"},
      membership.trackers, trackers_max,
      [](const Endpoint& tracker) { return port::to_text(tracker); }, port::parse_endpoint);
  visitor.flag(Key{"supernode", "redirects newcomers and carries no stream"},
               membership.is_supernode);
  visitor.path(Key{"state", "file that remembers members over a restart; unset: nobody is"},
               membership.state_file);
  visitor.number(
      Key{"degree", "links that this node asks for; 0: what the genesis file says, or 8"},
      membership.degree, {0, degree_max, "links"});
  visitor.flag(Key{"behind_nat",
                   "nobody can dial this node: its trackers pass on what is for it, and its links "
                   "are made by hole punching"},
               membership.is_behind_nat);
  take_endpoint(visitor,
                Key{"relay",
                    "ip:port (UDP, and the ports after it) where this node serves those behind a "
                    "NAT; unset: it does not"},
                membership.relay);
  visitor.number(Key{"relay_pairs",
                     "pairs of nodes that datagrams are forwarded between, each on "
                     "a port of its own behind the first two"},
                 membership.relay_pairs, {1, relay_pairs_max, "pairs"});
  visit_rate(visitor,
             Key{"relay_rate", "of a pair, both directions; \"unlimited\" or as in [[peer]]"},
             membership.relay_rate_bits_per_s);
}

}  // namespace chaincast::node
