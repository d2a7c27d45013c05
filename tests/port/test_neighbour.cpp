// SPDX-License-Identifier: BSD-3-Clause
#include "port/neighbour.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "port/packets.hpp"
#include "support/data.hpp"

// The machine against frames written by hand from RFC 826, RFC 4861 and RFC 792.
namespace chaincast::port {
namespace {

using State = Neighbours::Entry::State;

const Mac ours = {2, 0, 0, 0, 0, 1};
const Mac theirs = {2, 0, 0, 0, 0, 2};
const Mac moved = {2, 0, 0, 0, 0, 3};

NeighbourConfig config_of() {
  NeighbourConfig out;
  out.mac = ours;
  out.addresses = {{*parse_address("192.0.2.1"), 24}, {*parse_address("2001:db8::1"), 64}};
  out.gateway_v4 = *parse_address("192.0.2.254");
  return out;
}

Bytes address_bytes(const std::string& text) {
  const Endpoint e = *parse_address(text);
  return Bytes(e.address.begin(), e.address.begin() + (e.is_ipv6 ? 16 : 4));
}

Bytes arp(uint16_t operation, const Mac& to, const Mac& sender_mac, const std::string& sender,
          const Mac& target_mac, const std::string& target) {
  ByteWriter out;
  out.bytes(to).bytes(sender_mac).be16(0x0806).be16(1).be16(0x0800).u8(6).u8(4).be16(operation);
  out.bytes(sender_mac).bytes(address_bytes(sender)).bytes(target_mac);
  out.bytes(address_bytes(target));
  return out.take();
}

const Mac everyone = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// An ICMPv6 message with its checksum by the naive sum.
Bytes icmp6(const Mac& to, const Mac& from, const std::string& source, const std::string& target,
            Bytes message, uint8_t hop_limit = 255) {
  ByteWriter pseudo;
  pseudo.bytes(address_bytes(source)).bytes(address_bytes(target));
  pseudo.be32(static_cast<uint32_t>(message.size())).be32(58).bytes(message);
  store_be16(&message[2], test::naive_checksum(pseudo.buffer()));
  ByteWriter out;
  out.bytes(to).bytes(from).be16(0x86dd).be32(0x60000000);
  out.be16(static_cast<uint16_t>(message.size())).u8(58).u8(hop_limit);
  out.bytes(address_bytes(source)).bytes(address_bytes(target)).bytes(message);
  return out.take();
}

Bytes solicitation(const std::string& target, std::optional<Mac> source_mac) {
  ByteWriter out;
  out.u8(135).u8(0).be16(0).be32(0).bytes(address_bytes(target));
  if (source_mac) out.u8(1).u8(1).bytes(*source_mac);
  return out.take();
}

Bytes advertisement(const std::string& target, uint8_t flags, std::optional<Mac> target_mac) {
  ByteWriter out;
  out.u8(136).u8(0).be16(0).u8(flags).u8(0).be16(0).bytes(address_bytes(target));
  if (target_mac) out.u8(2).u8(1).bytes(*target_mac);
  return out.take();
}

class Neighbour : public testing::Test {
 protected:
  Frames receive(const Bytes& frame) {
    // An exact-size heap copy: the address sanitizer sees a read past the end.
    const auto copy = std::make_unique<uint8_t[]>(frame.size());
    std::copy(frame.begin(), frame.end(), copy.get());
    const ByteSpan span(copy.get(), frame.size());
    Frames out;
    machine_.receive(span, parse_headers(span, {}), now_, out);
    return out;
  }
  Frames tick(TimeNs by_ns) {
    now_ += by_ns;
    Frames out;
    machine_.tick(now_, out);
    return out;
  }
  NextHop resolve(const std::string& remote, Frames* frames = nullptr) {
    Frames out;
    const NextHop hop = machine_.resolve(test::endpoint(remote), now_, out);
    if (frames != nullptr) *frames = out;
    return hop;
  }
  State state(const std::string& address) {
    return machine_.entries().at(*parse_address(address)).state;
  }
  Bytes reply(const Mac& mac = theirs) { return arp(2, ours, mac, "192.0.2.2", ours, "192.0.2.1"); }

