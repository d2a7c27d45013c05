// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "stage/burst.hpp"

// A port: where datagrams enter and leave. One class per kind in drivers/port/. Called at burst
// granularity, so the virtual call is paid once per burst.
namespace chaincast::port {

enum class Role : uint8_t {
  fabric,  // chaincast datagrams
  edge,    // a site's LAN; everything is counted as not_implemented for now
};

// What stands before the hop header of a datagram to one remote, made by control, immutable.
// For ports with headers: Ethernet, optional VLAN, IP and UDP with all constant fields filled in;
// lengths, UDP checksum and IPv4 header checksum are completed per copy by fanout.
struct Destination {
  Endpoint remote;           // address and UDP port
  uint16_t local_port = 0;   // UDP source port, host order
  uint8_t header_bytes = 0;  // 0 for ports that need none (udp)
  uint8_t l2_bytes = 0;
  uint8_t l3_bytes = 0;
  uint32_t l3_sum = 0;  // of the IPv4 header without length and checksum (port/checksum.hpp)
  uint32_t l4_sum = 0;  // of addresses, protocol and UDP ports: the constant part of UDP's sum
  std::array<uint8_t, 78> header{};  // Ethernet 14 + VLAN 4 + IPv6 40 + UDP 8, and room
};

// Where control and routes (lane 0) arrive, and with them ARP and all that is rare.
enum class ControlQueue : uint8_t {
  shared,  // in the queue of some bulk: what finds that one full is lost, whatever it is
  hashed,  // in any of several queues, behind the bulk with the same hash of addresses and ports
  own,     // in queue 0, and bulk in others
};

struct Capabilities {
  uint16_t rx_queues = 1;
  uint16_t tx_queues = 1;
  uint16_t mtu_bytes = 1500;     // largest IP packet
  bool shared_segments = false;  // takes a header mbuf chained to a shared payload
  bool udp_checksum = false;     // computes UDP checksums (fanout stores the pseudo-header sum)
  bool ipv4_checksum = false;
  bool steers_ports = false;  // queue q receives exactly UDP port base + q
  // UDP port base is lane 0's alone, and the bulk of worker w comes to base + 1 + w; else its port
  // is base + w.
  bool control_port = false;
  ControlQueue control_queue = ControlQueue::shared;
  uint16_t copybreak_bytes = 0;  // datagrams up to this are cheaper copied than shared
  // The driver sends what lies in these buffers as it is, and copies all else into them once more.
  // It receives into them, too: senders leave half of them. Null: it has no such preference.
  rte_mempool* send_pool = nullptr;
};

struct Counters {
  uint64_t rx_packets = 0, rx_bytes = 0, rx_missed = 0;
  uint64_t tx_packets = 0, tx_bytes = 0, tx_full = 0;  // tx_full: packets given back
  uint64_t tx_failed = 0;       // taken and refused for good: larger than the path carries, no copy
  uint64_t tx_unreachable = 0;  // taken, and the host or network has no way there
};

struct Info {
  std::string name;    // of the configuration
  std::string driver;  // "udp", or DPDK's driver name
  std::string device;  // address or device string
  uint16_t id = 0;
  Role role = Role::fabric;
  bool is_up = false;      // started, and the link is up
  bool is_present = true;  // false: the device is gone from the host
  bool is_promiscuous = false;
  uint16_t mtu_max_bytes = 0;  // that it could be set to; 0: unknown
  int numa_node = -1;
  uint16_t udp_port = 0;            // base of the UDP ports
  std::vector<Endpoint> addresses;  // own IP addresses, port = udp_port
  std::string mac;                  // empty without one
  // What else the driver has to say to people: (name, value), e.g. socket buffers, offloads.
  std::vector<std::pair<std::string, std::string>> details;
};

class Port {
 public:
  virtual ~Port() = default;

  // ---- worker; each queue belongs to one worker ----

  // Fills up to `max` datagrams, each in a one-segment mbuf that the caller owns and whose data is
  // exactly the datagram (headroom before it; not written by anyone else). Foreign and
  // malformed packets are counted into `drops` and freed; ARP, NDP and ICMP go to control.
  virtual unsigned receive(unsigned queue, stage::Datagram* out, unsigned max,
                           stage::Burst::Drops& drops) noexcept = 0;
  // Sends complete packets (headers of `to` stamped, if any) in order to one remote. Takes
  // ownership of the first n and returns n; the rest stays with the caller (the port is full).
  virtual unsigned transmit(unsigned queue, const Destination& to, rte_mbuf** packets,
                            unsigned count) noexcept = 0;
  // Housekeeping of a queue: answers from control, tx_done_cleanup.
  virtual void tick(unsigned queue, TimeNs now_ns) noexcept = 0;

  // ---- control thread ----

  virtual Info info() const = 0;
  virtual Capabilities capabilities() const = 0;
  virtual Counters counters() const = 0;
  // The driver's own counters by its own names, for people; empty where there are none.
  virtual std::vector<std::pair<std::string, uint64_t>> extended_counters() const { return {}; }
  // The headers towards `remote`, from UDP port `local_port`. Fails with `not_found` while the
  // next hop is unresolved (resolution has been started; try again later), `refused` where no
  // address of that family is configured; both name port, remote and remedy.
  virtual Result<Destination> destination(const Endpoint& remote, uint16_t local_port) = 0;
  // Raised when a next hop was found, moved or lost: destinations made before may be out of date.
  virtual uint64_t destinations_version() const { return 0; }
  // Timers and control packets (neighbour resolution). Returns when it wants the next turn; a port
  // that has nothing to do there never asks for one. An early turn is harmless.
  virtual TimeNs control(TimeNs) { return time_never; }
  // Whether the other end can be heard, as seen at the last control(): carrier, or a connected
  // process. True where nobody can tell.
  virtual bool has_link() const { return true; }
  // Its other end has gone and waits to be connected to anew, as stop() and start() do. As seen at
  // the last control().
  virtual bool wants_restart() const { return false; }
  // The three below say `unsupported` where the kind of port has no such thing.
  // The largest IP packet from now on. While stopped; on failure the old one stays. `refused` with
  // both numbers above what device and buffers allow.
  virtual Status set_mtu(uint16_t mtu_bytes);
  virtual Status set_promiscuous(bool is_on);
  // Takes the link itself down, or up again.
  virtual Status set_link(bool is_up);
  // Makes the device anew (it was unplugged, or its other end is another process now). While
  // stopped; on failure the port has no device and can be reset again.
  virtual Status reset() { return {}; }
  // Start and stop while no worker is inside a call of this port.
  virtual Status start() = 0;
  virtual void stop() = 0;
  // A descriptor that becomes readable when packets arrive, or -1: what an idle worker may wait on.
  virtual int wait_fd(unsigned queue) const = 0;
};

// Text form of an endpoint: "192.0.2.1:7000", "[2001:db8::1]:7000". Parsing takes exactly these
// (any valid spelling of the address, port 0..65535 in decimal); scoped addresses are refused.
std::string to_text(const Endpoint& endpoint);
bool is_loopback(const Endpoint& endpoint);
bool is_unspecified(const Endpoint& endpoint);  // 0.0.0.0 or ::
Result<Endpoint> parse_endpoint(const std::string& text);
// The address alone: "192.0.2.1", "2001:db8::1". Parsing leaves the port 0.
std::string address_text(const Endpoint& endpoint);
Result<Endpoint> parse_address(const std::string& text);

}  // namespace chaincast::port
