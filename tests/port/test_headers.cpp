// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ip.h>

#include "base/random.hpp"
#include "port/packets.hpp"
#include "port/plain.hpp"

namespace chaincast::port {
namespace {

using stage::Drop;
using test::build_frame;
using test::endpoint;

const Mac ours = {2, 0, 0, 0, 0, 1};
const Mac theirs = {2, 0, 0, 0, 0, 2};

// From them to us.
HeaderFields towards_us(bool is_ipv6, uint16_t vlan = no_vlan) {
  return {.source_mac = theirs,
          .destination_mac = ours,
          .vlan = vlan,
          .source = endpoint(is_ipv6 ? "[2001:db8::2]:7001" : "192.0.2.2:7001"),
          .remote = endpoint(is_ipv6 ? "[2001:db8::1]:7000" : "192.0.2.1:7000")};
}

Local listener(uint16_t vlan = no_vlan) {
  Local out;
  out.mac = ours;
  out.vlan = vlan;
  out.addresses[0] = endpoint("192.0.2.1:0");
  out.addresses[1] = endpoint("[2001:db8::1]:0");
  out.address_count = 2;
  out.udp_port = 7000;
  out.udp_port_count = 2;
  return out;
}

struct Outcome {
  Verdict verdict;
  Drop reason;
  bool operator==(const Outcome&) const = default;
};

// take_plain() may leave a packet to the others, and says nothing else than they.
bool expect_same_at_a_glance(ByteSpan frame, const Local& local, const NicHints& hints,
                             const Headers& headers, Verdict verdict) {
  Plain plain;
  if (!take_plain(frame, hints, local, plain)) return false;
  EXPECT_EQ(verdict, Verdict::take);
  EXPECT_EQ(plain.source, headers.source);
  EXPECT_EQ(plain.local_port, headers.destination.port);
  EXPECT_EQ(plain.payload_bytes, headers.payload_bytes);
  EXPECT_EQ(plain_headers_bytes, headers.payload_offset);
  return true;
}

Outcome outcome(const Bytes& frame, const Local& local = listener(), const NicHints& hints = {}) {
  // An exact-size heap copy: the address sanitizer sees a read past the end.
  const auto copy = std::make_unique<uint8_t[]>(frame.size());
  std::copy(frame.begin(), frame.end(), copy.get());
  const Headers headers = parse_headers({copy.get(), frame.size()}, hints);
  Outcome out{Verdict::drop, Drop::count_};
  out.verdict = judge(headers, copy.get(), local, out.reason);
  expect_same_at_a_glance({copy.get(), frame.size()}, local, hints, headers, out.verdict);
  if (out.verdict != Verdict::drop) out.reason = Drop::count_;
  return out;
}

Outcome dropped(Drop reason) {
  return {Verdict::drop, reason};
}
const Outcome taken{Verdict::take, Drop::count_};
const Outcome to_control{Verdict::control, Drop::count_};

void set_ipv4_checksum(Bytes& frame, size_t l2_bytes = 14) {
  const size_t header_bytes = size_t{frame[l2_bytes] & 15u} * 4;
  store_be16(frame.data() + l2_bytes + 10, 0);
  store_be16(frame.data() + l2_bytes + 10,
             test::naive_checksum({frame.data() + l2_bytes, header_bytes}));
}

const Bytes payload = {1, 2, 3, 4, 5};

TEST(ParseHeaders, FindsThePayloadOfBothFamiliesWithAndWithoutVlan) {
  for (const bool is_ipv6 : {false, true}) {
    for (const uint16_t vlan : {uint16_t{0}, uint16_t{42}}) {
      Bytes frame = build_frame(towards_us(is_ipv6, vlan), payload);
      frame.resize(std::max<size_t>(frame.size(), 64));  // Ethernet padding
      const Headers headers = parse_headers(frame, {});
      ASSERT_EQ(headers.layer, Layer::udp);
      EXPECT_EQ(headers.vlan, vlan);
      EXPECT_EQ(headers.source, towards_us(is_ipv6).source);
      EXPECT_EQ(headers.destination, towards_us(is_ipv6).remote);
      EXPECT_EQ(headers.payload_bytes, payload.size());
      EXPECT_EQ(Bytes(frame.begin() + headers.payload_offset,
                      frame.begin() + headers.payload_offset + headers.payload_bytes),
                payload);
      EXPECT_EQ(outcome(frame, listener(vlan)), taken);
      EXPECT_EQ(outcome(frame, listener(77)), dropped(Drop::rx_not_ours));
    }
  }
}

TEST(TakePlain, TakesWhatMostPacketsAreAndAgreesOnAllOthers) {
  const Local local = listener();
  const Bytes plain = build_frame(towards_us(false), Bytes(64, 1));
  const auto glance = [&](const Bytes& frame, const NicHints& hints = {}) {
    const auto copy = std::make_unique<uint8_t[]>(frame.size());
    std::copy(frame.begin(), frame.end(), copy.get());
    const ByteSpan bytes(copy.get(), frame.size());
    const Headers headers = parse_headers(bytes, hints);
    Drop reason{};
    const Verdict verdict = judge(headers, copy.get(), local, reason);
    return expect_same_at_a_glance(bytes, local, hints, headers, verdict);
  };
  EXPECT_TRUE(glance(plain));
  EXPECT_FALSE(glance(plain, {.is_udp_checksum_bad = true}));
  EXPECT_FALSE(glance(plain, {.stripped_vlan = 7}));
  EXPECT_FALSE(glance(build_frame(towards_us(true), Bytes(64, 1))));
  // Every bit of the headers, with the header checksum right and wrong, and every length.
  for (size_t bit = 0; bit < 8 * plain_headers_bytes; ++bit) {
    Bytes other = plain;
    other[bit / 8] = static_cast<uint8_t>(other[bit / 8] ^ 1u << bit % 8);
    glance(other);
    glance(other, {.is_ipv4_checksum_good = true});
  }
  for (size_t bytes = 0; bytes < plain.size(); ++bytes) {
    EXPECT_FALSE(glance(Bytes(plain.begin(), plain.begin() + static_cast<ptrdiff_t>(bytes))));
  }
  Random random(3);
  for (unsigned i = 0; i < 200'000; ++i) {
    Bytes other = plain;
    for (unsigned k = 0; k < 3; ++k) {
      other[random.below(plain_headers_bytes)] = static_cast<uint8_t>(random.next());
    }
    glance(other, {.is_ipv4_checksum_good = true});
  }
}

TEST(ParseHeaders, EveryTruncationIsDroppedAndNamed) {
  for (const bool is_ipv6 : {false, true}) {
    const Bytes frame = build_frame(towards_us(is_ipv6, 42), payload);
    for (size_t size = 0; size < frame.size(); ++size) {
      EXPECT_EQ(
          outcome(Bytes(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(size)), listener(42)),
          dropped(Drop::rx_truncated))
          << size;
    }
  }
}

TEST(ParseHeaders, LengthFieldsAtTheirExtremes) {
  for (const bool is_ipv6 : {false, true}) {
    const Bytes good = build_frame(towards_us(is_ipv6), payload);
    const size_t ip_length_at = is_ipv6 ? 14 + 4 : 14 + 2;
    const size_t udp_at = is_ipv6 ? 54 : 34;
    for (const uint32_t length : {0u, 1u, 7u, 12u, 14u, 19u, 34u, 0x7fffu, 0xffffu}) {
      Bytes frame = good;
      store_be16(frame.data() + ip_length_at, static_cast<uint16_t>(length));
      if (!is_ipv6) set_ipv4_checksum(frame);
      EXPECT_EQ(outcome(frame), dropped(Drop::rx_truncated)) << length;
    }
    for (const uint32_t length : {0u, 7u, 14u, 0xffffu}) {
      Bytes frame = good;
      store_be16(frame.data() + udp_at + 4, static_cast<uint16_t>(length));
      EXPECT_EQ(outcome(frame), dropped(Drop::rx_truncated)) << length;
    }
    Bytes empty = good;
    store_be16(empty.data() + udp_at + 4, 8);
    EXPECT_EQ(outcome(empty), taken);
    EXPECT_EQ(parse_headers(empty, {}).payload_bytes, 0);
  }
}

TEST(ParseHeaders, NamesForeignPackets) {
  struct Case {
    const char* what;
    void (*change)(Bytes& frame);
    Drop reason;
  };
  const Case cases[] = {
      {"other MAC", [](Bytes& f) { f[5] = 9; }, Drop::rx_not_ours},
      {"unicast datagram in a broadcast frame", [](Bytes& f) { std::fill_n(f.begin(), 6, 0xff); },
       Drop::rx_not_ours},
      {"other address", [](Bytes& f) { f[33] = 9, set_ipv4_checksum(f); }, Drop::rx_not_ours},
      {"port below ours", [](Bytes& f) { store_be16(&f[36], 6999); }, Drop::rx_other_port},
      {"port above ours", [](Bytes& f) { store_be16(&f[36], 7002); }, Drop::rx_other_port},
      {"port 0", [](Bytes& f) { store_be16(&f[36], 0); }, Drop::rx_other_port},
      {"TCP", [](Bytes& f) { f[23] = 6, set_ipv4_checksum(f); }, Drop::rx_not_udp},
      {"ICMP echo reply", [](Bytes& f) { f[23] = 1, f[34] = 0, set_ipv4_checksum(f); },
       Drop::rx_not_udp},
      {"bad header checksum", [](Bytes& f) { f[22] ^= 1; }, Drop::rx_ip_checksum},
      {"first fragment", [](Bytes& f) { f[20] = 0x20, set_ipv4_checksum(f); }, Drop::rx_fragment},
      {"last fragment", [](Bytes& f) { f[21] = 1, set_ipv4_checksum(f); }, Drop::rx_fragment},
      {"version 5", [](Bytes& f) { f[14] = 0x55, set_ipv4_checksum(f); }, Drop::rx_not_ip},
      {"header length 4 words", [](Bytes& f) { f[14] = 0x44, set_ipv4_checksum(f); },
       Drop::rx_truncated},
      {"ethertype MPLS", [](Bytes& f) { f[12] = 0x88, f[13] = 0x47; }, Drop::rx_not_ip},
      {"802.3 length", [](Bytes& f) { store_be16(&f[12], 46); }, Drop::rx_not_ip},
  };
  for (const Case& c : cases) {
    Bytes frame = build_frame(towards_us(false), payload);
    ASSERT_EQ(outcome(frame), taken);
    c.change(frame);
    EXPECT_EQ(outcome(frame), dropped(c.reason)) << c.what;
  }
}

TEST(ParseHeaders, StepsOverIpv4Options) {
  Bytes frame = build_frame(towards_us(false), payload);
  frame.insert(frame.begin() + 34, {1, 1, 1, 0});  // no-operation, end of list
  frame[14] = 0x46;
  store_be16(&frame[16], static_cast<uint16_t>(load_be16(&frame[16]) + 4));
  set_ipv4_checksum(frame);
  EXPECT_EQ(outcome(frame), taken);
  EXPECT_EQ(parse_headers(frame, {}).payload_offset, 46);
}

TEST(ParseHeaders, NamesFragmentsBehindExtensionHeaders) {
  // The 8 bytes of the UDP header become one extension header each time.
  struct Case {
    uint8_t first, next, length;
    Drop reason;
  };
  for (const Case c : {Case{44, 17, 0, Drop::rx_fragment}, Case{0, 44, 0, Drop::rx_fragment},
                       Case{60, 44, 0, Drop::rx_fragment}, Case{60, 17, 0, Drop::rx_not_udp},
                       Case{43, 60, 200, Drop::rx_truncated}, Case{50, 0, 0, Drop::rx_not_udp}}) {
    Bytes frame = build_frame(towards_us(true), payload);
    frame[20] = c.first;
    frame[54] = c.next;
    frame[55] = c.length;
    EXPECT_EQ(outcome(frame), dropped(c.reason)) << unsigned{c.first} << " " << unsigned{c.next};
  }
}

TEST(ParseHeaders, UdpChecksumIsTheNicsWordAndIpv6NeedsOne) {
  Bytes v4 = build_frame(towards_us(false), payload);
  Bytes v6 = build_frame(towards_us(true), payload);
  EXPECT_EQ(outcome(v4, listener(), {.is_udp_checksum_bad = true}), dropped(Drop::rx_udp_checksum));
  v4[40] ^= 1;  // veth hands over half-made sums: not looked at
  EXPECT_EQ(outcome(v4), taken);
  store_be16(&v4[40], 0);
  EXPECT_EQ(outcome(v4), taken);
  store_be16(&v6[60], 0);
  EXPECT_EQ(outcome(v6), dropped(Drop::rx_udp_checksum));
}

TEST(ParseHeaders, NicMayVouchForTheHeaderAndStripTheTag) {
  Bytes frame = build_frame(towards_us(false), payload);
  EXPECT_EQ(outcome(frame, listener(42), {.stripped_vlan = 42}), taken);
  EXPECT_EQ(outcome(frame, listener(), {.stripped_vlan = 42}), dropped(Drop::rx_not_ours));
  frame[22] ^= 1;
  EXPECT_EQ(outcome(frame, listener(), {.is_ipv4_checksum_good = true}), taken);
}

TEST(Judge, HandsNeighbourTrafficToControl) {
  Bytes arp(42, 0);
  std::fill_n(arp.begin(), 6, 0xff);
  store_be16(&arp[12], ethertype_arp);
  EXPECT_EQ(outcome(arp), to_control);
  arp[0] = 2;  // unicast to someone else
  EXPECT_EQ(outcome(arp), dropped(Drop::rx_not_ours));

  Bytes echo = build_frame(towards_us(true), payload);
  echo[20] = protocol_icmp6;
  echo[54] = 128;
  EXPECT_EQ(outcome(echo), to_control);
  echo[54] = 134;  // router advertisement
  EXPECT_EQ(outcome(echo), dropped(Drop::rx_not_udp));
  echo[54] = 135;
  echo[38] = 0xff;  // to a multicast address
  EXPECT_EQ(outcome(echo), to_control);
}

TEST(CompleteHeaders, ChecksumsAgreeWithTheDefinition) {
  Random random(3);
  for (int round = 0; round < 2000; ++round) {
    const Bytes data = test::random_bytes(random, random.below(2000));
    const bool is_ipv6 = random.below(2) == 1;
    HeaderFields fields = towards_us(is_ipv6, random.below(2) == 1 ? uint16_t{7} : no_vlan);
    fields.source.port = static_cast<uint16_t>(random.next());
    fields.remote.address[3] = static_cast<uint8_t>(random.next());
    const Bytes frame = build_frame(fields, data);
    const size_t ip_at = fields.vlan == 7 ? 18 : 14;
    const size_t udp_at = ip_at + (is_ipv6 ? 40 : 20);
    if (!is_ipv6) {
      ASSERT_EQ(test::naive_checksum({&frame[ip_at], 20}), 0);
    }
    const size_t address_bytes = is_ipv6 ? 32 : 8;
    const auto length = static_cast<uint16_t>(data.size() + 8);
    ByteWriter pseudo;
    pseudo.bytes({&frame[udp_at - address_bytes], address_bytes}).be16(length).be16(protocol_udp);
    pseudo.bytes({&frame[udp_at], length});
    ASSERT_EQ(test::naive_checksum(pseudo.buffer()), 0) << round;
    ASSERT_EQ(load_be16(&frame[udp_at + 4]), length);
    ASSERT_EQ(parse_headers(frame, {}).payload_bytes, data.size());
  }
}

TEST(CompleteHeaders, ZeroUdpChecksumIsSentAsOnes) {
  // The last word is chosen so that the sum comes out as all ones.
  const Destination to = make_destination(towards_us(false));
  const uint32_t without = to.l4_sum + 2 * sum_be16(10);
  const auto word = static_cast<uint16_t>(~fold_sum(without));
  uint8_t data[2];
  std::memcpy(data, &word, 2);
  const Bytes frame = build_frame(towards_us(false), data);
  EXPECT_EQ(load_be16(&frame[40]), 0xffff);
}

TEST(CompleteHeaders, OffloadStartsAreWhatDpdkAsksFor) {
  for (const bool is_ipv6 : {false, true}) {
    Bytes frame = build_frame(towards_us(is_ipv6), payload, {.udp = true, .ipv4 = true});
    const uint64_t flags = RTE_MBUF_F_TX_UDP_CKSUM;
    uint16_t expected;
    if (is_ipv6) {
      rte_ipv6_hdr ip;
      std::memcpy(&ip, &frame[14], sizeof ip);
      expected = rte_ipv6_phdr_cksum(&ip, flags);
    } else {
      rte_ipv4_hdr ip;
      std::memcpy(&ip, &frame[14], sizeof ip);
      EXPECT_EQ(ip.hdr_checksum, 0);
      expected = rte_ipv4_phdr_cksum(&ip, flags);
    }
    uint16_t stored;
    std::memcpy(&stored, &frame[is_ipv6 ? 60 : 40], 2);
    EXPECT_EQ(stored, expected);
  }
}

TEST(CompleteHeaders, SetsAndClearsOffloadFlags) {
  rte_mbuf mbuf{};
  const Destination v4 = make_destination(towards_us(false, 5));
  const Destination v6 = make_destination(towards_us(true));
  set_offload(&mbuf, v4, {.udp = true, .ipv4 = true});
  EXPECT_EQ(mbuf.ol_flags, RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM);
  EXPECT_EQ(mbuf.l2_len, 18);
  EXPECT_EQ(mbuf.l3_len, 20);
  set_offload(&mbuf, v6, {.udp = true, .ipv4 = true});
  EXPECT_EQ(mbuf.ol_flags, RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM);
  set_offload(&mbuf, v6, {});
  EXPECT_EQ(mbuf.ol_flags, 0u);
}

TEST(CompleteHeaders, DestinationWithoutHeadersIsLeftAlone) {
  uint8_t packet[4] = {1, 2, 3, 4};
  complete_headers(packet, Destination{}, 100, 0, {});
  EXPECT_EQ(load_be32(packet), 0x01020304u);
}

}  // namespace
}  // namespace chaincast::port