  Neighbours machine_{config_of()};
  TimeNs now_ = 1000 * ns_per_s;
};

TEST_F(Neighbour, AnswersArpForItsOwnAddressesOnly) {
  const Frames answer = receive(arp(1, everyone, theirs, "192.0.2.2", Mac{}, "192.0.2.1"));
  EXPECT_EQ(answer, Frames{arp(2, theirs, ours, "192.0.2.1", theirs, "192.0.2.2")});
  EXPECT_TRUE(receive(arp(1, everyone, theirs, "192.0.2.2", Mac{}, "192.0.2.7")).empty());
  EXPECT_TRUE(receive(arp(2, ours, theirs, "192.0.2.2", ours, "192.0.2.1")).empty());
  // Address detection by another host (RFC 5227): from nobody.
  EXPECT_EQ(receive(arp(1, everyone, theirs, "0.0.0.0", Mac{}, "192.0.2.1")).size(), 1u);
  EXPECT_TRUE(machine_.entries().empty());  // no received frame makes an entry
}

TEST_F(Neighbour, IgnoresForeignArp) {
  for (const size_t at : {14u, 16u, 18u, 19u, 20u, 21u}) {
    Bytes frame = arp(1, everyone, theirs, "192.0.2.2", Mac{}, "192.0.2.1");
    frame[at] ^= 0x40;
    EXPECT_TRUE(receive(frame).empty()) << at;
  }
  // A group address as the sender's own is never answered.
  EXPECT_TRUE(receive(arp(1, everyone, everyone, "192.0.2.2", Mac{}, "192.0.2.1")).empty());
  EXPECT_EQ(machine_.counters().ignored, 7u);
}

TEST_F(Neighbour, ResolvesByArpAndRefreshesByUnicast) {
  Frames asked;
  EXPECT_EQ(resolve("192.0.2.2:7000", &asked).reach, Reach::unresolved);
  EXPECT_EQ(asked, Frames{arp(1, everyone, ours, "192.0.2.1", Mac{}, "192.0.2.2")});
  resolve("192.0.2.2:7001", &asked);
  EXPECT_TRUE(asked.empty());  // asked already
  receive(reply());
  const NextHop hop = resolve("192.0.2.2:7000");
  EXPECT_EQ(hop.reach, Reach::resolved);
  EXPECT_EQ(hop.mac, theirs);
  EXPECT_EQ(address_text(hop.source), "192.0.2.1");
  EXPECT_EQ(machine_.version(), 1u);

  EXPECT_TRUE(tick(Neighbours::reachable_ns - 1).empty());
  EXPECT_EQ(tick(1), Frames{arp(1, theirs, ours, "192.0.2.1", Mac{}, "192.0.2.2")});
  EXPECT_EQ(resolve("192.0.2.2:7000").reach, Reach::resolved);
  receive(reply());
  EXPECT_EQ(state("192.0.2.2"), State::reachable);
  EXPECT_EQ(machine_.version(), 1u);  // nothing has changed
}

TEST_F(Neighbour, AsksThreeTimesThenRestsThenAsksAgain) {
  resolve("192.0.2.2:7000");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(tick(Neighbours::retransmit_ns).size(), 1u);
  EXPECT_TRUE(tick(Neighbours::retransmit_ns).empty());
  EXPECT_EQ(state("192.0.2.2"), State::failed);
  EXPECT_TRUE(tick(Neighbours::hold_ns - 1).empty());
  EXPECT_EQ(tick(1).size(), 1u);
  receive(reply());
  EXPECT_EQ(state("192.0.2.2"), State::reachable);
}

TEST_F(Neighbour, LostNeighboursAreToldByVersion) {
  resolve("192.0.2.2:7000");
  receive(reply());
  const uint64_t version = machine_.version();
  EXPECT_EQ(tick(Neighbours::reachable_ns).size(), 1u);
  for (int i = 0; i < 3; ++i) tick(Neighbours::retransmit_ns);
  EXPECT_EQ(state("192.0.2.2"), State::failed);
  EXPECT_EQ(machine_.version(), version + 1);
  EXPECT_EQ(resolve("192.0.2.2:7000").reach, Reach::unresolved);
}

TEST_F(Neighbour, MovedNeighboursAreFollowedAndAsked) {
  resolve("192.0.2.2:7000");
  receive(reply());
  // Gratuitous ARP from another MAC: taken, and confirmed at the next tick.
  receive(arp(1, everyone, moved, "192.0.2.2", Mac{}, "192.0.2.2"));
  EXPECT_EQ(resolve("192.0.2.2:7000").mac, moved);
  EXPECT_EQ(machine_.version(), 2u);
  EXPECT_EQ(tick(0), Frames{arp(1, moved, ours, "192.0.2.1", Mac{}, "192.0.2.2")});
  receive(reply(moved));
  EXPECT_EQ(state("192.0.2.2"), State::reachable);
}

TEST_F(Neighbour, ClaimsOfOurAddressAreCountedAndChangeNothing) {
  receive(arp(1, everyone, theirs, "192.0.2.1", Mac{}, "192.0.2.1"));
  EXPECT_EQ(machine_.counters().conflicts, 1u);
  receive(icmp6({0x33, 0x33, 0, 0, 0, 1}, theirs, "2001:db8::1", "ff02::1",
                advertisement("2001:db8::1", 0x20, theirs)));
  EXPECT_EQ(machine_.counters().conflicts, 2u);
}

TEST_F(Neighbour, GatewayStandsInForWhatIsNotOnTheLink) {
  Frames asked;
  const NextHop hop = resolve("198.51.100.9:7000", &asked);
  EXPECT_EQ(address_text(hop.neighbour), "192.0.2.254");
  EXPECT_EQ(asked, Frames{arp(1, everyone, ours, "192.0.2.1", Mac{}, "192.0.2.254")});
  EXPECT_EQ(resolve("[2001:db8:1::9]:7000").reach, Reach::no_route);
  NeighbourConfig only_v4 = config_of();
  only_v4.addresses.pop_back();
  Frames out;
  EXPECT_EQ(Neighbours(only_v4).resolve(test::endpoint("[2001:db8::9]:1"), 0, out).reach,
            Reach::no_address);
}

TEST_F(Neighbour, PrefixesEndAtAnyBit) {
  NeighbourConfig config = config_of();
  config.addresses = {{*parse_address("10.1.2.97"), 27}};
  config.gateway_v4.reset();
  Neighbours machine(config);
  Frames out;
  auto reach = [&](const char* remote) {
    return machine.resolve(test::endpoint(remote), 0, out).reach;
  };
  EXPECT_EQ(reach("10.1.2.126:1"), Reach::unresolved);
  EXPECT_EQ(reach("10.1.2.128:1"), Reach::no_route);
  EXPECT_EQ(reach("10.1.2.95:1"), Reach::no_route);
  config.addresses = {{*parse_address("10.1.2.97"), 0}};
  EXPECT_EQ(Neighbours(config).resolve(test::endpoint("203.0.113.1:1"), 0, out).reach,
            Reach::unresolved);
}

TEST_F(Neighbour, TableIsBoundedAndForgets) {
  NeighbourConfig config = config_of();
  config.entries_max = 3;
  Neighbours machine(config);
  Frames out;
  for (int i = 2; i < 5; ++i) {
    machine.resolve(test::endpoint("192.0.2." + std::to_string(i) + ":1"), now_, out);
  }
  EXPECT_EQ(machine.resolve(test::endpoint("192.0.2.5:1"), now_, out).reach, Reach::full);
  machine.tick(now_ + Neighbours::idle_ns + 1, out);
  EXPECT_TRUE(machine.entries().empty());
}

TEST_F(Neighbour, AnswersSolicitations) {
  // To the solicited-node group of 2001:db8::1.
  const Mac group = {0x33, 0x33, 0xff, 0, 0, 1};
  EXPECT_EQ(receive(icmp6(group, theirs, "2001:db8::2", "ff02::1:ff00:1",
                          solicitation("2001:db8::1", theirs))),
            Frames{icmp6(theirs, ours, "2001:db8::1", "2001:db8::2",
                         advertisement("2001:db8::1", 0x60, ours))});
  // Duplicate address detection: answered to all nodes, unsolicited.
  EXPECT_EQ(receive(icmp6(group, theirs, "::", "ff02::1:ff00:1",
                          solicitation("2001:db8::1", std::nullopt))),
            Frames{icmp6({0x33, 0x33, 0, 0, 0, 1}, ours, "2001:db8::1", "ff02::1",
                         advertisement("2001:db8::1", 0x20, ours))});
  EXPECT_TRUE(machine_.entries().empty());
}

TEST_F(Neighbour, InvalidDiscoveryIsIgnored) {
  const Mac group = {0x33, 0x33, 0xff, 0, 0, 1};
  auto from = [&](const char* source, Bytes message, uint8_t hop_limit = 255) {
    return receive(icmp6(group, theirs, source, "ff02::1:ff00:1", std::move(message), hop_limit));
  };
  EXPECT_TRUE(from("2001:db8::2", solicitation("2001:db8::1", theirs), 254).empty());
  EXPECT_TRUE(from("2001:db8::2", solicitation("2001:db8::9", theirs)).empty());
  EXPECT_TRUE(from("2001:db8::2", solicitation("ff02::1", theirs)).empty());
  EXPECT_TRUE(from("::", solicitation("2001:db8::1", theirs)).empty());  // option from nobody
  Bytes code = solicitation("2001:db8::1", theirs);
  code[1] = 1;
  EXPECT_TRUE(from("2001:db8::2", code).empty());
  Bytes zero_option = solicitation("2001:db8::1", theirs);
  zero_option[25] = 0;
  EXPECT_TRUE(from("2001:db8::2", zero_option).empty());
  Bytes long_option = solicitation("2001:db8::1", theirs);
  long_option[25] = 2;
  EXPECT_TRUE(from("2001:db8::2", long_option).empty());
  Bytes odd_option = solicitation("2001:db8::1", theirs);
  odd_option.push_back(1);
  EXPECT_TRUE(from("2001:db8::2", odd_option).empty());
  Bytes short_one = solicitation("2001:db8::1", std::nullopt);
  short_one.resize(23);
  EXPECT_TRUE(from("2001:db8::2", short_one).empty());
  Bytes damaged =
      icmp6(group, theirs, "2001:db8::2", "ff02::1:ff00:1", solicitation("2001:db8::1", theirs));
  damaged.back() ^= 1;
  EXPECT_TRUE(receive(damaged).empty());
  EXPECT_EQ(machine_.counters().ignored, 10u);
  EXPECT_EQ(machine_.counters().answered_ndp, 0u);
}

TEST_F(Neighbour, ResolvesByNeighbourDiscovery) {
  Frames asked;
  resolve("[2001:db8::2]:7000", &asked);
  EXPECT_EQ(asked, Frames{icmp6({0x33, 0x33, 0xff, 0, 0, 2}, ours, "2001:db8::1", "ff02::1:ff00:2",
                                solicitation("2001:db8::2", ours))});
  auto advertise = [&](uint8_t flags, std::optional<Mac> mac, const char* to = "2001:db8::1") {
    receive(icmp6(ours, theirs, "2001:db8::2", to, advertisement("2001:db8::2", flags, mac)));
  };
  advertise(0x60, std::nullopt);  // without the option there is nothing to learn
  EXPECT_EQ(state("2001:db8::2"), State::incomplete);
  advertise(0x60, theirs, "ff02::1");  // solicited, to a group: invalid
  EXPECT_EQ(state("2001:db8::2"), State::incomplete);
  advertise(0x60, theirs);
  EXPECT_EQ(resolve("[2001:db8::2]:7000").mac, theirs);
  EXPECT_EQ(state("2001:db8::2"), State::reachable);

  advertise(0x00, moved);  // no override: doubt, but the known one is asked
  EXPECT_EQ(resolve("[2001:db8::2]:7000").mac, theirs);
  EXPECT_EQ(tick(0), Frames{icmp6(theirs, ours, "2001:db8::1", "2001:db8::2",
                                  solicitation("2001:db8::2", ours))});
  advertise(0x40, std::nullopt);
  EXPECT_EQ(state("2001:db8::2"), State::reachable);
  advertise(0x20, moved, "ff02::1");  // override, unsolicited
  EXPECT_EQ(resolve("[2001:db8::2]:7000").mac, moved);
  EXPECT_EQ(state("2001:db8::2"), State::probe);
  receive(icmp6(ours, theirs, "2001:db8::7", "2001:db8::1",
                advertisement("2001:db8::7", 0x60, theirs)));
  EXPECT_EQ(machine_.entries().size(), 1u);
}

TEST_F(Neighbour, AnswersEchoOfBothFamilies) {
  Bytes request = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'a', 'b', 'c'};
  store_be16(&request[2], test::naive_checksum(request));
  ByteWriter frame;
  frame.bytes(ours).bytes(theirs).be16(0x0800).be16(0x4500);
  frame.be16(static_cast<uint16_t>(20 + request.size())).be32(0).u8(7).u8(1).be16(0);
  frame.bytes(address_bytes("198.51.100.2")).bytes(address_bytes("192.0.2.1"));
  store_be16(&frame.buffer()[24], test::naive_checksum({&frame.buffer()[14], 20}));
  frame.bytes(request);
  frame.buffer().resize(60);  // Ethernet padding is not echoed
  const Frames v4 = receive(frame.buffer());
  ASSERT_EQ(v4.size(), 1u);
  const Headers headers = parse_headers(v4[0], {});
  EXPECT_EQ(headers.layer, Layer::icmp);
  EXPECT_EQ(address_text(headers.source), "192.0.2.1");
  EXPECT_EQ(address_text(headers.destination), "198.51.100.2");
  const Bytes message(v4[0].begin() + 34, v4[0].end());
  EXPECT_EQ(test::naive_checksum(message), 0);
  EXPECT_EQ(message[0], 0);
  EXPECT_EQ(Bytes(message.begin() + 4, message.end()), Bytes(request.begin() + 4, request.end()));
  EXPECT_TRUE(std::equal(theirs.begin(), theirs.end(), v4[0].begin()));

