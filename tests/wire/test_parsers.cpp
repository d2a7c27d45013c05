// SPDX-License-Identifier: BSD-3-Clause
// Round trips at the extremes of every field, truncation at every byte, trailing bytes, mutations.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace chaincast::wire {
namespace {

constexpr uint64_t max64 = UINT64_MAX;

bool is_probe(const ControlMessage& message) {
  return std::holds_alternative<MtuProbe>(message);
}
template <typename Other>
bool is_probe(const Other&) {
  return false;
}

// Mtu probes are padded; everything else that parses re-encodes to the same bytes.
template <typename Parsed>
void expect_canonical(const Parsed& parsed, ByteSpan bytes) {
  if (!parsed.ok() || is_probe(*parsed)) return;
  EXPECT_EQ(to_hex(encode(*parsed)), to_hex(bytes));
}

// `good` parses; no prefix, no extension and no mutation of it that parses is non-canonical.
template <typename Parse>
void expect_strict(const Bytes& good, Parse parse) {
  ASSERT_TRUE(parse(good).ok()) << parse(good).error().message;
  expect_canonical(parse(good), good);
  for_each_truncation(good, [&](ByteSpan cut) { EXPECT_FALSE(parse(cut).ok()) << cut.size(); });
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse(ExactCopy(longer).span()).ok());
  for_each_mutation(good, 5, 5'000, [&](ByteSpan bytes) { expect_canonical(parse(bytes), bytes); });
}

// ---- hello ------------------------------------------------------------------------------------

TEST(Hello, strict) {
  expect_strict(encode(sample::hello()), parse_hello);
}

TEST(Hello, extremes) {
  Hello h = sample::hello();
  h.lane_count = lanes_max;
  h.link_ids.assign(link_ids_max, 0xffffffff);
  h.suites = 0xffffffff;
  h.mtu_bytes = 0xffff;
  h.receive_ports = 0xffff;
  h.version_max = 255;
  const Bytes bytes = encode(h);
  EXPECT_EQ(bytes.size(), hello_bytes_max);
  ASSERT_TRUE(parse_hello(bytes).ok());
  EXPECT_EQ(encode(*parse_hello(bytes)), bytes);
  h.link_ids.clear();
  EXPECT_EQ(encode(h).size(), hello_bytes_min);
  EXPECT_TRUE(parse_hello(encode(h)).ok());
}

void expect_hello_refused(size_t offset, uint8_t value) {
  Bytes bytes = encode(sample::hello());
  bytes[offset] = value;
  EXPECT_FALSE(parse_hello(bytes).ok()) << offset;
}

TEST(Hello, refuses) {
  expect_hello_refused(0, 0);  // steps
  expect_hello_refused(0, 5);
  expect_hello_refused(0, 1);  // an ask with an echo
  expect_hello_refused(0, 4);  // a refusal without reason
  expect_hello_refused(1, 1);  // a reason without refusal
  expect_hello_refused(1, 4);
  expect_hello_refused(2, 0);  // versions
  expect_hello_refused(2, 2);
  expect_hello_refused(90, 2);  // flags
  expect_hello_refused(91, 1);
  expect_hello_refused(93, 65);  // lanes
  expect_hello_refused(97, 66);  // link ids
}

// ---- control messages ---------------------------------------------------------------------------

TEST(Control, strict) {
  for (const auto& [example, message] : sample::control_messages()) {
    if (is_probe(message)) continue;
    SCOPED_TRACE(example.name);
    expect_strict(encode(message), parse_control);
  }
}

TEST(Control, extremes_round_trip) {
  const std::array<uint8_t, 8> ones = {255, 255, 255, 255, 255, 255, 255, 255};
  const StreamId stream{max64};
  const std::vector<ControlMessage> messages = {
      Keepalive{max64},
      KeepaliveReply{0},
      DescriptorMessage{Bytes(descriptor_bytes_max, 7)},
      RefuseStream{stream, StreamRefusal::conflicting, 0xffff},
      Report{max64, max64, max64},
      Nack{stream, max64, max64, true, ones},
      Nack{StreamId{0}, 0, 0, false, {}},
      Pending{stream, max64, max64, false},
      Tip{stream, false, max64, ones, max64, Bytes(statement_bytes_max, 9)},
      TipRequest{stream},
      MtuProbe{0xffffffff, 0xffff},
      MtuReply{0xffffffff, 0xffff},
      Close{CloseReason::rekey},
      Votes{stream, max64, {Digest{}}},
      Votes{stream, max64 - (votes_max - 1), std::vector<Digest>(votes_max)}};
  for (const ControlMessage& message : messages) {
    const Bytes bytes = encode(message);
    ASSERT_LE(bytes.size(), control_bytes_max);
    const auto parsed = parse_control(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed->index(), message.index());
    EXPECT_EQ(encode(*parsed), bytes);
  }
}

TEST(Control, unknown_types_are_unsupported) {
  for (unsigned type = 0; type < 256; ++type) {
    if (type >= 1 && type <= 13) continue;
    const auto parsed = parse_control(Bytes{static_cast<uint8_t>(type), 1, 2, 3});
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code, ErrorCode::unsupported) << type;
  }
}

