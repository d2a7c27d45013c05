// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "repair/repair.hpp"
#include "sim/network.hpp"
#include "stream/node.hpp"

// One stream of one origin over a simulated network of nodes that flood it and repair each other:
// windows, receivers and repair machines as a node drives them, in steps of virtual time.
namespace chaincast::sim {

struct StreamsConfig {
  uint64_t seed = 1;
  Node nodes = 4;  // node 0 is the origin's
  wire::Descriptor descriptor = test::small_descriptor();
  Conditions conditions;
  test::NodeConfig node;
  repair::RepairConfig repair;
  unsigned frames_per_step = 8;  // that the origin emits in 2 ms
  double forge_share = 0;        // of data frames: forged variants reach every node but 0 first
  unsigned forgeries = 1;        // of each of these
};

class StreamsWorld {
 public:
  StreamsWorld(test::Crypto& crypto, StreamsConfig config);

  void publish(Bytes object);
  // Runs for `duration_ns` in steps; stops early once everything published was delivered by all.
  void run(TimeNs duration_ns, bool until_delivered = true);
  bool is_delivered() const;
  // A node that was switched off (or is new) comes up: it knows the descriptor and nothing else.
  void start(Node node);
  void stop(Node node) { at(node).is_running = false; }
  void end() { wants_end_ = true; }

  struct Member {
    std::unique_ptr<test::TestNode> node;
    std::unique_ptr<repair::Repair> repair;
    std::vector<Node> neighbours;
    bool is_running = false;
  };
  Member& at(Node node) { return members_[node]; }
  const Member& at(Node node) const { return members_[node]; }
  Node count() const { return static_cast<Node>(members_.size()); }
  Network& network() { return network_; }
  stream::Origin& origin() { return *origin_; }
  const std::vector<Bytes>& published() const { return published_; }
  uint64_t forged() const { return forged_; }
  TimeNs now_ns() const { return now_ns_; }

 private:
  void join_nodes();
  void send_frame(Node from, Node but, ByteSpan frame);
  void send_all(Node from, const repair::RepairOutput& out);
  void emit();
  void forge(ByteSpan frame);
  void receive(const Delivery& delivery);
  void handle(Node to, Node from, const wire::ControlMessage& message);
  void step();

  test::Crypto& crypto_;
  const StreamsConfig config_;
  Random random_;
  Network network_;
  std::unique_ptr<stream::Origin> origin_;
  std::unique_ptr<crypto::SuiteKey> key_;
  std::vector<Member> members_;
  std::vector<Bytes> published_;
  std::vector<Bytes> queue_;
  uint64_t forged_ = 0;
  bool wants_end_ = false;
  TimeNs now_ns_ = ns_per_s;
};

}  // namespace chaincast::sim
