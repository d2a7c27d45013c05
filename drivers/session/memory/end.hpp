// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <deque>
#include <map>
#include <set>

#include "base/random.hpp"
#include "session/backoff.hpp"
#include "session/choice.hpp"
#include "session/memory/memory.hpp"

// The network's own parts: a connection of two ends, and the node's Sessions over them. Private to
// the driver; one thread.
namespace chaincast::session::memory {

class MemoryNetwork;
class MemorySessions;

struct Introduction {
  PublicKey key{};
  Digest network{};
  Endpoint listen;
  Bytes card;
  // The dialler's: whom it takes, which a handshake would let it say first.
  NodeId expected;
  std::function<bool(const PublicKey&)> admits;
};

struct Parcel {
  enum class Kind : uint8_t { hello, message, goodbye };
  Kind kind = Kind::message;
  Bytes bytes;
  TimeNs due_ns = 0;
};

// What one node knows of a connection. `in` is filled by the other.
struct End {
  Candidate candidate;
  Remote remote;
  Introduction introduction;  // of this end
  NodeId expected;            // zeros: whoever answers
  std::deque<Parcel> in;
  std::deque<Bytes> out;    // may not leave yet
  size_t unread_bytes = 0;  // of what this end has sent or holds
  TimeNs begun_ns = 0;      // dialled
  TimeNs moved_ns = 0;      // the other end last read something, or all was read
  TimeNs message_ns = 0;    // the last one, either way
  bool was_opened = false;  // the listener knows it
  bool has_said_goodbye = false;
  bool is_over = false;
  bool is_buried = false;  // and the listener knows
  std::string why;         // it ends
};

struct Connection {
  uint64_t number = 0;
  std::array<End, 2> ends;  // of the dialler, of the dialled
  std::array<Endpoint, 2> addresses;
  bool is_broken = false;  // an end is gone without a goodbye
};

// One node's. Holds its connections in the order in which they were made.
class MemorySessions final : public Sessions {
 public:
  MemorySessions(std::shared_ptr<MemoryNetwork> network, const Config& config, const PublicKey& key,
                 const NodeId& id);
  ~MemorySessions() override;

  void set_listener(Listener& listener) override { listener_ = &listener; }
  bool send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns) override;
  std::optional<Secret> exported(const NodeId& peer, const std::string& label) const override;
  void close(const NodeId& peer, const std::string& why, TimeNs now_ns) override;
  Endpoint address() const override { return config_.listen; }
  std::vector<SessionStatus> sessions() const override;
  const Counters& counters() const override { return counters_; }
  void add_poll_fds(std::vector<pollfd>&) const override {}
  TimeNs wake_at_ns() const override;
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;

  // A dial that reaches this node.
  void incoming(std::shared_ptr<Connection> connection) { places_.push_back({connection, 1}); }

 private:
  struct Place {
    std::shared_ptr<Connection> connection;
    size_t side = 0;
    End& own() const { return connection->ends[side]; }
    End& other() const { return connection->ends[1 - side]; }
  };
  std::optional<Place> find(const NodeId& id, const Endpoint& address) const;
  std::optional<Place> place_of(const Candidate* candidate) const;
  Place dial(const NodeId& id, const Endpoint& address, TimeNs now_ns);
  void push(const Place& place, Parcel::Kind kind, Bytes bytes, TimeNs now_ns);
  bool can_deliver(const Place& place) const;
  bool can_write(const Place& place) const;
  bool is_broken(const Place& place) const;
  void serve(const Place& place, TimeNs now_ns);
  void take(const Place& place, Parcel parcel, TimeNs now_ns);
  void greet(const Place& place, TimeNs now_ns);
  bool is_taken_by(const Introduction& dialler) const;
  std::string refusal_of(const End& end, const Introduction& other) const;
  void open(const Place& place, TimeNs now_ns);
  void replace(Candidate& old, End& by, TimeNs now_ns);
  void announce(End& end, TimeNs now_ns);
  void write(const Place& place, TimeNs now_ns);
  void check_time(const Place& place, TimeNs now_ns);
  void end(const Place& place, const std::string& why);
  void bury(const Place& place, TimeNs now_ns);
  TimeNs deadline(const Place& place) const;

  const std::shared_ptr<MemoryNetwork> network_;
  const Config config_;
  const PublicKey key_;
  const NodeId id_;
  Listener* listener_ = nullptr;
  Choice choice_;
  Backoff backoff_;
  Counters counters_;
  std::vector<Place> places_;
};

class MemoryNetwork final : public Network, public std::enable_shared_from_this<MemoryNetwork> {
 public:
  MemoryNetwork(const crypto::Toolbox& toolbox, const Options& options)
      : toolbox_(toolbox), options_(options), random_(options.seed) {}

  Result<std::unique_ptr<Sessions>> attach(const Config& config, const PublicKey& key) override;
  void cut(const Endpoint& a, const Endpoint& b) override { cuts_.insert(std::minmax(a, b)); }
  void heal(const Endpoint& a, const Endpoint& b) override { cuts_.erase(std::minmax(a, b)); }

  NodeId id_of(const PublicKey& key) const;
  MemorySessions* at(const Endpoint& address) const;
  void detach(const Endpoint& address) { ends_.erase(address); }
  bool is_cut(const Connection& connection) const;
  uint64_t next_number() { return ++connections_; }
  TimeNs draw_latency() { return random_.below(options_.latency_max_ns + 1); }
  Secret secret_of(const Connection& connection, const std::string& label) const;

 private:
  const crypto::Toolbox& toolbox_;
  const Options options_;
  Random random_;
  uint64_t connections_ = 0;
  std::map<Endpoint, MemorySessions*> ends_;
  std::set<std::pair<Endpoint, Endpoint>> cuts_;
};

}  // namespace chaincast::session::memory