TEST(Control, refuses_votes_for_no_frame_and_beyond_the_last_seq) {
  const auto bytes = [](Seq first, size_t count, size_t digests) {
    ByteWriter out;
    out.u8(13).be64(1).be64(first).u8(static_cast<uint8_t>(count));
    for (size_t i = 0; i < digests; ++i) out.bytes(Digest{});
    return out.take();
  };
  EXPECT_TRUE(parse_control(bytes(max64 - 1, 2, 2)).ok());
  EXPECT_FALSE(parse_control(bytes(max64, 2, 2)).ok());
  EXPECT_FALSE(parse_control(bytes(7, 0, 0)).ok());
  EXPECT_FALSE(parse_control(bytes(7, 2, 1)).ok());
  EXPECT_FALSE(parse_control(bytes(7, 2, 3)).ok());
  EXPECT_FALSE(parse_control(bytes(7, votes_max + 1, votes_max + 1)).ok());
}

TEST(Control, refuses_unknown_enumerators_and_sizes) {
  const auto refused = [](std::string_view hex) {
    const auto parsed = parse_control(unhex(hex));
    EXPECT_FALSE(parsed.ok()) << hex;
    EXPECT_TRUE(parsed.ok() || parsed.error().code == ErrorCode::invalid) << hex;
  };
  refused("");
  refused("0c 00");
  refused("0c 04");
  refused("04 1122334455667788 00 05dc");
  refused("04 1122334455667788 07 05dc");
  refused("06 1122334455667788 0000000000000100 0000000000000001 02 a0a1a2a3a4a5a6a7");
  refused("07 1122334455667788 0000000000000100 0000000000000003 02");
  refused("08 1122334455667788 02 0000000000000000 0000");
  refused("03 0000");
  Bytes long_descriptor = {3, 2, 1};
  long_descriptor.resize(3 + 513);
  EXPECT_FALSE(parse_control(long_descriptor).ok());
  EXPECT_FALSE(parse_control(Bytes(control_bytes_max + 1, 1)).ok());
}

