// SPDX-License-Identifier: BSD-3-Clause
// chaincast-gen's two sides as processes of their own, against a server in this one that hands
// published objects to subscribers, unchanged or with planted faults.
#include <gmock/gmock.h>

#include <csignal>

#include "drivers/console/unix/served.hpp"
#include "route/synthetic.hpp"
#include "support/data.hpp"

namespace chaincast::console {
namespace {

using testing::HasSubstr;

class GenTest : public ProgramTest {
 protected:
  GenTest() {
    service_.queue_max = SIZE_MAX;
    service_.object_bytes_max = 1u << 20;
    service_.on_published = [this](const Bytes& object) { service_.deliver(object); };
    start();
  }

  Run gen(const std::string& arguments, const std::string& name = "send") const {
    return run(std::string(CHAINCAST_GEN_PATH) + " " + arguments, name);
  }
  // Both sides: the receiver has subscribed before anything is sent.
  std::pair<Run, Run> both(const std::string& send, const std::string& receive) {
    service_.subscribed = 0;
    Run received;
    {
      std::jthread thread([&] { received = gen("--json receive feed " + receive, "receive"); });
      loop_->until([this] { return service_.subscribed > 0; });
      sent_ = gen("--json send feed " + send);
    }
    EXPECT_EQ(sent_.code, 0) << sent_.err;
    return {sent_, received};
  }
  // Object number `at` is treated by `fault`, which delivers what it likes; the rest goes through.
  void plant(size_t at, std::function<void(const Bytes&)> fault) {
    service_.on_published = [this, at, fault = std::move(fault)](const Bytes& object) {
      if (service_.published.size() == at + 1) return fault(object);
      service_.deliver(object);
    };
  }
  // By a program that is not ours.
  std::string sha256sum(const std::string& path) const {
    const std::string command = "sha256sum <" + path + " >" + file("sum");
    EXPECT_EQ(std::system(command.c_str()), 0);
    return read(file("sum")).substr(0, 64);
  }

