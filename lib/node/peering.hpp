// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fanout/queue.hpp"
#include "hop/links.hpp"
#include "node/mailer.hpp"
#include "node/plane.hpp"

// Peers of one node: drives the link machine, turns its events into lanes and peer snapshots for
// the workers.
namespace chaincast::node {

struct PeerSettings {
  hop::LinkConfig link;
  port::Port* port = nullptr;
  uint64_t rate_bytes_per_s = 0;  // 0: unlimited
  uint64_t receive_rate_bytes_per_s = 0;
  unsigned queue_packets = 1024;
  bool copy_forced = false;  // port setting `copy`: overrides capabilities
  bool copy_shared = false;
};

struct PeeringConfig {
  NodeId node;
  PublicKey key{};
  uint32_t suites = 0;
  unsigned workers = 1;
  uint64_t seed = 1;
  hop::LinkTimers timers;
};

// What the streams of the node want to know about links.
class PeerListener {
 public:
  virtual ~PeerListener() = default;
  virtual void on_peer_up(uint32_t peer, TimeNs now_ns) = 0;
  virtual void on_peer_down(uint32_t peer, TimeNs now_ns) = 0;
  virtual void on_path_changed(uint32_t peer, TimeNs now_ns) = 0;
  virtual void on_message(uint32_t peer, const wire::ControlMessage& message, TimeNs now_ns) = 0;
};

// One line per state change, for the log: (peer name, text).
using PeerLog = std::function<void(const std::string& peer, const std::string& text)>;

// Control thread only.
class Peering {
 public:
  Peering(PeeringConfig config, Plane& plane, Mailer& mailer, rcu::Retirer& retirer,
          const crypto::Toolbox& toolbox, PeerListener& listener, PeerLog log);
  ~Peering();

  Result<uint32_t> add(const PeerSettings& settings, TimeNs now_ns);
  // Says goodbye, empties the peer's queues and frees all that was kept for it.
  Status remove(const std::string& name, TimeNs now_ns);
  // A control datagram or hello from a worker.
  void receive(const ControlDatagram& datagram, TimeNs now_ns);
  // Who takes answers to probes, which come as hellos do.
  using ProbeHandler = std::function<void(const Endpoint& from, ByteSpan datagram, TimeNs now_ns)>;
  void set_probe_handler(ProbeHandler handler) { on_probe_ = std::move(handler); }
  // Of a peer that was added with some.
  void set_paths(uint32_t peer, const hop::Paths& paths, TimeNs now_ns);
  void tick(TimeNs now_ns);
  TimeNs next_timer_ns() const;
  // False while the link is not up.
  bool send(uint32_t peer, const wire::ControlMessage& message);
  bool ping(uint32_t peer, TimeNs now_ns);
  // Close on every link, and wait until the workers have sent it.
  void shutdown(TimeNs now_ns);

  // A peer whose link is up and whose next hop is resolved.
  bool is_up(uint32_t peer) const;
  // Why nothing can be sent to the peer's address; empty where something can.
  const std::string& next_hop_problem(uint32_t peer) const {
    return records_.at(peer).next_hop_problem;
  }
  // Bytes of frames one datagram to the peer may carry (path MTU less headers); 0 while down.
  size_t frame_room_bytes(uint32_t peer) const;
  std::vector<uint32_t> peers() const { return links_->peers(); }
  std::vector<uint32_t> peers_up() const;
  const hop::LinkStatus& status(uint32_t peer) const { return links_->status(peer); }
  const std::string& name(uint32_t peer) const { return records_.at(peer).settings.link.name; }
  const hop::Links& links() const { return *links_; }
  Result<uint32_t> find(const std::string& name) const;
  bool uses_port(const port::Port* port) const;
  // A port that is about to stop, or has started again: its peers leave the workers' snapshot, or
  // return to it. The links stay.
  void pause_port(const port::Port* port, bool is_paused);
  // All links over a port are lost at once, for this reason.
  void lose_port(const port::Port* port, const std::string& why, TimeNs now_ns);
  // A port has another MTU: its links make new sessions, which tell the other ends.
  void follow_mtu(const port::Port* port, TimeNs now_ns);
  // Copies lost for the peer, by reason, over all workers.
  uint64_t drops(uint32_t peer, stage::Drop reason) const;
  struct Traffic {
    uint64_t tx_datagrams = 0, tx_bytes = 0, tx_frames = 0;
    uint64_t rx_datagrams = 0, rx_bytes = 0, rx_lost = 0;
    std::vector<uint64_t> rx_lanes;  // [lane]: datagrams of the present session
  };
  Traffic traffic(uint32_t peer) const;
  Status set_rate(const std::string& name, uint64_t rate_bytes_per_s);
  const PeerSettings& settings(uint32_t peer) const { return records_.at(peer).settings; }

 private:
  struct Record {
    PeerSettings settings;
    bool is_up = false;        // by the link machine
    bool is_resolved = false;  // destinations are known
    bool was_announced = false;
    uint16_t mtu_bytes = 0;             // that the published snapshot uses
    uint64_t destinations_version = 0;  // of the port, when the next hop was resolved
    TimeNs resolved_ns = 0;
    std::string next_hop_problem;
    unsigned unreached = 0;  // hellos in a row
    hop::LinkUp link;
    std::vector<std::shared_ptr<hop::TxLane>> tx_lanes;
    std::vector<uint32_t> rx_link_ids;
    std::vector<port::Destination> destinations;
    std::shared_ptr<fanout::PeerState> state;
    std::shared_ptr<rate::Bucket> receive_budget;  // null: unlimited
    hop::LinkState logged = hop::LinkState::never_heard;
    uint64_t rx_datagrams = 0, rx_bytes = 0, rx_lost = 0;  // of retired lanes
  };

  void handle(hop::LinkOutput& out, TimeNs now_ns);
  void transmit(const hop::LinkTransmit& message);
  void note_next_hop(Record& record, uint32_t peer, const Status& reached);
  void on_up(const hop::LinkUp& up, TimeNs now_ns);
  void on_down(uint32_t peer, const std::string& why, TimeNs now_ns);
  void on_changed(uint32_t peer, TimeNs now_ns);
  void resolve(uint32_t peer, TimeNs now_ns);
  bool find_destinations(Record& record);
  void refresh(Record& record, TimeNs now_ns);
  void release_lane(uint32_t link_id);
  void publish();
  wire::Report receive_counters(uint32_t peer) const;
  TimeNs last_heard(uint32_t peer) const;
  uint16_t usable_mtu_bytes(uint32_t peer) const;
  fanout::Peer make_peer(uint32_t peer) const;

  const PeeringConfig config_;
  Plane& plane_;
  Mailer& mailer_;
  rcu::Retirer& retirer_;
  PeerListener& listener_;
  PeerLog log_;
  ProbeHandler on_probe_;
  std::map<uint32_t, Record> records_;
  std::map<uint32_t, std::unique_ptr<hop::RxLane>> rx_lanes_;  // by link id
  std::unique_ptr<hop::Links> links_;
  TimeNs next_resolve_ns_ = 0;
  std::set<const port::Port*> paused_ports_;
};

// "up", "down", "never heard", "wrong key", "wrong version", ...
const char* to_text(hop::LinkState state);

}  // namespace chaincast::node
