// SPDX-License-Identifier: BSD-3-Clause
// Files as people get them, read by tshark.
#include "capture/capture.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <csignal>
#include <filesystem>
#include <thread>

#include "capture/tap_rig.hpp"
#include "port/packets.hpp"

namespace chaincast::capture {
namespace {

namespace packets = port::test;
using stage::Drop;

// A name that does not exist, removed afterwards.
class FreeName {
 public:
  FreeName() : file_(".pcapng") { std::filesystem::remove(file_.path()); }
  const std::string& path() const { return file_.path(); }

 private:
  packets::TemporaryFile file_;
};

class CaptureTest : public testing::Test {
 protected:
  // The capture's taps on the rig's line; the port is 192.0.2.200.
  void start(CaptureConfig config) {
    config.file = name.path();
    config.application = "test";
    auto started = Capture::start(config, t.rig.plane.streams, t.clock, test::ensure_eal());
    ASSERT_TRUE(started.ok()) << started.error().message;
    capture = std::move(started).value();
    capture->add_port({TapRig::port_id, {"p0", "rig"}, {packets::endpoint("192.0.2.200:0")}});
    tap();
  }
  void tap() {
    capture->tap(0)->set_ports({{&t.rig.port, TapRig::port_id}}, t.rig.retirer);
    auto lookout = std::make_unique<node::Lookout>();
    lookout->of_worker.push_back(std::make_unique<stage::Observers>());
    lookout->of_worker.back()->add(capture->tap(0));
    t.rig.plane.lookout.publish(std::move(lookout), t.rig.retirer);
  }
  void stop() {
    t.rig.plane.lookout.publish(nullptr, t.rig.retirer);
    t.rig.retirer.flush();
    capture->stop();
  }
  std::vector<std::vector<std::string>> read(const std::vector<std::string>& fields) {
    return packets::tshark_fields(name.path(), fields);
  }

  TapRig t;
  FreeName name;
  std::unique_ptr<Capture> capture;
};

TEST_F(CaptureTest, TheFileHoldsWhatPassedWithWhatWasLost) {
  if (!packets::has_tshark()) GTEST_SKIP() << "needs tshark";
  start({});
  const Bytes first = t.next_frame(), second = t.next_frame();
  Bytes forged = second;
  forged.back() ^= 1;
  const Bytes one = t.put({first}), two = t.put({first, forged});
  t.rig.put(0, 1, one);
  t.rig.turn();
  stop();
  const auto rows =
      read({"ip.src", "udp.srcport", "ip.dst", "udp.dstport", "udp.payload", "udp.checksum.status",
            "frame.interface_name", "frame.packet_flags_direction", "frame.comment"});
  ASSERT_EQ(rows.size(), 4u);
  const std::string remote = port::address_text(t.rig.source_of(0, 1));
  const auto sent_to = std::to_string(t.rig.port.sent.at(0).first);
  using Row = std::vector<std::string>;
  EXPECT_EQ(rows[0],
            (Row{remote, "7000", "192.0.2.200", "7000", to_hex(one), "1", "p0", "0x00000001", ""}));
  const std::string id = t.stream.descriptor.id.hex();
  EXPECT_EQ(rows[1],
            (Row{remote, "7000", "192.0.2.200", "7000", to_hex(two), "1", "p0", "0x00000001",
                 "dropped=duplicate frame=1 stream=" + id +
                     " seq=0,dropped=tag frame=2 stream=" + id + " seq=1"}));
  EXPECT_EQ(rows[2][8], "dropped=replayed");
  EXPECT_EQ(rows[3], (Row{"192.0.2.200", "7000", port::address_text(t.rig.source_of(1, 1)), sent_to,
                          to_hex(t.rig.port.sent.at(0).second), "1", "p0", "0x00000002", ""}));
  const Progress progress = capture->progress();
  EXPECT_EQ(progress.state, State::ended);
  EXPECT_EQ(progress.packets, 4u);
  EXPECT_EQ(progress.bytes, std::filesystem::file_size(name.path()));
}

TEST_F(CaptureTest, EndsAtItsLimitsWithACompleteFile) {
  CaptureConfig config;
  config.packets_max = 3;
  start(config);
  for (unsigned i = 0; i < 10; ++i) t.put({t.next_frame()});
  t.rig.turn();
  stop();
  EXPECT_EQ(capture->progress().state, State::full);
  EXPECT_EQ(capture->progress().packets, 3u);
  if (packets::has_tshark()) {
    EXPECT_EQ(read({"frame.number"}).size(), 3u);
  }

  std::filesystem::remove(name.path());
  config = {};
  config.bytes_max = 4000;
  start(config);
  for (unsigned i = 0; i < 10; ++i) t.put({t.next_frame(1000)});
  t.rig.turn();
  stop();
  EXPECT_EQ(capture->progress().state, State::full);
  EXPECT_EQ(capture->progress().packets, 3u);
}

TEST_F(CaptureTest, APortThatComesLaterIsAnInterfaceOfItsOwn) {
  if (!packets::has_tshark()) GTEST_SKIP() << "needs tshark";
  start({});
  t.put({t.next_frame()});
  t.rig.turn();
  capture->add_port({TapRig::port_id, {"later", "rig"}, {}});
  t.put({t.next_frame()});
  t.rig.turn();
  stop();
  std::vector<std::string> names;
  for (const auto& row : read({"frame.interface_name"})) names.push_back(row[0]);
  EXPECT_EQ(names, (std::vector<std::string>{"p0", "p0", "later", "later"}));
}

TEST_F(CaptureTest, AFullDiskIsSaidAndHarmsNoTraffic) {
  start({});
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{8192, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  for (unsigned i = 0; i < 60; ++i) t.put({t.next_frame(1000)});
  t.rig.turn();
  stop();
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(capture->progress().state, State::failed);
  EXPECT_EQ(capture->progress().problem, "File too large");
  EXPECT_EQ(t.rig.port.sent.size(), 60u);
}

TEST_F(CaptureTest, RefusesFilesItCannotOrMustNotWrite) {
  const auto refusal = [&](const std::string& file) {
    CaptureConfig config;
    config.file = file;
    auto started = Capture::start(config, t.rig.plane.streams, t.clock, test::ensure_eal());
    return started.ok() ? "started" : started.error().message;
  };
  EXPECT_EQ(refusal("/no/such/directory/x.pcapng"),
            "/no/such/directory/x.pcapng: cannot be created: No such file or directory; make its "
            "directory first");
  const packets::TemporaryFile there(".pcapng", as_bytes("mine"));
  EXPECT_EQ(refusal(there.path()), there.path() +
                                       ": cannot be created: File exists; remove it or choose "
                                       "another name");
  EXPECT_EQ(std::filesystem::file_size(there.path()), 4u);
  EXPECT_NE(refusal(""), "started");
}

TEST_F(CaptureTest, RaceOfWorkerAndWriterLosesNothing) {
  constexpr unsigned turns = 300;
  start({});
  for (unsigned i = 0; i < turns; ++i) {
    for (unsigned d = 0; d < 4; ++d) t.put({t.next_frame(200)});
    t.rig.turn();
    static_cast<void>(capture->progress());
  }
  stop();
  EXPECT_EQ(capture->progress().packets + capture->progress().missed,
            4 * turns + t.rig.port.sent.size());
}

}  // namespace
}  // namespace chaincast::capture
