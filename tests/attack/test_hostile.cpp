// SPDX-License-Identifier: BSD-3-Clause
// Hostile datagrams against a whole line: each is dropped under exactly one reason, nothing of it
// is re-emitted, no buffer is lost, and the parsers never look beyond its last byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "support/line_rig.hpp"
#include "support/random.hpp"
#include "wire/control.hpp"
#include "wire/datagram.hpp"

namespace chaincast::test {
namespace {

using stage::Drop;

// All pure parsers over a heap copy of exactly this size, so that the address sanitizer sees every
// byte read beyond it.
void parse_exact_copy(ByteSpan datagram) {
  const std::unique_ptr<uint8_t[]> copy(new uint8_t[datagram.size()]);
  std::copy(datagram.begin(), datagram.end(), copy.get());
  const ByteSpan exact(copy.get(), datagram.size());
  static_cast<void>(wire::read_head(exact));
  if (wire::check_data_datagram(exact) == wire::DatagramFault::none) {
    static_cast<void>(wire::datagram_tag_xor(exact));
  }
  static_cast<void>(wire::read_sealed_control(exact));
  static_cast<void>(wire::read_hello(exact));
  static_cast<void>(wire::parse_control(exact));
  static_cast<void>(wire::parse_hello(exact));
}

class Hostile : public testing::Test {
 protected:
  Hostile() : stream(rig.add_stream("s", wire::Suite::sha256_gmac)) {}

  Bytes next_frame(size_t payload_bytes = 40) {
    return stream.next_frame(*rig.engine, test::random_bytes(random, payload_bytes));
  }
  Bytes stamped(const std::vector<Bytes>& frames, uint8_t hops = 1) {
    return rig.stamp(0, 1, frames, hops);
  }
  // Offered from `source`; the line must name exactly this reason, once.
  void expect_drop(const Bytes& datagram, Drop reason, const std::string& what,
                   const Endpoint* source = nullptr) {
    SCOPED_TRACE(what);
    parse_exact_copy(datagram);
    const uint64_t named = rig.dropped(reason);
    const uint64_t total = rig.dropped_total();
    rig.put(source != nullptr ? *source : rig.source_of(0, 1), datagram);
    rig.turn();
    EXPECT_EQ(rig.dropped(reason), named + 1) << stage::drop_text(reason).name;
    EXPECT_EQ(rig.dropped_total(), total + 1);
    EXPECT_TRUE(rig.port.sent.empty());
    EXPECT_EQ(rig.take_control(), 0u);
    EXPECT_EQ(rig.mbufs_out(), 0u);
  }
  // The line still works: a good frame passes.
  void expect_alive() {
    const Bytes frame = next_frame();
    rig.put(0, 1, stamped({frame}));
    rig.turn();
    const std::vector<Bytes> got = rig.take_frames(1);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0], frame);
  }
  // A frame with one field overwritten, behind a link header that is right: a neighbour's doing.
  Bytes with_field(Bytes frame, size_t offset, const Bytes& value) {
    std::copy(value.begin(), value.end(), frame.begin() + static_cast<ptrdiff_t>(offset));
    return stamped({frame});
  }
  static Bytes be(uint64_t value, unsigned count) {
    Bytes out(count);
    for (unsigned i = 0; i < count; ++i)
      out[i] = static_cast<uint8_t>(value >> (8 * (count - 1 - i)));
    return out;
  }

  Random random{7};
  LineRig rig{RigConfig{}};
  RigStream& stream;
};

