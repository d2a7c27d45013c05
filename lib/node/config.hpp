// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "identity/genesis.hpp"
#include "identity/identity.hpp"
#include "ops/ops.hpp"
#include "port/port.hpp"
#include "repair/repair.hpp"
#include "vote/vote.hpp"
#include "wire/descriptor.hpp"

// A node's configuration: one TOML file (docs/configuration.md), and the same as plain values.
// Pure but for load_config, which reads the file; any thread. Values here are checked: ranges,
// references between sections, what suites allow. Secrets and keys are file names, and what the
// files held when they were read (key_files.hpp); only the names are shown and saved.
namespace chaincast::node {

enum class Idle : uint8_t { sleep, poll };
enum class CryptoChoice : uint8_t { automatic, ipsec_mb, openssl };
enum class LogLevel : uint8_t { trace, debug, info, warning, error };
enum class PortDriver : uint8_t { udp, ethdev };
enum class CopyMode : uint8_t { automatic, shared, linear };
enum class ChecksumMode : uint8_t { automatic, software, hardware };

// What `version` at the top of a file may say, and what it says where it is left out. It is raised
// when a key changes its meaning; a file of a later version is refused whole.
inline constexpr uint64_t config_version = 1;
inline constexpr size_t config_bytes_max = 1024 * 1024;
inline constexpr size_t ports_max = 32;
inline constexpr size_t peers_max = 1024;
inline constexpr size_t streams_max = 1024;
inline constexpr size_t trackers_max = 16;
inline constexpr size_t guests_max = 1024;
inline constexpr unsigned degree_max = 32;
inline constexpr unsigned tolerated_max = 24;  // of as many parents as a node can have links
inline constexpr unsigned relay_pairs_max = 512;
inline constexpr uint16_t udp_port_default = 7000;
inline constexpr unsigned votes_default_percent = 50;  // without a genesis file
inline constexpr unsigned malicious_default = 30;      // percent of a stream's members

struct NodeConfig {
  std::string name;
  std::string key_file;                 // identity: Ed25519 seed, made by `chaincast keygen`
  std::optional<PublicKey> public_key;  // of what key_file held
  std::string socket;                   // resolved by the parser, see default_socket
  std::string network;                  // network id: 64 hex digits, or a text whose SHA-256 it is
  unsigned workers = 1;
  std::vector<unsigned> worker_cpus;  // one per worker, or empty: any
  Idle idle = Idle::sleep;
  CryptoChoice crypto = CryptoChoice::automatic;
  LogLevel log_level = LogLevel::info;
  std::vector<std::string> eal;  // EAL options
  uint32_t pool_mbufs = 0;       // 0: computed from ports and peers
  uint32_t memory_mb = 0;        // for EAL without hugepages; 0: computed from pool_mbufs
  uint32_t drain_timeout_s = 5;
};

// The impairing wrapper around a port (drivers/port/link), on what it sends.
struct Impairment {
  uint32_t delay_ms = 0;
  uint32_t jitter_ms = 0;
  double loss = 0;  // probabilities, 0..1
  double duplicate = 0;
  double reorder = 0;
  uint64_t rate_bits_per_s = 0;  // 0: unlimited
  uint64_t seed = 1;
};

struct InterfaceAddress {
  Endpoint address;  // port unused
  uint8_t prefix_bits = 0;
};

struct PortConfig {
  std::string name;
  PortDriver driver = PortDriver::udp;
  port::Role role = port::Role::fabric;
  std::optional<Endpoint> address;   // udp: own address and base of the UDP ports
  std::string device;                // ethdev: PCI address or device string
  std::vector<std::string> members;  // ethdev: what a net_bonding device is made of
  std::vector<InterfaceAddress> ip;  // ethdev
  std::vector<Endpoint> gateways;    // ethdev: at most one per family; port unused
  uint16_t vlan = 0;                 // ethdev: 802.1Q tag of what it sends and takes; 0: none
  std::optional<uint16_t> udp_port;  // ethdev: base of the UDP ports; else udp_port_default
  uint16_t mtu_bytes = 1500;
  unsigned queues = 0;  // 0: one per worker, and one for control where it gets filled
  CopyMode copy = CopyMode::automatic;
  ChecksumMode checksum = ChecksumMode::automatic;
  bool promisc = false;
  std::optional<Impairment> link;
};

struct PeerConfig {
  std::string name;
  Endpoint address;  // of its lane 0
  std::string port;  // resolved by the parser where only one fabric port exists
  std::string secret_file;
  std::optional<identity::SecretFile> secret;  // what secret_file held
  std::optional<NodeId> node;    // expected identity; anyone with the secret if absent
  uint64_t rate_bits_per_s = 0;  // 0: unlimited
  uint64_t receive_rate_bits_per_s = 0;
  bool check = true;
  uint32_t queue_packets = 1024;
};

struct StreamConfig {
  std::string name;  // the resource id
  std::string secret_file;
  std::optional<identity::SecretFile> secret;  // what secret_file held
  bool publish = false;
  wire::Suite suite = wire::Suite::sha256_gmac;
  std::string payload = "default";                       // or lan, jumbo, a number of bytes
  uint16_t payload_bytes = wire::payload_default_bytes;  // resolved by the parser
  uint32_t object_bytes_max = 1u << 20;
  uint32_t rate_frames_per_s = 10'000;
  uint32_t window_frames = 0;                        // a power of two; 0: from the rate
  wire::Delivery delivery = wire::Delivery::linked;  // final where keeping = "kept"
  wire::Keeping keeping = wire::Keeping::live;
  std::optional<unsigned> votes_percent;   // none: of a host the network's, of a member the host's
  unsigned tolerated = 0;                  // parents that may lie together, at this node
  unsigned malicious = malicious_default;  // percent of the members, at this node
  bool routes = false;
  uint32_t statement_frames = 256;
  uint32_t statement_interval_ms = 10;
  uint32_t pack_wait_us = 0;
  uint32_t gap_deadline_ms = 2000;
  std::vector<PublicKey> origins;  // allow list; empty: any
  std::vector<NodeId> guests;      // with membership: whom this node lets in; empty: anyone

