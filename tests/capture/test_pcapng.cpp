// SPDX-License-Identifier: BSD-3-Clause
// The file format, as tshark and capinfos understand it.
#include "capture/pcapng.hpp"

#include <gtest/gtest.h>

#include "port/packets.hpp"

namespace chaincast::capture {
namespace {

namespace packets = port::test;

struct Sample {
  Endpoint source, destination;
  Bytes datagram;
  bool is_outgoing;
  std::vector<std::string> comments;
};

std::vector<Sample> samples() {
  Random random(3);
  const Endpoint a4 = packets::endpoint("192.0.2.1:7001"), b4 = packets::endpoint("198.51.100.2:9");
  const Endpoint a6 = packets::endpoint("[2001:db8::1]:7001"),
                 b6 = packets::endpoint("[2001:db8::2]:65535");
  std::vector<Sample> out;
  for (const size_t bytes : {0u, 1u, 2u, 3u, 16u, 1473u, 9001u, 65507u}) {
    const Bytes datagram = packets::random_bytes(random, bytes);
    out.push_back({a4, b4, datagram, true, {}});
    out.push_back({b6, a6, datagram, false, {"dropped=tag frame=1", "second, of 2"}});
  }
  return out;
}

Bytes file_of(const std::vector<Sample>& list) {
  ByteWriter out;
  put_section(out, "chaincast test");
  put_interface(out, {"p0", "the first"});
  put_interface(out, {"p1", "udp 127.0.0.1"});
  TimeNs unix_ns = 1'700'000'000'123'456'789;
  for (const Sample& sample : list) {
    Packet packet;
    packet.interface = sample.is_outgoing ? 1 : 0;
    packet.unix_ns = unix_ns++;
    packet.is_outgoing = sample.is_outgoing;
    packet.source = sample.source;
    packet.destination = sample.destination;
    packet.datagram = sample.datagram;
    packet.comments = sample.comments;
    put_packet(out, packet);
  }
  put_statistics(out, 0, unix_ns, list.size() / 2, 5);
  put_statistics(out, 1, unix_ns, list.size() / 2, 0);
  return out.take();
}

TEST(Pcapng, TsharkReadsBackEveryField) {
  if (!packets::has_tshark()) GTEST_SKIP() << "needs tshark";
  const std::vector<Sample> list = samples();
  const packets::TemporaryFile file(".pcapng", file_of(list));
  const auto rows = packets::tshark_fields(
      file.path(), {"ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport",
                    "udp.payload", "udp.checksum.status", "ip.checksum.status",
                    "frame.packet_flags_direction", "frame.interface_name", "frame.comment",
                    "frame.time_epoch", "frame.cap_len", "ip.flags.df"});
  ASSERT_EQ(rows.size(), list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    SCOPED_TRACE(i);
    const Sample& sample = list[i];
    const std::vector<std::string>& row = rows[i];
    const size_t family = sample.source.is_ipv6 ? 2 : 0;
    EXPECT_EQ(row[family], port::address_text(sample.source));
    EXPECT_EQ(row[family + 1], port::address_text(sample.destination));
    EXPECT_EQ(row[4], std::to_string(sample.source.port));
    EXPECT_EQ(row[5], std::to_string(sample.destination.port));
    EXPECT_EQ(row[6], to_hex(sample.datagram));
    EXPECT_EQ(row[7], "1") << "UDP checksum";
    EXPECT_EQ(row[8], sample.source.is_ipv6 ? "" : "1") << "IP checksum";
    EXPECT_EQ(row[9], sample.is_outgoing ? "0x00000002" : "0x00000001");
    EXPECT_EQ(row[10], sample.is_outgoing ? "p1" : "p0");
    EXPECT_EQ(row[11],
              sample.comments.empty() ? "" : sample.comments[0] + "," + sample.comments[1]);
    EXPECT_EQ(row[12], "1700000000." + std::to_string(123'456'789 + i));
    EXPECT_EQ(row[13], std::to_string(sample.datagram.size() + (sample.source.is_ipv6 ? 48 : 28)));
  }
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  CC_ASSERT(pipe != nullptr);
  for (int c; (c = std::fgetc(pipe)) != EOF;) out.push_back(static_cast<char>(c));
  pclose(pipe);
  return out;
}

TEST(Pcapng, CapinfosFindsTheInterfacesAndTheWriter) {
  if (output_of("command -v capinfos").empty()) GTEST_SKIP() << "needs capinfos";
  const packets::TemporaryFile file(".pcapng", file_of(samples()));
  const std::string text = output_of("capinfos " + file.path());
  for (const char* line :
       {"pcapng", "Number of interfaces in file: 2", "Name = p0", "Description = the first",
        "Name = p1", "Encapsulation = Raw IP", "Time precision = nanoseconds (9)",
        "Number of stat entries = 1", "chaincast test"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST(Pcapng, BlocksAreWholeWordsAndSayTheirLengthTwice) {
  const Bytes file = file_of(samples());
  size_t at = 0;
  unsigned blocks = 0;
  while (at < file.size()) {
    ASSERT_LE(at + 12, file.size());
    const uint32_t bytes = load_be32(&file[at + 4]);
    ASSERT_EQ(bytes % 4, 0u);
    ASSERT_LE(at + bytes, file.size());
    ASSERT_EQ(load_be32(&file[at + bytes - 4]), bytes);
    at += bytes;
    ++blocks;
  }
  EXPECT_EQ(blocks, 1 + 2 + samples().size() + 2);
}

}  // namespace
}  // namespace chaincast::capture
