// SPDX-License-Identifier: BSD-3-Clause
#include "console/telemetry/telemetry.hpp"

#include <gtest/gtest.h>

#include <future>

#include "support/eal.hpp"

namespace chaincast::console {
namespace {

using ops::Json;

ops::Reply run(std::string_view line) {
  if (line == "show peers") {
    return Json{{"peers", {{{"name", "a"}, {"tx", 5}}, {{"name", "b"}, {"tx", 7}}}}};
  }
  if (line == "show status") return Json{{"name", "n"}};
  return error(ErrorCode::refused, "told to fail");
}

class TelemetryTest : public testing::Test {
 protected:
  void SetUp() override {
    test::ensure_eal();
    auto made = Telemetry::open({{"/cc/peers", "show peers", "peers", "name", "Peers"},
                                 {"/cc/status", "show status", "", "", "Status"},
                                 {"/cc/bad", "show bad", "", "", "Fails"}},
                                run);
    ASSERT_TRUE(made.ok()) << made.error().message;
    telemetry_ = std::move(made).value();
  }

  // Asks as DPDK's thread would, while this thread turns the control loop.
  ops::Reply ask(const std::string& path, const std::string& parameter = "") {
    auto reply = std::async(std::launch::async, [&] { return telemetry_->ask(path, parameter); });
    while (reply.wait_for(std::chrono::seconds(0)) != std::future_status::ready) turn();
    return reply.get();
  }

  void turn() {
    std::vector<pollfd> fds;
    telemetry_->add_poll_fds(fds);
    ::poll(fds.data(), fds.size(), 1);
    telemetry_->on_ready(fds, 0);
  }

  std::unique_ptr<Telemetry> telemetry_;
};

TEST_F(TelemetryTest, ListsNamesAndShowsOne) {
  EXPECT_EQ(*ask("/cc/peers"), Json({"a", "b"}));
  EXPECT_EQ(*ask("/cc/peers", "b"), Json({{"name", "b"}, {"tx", 7}}));
  EXPECT_EQ(*ask("/cc/status"), Json({{"name", "n"}}));
}

TEST_F(TelemetryTest, RefusesWhatIsNotThere) {
  EXPECT_FALSE(ask("/cc/peers", "c").ok());
  EXPECT_FALSE(ask("/cc/nothing").ok());
  EXPECT_FALSE(ask("/cc/bad").ok());
}

TEST_F(TelemetryTest, ServesManyClients) {
  std::vector<std::future<ops::Reply>> replies;
  for (int i = 0; i < 8; ++i) {
    replies.push_back(
        std::async(std::launch::async, [&] { return telemetry_->ask("/cc/peers", "a"); }));
  }
  for (auto& reply : replies) {
    while (reply.wait_for(std::chrono::seconds(0)) != std::future_status::ready) turn();
    EXPECT_TRUE(reply.get().ok());
  }
}

TEST_F(TelemetryTest, AStandingControlThreadIsNotWaitedForWithoutEnd) {
  const auto reply = telemetry_->ask("/cc/status", "");
  ASSERT_FALSE(reply.ok());
  turn();  // nothing of it is left
  EXPECT_TRUE(ask("/cc/status").ok());
}

TEST_F(TelemetryTest, OnePerProcess) {
  EXPECT_FALSE(Telemetry::open({}, run).ok());
  telemetry_.reset();
  EXPECT_TRUE(Telemetry::open({}, run).ok());
}

}  // namespace
}  // namespace chaincast::console
