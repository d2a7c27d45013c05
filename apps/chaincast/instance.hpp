// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/thread.hpp"
#include "console/feed/feed.hpp"
#include "crypto/crypto.hpp"
#include "node/config.hpp"
#include "node/node.hpp"
#include "rest/instances.hpp"

// One node of `chaincast --rest`: a node::Node with its own control thread and worker, made for a
// call of the streaming interface and gone with it.
namespace chaincast {

enum class Role : uint8_t { supernode, host, member };

struct Wish {
  Role role = Role::supernode;
  std::vector<Endpoint> trackers;
  std::string resource;   // host, member
  uint64_t size_max = 0;  // of its objects; at most 16 MiB
};

// Where an instance may be.
struct Place {
  std::string id;
  std::string directory;  // its own, private: identity key, control socket
  Endpoint address;       // for its ports; the port is 0
};

// The configuration of the node that a wish asks for. `udp_port` is free at `place.address`.
node::Config config_for(const Wish& wish, const Place& place, uint16_t udp_port);

// Where the node is in the network by now.
struct Standing {
  enum class State : uint8_t {
    coming,
    silent,  // in its subnetwork, where no origin has been heard yet
    in,
    refused,
  };
  State state = State::coming;
  uint16_t tcp_port = 0;  // of its management address
  std::string why;        // it was refused
};
// Control thread.
Standing standing_of(node::Node& node, const Wish& wish);

// What all instances share; outlives them.
struct Shared {
  const base::ThreadStarter& threads;
  const crypto::Toolbox& toolbox;
  std::function<void(node::LogLevel, const std::string&)> log;
};

// Threads: any, but for run(), which is its own. The destructor waits for the end.
class Instance {
 public:
  // Makes the directory and starts the thread.
  Instance(Wish wish, Place place, const Shared& shared);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // Waits until the node is where the wish wants it; no success if it cannot get there, or has not
  // after `patience_ns`, or was told to stop.
  rest::Outcome wait(TimeNs patience_ns);
  // Drains and ends; returns at once.
  void request_stop();
  ops::Json describe() const;

 private:
  enum class State : uint8_t { starting, ready, failed };
  class Watch;
  void run();
  Status serve();
  Result<std::unique_ptr<node::Node>> make_node(const node::Environment& environment) const;
  Result<std::unique_ptr<console::Feed>> open_feed(node::Node& node) const;
  void settle(State state, uint16_t tcp_port);
  void fail(const std::string& why);
  // From here on it can be stopped and described; null: no longer.
  void show(node::Node* node, const console::Feed* feed);

  const Wish wish_;
  const Place place_;
  const Shared& shared_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::starting;
  bool is_stopped_ = false;
  node::Node* node_ = nullptr;           // while it runs
  const console::Feed* feed_ = nullptr;  // likewise
  rest::Outcome outcome_;
  std::jthread thread_;
};

}  // namespace chaincast
