// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "identity/identity.hpp"
#include "node/ballots.hpp"
#include "node/config.hpp"
#include "node/delivery.hpp"
#include "node/mailer.hpp"
#include "node/peering.hpp"
#include "repair/repair.hpp"
#include "stream/descriptor.hpp"
#include "stream/origin.hpp"
#include "stream/receiver.hpp"

// The streams that one node carries: origins, receivers, repair, descriptors and delivery.
namespace chaincast::node {

inline constexpr size_t streams_per_resource_max = 16;
inline constexpr size_t stream_memory_bytes_max = size_t{4} << 30;
inline constexpr size_t descriptors_waiting_max = 64;

struct CarrierConfig {
  std::array<uint8_t, 32> network{};
  repair::RepairConfig repair;
  uint64_t seed = 1;
};

struct CarrierCounters {
  uint64_t descriptors_received = 0, descriptors_refused = 0, descriptors_sent = 0;
  uint64_t own_frames = 0, own_lost = 0;  // own_lost: no buffer or ring for a sealed frame
  uint64_t unknown_stream_messages = 0;
};

// One stream on this node.
struct Carried {
  std::shared_ptr<stream::Stream> stream;
  std::unique_ptr<stream::Origin> origin;  // null unless it is ours
  std::unique_ptr<Ballots> ballots;        // null unless delivered at `accepted`
  std::unique_ptr<stream::Receiver> receiver;
  std::unique_ptr<repair::Repair> repair;
  std::string resource;
  // What each peer that is up knows of the stream.
  struct Neighbour {
    bool knows = false;             // it sent a message about this stream
    bool is_refused = false;        // by it, or by us because its path is too small
    bool is_by_path = false;        // the latter
    bool may_change = false;        // refused for what its operator can still configure
    bool is_barred = false;         // refused by us: it is not let into the stream
    TimeNs descriptor_sent_ns = 0;  // repeated until it knows
    TimeNs descriptor_wait_ns = 0;
    std::string why;  // of a refusal, for people
    bool is_final() const { return is_refused && !may_change; }
  };
  std::map<uint32_t, Neighbour> neighbours;
  Seq quiet_seq = 0;  // highest seq when it last moved
  TimeNs quiet_since_ns = 0;
  // By the graph: its origin ran, and does not any more; until the stream moves again.
  NodeId origin_node;
  bool was_origin_live = false;
  bool is_origin_lost = false;
  TimeNs origin_lost_ns = 0;
};

// Control thread only.
class Carrier final : public PeerListener {
 public:
  using Log = std::function<void(const std::string& text)>;

  Carrier(CarrierConfig config, Plane& plane, Mailer& mailer, rcu::Retirer& retirer,
          const crypto::Toolbox& toolbox, std::unique_ptr<crypto::FrameEngine> engine,
          const crypto::Signer& signer, Log log);
  ~Carrier() override;
  // Before anything else; `peering` outlives the carrier's last call.
  void attach(Peering& peering) { peering_ = &peering; }

  // Which peers a resource's streams may go to; unless set, all. Asked when the two meet.
  using Gate = std::function<bool(uint32_t peer, const std::string& resource)>;
  void set_gate(Gate gate) { gate_ = std::move(gate); }

  // Who names parents and children of a stream; outlives the last poll. Unless set, nobody.
  void set_kinship(const Kinship* kinship) { kinship_ = kinship; }
  // P of streams of ours whose configuration states none.
  void set_votes_default(unsigned percent) { votes_default_percent_ = percent; }
  // This node's own rule for a resource: P and t of all its streams from now on, but for what
  // other nodes know of our origin's, whose descriptor is signed.
  Status set_votes(const std::string& name, const vote::Rule& rule);
  const FalseVoters& false_voters() const { return false_voters_; }

  // What every request for an unknown resource is answered.
  static Error not_configured(std::string_view name);
  // A resource of the configuration; starts an origin if it publishes. Without a secret nothing of
  // it is taken until one is given.
  Status add(const StreamConfig& config, const std::optional<identity::SecretFile>& secret,
             TimeNs now_ns);
  Status give(const std::string& name, const identity::SecretFile& secret);
  // Ends our origin with its last statement, forgets it, and gives the resource's other streams up
  // until a resource of that name comes again.
  Status remove(const std::string& name, TimeNs now_ns);
  // True if more is waiting.
  bool poll(TimeNs now_ns);
  TimeNs next_timer_ns(TimeNs now_ns) const;
  // Last statements of our origins; the caller keeps polling links until they have left.
  void end(TimeNs now_ns);

