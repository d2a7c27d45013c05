// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "session/backoff.hpp"
#include "session/choice.hpp"
#include "session/session.hpp"
#include "session/tls/connection.hpp"
#include "session/tls/context.hpp"
#include "session/tls/socket.hpp"

namespace chaincast::session::tls {

// Sessions over TLS 1.3. Everything that goes wrong ends one connection, by end(); on_ready() then
// tells the listener and lets go of it. Connections are in the order in which they were made, and
// go only within on_ready(), so that the descriptors of add_poll_fds() stay theirs.
class TlsSessions final : public Sessions {
 public:
  TlsSessions(const Config& config, const PublicKey& key, std::unique_ptr<Context> context,
              Listening listening);
  ~TlsSessions() override;

  void set_listener(Listener& listener) override { listener_ = &listener; }
  bool send(const NodeId& id, const Endpoint& address, Bytes message, TimeNs now_ns) override;
  std::optional<Secret> exported(const NodeId& peer, const std::string& label) const override;
  bool dial_carried(uint64_t channel, const NodeId& id, const Endpoint& address,
                    TimeNs now_ns) override;
  bool accept_carried(uint64_t channel, const Endpoint& address, TimeNs now_ns) override;
  void carried(uint64_t channel, ByteSpan bytes, TimeNs now_ns) override;
  void carried_taken(uint64_t channel, uint32_t bytes) override;
  void carried_end(uint64_t channel) override;
  void close(const NodeId& peer, const std::string& why, TimeNs now_ns) override;
  Endpoint address() const override { return listening_.address; }
  std::vector<SessionStatus> sessions() const override;
  const Counters& counters() const override { return counters_; }
  void add_poll_fds(std::vector<pollfd>& fds) const override;
  TimeNs wake_at_ns() const override;
  void on_ready(std::span<const pollfd> fds, TimeNs now_ns) override;

 private:
  // What one call of on_ready() may still do, for all connections together.
  struct Budget {
    size_t bytes;
    unsigned messages;
    unsigned handshakes;
  };
  // The other end is told, and what it still sends read, lest a reset cut that short.
  struct Leaving {
    Descriptor fd;
    TimeNs until_ns = 0;
  };

  // The far end of a connection that has a socket pair for a wire.
  struct Carried {
    Descriptor fd;
    Bytes waiting;  // of the other end; at most a window
    uint32_t room = carried_window_bytes;
    bool has_ended = false;  // by the other end: what waits is the last
  };

  bool carry(uint64_t channel, bool is_dialled, const NodeId& id, const Endpoint& address,
             TimeNs now_ns);
  // False: it is over.
  bool deliver(uint64_t channel, Carried& one, TimeNs now_ns);
  bool collect(uint64_t channel, Carried& one, TimeNs now_ns);
  void pump_carried(TimeNs now_ns);
  Connection* find(const NodeId& id, const Endpoint& address);
  Connection* dial(const NodeId& id, const Endpoint& address, TimeNs now_ns);
  Connection& of(const Candidate& candidate) const;
  Judge judge(const NodeId& expected) const;
  short events_of(const Connection& connection) const;
  size_t count_open() const;
  bool may_read(const Connection& connection) const;
  bool can_write(const Connection& connection) const;
  bool may_begin(const Connection& connection) const;
  TimeNs deadline(const Connection& connection) const;

  void accept(const pollfd& listening, TimeNs now_ns);
  bool has_room_for(const Endpoint& from) const;
  void serve(Connection& connection, short revents, Budget& budget, TimeNs now_ns);
  void connect(Connection& connection, const Budget& budget);
  void shake_hands(Connection& connection, Budget& budget, TimeNs now_ns);
  void read(Connection& connection, bool is_readable, Budget& budget, TimeNs now_ns);
  void hear_goodbye(Connection& connection, TimeNs now_ns);
  void take(Connection& connection, ByteSpan bytes, unsigned& messages, TimeNs now_ns);
  void on_whole(Connection& connection, TimeNs now_ns);
  void on_hello(Connection& connection, TimeNs now_ns);
  void open(Connection& connection, TimeNs now_ns);
  void replace(Connection& old, Connection& by, TimeNs now_ns);
  void limit(const NodeId& peer);
  void gather_dials(Connection& session, TimeNs now_ns);
  void announce(Connection& connection, TimeNs now_ns);
  void write(Connection& connection, TimeNs now_ns);
  void check_time(Connection& connection, TimeNs now_ns);
  void greet(Connection& connection, TimeNs now_ns);
  void end(Connection& connection, const std::string& why);
  void fail(Connection& connection);
  void bury(Connection& connection, TimeNs now_ns);
  void leave(Connection& connection, TimeNs now_ns);

  const Config config_;
  const NodeId id_;
  const std::unique_ptr<Context> context_;
  const Listening listening_;
  const Bytes hello_;  // as a frame
  Listener* listener_ = nullptr;
  Choice choice_;
  Backoff backoff_;
  Counters counters_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Leaving> leaving_;
  std::map<uint64_t, Carried> carried_;  // by channel
  size_t kept_bytes_ = 0;                // of messages that have not come whole
  size_t turn_ = 0;                      // who is served first
  TimeNs accept_again_ns_ = 0;
  bool is_accept_paused_ = false;
};

}  // namespace chaincast::session::tls
