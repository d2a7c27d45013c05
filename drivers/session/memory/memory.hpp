// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "session/session.hpp"

// Sessions inside one process, for tests of what is above them: no socket, no cryptography, the
// rules of session.hpp. Nothing arrives but in on_ready(), and a seed gives the same run again.
namespace chaincast::session::memory {

struct Options {
  uint64_t seed = 1;
  // Every message takes a drawn time up to this; order stays within a session.
  TimeNs latency_max_ns = 0;
};

// The wire between the sessions of several nodes, reachable at the addresses they listen at. All
// that is handed to one end stands ready for the other; memory as queue_bytes_max bounds it.
// Thread: one for the network and all its ends. Lifetime: ends keep the network alive.
class Network {
 public:
  static std::shared_ptr<Network> make(const crypto::Toolbox& toolbox, const Options& options = {});
  virtual ~Network() = default;

  // An end that listens at `config.listen`; port 0: a free one. `exists` if it is taken, `invalid`
  // for a card that is too long. exported() is drawn from the seed, of each session another.
  virtual Result<std::unique_ptr<Sessions>> attach(const Config& config, const PublicKey& key) = 0;

  // Between two listening addresses, in both directions: nothing passes until it is healed. What
  // was sent waits, as TCP would have it, and what waits too long ends its session or dial.
  virtual void cut(const Endpoint& a, const Endpoint& b) = 0;
  virtual void heal(const Endpoint& a, const Endpoint& b) = 0;
};

}  // namespace chaincast::session::memory
