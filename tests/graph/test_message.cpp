// SPDX-License-Identifier: BSD-3-Clause
#include "graph/message.hpp"

#include <gtest/gtest.h>

#include "graph/deflate.hpp"
#include "graph/facts.hpp"

namespace chaincast::graph {
namespace {

// One of each type.
std::vector<Message> samples(test::Facts& facts) {
  const Contact contact{facts.id(3), {.address = {10, 0, 0, 1}, .port = 7, .is_ipv6 = false}, 4};
  const Contact far{facts.id(4), {.address = {0xfd, 1}, .port = 8, .is_ipv6 = true}, 5};
  View view(facts.store);
  for (uint8_t node = 1; node < 40; ++node) view.merge(facts.record(node, 1, {50}));
  CompareItem inner;
  inner.path = Path{}.child(7).child(3);
  inner.children[5] = Digest{1};
  CompareItem leaf;
  leaf.is_leaf = true;
  leaf.entries = {{NodeId{{1}}, Digest{2}}, {NodeId{{2}}, Digest{3}}};
  return {RedirectRequest{true, {{9}}},
          Redirect{{contact, far}, {far}},
          Attach{facts.record(1, 2, {3}), true, {{9}}, true, false},
          Attached{facts.record(1, 2)},
          Refused{Refusal::full, {contact}},
          Detach{},
          Ping{5, Digest{1}, true},
          Pong{6, Digest{2}},
          News{{facts.record(1, 2), facts.record(2, 3, {1})}, {facts.accusation(1, 2, 3, 4, {9})}},
          Compare{{inner, leaf}},
          Fetch{{facts.id(1), facts.id(2)}},
          GraphRequest{},
          Graph{view.root()}};
}

TEST(Message, EveryTypeComesBackAsItWas) {
  test::Facts facts;
  const View known(facts.store);
  const auto all = samples(facts);
  EXPECT_EQ(all.size(), std::variant_size_v<Message>);
  for (const Message& message : all) {
    const Bytes encoded = encode(message);
    if (!std::holds_alternative<Graph>(message)) {
      EXPECT_EQ(encoded.size(), encoded_bytes(message)) << message.index();
    }
    const auto back = decode(encoded, facts.authority, known);
    ASSERT_TRUE(back.ok()) << message.index() << ": " << back.error().message;
    EXPECT_EQ(back->index(), message.index());
    EXPECT_EQ(encode(*back), encoded);
  }
}

TEST(Message, EveryPrefixAndEveryExtraByteIsRefused) {
  test::Facts facts;
  const View known(facts.store);
  for (const Message& message : samples(facts)) {
    Bytes encoded = encode(message);
    const size_t step = encoded.size() > 400 ? 97 : 1;
    for (size_t size = 0; size < encoded.size(); size += step) {
      EXPECT_FALSE(decode(ByteSpan(encoded).first(size), facts.authority, known).ok())
          << message.index() << " cut at " << size;
    }
    encoded.push_back(0);
    EXPECT_FALSE(decode(encoded, facts.authority, known).ok()) << message.index();
  }
}

TEST(Message, OneFalseFactSpoilsTheMessage) {
  test::Facts facts;
  const View known(facts.store);
  wire::NodeRecord said = facts.record(1, 2)->said;
  said.counter = 3;  // under the signature of counter 2
  ByteWriter out;
  const Bytes fact = wire::encode(said);
  out.u8(message_version).u8(9).be16(1).be16(static_cast<uint16_t>(fact.size())).bytes(fact);
  out.be16(0);
  const auto back = decode(out.buffer(), facts.authority, known);
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code, ErrorCode::refused);
}

TEST(Message, AGraphIsBoundedBeforeAndAfterInflation) {
  test::Facts facts;
  const View known(facts.store);
  const auto graph_of = [&](uint32_t stated_bytes, const Bytes& content) {
    ByteWriter out;
    out.u8(message_version).u8(13).be32(0).be32(stated_bytes).bytes(deflate_bytes(content));
    return decode(out.buffer(), facts.authority, known);
  };
  EXPECT_TRUE(graph_of(0, {}).ok());
  EXPECT_FALSE(graph_of(graph_bytes_max + 1, {}).ok()) << "states too much";
  EXPECT_FALSE(graph_of(10, Bytes(1'000'000)).ok()) << "holds more than it states";
  EXPECT_FALSE(graph_of(10, Bytes(5)).ok()) << "holds less than it states";
}

TEST(Message, OtherVersionsAndTypesAreNamed) {
  test::Facts facts;
  const View known(facts.store);
  EXPECT_EQ(decode(Bytes{2, 1}, facts.authority, known).error().code, ErrorCode::unsupported);
  EXPECT_EQ(decode(Bytes{1, 99}, facts.authority, known).error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace chaincast::graph
