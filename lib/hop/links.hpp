// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "crypto/link_key.hpp"
#include "wire/control.hpp"

// The control half of links: hello with address challenge, keys, keepalive, round-trip time, path
// MTU probing (RFC 8899), reports, close. A pure machine: (message or timer, now) in, outputs out.
// Driven by the daemon's control thread and by the simulator.
namespace chaincast::hop {

inline constexpr size_t path_endpoints_max = 8;  // of each list of Paths

// Where a peer may be reached of which no address is certain: one of the two is behind a NAT
// (docs/membership.md, "Behind a NAT"). All are asked; the link is with the address that the
// challenge came back from, whichever that is.
struct Paths {
  std::vector<Endpoint> own;      // of its ports, as it says
  std::vector<Endpoint> seen;     // what a NAT makes of its port, as others see it
  std::optional<Endpoint> relay;  // of a node that forwards between the two
  // Its NAT gives each destination another port and ours does not: the ports of the first `seen`
  // are asked one after another, each once.
  bool searches = false;
  bool operator==(const Paths&) const = default;
};
enum class Path : uint8_t { direct, punched, relayed };

struct LinkConfig {
  std::string name;
  Endpoint remote;             // where the peer's lane 0 listens; with `paths`: the last that did
  Secret secret{};             // link secret of the two nodes; input to HKDF only
  std::optional<NodeId> node;  // expected identity; anyone with the secret if absent
  bool check_off = false;
  uint16_t mtu_bytes = 1500;  // of the local port
  // Of the local port: one UDP port more than LinksConfig says, and the first for lane 0 alone.
  bool control_port = false;
  // With it `node` is set, and hellos of that node are taken from any address; both ends use one
  // UDP port for all lanes.
  std::optional<Paths> paths;
};

struct LinkTimers {
  TimeNs hello_min_ns = 200 * ns_per_ms;  // first retry; doubles up to hello_max_ns, with jitter
  TimeNs hello_max_ns = 5 * ns_per_s;
  TimeNs keepalive_ns = 1 * ns_per_s;
  TimeNs dead_ns = 5 * ns_per_s;  // nothing heard: down
  TimeNs report_ns = 1 * ns_per_s;
  TimeNs upgrade_ns = 10 * ns_per_s;       // over a relay, until other paths are asked again
  TimeNs search_wait_ns = 2 * ns_per_s;    // of asking, until ports are searched
  TimeNs search_pace_ns = 10 * ns_per_ms;  // between search_burst ports
};

enum class LinkState : uint8_t {
  never_heard,
  connecting,
  up,
  down,
  wrong_key,
  wrong_version,
  duplicate_id
};

struct LinkStatus {
  LinkState state = LinkState::never_heard;
  NodeId node;
  TimeNs last_heard_ns = 0;  // 0: never
  TimeNs rtt_ns = 0;         // smoothed (RFC 6298); 0: not measured
  TimeNs rtt_min_ns = 0;
  uint16_t mtu_bytes = 0;  // largest IP packet proven to pass; 0 before the first probe
  double loss = 0;         // share lost of what we sent, from the peer's last report
  uint8_t version = 0;
  bool check_off = false;
  uint64_t sessions = 0;  // times the link came up
  Path path = Path::direct;
  std::string detail;  // for a person: what is wrong and what to do
};

// One direction of one lane, as the data plane needs it.
struct LaneKeys {
  uint32_t link_id = 0;
  crypto::LinkKey key;
};

// A link came up (or was rekeyed): replace both ends of every lane.
struct LinkUp {
  uint32_t peer = 0;
  NodeId node;
  Endpoint remote;
  uint16_t remote_ports = 1;         // the peer listens on remote.port .. + remote_ports - 1
  bool remote_control_port = false;  // the first of these is for lane 0 alone
  uint32_t suites = 0;               // bit per wire::Suite that the peer can verify
  bool check_off = false;
  std::vector<LaneKeys> tx;  // [0] lane 0, [1 + w] worker w
  std::vector<LaneKeys> rx;  // lanes on which the peer sends to us
};
struct LinkDown {
  uint32_t peer = 0;
  std::string why;
};
struct LinkMessage {  // an unsealed message for another machine (descriptor, nack, tip, ...)
  uint32_t peer = 0;
  wire::ControlMessage message;
};
struct LinkChanged {  // path MTU, rtt or state changed: republish, log one line
  uint32_t peer = 0;
};
using LinkEvent = std::variant<LinkUp, LinkDown, LinkMessage, LinkChanged>;

// A datagram to send, with DF set. Hellos are complete; sealed ones (mtu probes, which are longer
// than the path may carry, included) lack link id, seq and check, which the worker that owns lane 0
// stamps (tag_xor is given).
struct LinkTransmit {
  uint32_t peer = 0;
  Endpoint to;
  bool is_hello = false;
  Bytes bytes;           // from the hop header on; for sealed ones the hop header is unstamped
  uint32_t tag_xor = 0;  // sealed only
};

// Drain it after each call, in this order: LinkUp events (the first sealed message of a session
// needs its lanes), then transmits (a Close still needs the lanes), then all other events.
struct LinkOutput {
  std::vector<LinkTransmit> transmits;
  std::vector<LinkEvent> events;
};

struct LinksConfig {
  NodeId node;
  PublicKey key{};
  uint32_t suites = 0;    // bit per wire::Suite
  uint16_t tx_lanes = 1;  // bulk lanes (workers)
  uint16_t receive_ports = 1;
  LinkTimers timers;
  // Fast-path counters of a peer's receive lanes, for reports; zeros in the simulator.
  std::function<wire::Report(uint32_t peer)> receive_counters;
  // Newest arrival on any lane of the peer (monotonic ns), so that data counts as a sign of life.
  std::function<TimeNs(uint32_t peer)> last_heard;
  // Free link ids of this node (LaneTable::allocate) and their return.
  std::function<uint32_t(uint32_t random)> allocate_link_id;
  std::function<void(uint32_t link_id)> release_link_id;
};

// What was refused on the control path, for `show drops`.
struct LinkCounters {
  uint64_t malformed = 0;        // hello or sealed message that does not parse
  uint64_t unknown_address = 0;  // hello from an address that no peer is configured with
  uint64_t over_budget = 0;      // hellos beyond hello_burst / hello_interval_ns of one address
  uint64_t bad_mac = 0;          // hello under another secret
  uint64_t reflected = 0;        // hello that carries our own node id
  uint64_t wrong_node = 0;       // authentic hello of a node that is not the configured one
  uint64_t wrong_version = 0;
  uint64_t unexpected = 0;  // answer or confirm that belongs to no attempt of now (old, replayed)
  uint64_t no_session = 0;  // sealed, but the link is not up
  uint64_t bad_seal = 0;    // sealed under other keys, or altered
  uint64_t replayed = 0;    // control counter seen already
  uint64_t unsupported = 0;
  uint64_t no_link_id = 0;  // lane table full
};

inline constexpr unsigned peers_max = 1024;
inline constexpr unsigned hello_burst = 100;  // hellos taken at once from one address
inline constexpr TimeNs hello_interval_ns = 10 * ns_per_ms;  // and one more each
inline constexpr unsigned search_burst = 20;
inline constexpr uint16_t search_port_min = 1024;  // what a NAT gives out

// All links of one node. Control thread only. `random` is the machine's only source of randomness
// for timers; nonces come from `toolbox` in the daemon and from a seeded one in the simulator.
//
// Cost: a call is O(1) but for tick() and next_timer_ns(), which look at every peer. Memory: about
// 2 KiB a peer plus 2 x 65 link ids; nothing grows with what arrives.
class Links {
 public:
  // `config.node` must be the first 16 bytes of SHA-256(config.key); `toolbox` outlives the object.
  Links(LinksConfig config, const crypto::Toolbox& toolbox, uint64_t seed);
  ~Links();

