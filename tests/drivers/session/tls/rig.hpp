// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "session/tls/tls.hpp"
#include "stranger.hpp"
#include "support/session_rig.hpp"

// Ends over TLS, and strangers beside them.
namespace chaincast::test {

class TlsMaker final : public SessionMaker {
 public:
  Result<std::unique_ptr<session::Sessions>> make(const session::Config& config,
                                                  const crypto::Signer& signer) override {
    return session::tls::make_tls(config, signer);
  }
};

inline constexpr SessionImplementation over_tls = {
    "OverTls", [](const crypto::Toolbox&) { return std::unique_ptr<SessionMaker>(new TlsMaker); }};

class TlsTest : public testing::Test {
 protected:
  bool until(Stranger& stranger, const std::function<bool()>& condition) {
    return rig.until([&] {
      stranger.step();
      return condition();
    });
  }
  // Established, its hello sent and ours there.
  void introduce(Stranger& stranger) {
    ASSERT_TRUE(until(stranger, [&] { return stranger.is_established(); })) << stranger.why();
    ASSERT_TRUE(stranger.write(framed_hello(rig.config().network, 7000, "a stranger")));
    ASSERT_TRUE(until(stranger, [&] { return !stranger.received().empty(); })) << stranger.why();
    stranger.received().clear();
  }
  static size_t open_fds() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<size_t>(std::distance(begin(all), end(all)));
  }

  SessionRig rig{over_tls};
};

}  // namespace chaincast::test