TEST(Control, mtu_probe_takes_padding) {
  Bytes probe = encode(ControlMessage(MtuProbe{7, 9000}));
  probe.resize(8'900);
  const auto parsed = parse_control(probe);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(std::get<MtuProbe>(*parsed).ip_bytes, 9000);
  EXPECT_FALSE(parse_control(ByteSpan(probe).first(6)).ok());
}

// ---- descriptor and statement -------------------------------------------------------------------

TEST(Descriptor, strict) {
  expect_strict(encode(sample::descriptor()), parse_descriptor);
}

TEST(Descriptor, extremes_round_trip) {
  Descriptor low;
  low.resource = "a";
  low.payload_bytes_max = payload_bytes_min;
  low.rate_frames_per_s = 1;
  low.window_log2 = window_log2_min;
  low.statement_frames_max = 1;
  low.statement_interval_ms = 1;
  Descriptor high = sample::descriptor();
  high.resource = std::string(64, 'z');
  high.payload_bytes_max = payload_bytes_limit;
  high.object_bytes_max = object_bytes_limit;
  high.rate_frames_per_s = rate_frames_per_s_max;
  high.window_log2 = window_log2_max;
  high.statement_frames_max = 65'535;
  high.statement_interval_ms = statement_interval_ms_max;
  high.votes_percent = 100;
  high.created_unix_s = UINT32_MAX;
  for (const Descriptor& d : {low, high}) {
    const auto parsed = parse_descriptor(encode(d));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(encode(*parsed), encode(d));
  }
  EXPECT_LE(encode(high).size(), descriptor_bytes_max);
}

// Applies `change` to a good descriptor and expects a refusal that says `word`.
template <typename Change>
void expect_descriptor_refused(std::string_view word, Change change) {
  Descriptor d = sample::descriptor();
  change(d);
  const auto parsed = parse_descriptor(encode(d));
  ASSERT_FALSE(parsed.ok()) << word;
  EXPECT_NE(parsed.error().message.find(word), std::string::npos) << parsed.error().message;
}

TEST(Descriptor, refuses_values_just_out_of_range) {
  using D = Descriptor&;
  expect_descriptor_refused("resource length", [](D d) { d.resource = ""; });
  expect_descriptor_refused("character", [](D d) { d.resource = "Feeds"; });
  expect_descriptor_refused("character", [](D d) { d.resource = std::string(1, '\0'); });
  expect_descriptor_refused("payload_bytes_max", [](D d) { d.payload_bytes_max = 511; });
  expect_descriptor_refused("payload_bytes_max", [](D d) { d.payload_bytes_max = 65'001; });
  expect_descriptor_refused("object_bytes_max", [](D d) { d.object_bytes_max = (1u << 20) - 1; });
  expect_descriptor_refused("object_bytes_max", [](D d) { d.object_bytes_max = (1u << 30) + 1; });
  expect_descriptor_refused("rate_frames_per_s", [](D d) { d.rate_frames_per_s = 0; });
  expect_descriptor_refused("window_log2", [](D d) { d.window_log2 = 9; });
  expect_descriptor_refused("window_log2", [](D d) { d.window_log2 = 21; });
  expect_descriptor_refused("statement_frames_max", [](D d) { d.statement_frames_max = 0; });
  expect_descriptor_refused("statement_interval_ms", [](D d) { d.statement_interval_ms = 0; });
  expect_descriptor_refused("statement_interval_ms", [](D d) { d.statement_interval_ms = 10'001; });
  expect_descriptor_refused("votes_percent", [](D d) { d.votes_percent = 101; });
}

TEST(Descriptor, refuses_unknown_enumerators_and_mixed_classes) {
  using D = Descriptor&;
  expect_descriptor_refused("class", [](D d) { d.suite_class = SuiteClass{0}; });
  expect_descriptor_refused("class", [](D d) { d.suite_class = SuiteClass{4}; });
  expect_descriptor_refused("class", [](D d) { d.suite = Suite{0}; });
  expect_descriptor_refused("class", [](D d) { d.suite = Suite{6}; });
  expect_descriptor_refused("class", [](D d) { d.suite = Suite::sha256_gmac; });
  expect_descriptor_refused("delivery", [](D d) { d.delivery = Delivery{4}; });
  expect_descriptor_refused("kept", [](D d) { d.delivery = Delivery::accepted; });
  expect_descriptor_refused("re-emission", [](D d) { d.reemit = Reemit{0}; });
  expect_descriptor_refused("kept", [](D d) { d.keeping = Keeping{3}; });
  const auto trusted = [](D d) {
    d.suite_class = SuiteClass::trusted;
    d.suite = Suite::gmac;
    d.delivery = Delivery::linked;
    d.keeping = Keeping::live;
    d.votes_percent = 0;
  };
  Descriptor good = sample::descriptor();
  trusted(good);
  EXPECT_TRUE(parse_descriptor(encode(good)).ok());
  expect_descriptor_refused("trusted", [&](D d) { trusted(d), d.votes_percent = 51; });
  expect_descriptor_refused("trusted", [&](D d) { trusted(d), d.delivery = Delivery::final; });
  expect_descriptor_refused("trusted", [&](D d) { trusted(d), d.delivery = Delivery::accepted; });
  expect_descriptor_refused("trusted", [&](D d) { trusted(d), d.keeping = Keeping::kept; });
  for (const size_t at : {size_t{0}, size_t{103}}) {  // format, flags
    Bytes bytes = encode(sample::descriptor());
    bytes[at] ^= 0x02;
    EXPECT_FALSE(parse_descriptor(bytes).ok()) << at;
  }
}

TEST(Statement, strict) {
  expect_strict(encode(sample::statement()), parse_statement);
}

TEST(Statement, extremes_and_refusals) {
  Statement s = sample::statement();
  s.index = s.first_seq = s.last_seq = max64;
  EXPECT_TRUE(parse_statement(encode(s)).ok());
  s.last_seq = max64 - 1;
  EXPECT_FALSE(parse_statement(encode(s)).ok());
  s = sample::statement();
  s.index = 0;
  EXPECT_FALSE(parse_statement(encode(s)).ok());
  s.previous = {};
  EXPECT_TRUE(parse_statement(encode(s)).ok());
  Bytes later = encode(sample::statement());
  later[1] = 0x02;
  const auto parsed = parse_statement(later);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, ErrorCode::unsupported);
}

// ---- route updates ------------------------------------------------------------------------------

TEST(Route, strict_but_for_the_end_of_a_record) {
  const Bytes good = encode(sample::route_update());
  for_each_truncation(good, [](ByteSpan cut) {
    const bool after_first_record = cut.size() == 65;
    EXPECT_EQ(parse_route_update(cut).ok(), after_first_record) << cut.size();
  });
  for_each_mutation(good, 6, 20'000, [](ByteSpan bytes) {
    const auto parsed = parse_route_update(bytes);
    if (!parsed.ok() || parsed->empty()) return;
    const Bytes again = encode(*parsed);
    EXPECT_EQ(*parse_route_update(again), *parsed);
    EXPECT_TRUE(again.size() < bytes.size() ||
                std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  });
}

TEST(Route, every_prefix_length_of_both_families) {
  RouteRecord record;
  for (const bool is_ipv6 : {false, true}) {
    record.prefixes.clear();
    for (unsigned bits = 0; bits <= (is_ipv6 ? 128u : 32u); ++bits) {
      Prefix prefix = sample::prefix(is_ipv6, static_cast<uint8_t>(bits), Bytes(16, 0xff));
      record.prefixes.push_back(masked(prefix));
    }
    const Bytes bytes = encode({record});
    EXPECT_EQ(bytes.size(), encoded_bytes(record));
    const auto parsed = parse_route_update(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed->front(), record);
  }
}

TEST(Route, masks_host_bits) {
  const Prefix prefix = masked(sample::prefix(false, 13, {11, 13, 1, 2}));
  EXPECT_EQ(prefix, sample::prefix(false, 13, {11, 8}));
  Prefix out;
  EXPECT_FALSE(make_prefix(false, 33, Bytes(16, 0), out));
  EXPECT_FALSE(make_prefix(true, 129, Bytes(32, 0), out));
  EXPECT_FALSE(make_prefix(true, 64, Bytes(7, 0), out));
}

TEST(Route, bounds) {
  RouteRecord record = sample::route_update().front();
  record.prefixes.assign(route_prefixes_per_record_max, Prefix{});
  record.tags.assign(route_tags_max, 0xffffffff);
  record.attributes.assign(route_attributes_bytes_max, 0xee);
  record.metric = UINT32_MAX;
  const Bytes bytes = encode({record});
  const auto parsed = parse_route_update(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->front(), record);
  Bytes one_more = bytes;  // a 65,536th prefix: raise both lengths
  store_be32(one_more.data(), load_be32(one_more.data()) + 1);
  store_be32(one_more.data() + 4, load_be32(one_more.data() + 4) + 1);
  one_more.insert(one_more.begin() + 9, 0);
  EXPECT_FALSE(parse_route_update(one_more).ok());
}

TEST(Route, refuses_what_is_not_canonical) {
  const std::string prefixes = "01 000003 04 08 0a ";
  const auto parse = [](const std::string& type, const std::string& fields) {
    const Bytes body = unhex(fields);
    ByteWriter out;
    out.bytes(unhex(type)).u8(0).be16(static_cast<uint16_t>(body.size())).bytes(body);
    return parse_route_update(out.take());
  };
  EXPECT_TRUE(parse("01", prefixes).ok());
  EXPECT_TRUE(parse("01", prefixes + "07 000001 ff").ok()) << "unknown fields are skipped";
  EXPECT_TRUE(parse("09", "01 02 03").ok()) << "unknown records are skipped";
  const std::vector<std::string> refused = {
      "",                                       // no prefixes
      "02 000004 c0000201",                     // the same
      "01 000001 04",                           // none in the list
      "01 000003 05 08 0a",                     // family
      "01 000003 04 21 0a",                     // 33 bits
      "01 000003 04 07 0b",                     // host bits
      "01 000003 04 10 0a",                     // cut prefix
      "00 000000 " + prefixes,                  // type 0
      prefixes + prefixes,                      // twice
      "02 000004 c0000201 " + prefixes,         // order
      prefixes + "02 000000",                   // empty next hop
      prefixes + "02 000005 c000020101",        // 5 bytes
      prefixes + "03 000004 00000000",          // metric 0
      prefixes + "03 000003 000001",            //
      prefixes + "04 000000",                   // no tags
      prefixes + "04 000003 000001",            //
      prefixes + "05 000008 0000000000000000",  // empty source
      prefixes + "05 000009 000000010000000001",
      prefixes + "06 000000",     // empty attributes
      prefixes + "06 000002 ff",  // cut
  };
  for (const std::string& fields : refused) EXPECT_FALSE(parse("02", fields).ok()) << fields;
  EXPECT_FALSE(parse("00", prefixes).ok());
  EXPECT_FALSE(parse_route_update({}).ok());
}

}  // namespace
}  // namespace chaincast::wire