TEST_F(Hostile, EveryFieldOfTheHopHeader) {
  expect_alive();
  const Bytes frame = next_frame();
  const auto with_byte = [&](size_t at, uint8_t value) {
    Bytes datagram = stamped({frame});
    datagram[at] = value;
    return datagram;
  };
  for (const unsigned version : {0u, 2u, 255u}) {
    expect_drop(with_byte(0, static_cast<uint8_t>(version)), Drop::bad_version, "version");
  }
  for (const unsigned flags : {2u, 128u, 255u}) {
    expect_drop(with_byte(1, static_cast<uint8_t>(flags)), Drop::bad_check, "flags");
  }
  for (const unsigned count : {2u, 255u}) {
    expect_drop(with_byte(2, static_cast<uint8_t>(count)), Drop::truncated, "count");
  }
  expect_drop(with_byte(2, 0), Drop::too_many_hops, "a control message that was passed on");
  for (const unsigned hops : {0u, 2u, 32u}) {
    expect_drop(with_byte(3, static_cast<uint8_t>(hops)), Drop::bad_check, "hops");
  }
  for (const unsigned hops : {33u, 255u}) {
    expect_drop(with_byte(3, static_cast<uint8_t>(hops)), Drop::too_many_hops, "hops");
  }
  const uint32_t own = rig.rx_lane(0, 1).link_id;
  for (const uint32_t id : {0u, ~0u, own ^ 0x1000u, own ^ 0x80000000u, own + 512u}) {
    Bytes datagram = with_byte(0, 1);
    store_be32(datagram.data() + 4, id);
    expect_drop(datagram, Drop::unknown_link, "link id");
  }
  for (const uint32_t seq : {0x7fffffffu, 0xffffffffu, 5000u}) {
    Bytes datagram = with_byte(0, 1);
    store_be32(datagram.data() + 8, seq);
    expect_drop(datagram, Drop::bad_check, "link seq ahead");
  }
  Bytes zero = with_byte(0, 1);
  store_be32(zero.data() + 8, 0);
  expect_drop(zero, Drop::too_old, "link seq 0");
  for (unsigned bit = 0; bit < 32; ++bit) {
    Bytes datagram = with_byte(0, 1);
    datagram[12 + bit / 8] = static_cast<uint8_t>(datagram[12 + bit / 8] ^ (1u << bit % 8));
    expect_drop(datagram, Drop::bad_check, "check");
  }
  rig.put(0, 1, stamped({frame}));
  rig.turn();
  EXPECT_EQ(rig.take_frames(1), std::vector<Bytes>{frame});
}

TEST_F(Hostile, TruncationAtEveryByte) {
  const std::vector<Bytes> frames = {next_frame(), next_frame(3), next_frame(0)};
  const Bytes whole = stamped(frames);
  for (size_t length = 0; length < whole.size(); ++length) {
    expect_drop(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length)),
                Drop::truncated, "cut at " + std::to_string(length));
  }
  Bytes longer = whole;
  longer.push_back(0);
  expect_drop(longer, Drop::trailing, "one byte more");
  longer.resize(whole.size() + 56);
  expect_drop(longer, Drop::trailing, "a header more");
  rig.put(0, 1, whole);
  rig.turn();
  EXPECT_EQ(rig.take_frames(1), frames);
}

TEST_F(Hostile, EveryControlAndHelloLengthIsTakenOnceOrDroppedOnce) {
  const Bytes body =
      test::random_bytes(random, wire::control_overhead_bytes + 40 - wire::hop_header_bytes);
  for (size_t length = 0; length <= body.size(); ++length) {
    for (const bool is_hello : {false, true}) {
      wire::HopHeader hop;
      hop.flags = is_hello ? wire::hop_flag_hello : uint8_t{0};
      Bytes datagram = rig.stamp_raw(0, 1, ByteSpan(body).first(length), hop, 0);
      if (is_hello) {
        const auto header = wire::hello_hop_header();
        std::copy(header.begin(), header.end(), datagram.begin());
      }
      parse_exact_copy(datagram);
      const uint64_t total = rig.dropped_total();
      rig.put(0, 1, datagram);
      rig.turn();
      EXPECT_EQ(rig.take_control() + rig.dropped_total() - total, 1u) << length;
      EXPECT_TRUE(rig.port.sent.empty());
    }
  }
  EXPECT_EQ(rig.mbufs_out(), 0u);
}