  // Index of the new peer: the lowest free one. `exists` on a duplicate name or address, `refused`
  // beyond peers_max.
  Result<uint32_t> add(const LinkConfig& config, TimeNs now_ns);
  // Says goodbye, then forgets everything about the peer.
  Status remove(uint32_t peer, TimeNs now_ns, LinkOutput& out);

  // The link is lost for a reason that silence has not told yet: down at once, and asked for.
  void lose(uint32_t peer, const std::string& why, TimeNs now_ns, LinkOutput& out);
  // Of the local port. Both ends learn of it with a new session, which this asks for.
  void set_mtu(uint32_t peer, uint16_t mtu_bytes, TimeNs now_ns, LinkOutput& out);
  // Of a peer that was added with some. What is new is asked at once, unless the link is up and not
  // over a relay.
  void set_paths(uint32_t peer, const Paths& paths, TimeNs now_ns);

  // A hello or sealed control datagram, from the hop header on. `peer` is known for sealed ones
  // (its lane was found), no_peer for hellos.
  void receive(const Endpoint& from, ByteSpan datagram, uint32_t peer, TimeNs now_ns,
               LinkOutput& out);
  // Call at or after next_timer_ns().
  void tick(TimeNs now_ns, LinkOutput& out);
  TimeNs next_timer_ns() const;

  // Seals and queues a message of another machine. False while the link is not up.
  bool send(uint32_t peer, const wire::ControlMessage& message, LinkOutput& out);
  // A keepalive outside the schedule; the next LinkStatus::rtt_ns is its answer (`ping PEER`).
  bool ping(uint32_t peer, TimeNs now_ns, LinkOutput& out);
  // Close on every link that is up; afterwards the machine neither sends nor listens.
  void shutdown(TimeNs now_ns, LinkOutput& out);

  const LinkStatus& status(uint32_t peer) const;
  const LinkConfig& config(uint32_t peer) const;
  std::vector<uint32_t> peers() const;
  const LinkCounters& counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chaincast::hop
