// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mempool.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/thread.hpp"
#include "cli/console.hpp"
#include "crypto/crypto.hpp"
#include "identity/identity.hpp"
#include "node/carrier.hpp"
#include "node/config.hpp"
#include "node/line.hpp"
#include "node/log.hpp"
#include "node/mailer.hpp"
#include "node/membership.hpp"
#include "node/peering.hpp"
#include "node/plane.hpp"
#include "node/pools.hpp"
#include "node/sight.hpp"
#include "ops/ops.hpp"
#include "worker/worker.hpp"

// A node is an object: several live in one process under one EAL. Nothing of it is global.
//
//   control thread: links, streams, repair, consoles, operations        (this class)
//   workers:        one Line each, over Plane                           (line.hpp)
//
// Control reaches the workers through Plane only: published snapshots, command rings, counters.
namespace chaincast::node {

class Changer;

// What a node needs from outside lib/: drivers and the process. Outlives the node.
struct Environment {
  const base::ThreadStarter& threads;
  worker::Threads& worker_threads;
  const crypto::Toolbox& toolbox;
  std::function<Result<std::unique_ptr<crypto::FrameEngine>>(CryptoChoice)> make_engine;
  // Its datagrams carry `id` (stage::Datagram::port_id); `pool` is where received packets go.
  std::function<Result<std::unique_ptr<port::Port>>(const PortConfig&, uint16_t id,
                                                    unsigned workers, rte_mempool* pool)>
      make_port;
  std::function<void(LogLevel, const std::string&)> log;
  // Sessions with other nodes, under this node's key; no function: membership is refused.
  std::function<Result<std::unique_ptr<session::Sessions>>(const session::Config&,
                                                           const crypto::Signer&)>
      make_sessions = {};
  // UDP sockets at this address and `count` - 1 ports after it; no function: no node relays.
  std::function<Result<std::unique_ptr<punch::Sockets>>(const Endpoint&, unsigned count)>
      make_relay_sockets = {};
  // NUMA node of the device that a port will use; -1, or no function: unknown.
  std::function<int(const PortConfig&)> numa_node = {};
};

// Bytes of DPDK memory that the node's pools want.
size_t pool_memory_bytes(const Config& config);

class Node final : public cli::Service {
 public:
  // Makes pools, ports, links, streams and workers; nothing runs yet. Fails as a whole.
  // EAL must be up.
  static Result<std::unique_ptr<Node>> create(Config config, const Environment& environment);
  ~Node() override;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Either: starts the workers' threads; the caller then turns control_turn() in a loop (run()).
  Status start_workers();
  // Or: one turn of everything on the calling thread, which is registered with rcu.
  void step(TimeNs now_ns);

  // Serves consoles and timers until `quit` or request_stop(), then drains. Exit code: 0, or 2 if
  // the drain timed out. Control thread.
  int run();
  // Any thread, also from a signal handler.
  void request_stop() noexcept { stop_requested_.store(true, std::memory_order_relaxed); }

  bool is_stopping() const noexcept { return stop_requested_.load(std::memory_order_relaxed); }

  // One bounded turn of control. Returns when the next one is due.
  TimeNs control_turn(TimeNs now_ns);
  // Last statements, queues sent, goodbye on the links. False if it took longer than allowed.
  bool drain();

  // Consoles are polled by run(); the node does not own them.
  void attach(cli::Console& console) { consoles_.push_back(&console); }

  // ---- cli::Service ----
  ops::Reply run(std::string_view line) override;
  ops::Reply run_in(cli::SessionId session, std::string_view line) override;
  cli::SessionId open_session() override { return ++last_session_; }
  void close_session(cli::SessionId session) override;
  std::vector<std::string> complete(std::string_view line) override;
  ops::Json status() override;
  Result<cli::StreamInfo> stream(std::string_view name) override;
  cli::PublishResult publish(std::string_view stream, ByteSpan object) override;
  Result<cli::SubscriptionId> subscribe(std::string_view stream,
                                        cli::Subscriber* subscriber) override;
  void unsubscribe(cli::SubscriptionId subscription) override;

  // ---- operations (commands_*.cpp) ----
  Status add_port(const PortConfig& config);
  Status remove_port(const std::string& name);
  Status add_peer(const PeerConfig& config);
  Status remove_peer(const std::string& name);
  Status add_stream(const StreamConfig& config);
  // Links that membership makes: not part of the configuration.
  // With `paths` (one of the two is behind a NAT) to wherever a hello comes back from.
  Status open_link(const std::string& name, const NodeId& node,
                   const std::vector<Endpoint>& endpoints, const Secret& secret,
                   const std::optional<hop::Paths>& paths);
  void close_link(const std::string& name);
  Status remove_stream(const std::string& name);