  void set_votes(const vote::Rule& rule) {
    votes_percent = rule.percent;
    tolerated = rule.tolerated;
    malicious = rule.malicious;
  }
};

// For tools that watch a node (docs/observing.md).
struct MetricsConfig {
  std::optional<Endpoint> address;  // of the HTTP server; none unless set
};

// The commands over HTTP (docs/rest.md).
struct RestConfig {
  std::optional<Endpoint> address;  // none unless set
  std::string token_file;           // empty: whoever reaches a loopback address may write
};

// Coming into a network by itself instead of by [[peer]] (docs/membership.md).
struct MembershipConfig {
  std::optional<Endpoint> address;           // where sessions are taken; none: no membership
  std::string genesis_file;                  // empty: anyone is admitted
  std::optional<identity::Genesis> genesis;  // what genesis_file held
  std::vector<Endpoint> trackers;            // empty: the first of a network
  bool is_supernode = false;                 // redirects newcomers, carries no stream
  std::string state_file;                    // empty: nobody is remembered over a restart
  unsigned degree = 0;                       // links asked for; 0: the genesis file's, else 8
  bool is_behind_nat = false;     // nobody can dial it; its trackers pass on what is for it
  std::optional<Endpoint> relay;  // where it does so for others, UDP; none: it does not
  unsigned relay_pairs = 32;      // that it forwards datagrams between at most
  uint64_t relay_rate_bits_per_s = 100'000'000;  // of each; 0: unlimited
};

struct Config {
  std::string file;  // where it came from; not part of show, save or comparison
  NodeConfig node;
  std::vector<PortConfig> ports;
  std::vector<PeerConfig> peers;
  std::vector<StreamConfig> streams;
  repair::RepairConfig repair;
  MetricsConfig metrics;
  RestConfig rest;
  MembershipConfig membership;
};

// Reads and parses a file; relative paths in it are relative to its directory. Errors: `io` naming
// the file, or those of parse_config.
Result<Config> load_config(const std::string& path);

// `name` stands in messages; paths that are relative are put behind `directory` (kept as they are
// if it is empty). Every problem of the file (at most 20) is a line of one `invalid` error:
// "FILE:LINE: SECTION KEY: problem; remedy".
Result<Config> parse_config(std::string_view text, const std::string& name,
                            const std::string& directory);

// What the ranges of single values cannot say. Empty if all is well. For changes at run time.
struct Problem {
  std::string section;  // "node", "port", "peer", "stream"
  size_t index = 0;     // within its kind
  std::string key;
  std::string message;
};
std::vector<Problem> check_config(const Config& config);
// Sets what follows from other values: the port of a peer, the payload of a stream in bytes.
std::vector<Problem> resolve_config(Config& config);

// "100Mbit", "unlimited" (0). Units bit, kbit, Mbit, Gbit (per second, powers of 1000).
Result<uint64_t> parse_rate(const std::string& text);

// A TOML text whose parse gives the same to_json().
std::string save_config(const Config& config);
// `show config --json`, and its schema (ops/schema.hpp).
ops::Json to_json(const Config& config);
ops::Json config_schema();
// A file with every key and a comment for each, for --example-config. It parses.
std::string example_config();
// The tables of docs/configuration.md: every key, its type, range, unit, default, meaning.
std::string config_reference_markdown();

// Where the control socket is unless set: /run/chaincast/NAME.sock for a configuration under /etc,
// else beside the configuration.
std::string default_socket(const std::string& name, const std::string& directory);
// The 32 bytes of a `network` written as 64 hex digits; otherwise its SHA-256 is the id.
std::optional<Digest> network_from_hex(const std::string& network);
// log2 of the window: as configured, or the next power of two above half a second of the rate.
uint8_t window_log2_of(const StreamConfig& stream);
// The descriptor this stream asks for; network, origin, incarnation and signature are left open.
wire::Descriptor descriptor_of(const StreamConfig& stream);

}  // namespace chaincast::node
