// SPDX-License-Identifier: BSD-3-Clause
// Every format against its hand-written bytes.
#include <gtest/gtest.h>

#include "samples.hpp"
#include "wire/datagram.hpp"
#include "wire/object.hpp"

namespace chaincast::wire {
namespace {

TEST(Examples, data_datagram_is_built_and_walked) {
  const Bytes expected = unhex(example::data_datagram.hex);
  Bytes built(hop_header_bytes + 2 * frame_header_bytes + 5);
  HopHeader hop;
  hop.frame_count = 2;
  hop.hops = 3;
  hop.link_id = 0x0a1b2c05;
  hop.link_seq = 9;
  hop.check = 0xc0ffee11;
  store_hop_header(built.data(), hop);
  FrameHeader first;
  first.payload_bytes = 5;
  first.kind = kind_first | kind_last | static_cast<uint8_t>(Kind::data);
  first.suite = static_cast<uint8_t>(Suite::sha256_gmac);
  first.epoch = 2;
  first.stream = sample::stream;
  first.seq = 7;
  first.link = counting<Link16>(0x00);
  first.tag = counting<Tag>(0x10);
  store_frame_header(built.data() + 16, first);
  std::memcpy(built.data() + 72, "hello", 5);
  FrameHeader second;
  second.kind = kind_last | static_cast<uint8_t>(Kind::route);
  second.suite = static_cast<uint8_t>(Suite::gmac);
  second.stream.value = 0x99aabbccddeeff00;
  second.seq = 8;
  second.link = counting<Link16>(0x20);
  second.tag = counting<Tag>(0x30);
  store_frame_header(built.data() + 77, second);
  EXPECT_EQ(to_hex(built), to_hex(expected));

  EXPECT_EQ(check_data_datagram(expected), DatagramFault::none);
  FrameWalker walker(expected);
  FrameView frame;
  ASSERT_TRUE(walker.next(frame));
  EXPECT_EQ(frame.data, expected.data() + 16);
  EXPECT_EQ(frame.bytes, 61);
  EXPECT_EQ(load_frame_header(frame.data).seq, 7u);
  ASSERT_TRUE(walker.next(frame));
  EXPECT_EQ(frame.data, expected.data() + 77);
  EXPECT_EQ(frame.bytes, 56);
  EXPECT_EQ(load_frame_header(frame.data).stream.value, 0x99aabbccddeeff00u);
  EXPECT_FALSE(walker.next(frame));
  EXPECT_EQ(walker.fault(), DatagramFault::none);
  // (10111213^14151617^18191a1b^1c1d1e1f) and (30313233^...): 0 each, by the counting pattern.
  EXPECT_EQ(datagram_tag_xor(ByteSpan(expected)), 0u);
}

TEST(Examples, hello_datagram) {
  Bytes built;
  const auto header = hello_hop_header();
  built.insert(built.end(), header.begin(), header.end());
  const Bytes body = encode(sample::hello());
  built.insert(built.end(), body.begin(), body.end());
  EXPECT_EQ(to_hex(built), to_hex(unhex(example::hello_datagram.hex)));
  const HelloView view = read_hello(built);
  ASSERT_EQ(view.fault, DatagramFault::none);
  const Result<Hello> parsed = parse_hello(view.encoded);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->link_ids, sample::hello().link_ids);
  EXPECT_TRUE(parsed->check_off);
  EXPECT_EQ(encode(*parsed), body);
  EXPECT_EQ(hello_authenticated_bytes(body).size(), body.size() - 32);
}

TEST(Examples, sealed_datagram) {
  const Bytes bytes = unhex(example::sealed_datagram.hex);
  const SealedControl sealed = read_sealed_control(bytes);
  ASSERT_EQ(sealed.fault, DatagramFault::none);
  EXPECT_EQ(sealed.hop.link_id, 0x0a1b2000u);
  EXPECT_EQ(sealed.counter, 0x0000000100000005u);
  EXPECT_EQ(sealed.sealed.data(), bytes.data() + 24);
  EXPECT_EQ(sealed.sealed.size(), 18u);
  EXPECT_EQ(sealed.tag_xor, 0x1u ^ 0x2u ^ 0x4u ^ 0xf8u);
  EXPECT_EQ(to_hex(control_aad(1, 0, sealed.counter)), "010000000000000100000005");
}

TEST(Examples, control_messages) {
  for (const auto& [example, message] : sample::control_messages()) {
    const Bytes expected = unhex(example.hex);
    EXPECT_EQ(to_hex(encode(message)), to_hex(expected)) << example.name;
    const Result<ControlMessage> parsed = parse_control(expected);
    ASSERT_TRUE(parsed.ok()) << example.name << ": " << parsed.error().message;
    EXPECT_EQ(parsed->index(), message.index()) << example.name;
    EXPECT_EQ(encode(*parsed), expected) << example.name;
  }
}

TEST(Examples, descriptor) {
  const Bytes expected = unhex(example::descriptor.hex);
  EXPECT_EQ(to_hex(encode(sample::descriptor())), to_hex(expected));
  const Result<Descriptor> parsed = parse_descriptor(expected);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->resource, "feeds");
  EXPECT_EQ(encode(*parsed), expected);
  Bytes covered = {'c', 'h', 'a', 'i', 'n', 'c', 'a', 's', 't', '1', ' ',
                   'd', 'e', 's', 'c', 'r', 'i', 'p', 't', 'o', 'r', 0};
  covered.insert(covered.end(), expected.begin() + 1, expected.begin() + 33);
  covered.insert(covered.end(), expected.begin(), expected.end() - 64);
  EXPECT_EQ(to_hex(descriptor_signed_bytes(*parsed)), to_hex(covered));
}

TEST(Examples, statement) {
  const Bytes expected = unhex(example::statement.hex);
  EXPECT_EQ(to_hex(encode(sample::statement())), to_hex(expected));
  const Result<Statement> parsed = parse_statement(expected);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(encode(*parsed), expected);
  const auto network = counting<std::array<uint8_t, 32>>(0xc0);
  Bytes covered = {'c', 'h', 'a', 'i', 'n', 'c', 'a', 's', 't', '1', ' ',
                   's', 't', 'a', 't', 'e', 'm', 'e', 'n', 't', 0};
  covered.insert(covered.end(), network.begin(), network.end());
  covered.insert(covered.end(), expected.begin(), expected.end() - 64);
  EXPECT_EQ(to_hex(statement_signed_bytes(*parsed, network)), to_hex(covered));
}

TEST(Examples, route_update) {
  const Bytes expected = unhex(example::route_update.hex);
  EXPECT_EQ(to_hex(encode(sample::route_update())), to_hex(expected));
  const auto parsed = parse_route_update(expected);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, sample::route_update());
}

TEST(Examples, packed_payload) {
  const Bytes expected = unhex(example::packed_payload.hex);
  Bytes built;
  append_packed(built, as_bytes("a"));
  append_packed(built, {});
  append_packed(built, as_bytes("bcd"));
  EXPECT_EQ(to_hex(built), to_hex(expected));
}

}  // namespace
}  // namespace chaincast::wire