TEST_F(Hostile, EveryFieldOfTheFrameHeader) {
  expect_alive();
  const Seq seq = stream.next_seq;
  const Bytes good = next_frame();
  for (const unsigned length : {1u, 39u}) {
    expect_drop(with_field(good, 0, be(length, 2)), Drop::trailing, "payload length below");
  }
  for (const unsigned length : {41u, 1160u, 64'999u, 65'000u}) {
    expect_drop(with_field(good, 0, be(length, 2)), Drop::truncated, "payload length above");
  }
  for (const unsigned length : {65'001u, 65'535u}) {
    expect_drop(with_field(good, 0, be(length, 2)), Drop::oversized, "payload length too large");
  }
  for (const unsigned kind : {0u, 1u, 2u, 15u, 0x40u, 0x80u, 0xe0u, 0xffu}) {
    expect_drop(with_field(good, 2, be(kind, 1)), Drop::tag, "kind");
  }
  for (const unsigned suite : {0u, 2u, 3u, 4u, 5u, 6u, 255u}) {
    expect_drop(with_field(good, 3, be(suite, 1)), Drop::bad_suite, "suite");
  }
  for (const uint64_t epoch : {uint64_t{1}, uint64_t{4}, uint64_t{0x80000000}, uint64_t{~0u}}) {
    expect_drop(with_field(good, 4, be(epoch, 4)), Drop::unknown_epoch, "epoch");
  }
  const uint64_t id = stream.descriptor.id.value;
  for (const uint64_t other : {uint64_t{0}, ~uint64_t{0}, id + 1, id ^ (uint64_t{1} << 63)}) {
    expect_drop(with_field(good, 8, be(other, 8)), Drop::unknown_stream, "stream");
  }
  const uint64_t size = stream.stream->window->size();
  for (const uint64_t far : {size, size + seq, uint64_t{1} << 63, ~uint64_t{0}}) {
    expect_drop(with_field(good, 16, be(far, 8)), Drop::ahead, "seq beyond the window");
  }
  expect_drop(with_field(good, 16, be(seq + 1, 8)), Drop::tag, "seq inside the window");
  expect_drop(with_field(good, 24, be(0, 8)), Drop::tag, "link");
  expect_drop(with_field(good, 40, be(0, 8)), Drop::tag, "tag");
  expect_drop(with_field(good, 48, be(~uint64_t{0}, 8)), Drop::tag, "tag's second half");
  expect_drop(with_field(good, 95, be(good[95] ^ 1u, 1)), Drop::tag, "last payload byte");
  rig.put(0, 1, stamped({good}));
  rig.turn();
  EXPECT_EQ(rig.take_frames(1), std::vector<Bytes>{good});
  expect_drop(stamped({good}), Drop::duplicate, "the same frame again");
}

TEST_F(Hostile, RightlySealedButTooLarge) {
  expect_drop(stamped({next_frame(1161)}), Drop::oversized, "payload above the stream's");
}

TEST_F(Hostile, ReplayedAndOldLinkSeqs) {
  const Bytes first = stamped({next_frame()});
  rig.put(0, 1, first);
  rig.turn();
  EXPECT_EQ(rig.take_frames(1).size(), 1u);
  expect_drop(first, Drop::replayed, "the same datagram again");
  const Bytes late = stamped({next_frame()});
  for (unsigned i = 0; i < hop::ReplayWindow::window_bits; ++i) {
    static_cast<void>(rig.stamp_raw(0, 1, {}, {}, 0));  // counters that were lost
  }
  expect_alive();
  expect_drop(late, Drop::too_old, "below the replay window");
  expect_drop(first, Drop::too_old, "seen, and below the window by now");
}

