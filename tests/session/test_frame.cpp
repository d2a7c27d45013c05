// SPDX-License-Identifier: BSD-3-Clause
#include "session/frame.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chaincast::session {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Hello hello() {
  Hello out;
  out.network.fill(0xab);
  out.port = 7001;
  out.card = {1, 2, 3};
  return out;
}

// What `stream` holds, fed in pieces of `piece` bytes.
std::vector<Bytes> messages_of(FrameReader& reader, ByteSpan stream, size_t piece) {
  std::vector<Bytes> out;
  while (!stream.empty()) {
    ByteSpan part = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(part.size());
    while (!part.empty()) {
      const size_t taken = reader.take(part);
      part = part.subspan(taken);
      if (reader.state() == FrameReader::State::malformed) return out;
      if (reader.state() != FrameReader::State::whole) continue;
      out.emplace_back(reader.message().begin(), reader.message().end());
      reader.next();
    }
  }
  return out;
}

TEST(Hello, IsLaidOutAsDocumented) {
  const Bytes bytes = encode_hello(hello());
  ASSERT_EQ(bytes.size(), 40u);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(bytes[1], 0xab);
  EXPECT_EQ(bytes[32], 0xab);
  EXPECT_EQ(Bytes(bytes.begin() + 33, bytes.end()), (Bytes{0x1b, 0x59, 0, 3, 1, 2, 3}));
  EXPECT_EQ(*parse_hello(bytes), hello());
}

TEST(Hello, IsRefusedWhereAnyPartIsWrong) {
  const Bytes good = encode_hello(hello());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_hello(ByteSpan(good).first(size)).ok()) << size;
  }
  Bytes bad = good;
  bad.push_back(0);
  EXPECT_THAT(parse_hello(bad).error().message, HasSubstr("length"));
  bad = good;
  bad[0] = 2;
  EXPECT_THAT(parse_hello(bad).error().message, HasSubstr("version 2"));
  bad = good;
  bad[33] = bad[34] = 0;
  EXPECT_THAT(parse_hello(bad).error().message, HasSubstr("port"));
  Hello large = hello();
  large.card.resize(card_bytes_max);
  const Bytes largest = encode_hello(large);
  EXPECT_EQ(largest.size(), hello_bytes_max);
  EXPECT_EQ(*parse_hello(largest), large);
  bad = largest;
  store_be16(bad.data() + 35, card_bytes_max + 1);
  bad.push_back(0);
  EXPECT_THAT(parse_hello(bad).error().message, HasSubstr("card"));
}

TEST(FrameReader, CutsWhateverThePieces) {
  const std::vector<Bytes> messages = {{1}, Bytes(300, 2), {3, 4}, Bytes(70'000, 5), {6}};
  Bytes stream;
  for (const Bytes& message : messages) {
    const Bytes frame = encode_frame(message);
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  for (const size_t piece : {1u, 2u, 3u, 5u, 303u, 16'384u, 100'000u}) {
    FrameReader reader(70'000);
    EXPECT_TRUE(messages_of(reader, stream, piece) == messages) << piece;
    EXPECT_FALSE(reader.is_inside());
  }
}

TEST(FrameReader, KnowsWhetherItIsInsideAMessage) {
  FrameReader reader(100);
  const Bytes frame = encode_frame(Bytes{1, 2});
  for (size_t i = 0; i < frame.size(); ++i) {
    EXPECT_EQ(reader.is_inside(), i > 0);
    EXPECT_EQ(reader.take(ByteSpan(frame).subspan(i, 1)), 1u);
  }
  EXPECT_EQ(reader.state(), FrameReader::State::whole);
  EXPECT_EQ(reader.take(frame), 0u) << "not before next()";
  reader.next();
  EXPECT_FALSE(reader.is_inside());
}

TEST(FrameReader, LengthsThatAreNoneAreMalformedForGood) {
  for (const uint32_t length : {0u, 101u, 0xffffffffu}) {
    FrameReader reader(100);
    Bytes header(4);
    store_be32(header.data(), length);
    reader.take(header);
    EXPECT_EQ(reader.state(), FrameReader::State::malformed) << length;
    EXPECT_EQ(reader.take(encode_frame(Bytes{1})), 0u);
  }
  FrameReader reader(100);
  EXPECT_THAT(messages_of(reader, encode_frame(Bytes(100, 1)), 7), ElementsAre(Bytes(100, 1)));
}

TEST(FrameReader, ALengthAloneTakesNoMemory) {
  FrameReader reader(message_bytes_max);
  Bytes header(4);
  store_be32(header.data(), message_bytes_max);
  reader.take(header);
  reader.take(Bytes(1000, 1));
  EXPECT_EQ(reader.state(), FrameReader::State::partial);
  EXPECT_EQ(reader.kept_bytes(), 1000u);
}

TEST(FrameReader, ALimitHoldsFromTheNextMessageOn) {
  FrameReader reader(10);
  EXPECT_EQ(messages_of(reader, encode_frame(Bytes(10, 1)), 100).size(), 1u);
  reader.set_limit(20);
  EXPECT_EQ(messages_of(reader, encode_frame(Bytes(20, 1)), 100).size(), 1u);
  EXPECT_EQ(messages_of(reader, encode_frame(Bytes(21, 1)), 100).size(), 0u);
  EXPECT_EQ(reader.state(), FrameReader::State::malformed);
}

}  // namespace
}  // namespace chaincast::session
