// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/openssl/toolbox.hpp"
#include "session/session.hpp"

// Several ends of sessions in one thread, under a clock that is moved by hand, and the rules of
// session.hpp as a suite over any implementation. Not thread-safe.
namespace chaincast::test {

// Makes the ends of one implementation, all of which can reach each other.
class SessionMaker {
 public:
  virtual ~SessionMaker() = default;
  virtual Result<std::unique_ptr<session::Sessions>> make(const session::Config& config,
                                                          const crypto::Signer& signer) = 0;
};

struct SessionImplementation {
  const char* name;
  std::unique_ptr<SessionMaker> (*make)(const crypto::Toolbox& toolbox);
};

// Writes down what it hears: "open ID", "closed ID", "failed", "message ID".
class Recorder : public session::Listener {
 public:
  void on_open(const session::Remote& remote, TimeNs now_ns) override;
  void on_message(const session::Remote& from, ByteSpan message, TimeNs now_ns) override;
  void on_closed(const session::Remote& remote, const std::string& why, TimeNs now_ns) override;
  void on_failed(const Endpoint& address, const std::string& why, TimeNs now_ns) override;

  size_t count(const std::string& event) const;
  std::vector<std::string> events;  // "open 0a...", "closed 0a...", "failed"
  std::vector<Bytes> messages;
  std::vector<session::Remote> remotes;  // of on_open
  std::vector<std::string> whys;         // of on_closed and on_failed
  std::vector<NodeId> now_open;          // on_open without on_closed so far
  std::function<void()> on_each_message;
};

struct SessionEnd {
  std::unique_ptr<crypto::Signer> signer;
  NodeId id;
  Recorder heard;
  std::unique_ptr<session::Sessions> sessions;

  Endpoint address() const { return sessions->address(); }
  const session::Counters& counters() const { return sessions->counters(); }
};

class SessionRig {
 public:
  explicit SessionRig(const SessionImplementation& implementation);

  // On a loopback address; every number is another node.
  session::Config config() const;
  SessionEnd& add(unsigned number) { return add(number, config()); }
  SessionEnd& add(unsigned number, const session::Config& config);
  std::unique_ptr<crypto::Signer> signer(unsigned number) const;

  // One turn of one end: does not wait.
  void turn(SessionEnd& end);
  // Turns of all ends until it is true; false if it is not after `turns_max` turns in which
  // something could happen, or 20 seconds.
  bool until(const std::function<bool()>& condition);
  // Until no end has anything to do.
  void settle();
  void advance(TimeNs by_ns) { now_ns += by_ns; }
  bool send(SessionEnd& from, const SessionEnd& to, Bytes message);
  SessionMaker& maker() { return *maker_; }

  const std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  TimeNs now_ns = 1000 * ns_per_s;
  std::vector<std::unique_ptr<SessionEnd>> ends;

 private:
  bool wait();

  std::unique_ptr<SessionMaker> maker_;
};

// `size` bytes that depend on `seed`.
Bytes pattern(size_t size, uint64_t seed);
Bytes text(const std::string& words);

}  // namespace chaincast::test
