// SPDX-License-Identifier: BSD-3-Clause
#include "support/session_rig.hpp"

#include <poll.h>

#include <algorithm>

#include "base/random.hpp"
#include "identity/identity.hpp"
#include "port/port.hpp"

namespace chaincast::test {

namespace {

constexpr TimeNs patience_ns = 20 * ns_per_s;  // of the real clock, for what never happens
constexpr TimeNs turn_ns = ns_per_us;
constexpr unsigned quiet_rounds = 3;
constexpr TimeNs soon_ns = ns_per_ms;  // what is due so soon belongs to what happens now

}  // namespace

void Recorder::on_open(const session::Remote& remote, TimeNs) {
  events.push_back("open " + remote.id.hex());
  remotes.push_back(remote);
  EXPECT_EQ(std::count(now_open.begin(), now_open.end(), remote.id), 0) << "two sessions at once";
  now_open.push_back(remote.id);
}

void Recorder::on_message(const session::Remote& from, ByteSpan message, TimeNs) {
  EXPECT_EQ(std::count(now_open.begin(), now_open.end(), from.id), 1) << "without a session";
  messages.emplace_back(message.begin(), message.end());
  if (on_each_message) on_each_message();
}

void Recorder::on_closed(const session::Remote& remote, const std::string& why, TimeNs) {
  events.push_back("closed " + remote.id.hex());
  whys.push_back(why);
  EXPECT_EQ(std::erase(now_open, remote.id), 1u) << "closed what was not open";
}

void Recorder::on_failed(const Endpoint&, const std::string& why, TimeNs) {
  events.emplace_back("failed");
  whys.push_back(why);
}

size_t Recorder::count(const std::string& event) const {
  return static_cast<size_t>(std::count_if(
      events.begin(), events.end(), [&](const auto& one) { return one.starts_with(event); }));
}

SessionRig::SessionRig(const SessionImplementation& implementation)
    : maker_(implementation.make(*toolbox)) {}

session::Config SessionRig::config() const {
  session::Config config;
  config.listen = *port::parse_endpoint("127.0.0.1:0");
  config.network.fill(7);
  config.card = text("card");
  config.admits = [](const PublicKey&) { return true; };
  return config;
}

std::unique_ptr<crypto::Signer> SessionRig::signer(unsigned number) const {
  Secret seed{};
  store_be32(seed.data(), number);
  return toolbox->signer(seed);
}

SessionEnd& SessionRig::add(unsigned number, const session::Config& config) {
  auto end = std::make_unique<SessionEnd>();
  end->signer = signer(number);
  end->id = identity::node_id(*toolbox, end->signer->public_key());
  auto made = maker_->make(config, *end->signer);
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
  end->sessions = std::move(made).value();
  end->sessions->set_listener(end->heard);
  ends.push_back(std::move(end));
  return *ends.back();
}

void SessionRig::turn(SessionEnd& end) {
  std::vector<pollfd> fds;
  end.sessions->add_poll_fds(fds);
  EXPECT_GE(::poll(fds.data(), fds.size(), 0), 0);
  now_ns += turn_ns;
  end.sessions->on_ready(fds, now_ns);
}

// Until something is ready or due; false where nothing is.
bool SessionRig::wait() {
  std::vector<pollfd> fds;
  for (const auto& end : ends) {
    if (!end->sessions) continue;
    const TimeNs wake_ns = end->sessions->wake_at_ns();
    if (wake_ns <= now_ns + soon_ns) {
      now_ns = std::max(now_ns, wake_ns);
      return true;
    }
    end->sessions->add_poll_fds(fds);
  }
  constexpr int settling_ms = 5;  // the kernel's loopback takes microseconds
  return ::poll(fds.data(), fds.size(), settling_ms) > 0;
}

bool SessionRig::until(const std::function<bool()>& condition) {
  const MonotonicClock clock;
  const TimeNs give_up_ns = clock.now_ns() + patience_ns;
  while (!condition()) {
    if (clock.now_ns() > give_up_ns) return false;
    wait();
    for (const auto& end : ends) {
      if (end->sessions) turn(*end);
    }
  }
  return true;
}

void SessionRig::settle() {
  const MonotonicClock clock;
  const TimeNs give_up_ns = clock.now_ns() + patience_ns;
  for (unsigned quiet = 0; quiet < quiet_rounds && clock.now_ns() < give_up_ns;) {
    quiet = wait() ? 0 : quiet + 1;
    for (const auto& end : ends) {
      if (end->sessions) turn(*end);
    }
  }
}

bool SessionRig::send(SessionEnd& from, const SessionEnd& to, Bytes message) {
  return from.sessions->send(to.id, to.address(), std::move(message), now_ns);
}

Bytes pattern(size_t size, uint64_t seed) {
  Random random(seed);
  Bytes out(size);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) store_be64(out.data() + i, random.next());
  for (; i < size; ++i) out[i] = static_cast<uint8_t>(random.next());
  return out;
}

Bytes text(const std::string& words) {
  return {words.begin(), words.end()};
}

}  // namespace chaincast::test
