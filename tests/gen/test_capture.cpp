// SPDX-License-Identifier: BSD-3-Clause
// Recordings as we read them against tshark and editcap, and files that make no sense.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/random.hpp"
#include "gen/capture.hpp"
#include "support/data.hpp"

namespace chaincast::gen {
namespace {

using testing::HasSubstr;

struct Contents {
  std::vector<Bytes> packets;
  std::vector<Bytes> payloads;
  std::string failure;
};

Contents read(std::unique_ptr<route::Source> source) {
  Contents out;
  auto capture = Capture::open(std::move(source), "test");
  if (!capture) {
    out.failure = capture.error().message;
    return out;
  }
  for (;;) {
    Packet packet;
    const auto more = (*capture)->next(packet);
    if (!more) out.failure = more.error().message;
    if (!more || !*more) return out;
    out.packets.emplace_back(packet.bytes.begin(), packet.bytes.end());
    ByteSpan payload;
    if (udp_payload(packet, payload) == UdpVerdict::payload) {
      out.payloads.emplace_back(payload.begin(), payload.end());
    }
  }
}

Contents read(ByteSpan bytes) {
  return read(route::memory_source(bytes));
}

std::string output_of(const std::string& command) {
  std::string pattern = testing::TempDir() + "capture-XXXXXX";
  const int fd = ::mkstemp(pattern.data());
  EXPECT_EQ(std::system((command + " >" + pattern + " 2>" + pattern + ".err").c_str()), 0)
      << command;
  ::close(fd);
  std::ostringstream text;
  text << std::ifstream(pattern, std::ios::binary).rdbuf();
  std::filesystem::remove(pattern);
  std::filesystem::remove(pattern + ".err");
  return text.str();
}

bool has_tshark() {
  return std::system("command -v tshark editcap >/dev/null") == 0;
}

std::vector<Bytes> from_hex_lines(const std::string& text) {
  std::vector<Bytes> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Bytes bytes;
    for (size_t at = 0; at + 1 < line.size(); at += 2) {
      bytes.push_back(static_cast<uint8_t>(std::stoi(line.substr(at, 2), nullptr, 16)));
    }
    out.push_back(std::move(bytes));
  }
  return out;
}

class Recording : public testing::TestWithParam<const char*> {};

// tshark without reassembly: datagrams that ICMP quotes and parts of datagrams are left out.
TEST_P(Recording, CarriesThePayloadsThatTsharkSees) {
  CC_DATA_FILE_OR_SKIP(path, std::string("pcap/") + GetParam());
  if (!has_tshark()) GTEST_SKIP() << "needs tshark: scripts/setup";
  auto source = route::open_source(path);
  ASSERT_TRUE(source.ok());
  const Contents found = read(std::move(*source));
  EXPECT_EQ(found.failure, "");
  const std::string common =
      "tshark -n -o ip.defragment:FALSE -o ipv6.defragment:FALSE -r '" + path + "' ";
  const auto expected = from_hex_lines(
      output_of(common + "-Y 'udp.payload and not icmp and not icmpv6 and not ipv6.fraghdr "
                         "and not ip.flags.mf == 1' -T fields -e udp.payload"));
  std::vector<Bytes> filled = found.payloads;
  std::erase_if(filled, [](const Bytes& payload) { return payload.empty(); });
  EXPECT_EQ(filled.size(), expected.size());
  EXPECT_TRUE(filled == expected) << "other payloads than tshark's";
}

// All packets, byte by byte: editcap writes them as classic pcap, whose layout is trivial.
TEST_P(Recording, HoldsThePacketsThatEditcapSees) {
  CC_DATA_FILE_OR_SKIP(path, std::string("pcap/") + GetParam());
  if (!has_tshark()) GTEST_SKIP() << "needs tshark: scripts/setup";
  auto source = route::open_source(path);
  ASSERT_TRUE(source.ok());
  const Contents found = read(std::move(*source));
  const std::string classic = output_of("editcap -F pcap '" + path + "' -");
  std::vector<Bytes> expected;
  for (size_t at = 24; at + 16 <= classic.size();) {
    uint32_t bytes;
    std::memcpy(&bytes, classic.data() + at + 8, 4);
    at += 16;
    ASSERT_LE(at + bytes, classic.size());
    expected.emplace_back(classic.begin() + static_cast<ptrdiff_t>(at),
                          classic.begin() + static_cast<ptrdiff_t>(at + bytes));
    at += bytes;
  }
  EXPECT_EQ(found.packets.size(), expected.size());
  EXPECT_TRUE(found.packets == expected);
}

INSTANTIATE_TEST_SUITE_P(DataSet, Recording,
                         testing::Values("trex.imix.pcap.gz", "trex.udp_rand_len_9k.pcap.gz",
                                         "trex.udp_64B.pcap", "trex.Voice_calls_rtp_only.pcap.gz",
                                         "tsduck.mpegts-rtp-multicast-vlan.pcap.gz",
                                         "wireshark.logistics_multicast.pcapng.gz",
                                         "wireshark.netperfmeter.pcapng.gz",
                                         "zeek.ipv6-reassembly-state-leak.pcap.gz",
                                         "suricata.dhcp-request-flood.pcap.gz"));

// ---- made by hand -------------------------------------------------------------------------------

// Ethernet, IPv4, UDP with that payload.
Bytes datagram(std::string_view payload, uint16_t fragment = 0) {
  ByteWriter out;
  out.bytes(Bytes(12, 2)).be16(0x0800);
  out.u8(0x45).u8(0).be16(static_cast<uint16_t>(28 + payload.size())).be16(1).be16(fragment);
  out.u8(64).u8(17).be16(0).be32(0x0a000001).be32(0x0a000002);
  out.be16(1).be16(2).be16(static_cast<uint16_t>(8 + payload.size())).be16(0).text(payload);
  return out.take();
}

// One number in either byte order.
void put32(ByteWriter& out, uint32_t value, bool is_little) {
  out.be32(is_little ? __builtin_bswap32(value) : value);
}

Bytes pcap(const std::vector<Bytes>& packets, bool is_little, uint32_t magic = 0xa1b2c3d4) {
  ByteWriter out;
  put32(out, magic, is_little);
  out.be32(0).be32(0).be32(0).be32(0);
  put32(out, 1, is_little);
  for (const Bytes& packet : packets) {
    out.be64(0);
    put32(out, static_cast<uint32_t>(packet.size()), is_little);
    put32(out, static_cast<uint32_t>(packet.size()), is_little);
    out.bytes(packet);
  }
  return out.take();
}

void put_block(ByteWriter& out, uint32_t type, const Bytes& body, bool is_little) {
  const auto padded = static_cast<uint32_t>((body.size() + 3) / 4 * 4);
  put32(out, type, is_little);
  put32(out, padded + 12, is_little);
  out.bytes(body).bytes(Bytes(padded - body.size()));
  put32(out, padded + 12, is_little);
}

Bytes section(const std::vector<Bytes>& packets, bool is_little) {
  ByteWriter out, head, interface;
  put32(head, 0x1a2b3c4d, is_little);
  head.be32(0).be64(~uint64_t{0});
  put_block(out, 0x0a0d0d0a, head.take(), is_little);
  interface.be16(is_little ? 0x0100 : 1).be16(0).be32(0);
  put_block(out, 1, interface.take(), is_little);
  put_block(out, 5, Bytes(7, 9), is_little);  // passed over
  for (size_t i = 0; i < packets.size(); ++i) {
    ByteWriter body;
    const auto bytes = static_cast<uint32_t>(packets[i].size());
    const bool is_simple = i % 2 == 1;
    if (!is_simple) {
      body.be32(0).be64(0);
      put32(body, bytes, is_little);
    }
    put32(body, bytes, is_little);
    body.bytes(packets[i]);
    put_block(out, is_simple ? 3 : 6, body.take(), is_little);
  }
  return out.take();
}

const std::vector<std::string> texts = {"one", "", "three", std::string(300, 'x')};

std::vector<Bytes> packets_of(const std::vector<std::string>& payloads) {
  std::vector<Bytes> out;
  for (const auto& payload : payloads) out.push_back(datagram(payload));
  return out;
}

void expect_texts(const Contents& found, size_t times) {
  EXPECT_EQ(found.failure, "");
  ASSERT_EQ(found.payloads.size(), texts.size() * times);
  for (size_t i = 0; i < found.payloads.size(); ++i) {
    EXPECT_EQ(std::string(found.payloads[i].begin(), found.payloads[i].end()),
              texts[i % texts.size()]);
  }
}

TEST(Capture, BothByteOrdersAndResolutionsAreRead) {
  for (const bool is_little : {false, true}) {
    for (const uint32_t magic : {0xa1b2c3d4u, 0xa1b23c4du}) {
      expect_texts(read(pcap(packets_of(texts), is_little, magic)), 1);
    }
    expect_texts(read(section(packets_of(texts), is_little)), 1);
  }
}

TEST(Capture, SectionsMayDifferInByteOrder) {
  Bytes whole = section(packets_of(texts), true);
  const Bytes second = section(packets_of(texts), false);
  whole.insert(whole.end(), second.begin(), second.end());
  expect_texts(read(whole), 2);
}

TEST(Capture, OtherFilesAreNamed) {
  EXPECT_THAT(read(Bytes{}).failure, HasSubstr("neither pcap nor pcapng"));
  EXPECT_THAT(read(Bytes(100, 'x')).failure, HasSubstr("begins with 78787878"));
}

// Every prefix: what is whole comes out, and the place of the cut is named.
TEST(Capture, ACutFileGivesWhatIsWhole) {
  for (const Bytes& file : {pcap(packets_of(texts), true), section(packets_of(texts), true)}) {
    size_t complete = 0;
    for (size_t length = 24; length < file.size(); ++length) {
      const Contents found = read(ByteSpan(file).first(length));
      EXPECT_LE(found.packets.size(), texts.size());
      if (found.failure.empty()) {
        ++complete;
      } else {
        EXPECT_THAT(found.failure, HasSubstr("at byte"));
      }
    }
    // Between records only.
    EXPECT_LE(complete, texts.size() + 4);
  }
}

TEST(Capture, DamageIsAnErrorAndNeverACrash) {
  Random random(5);
  unsigned failures = 0;
  for (int round = 0; round < 4'000; ++round) {
    const bool is_ng = round % 2 == 0;
    Bytes file = is_ng ? section(packets_of(texts), round % 4 == 0) : pcap(packets_of(texts), true);
    for (int i = 0; i < 3; ++i) {
      file[4 + random.below(file.size() - 4)] = static_cast<uint8_t>(random.next());
    }
    failures += !read(file).failure.empty();
  }
  EXPECT_GT(failures, 500u);
}

TEST(Capture, FragmentsAndCutDatagramsAreNoPayloads) {
  ByteSpan payload;
  const Bytes whole = datagram("payload");
  EXPECT_EQ(udp_payload({1, 0, whole}, payload), UdpVerdict::payload);
  EXPECT_EQ(payload.size(), 7u);
  EXPECT_EQ(udp_payload({1, 0, ByteSpan(whole).first(whole.size() - 1)}, payload), UdpVerdict::cut);
  EXPECT_EQ(udp_payload({1, 0, datagram("payload", 0x2000)}, payload), UdpVerdict::fragment);
  EXPECT_EQ(udp_payload({1, 0, datagram("payload", 0x0001)}, payload), UdpVerdict::fragment);
  EXPECT_EQ(udp_payload({1, 0, datagram("payload", 0x4000)}, payload), UdpVerdict::payload);
  EXPECT_EQ(udp_payload({147, 0, whole}, payload), UdpVerdict::other);
  EXPECT_EQ(udp_payload({101, 0, ByteSpan(whole).subspan(14)}, payload), UdpVerdict::payload);
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(udp_payload({1, 0, ByteSpan(whole).first(length)}, payload), UdpVerdict::payload);
  }
}

}  // namespace
}  // namespace chaincast::gen
