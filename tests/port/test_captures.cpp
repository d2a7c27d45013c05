// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/random.hpp"
#include "port/packets.hpp"
#include "support/data.hpp"

// Real captures: our parser's word on every frame against tshark's.
namespace chaincast::port {
namespace {

using stage::Drop;

// tshark's protocol stack up to the transport, e.g. "eth:ethertype:vlan:ethertype:ip:udp".
std::string our_stack(const Headers& headers, ByteSpan frame) {
  std::string out = "eth:ethertype:";
  if (headers.l2_bytes == 18) out += "vlan:ethertype:";
  switch (headers.layer) {
    case Layer::arp:
      return out + "arp";
    case Layer::icmp:
      return out + "ip:icmp";
    case Layer::icmp6:
      return out + "ipv6:icmpv6";
    case Layer::udp:
      return out + (headers.source.is_ipv6 ? "ipv6:udp" : "ip:udp");
    default:
      break;
  }
  if (headers.drop == Drop::rx_fragment) {
    return out + (headers.destination.is_ipv6 ? "ipv6:fragment" : "ip:fragment");
  }
  if (headers.drop == Drop::rx_not_udp)
    return out + (frame[headers.l2_bytes] >> 4 == 6 ? "ipv6" : "ip");
  return std::string("drop:") + std::string(stage::drop_text(headers.drop).name);
}

// The same from tshark's fields, cut to what we distinguish.
std::string their_stack(const std::vector<std::string>& row) {
  const std::string& protocols = row[0];
  std::string out;
  std::string rest = protocols;
  for (const char* tag : {"eth:ethertype:", "vlan:ethertype:"}) {
    if (rest.starts_with(tag)) {
      out += tag;
      rest = rest.substr(std::string(tag).size());
    }
  }
  const bool is_fragment = row[1].find('1') != std::string::npos ||
                           (!row[2].empty() && row[2].front() != '0') || !row[3].empty();
  if (row[12] == "0") return "drop:rx_ip_checksum";
  if (rest.starts_with("ipv6") && is_fragment) return out + "ipv6:fragment";
  if (rest.starts_with("ip:") && is_fragment) return out + "ip:fragment";
  for (const char* stack : {"arp", "ip:icmp", "ipv6:icmpv6", "ip:udp", "ipv6:udp"}) {
    if (rest == stack || rest.starts_with(std::string(stack) + ":")) return out + stack;
  }
  if (rest.starts_with("ipv6")) return out + "ipv6";
  if (rest.starts_with("ip")) return out + "ip";
  return "drop:rx_not_ip";
}

class Capture : public testing::TestWithParam<const char*> {};

TEST_P(Capture, EveryFrameIsWhatTsharkSays) {
  CC_DATA_FILE_OR_SKIP(path, std::string("pcap/") + GetParam());
  if (!test::has_tshark()) GTEST_SKIP() << "needs tshark";
  const std::vector<Bytes> frames = test::parse_pcap(chaincast::test::read_file(path));
  const auto rows = test::tshark_fields(
      path, {"frame.protocols", "ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.nxt", "ip.src",
             "ipv6.src", "ip.dst", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.length",
             "vlan.id", "ip.checksum.status"});
  ASSERT_EQ(frames.size(), rows.size());
  std::map<std::string, unsigned> counts;
  for (size_t i = 0; i < frames.size(); ++i) {
    const Headers headers = parse_headers(frames[i], {});
    const std::string stack = our_stack(headers, frames[i]);
    ++counts[stack];
    ASSERT_EQ(stack, their_stack(rows[i])) << "frame " << i + 1 << " " << rows[i][0];
    if (headers.layer != Layer::udp) continue;
    const unsigned v6 = headers.source.is_ipv6 ? 1 : 0;
    ASSERT_EQ(address_text(headers.source), rows[i][4 + v6]) << i + 1;
    ASSERT_EQ(address_text(headers.destination), rows[i][6 + v6]) << i + 1;
    ASSERT_EQ(std::to_string(headers.source.port), rows[i][8]) << i + 1;
    ASSERT_EQ(std::to_string(headers.destination.port), rows[i][9]) << i + 1;
    ASSERT_EQ(std::to_string(headers.payload_bytes + 8), rows[i][10]) << i + 1;
    ASSERT_EQ(headers.vlan == no_vlan ? "" : std::to_string(headers.vlan), rows[i][11]) << i + 1;
  }
  for (const auto& [stack, count] : counts) RecordProperty(stack, static_cast<int>(count));
}

INSTANTIATE_TEST_SUITE_P(
    Files, Capture,
    testing::Values("zeek.ip6_esp.pcap.gz", "zeek.mixed-vlan-mpls.pcap.gz",
                    "zeek.ipv6-reassembly-state-leak.pcap.gz", "tcpdump.arp-oobr.pcap.gz",
                    "tcpdump.vrrp.pcap.gz", "trex.imix.pcap.gz", "trex.udp_rand_len_9k.pcap.gz",
                    "tsduck.mpegts-rtp-multicast-vlan.pcap.gz", "trex.rtp_250k_rtp_only.pcap.gz",
                    "suricata.dhcp-request-flood.pcap.gz", "zeek.igmp-many-groups.pcap.gz"),
    [](const auto& param) {
      std::string name;
      for (const char* c = param.param; *c != '\0'; ++c) {
        if (std::isalnum(static_cast<unsigned char>(*c))) name.push_back(*c);
      }
      return name;
    });

TEST(Tshark, FindsEveryChecksumOfBuiltFramesRight) {
  if (!test::has_tshark()) GTEST_SKIP() << "needs tshark";
  Random random(4);
  std::vector<Bytes> frames;
  for (size_t size = 0; size < 400; ++size) {
    const Bytes data = test::random_bytes(random, size < 200 ? size : random.below(8900));
    const bool is_ipv6 = size % 2 == 1;
    frames.push_back(test::build_frame(
        {.source_mac = {2, 0, 0, 0, 0, 1},
         .destination_mac = {2, 0, 0, 0, 0, 2},
         .vlan = size % 3 == 0 ? uint16_t{100} : no_vlan,
         .source = test::endpoint(is_ipv6 ? "[2001:db8::1]:7000" : "192.0.2.1:7000"),
         .remote = test::endpoint(is_ipv6 ? "[2001:db8::2]:7003" : "192.0.2.2:7003")},
        data));
  }
  const test::TemporaryFile file(".pcap", test::make_pcap(frames));
  const auto rows = test::tshark_fields(
      file.path(),
      {"ip.dst", "ipv6.dst", "ip.checksum.status", "udp.checksum.status", "ip.flags.df", "ip.id"});
  ASSERT_EQ(rows.size(), frames.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i][3], "1") << "udp checksum of frame " << i + 1;
    if (i % 2 == 1) continue;  // IPv6
    EXPECT_EQ(rows[i][2], "1") << "ip checksum of frame " << i + 1;
    EXPECT_EQ(rows[i][4], "1");
    EXPECT_EQ(rows[i][5], "0x0000");
  }
}

}  // namespace
}  // namespace chaincast::port