  Run sent_;
};

TEST_F(GenTest, StampedObjectsArriveClean) {
  const auto [sent, received] = both("--sizes imix --count 600 --stamp --record " + file("record"),
                                     "--count 600 --stamped --output " + file("output"));
  EXPECT_EQ(received.code, 0) << received.err;
  const auto json = received.json();
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["objects"], 600);
  EXPECT_EQ(json["bytes"], 50 * (7 * 64 + 4 * 594 + 1518));
  EXPECT_EQ(json["bytes"], sent.json()["bytes"]);
  EXPECT_EQ(json["stamps"]["stamped"], 600);
  EXPECT_EQ(json["latency"][0]["clock"], "monotonic");
  EXPECT_EQ(json["latency"][0]["samples"], 600);
  EXPECT_LE(json["latency"][0]["p50_ns"], json["latency"][0]["max_ns"]);
  EXPECT_EQ(json["sha256"], sent.json()["sha256"]);
  EXPECT_EQ(json["sha256"], sha256sum(file("record")));
  EXPECT_EQ(json["sha256"], sha256sum(file("output")));
}

TEST_F(GenTest, PlantedFaultsAreEachFoundOnce) {
  struct Case {
    const char* what;
    std::function<void(const Bytes&)> fault;
    uint64_t arrivals;
  };
  Bytes kept;
  const Case cases[] = {
      {"lost", [](const Bytes&) {}, 99},
      {"duplicated",
       [this](const Bytes& object) {
         service_.deliver(object);
         service_.deliver(object);
       },
       101},
      {"corrupt",
       [this](const Bytes& object) {
         Bytes altered = object;
         altered[40] ^= 1;
         service_.deliver(altered);
       },
       100},
  };
  for (const Case& planted : cases) {
    loop_->call([&] {
      service_.published.clear();
      plant(50, planted.fault);
    });
    const auto [sent, received] =
        both("--sizes 64-500 --count 100 --stamp", "--count " + std::to_string(planted.arrivals));
    EXPECT_EQ(received.code, 1);
    auto stamps = received.json()["stamps"];
    for (const char* what : {"lost", "duplicated", "reordered", "corrupt"}) {
      EXPECT_EQ(stamps[what], std::string(planted.what) == what ? 1 : 0) << what;
    }
    EXPECT_NE(received.json()["verdict"], "");
  }
}

TEST_F(GenTest, APlantedSwapIsFound) {
  service_.on_published = [this](const Bytes& object) {
    const size_t index = service_.published.size() - 1;
    if (index == 50) return;
    service_.deliver(object);
    if (index == 51) service_.deliver(service_.published[50]);
  };
  const auto [sent, received] = both("--sizes 64 --count 100 --stamp", "--count 100");
  EXPECT_EQ(received.code, 1);
  EXPECT_EQ(received.json()["stamps"]["reordered"], 1);
  EXPECT_EQ(received.json()["stamps"]["lost"], 0);
  EXPECT_NE(received.json()["sha256"], sent.json()["sha256"]);
}

TEST_F(GenTest, TooFewAndLossNoticesFail) {
  auto [sent, received] = both("--sizes 64 --count 10", "--count 11 --idle 0.2");
  EXPECT_EQ(received.code, 1);
  EXPECT_EQ(received.json()["objects"], 10);
  EXPECT_THAT(received.json()["verdict"].get<std::string>(), HasSubstr("fewer"));
  loop_->call([&] {
    service_.on_published = [this](const Bytes& object) {
      service_.queue_max = service_.published.size() == 15 ? 0 : SIZE_MAX;
      service_.deliver(object);
    };
  });
  std::tie(sent, received) = both("--sizes 64 --count 10", "--count 9");
  EXPECT_EQ(received.code, 1);
  EXPECT_EQ(received.json()["loss_notices"], 1);
  EXPECT_EQ(received.json()["frames_lost"], 1);
  EXPECT_THAT(received.err, HasSubstr("lost: stream 0000000000000007 frames 14..14"));
}

TEST_F(GenTest, AFileArrivesByteByByte) {
  {
    std::ofstream out(file("payload"), std::ios::binary);
    for (uint64_t i = 0; i < 300'000; ++i) out.put(static_cast<char>(i * i >> 3));
  }
  for (const std::string size : {"", " --object-bytes 1000", " --object-bytes 1048576"}) {
    const auto [sent, received] =
        both("--file " + file("payload") + size, "--bytes 300000 --output " + file("output"));
    EXPECT_EQ(received.code, 0) << received.err;
    EXPECT_EQ(received.json()["sha256"], sha256sum(file("payload")));
    EXPECT_EQ(sent.json()["sha256"], sha256sum(file("payload")));
    EXPECT_EQ(read(file("output")), read(file("payload")));
    EXPECT_EQ(sent.json()["objects"], size.empty() ? 5 : size.ends_with("1000") ? 300 : 1);
  }
  const auto [sent, received] = both("--file - <" + file("payload"), "--bytes 300000 --seconds 20");
  EXPECT_EQ(received.json()["sha256"], sha256sum(file("payload")));
}

// Raw IP (link type 101): two datagrams, a fragment between them, and something that is no UDP.
TEST_F(GenTest, ARecordingIsSentPacketByPacketOrByPayload) {
  const auto datagram = [](const std::string& payload, uint8_t protocol, uint16_t fragment) {
    ByteWriter out;
    out.u8(0x45).u8(0).be16(static_cast<uint16_t>(28 + payload.size())).be16(1).be16(fragment);
    out.u8(64).u8(protocol).be16(0).be64(0).be32(0).be16(static_cast<uint16_t>(8 + payload.size()));
    out.be16(0).text(payload);
    return out.take();
  };
  const std::vector<Bytes> packets = {datagram("one", 17, 0), datagram("part", 17, 0x2000),
                                      datagram("tcp", 6, 0), datagram("two", 17, 0)};
  ByteWriter recording;
  recording.be32(0xa1b2c3d4).be32(0).be64(0).be32(0).be32(101);
  for (const Bytes& packet : packets) {
    const auto bytes = static_cast<uint32_t>(packet.size());
    recording.be64(0).be32(bytes).be32(bytes).bytes(packet);
  }
  std::ofstream(file("recording"), std::ios::binary)
      .write(reinterpret_cast<const char*>(recording.buffer().data()),
             static_cast<std::streamsize>(recording.buffer().size()));
  const Run whole = gen("--json send feed --pcap " + file("recording"));
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(service_.published, packets);
  service_.published.clear();
  const Run payloads = gen("--json send feed --payloads --pcap " + file("recording"));
  EXPECT_EQ(payloads.code, 0) << payloads.err;
  EXPECT_EQ(service_.published, (std::vector<Bytes>{{'o', 'n', 'e'}, {'t', 'w', 'o'}}));
  EXPECT_EQ(payloads.json()["packets"], 4);
  EXPECT_EQ(payloads.json()["fragments"], 1);
  EXPECT_EQ(payloads.json()["not_udp"], 1);
  const Run wrong = gen("send feed --pcap " + options_.path);
  EXPECT_EQ(wrong.code, 2);
}

TEST_F(GenTest, LatenciesGoToAFile) {
  const auto [sent, received] = both("--sizes 64-200 --count 300 --stamp",
                                     "--count 300 --ring --histogram " + file("times.csv"));
  EXPECT_EQ(received.code, 0) << received.err;
  std::istringstream lines(read(file("times.csv")));
  std::string line, last;
  std::getline(lines, line);
  EXPECT_EQ(line, "clock,upper_ns,count,cumulative,percentile");
  while (std::getline(lines, line)) last = line;
  const auto max_ns = received.json()["latency"][0]["max_ns"].get<uint64_t>();
  EXPECT_THAT(last, testing::StartsWith("monotonic," + std::to_string(max_ns) + ","));
  EXPECT_THAT(last, testing::EndsWith(",300,1.000000000"));
}

TEST_F(GenTest, MadeUpRoutesArriveAndAreCounted) {
  const auto [sent, received] = both("--synthetic 2000 --seed 4 --record " + file("record"),
                                     "--routes --idle 0.3 --output " + file("output"));
  EXPECT_EQ(received.code, 0) << received.err;
  for (const Run* run : {&sent, &received}) {
    EXPECT_EQ(run->json()["prefix_changes"], 2'000);
    EXPECT_EQ(run->json()["announced"].get<int>() + run->json()["withdrawn"].get<int>(), 2'000);
  }
  EXPECT_EQ(read(file("record")), read(file("output")));
  const auto [packed, again] =
      both("--routes 2000 --seed 4 --object-bytes 900", "--routes --idle 0.3");
  EXPECT_EQ(again.json()["prefix_changes"], 2'000);
  EXPECT_EQ(again.json()["sha256"], sent.json()["sha256"]);
  EXPECT_LT(packed.json()["objects"], sent.json()["objects"]);
}

TEST_F(GenTest, ARealRouteFileArrivesWithAllItsChanges) {
  CC_DATA_FILE_OR_SKIP(path, "bgp/bgpdump.updates.20070211.0141.gz");
  const auto [sent, received] = both("--mrt " + path, "--routes --idle 0.5");
  EXPECT_EQ(received.code, 0) << received.err;
  for (const Run* run : {&sent, &received}) {
    EXPECT_EQ(run->json()["prefix_changes"], 53'657);
    EXPECT_EQ(run->json()["announced"], 51'329);
    EXPECT_EQ(run->json()["withdrawn"], 2'328);
  }
  EXPECT_EQ(sent.json()["objects"], received.json()["objects"]);
  EXPECT_TRUE(sent.json()["faults"].empty());
}

TEST_F(GenTest, ToleratedFaultsOfARouteFileAreTold) {
  CC_DATA_FILE_OR_SKIP(path, "bgp/routeviews.rib6.20151101.0600.firstMB.bz2");
  const auto sent = gen("--json send feed --object-bytes 65536 --mrt " + path);
  EXPECT_EQ(sent.code, 0) << sent.err;
  EXPECT_EQ(sent.json()["prefix_changes"], 149'578);
  EXPECT_FALSE(sent.json()["faults"].empty()) << sent.out;
}

TEST_F(GenTest, TheSameSeedIsTheSameStream) {
  const auto first = gen("--json send feed --sizes 1-2000 --count 50 --seed 9").json()["sha256"];
  EXPECT_EQ(gen("--json send feed --sizes 1-2000 --count 50 --seed 9").json()["sha256"], first);
  EXPECT_NE(gen("--json send feed --sizes 1-2000 --count 50 --seed 8").json()["sha256"], first);
}

// A lower bound only: a busy machine may be slow, but never early.
TEST_F(GenTest, ARateIsKept) {
  const auto sent = gen("--json send feed --sizes 100 --count 51 --rate 0.1k");
  EXPECT_EQ(sent.code, 0) << sent.err;
  EXPECT_GE(sent.json()["seconds"], 0.5);
  const auto bits = gen("--json send feed --sizes 1000 --count 11 --bitrate 400k");
  EXPECT_GE(bits.json()["seconds"], 0.2);
  const auto timed = gen("--json send feed --sizes 64 --seconds 0.2 --rate 100 --stamp");
  EXPECT_EQ(timed.code, 0) << timed.err;
  EXPECT_LE(timed.json()["objects"], 21);
}

TEST_F(GenTest, BackPressureHoldsTheSenderAndARefusalEndsIt) {
  service_.busy = true;
  Run run;
  std::jthread thread([&] { run = gen("--json send feed --sizes 5000 --count 300"); });
  loop_->until([this] { return server_->counters().withheld > 0; });
  EXPECT_TRUE(service_.published.empty());
  service_.busy = false;
  thread.join();
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.json()["objects"], 300);
}

TEST_F(GenTest, ASignalEndsARunWithItsSummary) {
  const std::string script = "echo $$ >" + file("pid") + "; exec " + CHAINCAST_GEN_PATH +
                             " --json send feed --sizes 64 --rate 100 --count 100000 >" +
                             file("out");
  int status = 0;
  std::jthread thread([&] { status = std::system(("sh -c '" + script + "'").c_str()); });
  loop_->until([this] { return service_.published.size() > 3; });
  EXPECT_EQ(::kill(std::stoi(read(file("pid"))), SIGINT), 0);
  thread.join();
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const auto json = ops::Json::parse(read(file("out")), nullptr, false);
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["objects"], service_.published.size());
}

TEST_F(GenTest, WrongUsageExitsWithTwoAndNamesTheRemedy) {
  const auto wrong = [this](const std::string& arguments, const std::string& says) {
    const Run run = gen(arguments);
    EXPECT_EQ(run.code, 2) << arguments << run.err;
    EXPECT_THAT(run.err, HasSubstr(says)) << arguments;
  };
  wrong("", "subcommand is required");
  wrong("send feed", "--mrt,--pcap,--file,--routes,--synthetic,--sizes");
  wrong("send feed --routes 5 --sizes 64", "--mrt,--pcap,--file,--routes,--synthetic,--sizes");
  wrong("send feed --sizes 64", "--count");
  wrong("send feed --sizes 6x --count 1", "--sizes '6x'");
  wrong("send feed --sizes 16 --count 1 --stamp", "a stamp takes 32 bytes");
  wrong("send feed --routes 5 --stamp", "--stamp");
  wrong("send feed --routes 5 --count 5", "--count");
  wrong("send feed --sizes 2000000 --count 1", "at most 1048576 bytes");
  wrong("send feed --file /x --object-bytes 2000000", "at most 1048576 bytes");
  wrong("send feed --file /nonexistent", "/nonexistent: No such file");
  wrong("send feed --mrt /nonexistent", "/nonexistent");
  wrong("send feed --routes 5 --record /nonexistent/x", "/nonexistent/x: No such file");
  wrong("send feed --routes 5 --rate fast", "--rate");
  wrong("receive feed --output /nonexistent/x", "name a file that can be written");
  wrong("receive feed --count 0", "--count");
  wrong("--socket " + file("none.sock") + " send feed --routes 5", "is the node running");
  std::ofstream(file("text")) << "no routes here";
  wrong("send feed --mrt " + file("text"), "no route in it");
}

TEST_F(GenTest, WhatTheNodeRefusesExitsWithOne) {
  EXPECT_EQ(gen("send nope --routes 5").code, 1);
  const Run run = gen("receive nope --count 5");
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, HasSubstr("stream nope: unknown"));
}

TEST_F(GenTest, HelpIsComplete) {
  EXPECT_THAT(gen("--help").out, HasSubstr("Exit codes"));
  const std::string send = gen("send --help").out;
  for (const char* option :
       {"--mrt", "--pcap", "--payloads", "--file", "--routes", "--sizes", "--rate", "--bitrate",
        "--stamp", "--seed", "--object-bytes", "--record", "--clock"}) {
    EXPECT_THAT(send, HasSubstr(option));
  }
  const std::string receive = gen("receive --help").out;
  for (const char* option : {"--count", "--bytes", "--seconds", "--idle", "--output", "--routes",
                             "--ring", "--histogram"}) {
    EXPECT_THAT(receive, HasSubstr(option));
  }
}

}  // namespace
}  // namespace chaincast::console