  EXPECT_EQ(receive(icmp6(ours, theirs, "2001:db8::2", "2001:db8::1",
                          {128, 0, 0, 0, 9, 9, 0, 1, 'x'}, 64)),
            Frames{icmp6(theirs, ours, "2001:db8::1", "2001:db8::2",
                         {129, 0, 0, 0, 9, 9, 0, 1, 'x'}, 64)});
  frame.buffer()[40] ^= 1;  // damaged in the ICMP message
  EXPECT_TRUE(receive(frame.buffer()).empty());
}

TEST_F(Neighbour, FramesCarryTheConfiguredVlan) {
  NeighbourConfig config = config_of();
  config.vlan = 42;
  Neighbours machine(config);
  Frames out;
  machine.resolve(test::endpoint("192.0.2.2:1"), now_, out);
  machine.resolve(test::endpoint("[2001:db8::2]:1"), now_, out);
  for (const Bytes& frame : out) EXPECT_EQ(parse_headers(frame, {}).vlan, 42);
}

TEST_F(Neighbour, HostileFramesNeitherCrashNorMakeEntries) {
  Random random(9);
  const std::vector<Bytes> good = {arp(1, everyone, theirs, "192.0.2.2", Mac{}, "192.0.2.1"),
                                   icmp6({0x33, 0x33, 0xff, 0, 0, 1}, theirs, "2001:db8::2",
                                         "ff02::1:ff00:1", solicitation("2001:db8::1", theirs)),
                                   icmp6(ours, theirs, "2001:db8::2", "2001:db8::1",
                                         advertisement("2001:db8::2", 0x60, theirs))};
  for (int round = 0; round < 20000; ++round) {
    Bytes frame = good[random.below(good.size())];
    for (uint64_t n = random.below(4); n > 0; --n) {
      frame[random.below(frame.size())] = static_cast<uint8_t>(random.next());
    }
    if (random.below(3) == 0) frame.resize(random.below(frame.size() + 1));
    EXPECT_LE(receive(frame).size(), 1u);
  }
  EXPECT_TRUE(machine_.entries().empty());
}

TEST(NeighbourCapture, AnswersWhatTsharkCounts) {
  CC_DATA_FILE_OR_SKIP(path, "pcap/tcpdump.arp-oobr.pcap.gz");
  if (!test::has_tshark()) GTEST_SKIP() << "needs tshark";
  const auto rows = test::tshark_fields(
      path, {"arp.opcode", "arp.dst.proto_ipv4", "arp.src.proto_ipv4", "arp.hw.type",
             "arp.proto.type", "arp.hw.size", "arp.proto.size", "arp.src.hw_mac"});
  // The address asked for most often is ours. The capture was damaged on purpose: only Ethernet and
  // IPv4 from a sender with an address of its own counts.
  std::map<std::string, unsigned> asked;
  for (const auto& row : rows) {
    const bool is_sound = row[3] == "1" && row[4] == "0x0800" && row[5] == "6" && row[6] == "4";
    if (!is_sound || row[0] != "1") continue;
    const Result<Mac> sender = parse_mac(row[7]);
    if (sender.ok() && (sender.value()[0] & 1) == 0) ++asked[row[1]];
  }
  ASSERT_FALSE(asked.empty());
  const auto most = std::max_element(
      asked.begin(), asked.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  NeighbourConfig config;
  config.mac = ours;
  config.addresses = {{*parse_address(most->first), 24}};
  Neighbours machine(config);
  Frames answers;
  for (const Bytes& frame : test::parse_pcap(chaincast::test::read_file(path))) {
    machine.receive(frame, parse_headers(frame, {}), ns_per_s, answers);
  }
  EXPECT_EQ(answers.size(), most->second);
  EXPECT_TRUE(machine.entries().empty());
}

}  // namespace
}  // namespace chaincast::port
