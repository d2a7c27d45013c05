// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"

// The clients of a console that listens on a socket: polling, serving, accepting. Whoever uses it
// makes the system calls.
namespace chaincast::cli {

// What became of one attempt to accept.
enum class Accepted : uint8_t {
  one,        // a client, taken or turned away
  none,       // nobody waits, or not any more
  exhausted,  // the process is out of descriptors or memory: the client stays in the backlog
};

inline Accepted accept_failure(int code) {
  const bool is_exhausted = code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
  return is_exhausted ? Accepted::exhausted : Accepted::none;
}

// `Client` has poll_fd(), wake_at_ns(), on_ready(revents, now_ns) and finished(), as Console's
// functions are described. A turn is serve(), what the console has to do, sweep(), accept().
// Control thread; does not own the listening descriptor.
template <typename Client>
class Clients {
 public:
  static constexpr int accepted_per_turn_max = 64;
  static constexpr TimeNs accept_pause_ns = 100 * ns_per_ms;

  explicit Clients(int listening_fd) : fd_(listening_fd) {}

  // The listening descriptor comes first.
  void add_poll_fds(std::vector<pollfd>& fds) const {
    fds.push_back({fd_, static_cast<short>(is_paused_ ? 0 : POLLIN), 0});
    for (const auto& client : clients_) fds.push_back(client->poll_fd());
  }
  TimeNs wake_at_ns() const {
    TimeNs wake = is_paused_ ? accept_again_ns_ : time_never;
    for (const auto& client : clients_) wake = std::min(wake, client->wake_at_ns());
    return wake;
  }

  void serve(std::span<const pollfd> fds, TimeNs now_ns) {
    CC_ASSERT(fds.size() == clients_.size() + 1);
    for (size_t i = 0; i < clients_.size(); ++i) {
      clients_[i]->on_ready(fds[i + 1].revents, now_ns);
    }
  }
  void sweep() {
    std::erase_if(clients_, [](const auto& client) { return client->finished(); });
  }
  // Calls `accept_one()`, which returns Accepted, as long as clients come. An exhausted process is
  // given a pause, or poll would spin on the client that waits.
  template <typename AcceptOne>
  void accept(const pollfd& listening, TimeNs now_ns, AcceptOne&& accept_one) {
    if (is_paused_ && now_ns >= accept_again_ns_) is_paused_ = false;
    if ((listening.revents & POLLIN) == 0) return;
    Accepted last = Accepted::one;
    for (int i = 0; i < accepted_per_turn_max && last == Accepted::one; ++i) last = accept_one();
    is_paused_ = last == Accepted::exhausted;
    accept_again_ns_ = now_ns + accept_pause_ns;
  }

  void add(std::unique_ptr<Client> client) { clients_.push_back(std::move(client)); }
  void clear() { clients_.clear(); }
  size_t size() const { return clients_.size(); }
  auto begin() const { return clients_.begin(); }
  auto end() const { return clients_.end(); }

 private:
  const int fd_;
  TimeNs accept_again_ns_ = 0;
  bool is_paused_ = false;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace chaincast::cli