  struct PortRecord {
    PortConfig config;
    std::unique_ptr<port::Port> port;
    uint16_t id = 0;
    bool is_started = false;
    bool has_link = true;         // as last logged
    bool was_cut_off = false;     // stopped for a restart that then failed
    rte_mempool* pool = nullptr;  // it receives into
    TimeNs control_due_ns = 0;
  };
  const std::vector<std::unique_ptr<PortRecord>>& ports() const { return ports_; }
  Result<PortRecord*> find_port(const std::string& name_or_id);
  Status set_port_started(PortRecord& record, bool started);
  // Stops it, does the change, starts it again if it ran. `change` fails as a whole or not at all.
  Status change_port(PortRecord& record, const std::function<Status(port::Port&)>& change);
  Status set_port_mtu(PortRecord& record, uint16_t mtu_bytes);
  Status set_port_promiscuous(PortRecord& record, bool is_on);

  Changer& changer() { return *changer_; }
  // Whose command runs; 0: nobody's whose connection matters.
  cli::SessionId session() const { return session_; }

  Config& config() { return config_; }
  Plane& plane() { return plane_; }
  Peering& peering() { return *peering_; }
  Carrier& carrier() { return *carrier_; }
  // Null where the configuration has none.
  Membership* membership() { return membership_.get(); }
  Sight& sight() { return *sight_; }
  Log& log() { return log_; }
  const ops::Table& table() const { return table_; }
  const identity::Identity& identity() const { return identity_; }
  const crypto::Toolbox& toolbox() const { return environment_.toolbox; }
  const Mailer& mailer() const { return *mailer_; }
  Mailer& mailer() { return *mailer_; }
  const std::vector<std::unique_ptr<Line>>& lines() const { return lines_; }
  const std::vector<std::unique_ptr<worker::Worker>>& workers() const { return workers_; }
  const Pools& pools() const { return pools_; }
  rcu::Retirer& retirer() { return retirer_; }
  TimeNs now_ns() const { return clock_.now_ns(); }
  TimeNs started_ns() const { return started_ns_; }
  // Drops over all workers, since the start or the last `clear`.
  uint64_t drops(stage::Drop reason) const;
  void clear_drops();
  void set_idle(Idle idle);
  void set_log_level(LogLevel level);
  void set_repair(const repair::RepairConfig& repair);
  Status set_votes(const std::string& stream, const vote::Rule& rule);
  Status set_peer_rate(const std::string& name, uint64_t rate_bits_per_s);

 private:
  Node(Config config, const Environment& environment, identity::Identity identity);
  Status make_workers();
  Status make_features();
  Status make_membership(const Digest& network);
  Status open_sessions();
  Status open_relay();
  MembershipHooks membership_hooks();
  void send_probe(const Endpoint& to, const Bytes& datagram);
  void publish_receive_plan();
  void receive_control(TimeNs now_ns);
  TimeNs turn_ports(TimeNs now_ns);
  void follow_link(PortRecord& record, TimeNs now_ns);
  void reconnect(PortRecord& record);
  void wait_for_workers();
  void poll_descriptors(TimeNs until_ns);

  Config config_;
  const Environment& environment_;
  MonotonicClock clock_;
  Log log_;
  identity::Identity identity_;
  const TimeNs started_ns_;
  std::atomic<bool> stop_requested_{false};
  bool is_threaded_ = false;

  Pools pools_;  // outlives all that holds buffers
  rcu::Retirer retirer_;
  Plane plane_;
  std::unique_ptr<Sight> sight_;
  std::vector<std::unique_ptr<PortRecord>> ports_;
  std::unique_ptr<Mailer> mailer_;
  std::unique_ptr<Carrier> carrier_;
  std::unique_ptr<Peering> peering_;
  std::unique_ptr<Membership> membership_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<std::unique_ptr<worker::Worker>> workers_;
  std::unique_ptr<Changer> changer_;
  cli::SessionId session_ = 0;
  cli::SessionId last_session_ = 0;
  ops::Table table_;
  std::vector<cli::Console*> consoles_;
  std::array<uint64_t, stage::drop_count> drops_cleared_{};
};

}  // namespace chaincast::node