  cli::PublishResult publish(std::string_view name, ByteSpan object);
  Result<cli::StreamInfo> info(std::string_view name) const;
  Result<cli::SubscriptionId> subscribe(std::string_view name, cli::Subscriber* subscriber);
  void unsubscribe(cli::SubscriptionId subscription);

  void set_repair(const repair::RepairConfig& repair);
  bool is_repair_enabled() const { return config_.repair.enabled; }

  // For `show`.
  const std::map<StreamId, std::unique_ptr<Carried>>& carried() const { return carried_; }
  struct Resource {
    StreamConfig config;
    std::optional<crypto::StreamSecrets> secrets;
    Delivery delivery;
    StreamId own;  // our origin's stream; 0 if none
  };
  const std::map<std::string, std::unique_ptr<Resource>, std::less<>>& resources() const {
    return resources_;
  }
  const CarrierCounters& counters() const { return counters_; }

  void on_peer_up(uint32_t peer, TimeNs now_ns) override;
  void on_peer_down(uint32_t peer, TimeNs now_ns) override;
  void on_path_changed(uint32_t peer, TimeNs now_ns) override;
  void on_message(uint32_t peer, const wire::ControlMessage& message, TimeNs now_ns) override;

 private:
  class Sink;

  void on_descriptor(uint32_t peer, const Bytes& encoded, TimeNs now_ns);
  void on_refusal(uint32_t peer, const wire::RefuseStream& refusal, TimeNs now_ns);
  wire::StreamRefusal judge(const stream::SignedDescriptor& descriptor, Resource*& resource) const;
  Result<Carried*> carry(const stream::SignedDescriptor& descriptor, Resource& resource,
                         std::unique_ptr<stream::Origin> origin, TimeNs now_ns);
  Status start_origin(const std::string& name, Resource& resource, TimeNs now_ns);
  void poll_origin(Carried& carried, TimeNs now_ns);
  void drop(StreamId id);
  void withdraw(StreamId id);
  void forget(StreamId id);
  void forget_quiet(TimeNs now_ns);
  void meet(Carried& carried, uint32_t peer, TimeNs now_ns);
  void send_descriptor(Carried& carried, uint32_t peer, TimeNs now_ns);
  void repeat_descriptors(Carried& carried, TimeNs now_ns);
  void update_neighbours(Carried& carried, TimeNs now_ns);
  void make_ballots(Carried& carried, const Resource& resource);
  void count_votes(Carried& carried);
  void follow_votes();
  void look_for_origins(TimeNs now_ns);
  void tell_of_origin(const Carried& carried);
  bool has_moved_since(const Carried& carried, TimeNs since_ns) const;
  void publish_refusals(Carried& carried);
  void send(StreamId stream, repair::RepairOutput& out);
  Carried* find(StreamId id, uint32_t peer);
  size_t memory_bytes() const;
  bool is_over(const Carried& carried) const;

  CarrierConfig config_;
  Plane& plane_;
  Mailer& mailer_;
  rcu::Retirer& retirer_;
  const crypto::Toolbox& toolbox_;
  std::unique_ptr<crypto::FrameEngine> engine_;
  const crypto::Signer& signer_;
  Log log_;
  Peering* peering_ = nullptr;
  Gate gate_;
  const Kinship* kinship_ = nullptr;
  unsigned votes_default_percent_ = votes_default_percent;
  FalseVoters false_voters_;
  std::map<std::string, std::unique_ptr<Resource>, std::less<>> resources_;
  std::map<StreamId, std::unique_ptr<Carried>> carried_;
  std::set<StreamId> forgotten_;  // bounded; not to be learned again from neighbours
  cli::SubscriptionId next_subscription_ = 1;
  TimeNs next_housekeeping_ns_ = 0;
  CarrierCounters counters_;
};

}  // namespace chaincast::node