TEST_F(Hostile, SpoofedSources) {
  const Bytes good = stamped({next_frame()});
  Endpoint source = rig.source_of(0, 1);
  source.port = static_cast<uint16_t>(source.port + 1);
  expect_drop(good, Drop::bad_source, "another port", &source);
  source = rig.source_of(0, 1);
  source.is_ipv6 = true;
  expect_drop(good, Drop::bad_source, "another family", &source);
  source = rig.source_of(1, 1);
  expect_drop(good, Drop::bad_source, "another neighbour's address", &source);
  rig.put(0, 1, good);
  rig.turn();
  EXPECT_EQ(rig.take_frames(1).size(), 1u);
}

TEST_F(Hostile, StaleBelowTheWindow) {
  const Bytes first = next_frame();
  rig.put(0, 1, stamped({first}));
  const uint64_t size = stream.stream->window->size();
  for (Seq i = 0; i < size; ++i) {
    rig.put(0, 1, stamped({next_frame()}));
    if (i % 64 == 0) rig.turn();
  }
  while (stream.stream->window->next() <= size) rig.turn();
  EXPECT_EQ(rig.take_frames(1).size(), size + 1);
  expect_drop(stamped({first}), Drop::stale, "committed long ago");
}

// Many frames in many datagrams: rounds end inside of datagrams, and one bad frame costs only
// itself.
TEST_F(Hostile, OneBadFrameAmongManyCostsOnlyItself) {
  std::vector<Bytes> good;
  for (unsigned d = 0; d < 40; ++d) {
    std::vector<Bytes> frames;
    for (unsigned i = 0; i < 17; ++i) {
      frames.push_back(next_frame(d % 5));
      good.push_back(frames.back());
      if (i == d % 17) {
        frames.push_back(frames.back());
        frames.back()[wire::frame_offset_tag] ^= 1;
        frames.back()[wire::frame_offset_seq + 7] ^= 0x80;
      }
    }
    rig.put(0, 1, stamped(frames));
  }
  for (int i = 0; i < 4; ++i) rig.turn();
  EXPECT_EQ(rig.take_frames(1), good);
  EXPECT_EQ(rig.dropped_total(), 40u);
  EXPECT_EQ(rig.mbufs_out(), 0u);
}

// Random alterations of good datagrams and plain garbage. Payloads are their frame's own business:
// a frame beside an altered one is good, and passes once.
TEST_F(Hostile, GarbageIsNeverPassedOn) {
  const std::vector<Bytes> frames = {next_frame(), next_frame(7)};
  std::vector<Bytes> passed;
  for (unsigned i = 0; i < 20'000; ++i) {
    const Bytes good = stamped(frames);
    Bytes datagram = random.chance(0.5) ? good : test::random_bytes(random, random.below(200));
    const uint64_t flips = 1 + random.below(4);
    for (uint64_t f = 0; f < flips && !datagram.empty(); ++f) {
      const size_t at = random.below(datagram.size());
      datagram[at] = static_cast<uint8_t>(datagram[at] ^ (1u + random.below(255)));
    }
    if (datagram == good) continue;
    if (random.chance(0.3)) datagram.resize(random.below(datagram.size() + 1));
    parse_exact_copy(datagram);
    const uint64_t total = rig.dropped_total();
    rig.put(0, 1, datagram);
    rig.turn();
    for (Bytes& frame : rig.take_frames(1)) passed.push_back(std::move(frame));
    ASSERT_GE(rig.dropped_total() + rig.take_control(), total + 1) << to_hex(datagram);
  }
  EXPECT_EQ(rig.mbufs_out(), 0u);
  rig.put(0, 1, stamped(frames));
  rig.turn();
  for (Bytes& frame : rig.take_frames(1)) passed.push_back(std::move(frame));
  std::sort(passed.begin(), passed.end(),
            [](const Bytes& a, const Bytes& b) { return a.size() > b.size(); });
  EXPECT_EQ(passed, frames) << "each good frame once, and nothing else";
}

}  // namespace
}  // namespace chaincast::test
