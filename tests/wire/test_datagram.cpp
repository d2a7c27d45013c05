// SPDX-License-Identifier: BSD-3-Clause
// Every malformed datagram is named; nothing outside the datagram is read.
#include <gtest/gtest.h>

#include "samples.hpp"
#include "wire/datagram.hpp"
#include "wire/labels.hpp"
#include "wire/object.hpp"

namespace chaincast::wire {
namespace {

Bytes datagram_of(std::initializer_list<size_t> payloads) {
  Bytes out(hop_header_bytes);
  HopHeader hop;
  hop.frame_count = static_cast<uint8_t>(payloads.size());
  store_hop_header(out.data(), hop);
  uint8_t mark = 0;
  for (const size_t bytes : payloads) {
    FrameHeader frame;
    frame.payload_bytes = static_cast<uint16_t>(bytes);
    frame.tag = counting<Tag>(++mark);
    frame.tag[3] = static_cast<uint8_t>(mark * 17);
    const size_t at = out.size();
    out.resize(at + frame_header_bytes + bytes, mark);
    store_frame_header(out.data() + at, frame);
  }
  return out;
}

TEST(Datagram, every_truncation_is_truncated) {
  const Bytes good = datagram_of({5, 0, 100});
  for_each_truncation(good, [](ByteSpan cut) {
    EXPECT_EQ(check_data_datagram(cut), DatagramFault::truncated) << cut.size();
  });
  EXPECT_EQ(check_data_datagram(good), DatagramFault::none);
}

TEST(Datagram, wrong_counts_and_trailing_bytes) {
  Bytes bytes = datagram_of({5, 0, 100});
  bytes[2] = 2;
  EXPECT_EQ(check_data_datagram(bytes), DatagramFault::trailing);
  bytes[2] = 4;
  EXPECT_EQ(check_data_datagram(bytes), DatagramFault::truncated);
  bytes[2] = 0;
  EXPECT_EQ(check_data_datagram(bytes), DatagramFault::bad_count);
  bytes[2] = 3;
  bytes.push_back(0);
  EXPECT_EQ(check_data_datagram(bytes), DatagramFault::trailing);
}

TEST(Datagram, version_and_hops_at_their_extremes) {
  for (unsigned value = 0; value < 256; ++value) {
    Bytes bytes = datagram_of({1});
    bytes[0] = static_cast<uint8_t>(value);
    const bool known = value == version;
    EXPECT_EQ(check_data_datagram(bytes), known ? DatagramFault::none : DatagramFault::bad_version);
    bytes[0] = version;
    bytes[3] = static_cast<uint8_t>(value);
    const bool near = value <= 32;
    EXPECT_EQ(check_data_datagram(bytes),
              near ? DatagramFault::none : DatagramFault::too_many_hops);
    bytes[3] = 0;
    bytes[1] = static_cast<uint8_t>(value);  // unknown flags are ignored
    EXPECT_EQ(check_data_datagram(bytes), DatagramFault::none);
  }
}

TEST(Datagram, payload_lengths_at_their_extremes) {
  EXPECT_EQ(check_data_datagram(datagram_of({0})), DatagramFault::none);
  EXPECT_EQ(check_data_datagram(datagram_of({65'000})), DatagramFault::none);
  EXPECT_EQ(check_data_datagram(datagram_of({65'001})), DatagramFault::oversized);
  EXPECT_EQ(check_data_datagram(datagram_of({65'535})), DatagramFault::oversized);
}

TEST(Datagram, walks_255_frames_and_resumes_from_a_copy) {
  Bytes bytes(hop_header_bytes + 255 * frame_header_bytes);
  HopHeader hop;
  hop.frame_count = 255;
  store_hop_header(bytes.data(), hop);
  FrameWalker walker(bytes);
  FrameView frame;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(walker.next(frame));
  FrameWalker resumed = walker;
  EXPECT_EQ(resumed.frames_left(), 155u);
  int rest = 0;
  while (resumed.next(frame)) ++rest;
  EXPECT_EQ(rest, 155);
  EXPECT_EQ(resumed.fault(), DatagramFault::none);
}

TEST(Datagram, tag_xor_is_over_all_words_of_all_frames) {
  const Bytes bytes = datagram_of({3, 7});
  uint32_t expected = 0;
  std::vector<FrameView> frames;
  FrameWalker walker(bytes);
  for (FrameView frame; walker.next(frame);) {
    frames.push_back(frame);
    for (size_t word = 0; word < 4; ++word) expected ^= load_be32(frame.data + 40 + 4 * word);
  }
  ASSERT_NE(expected, 0u);
  EXPECT_EQ(datagram_tag_xor(frames), expected);
  EXPECT_EQ(datagram_tag_xor(ByteSpan(bytes)), expected);
}

TEST(Datagram, mutations_stay_inside) {
  for_each_mutation(datagram_of({40, 0, 7}), 11, 20'000, [](ByteSpan bytes) {
    FrameWalker walker(bytes);
    size_t end = hop_header_bytes;
    for (FrameView frame; walker.next(frame);) {
      ASSERT_EQ(frame.data, bytes.data() + end);
      end += frame.bytes;
      ASSERT_LE(end, bytes.size());
    }
    EXPECT_TRUE(walker.fault() != DatagramFault::none || end == bytes.size());
  });
}

TEST(SealedControl, shape) {
  const Bytes good = unhex(example::sealed_datagram.hex);
  for_each_truncation(good, [](ByteSpan cut) {
    const bool shorter = cut.size() < control_overhead_bytes + 1;
    const SealedControl sealed = read_sealed_control(cut);
    EXPECT_EQ(sealed.fault, shorter ? DatagramFault::truncated : DatagramFault::none);
  });
  Bytes bytes = good;
  bytes[3] = 1;
  EXPECT_EQ(read_sealed_control(bytes).fault, DatagramFault::too_many_hops);
  bytes[3] = 0;
  bytes[2] = 1;
  EXPECT_EQ(read_sealed_control(bytes).fault, DatagramFault::bad_count);
  EXPECT_EQ(read_sealed_control(unhex(example::hello_datagram.hex)).fault,
            DatagramFault::bad_count);
}

TEST(HelloDatagram, shape) {
  const Bytes good = unhex(example::hello_datagram.hex);
  for (const size_t at : {size_t{4}, size_t{11}, size_t{15}}) {
    Bytes bytes = good;
    bytes[at] = 1;
    EXPECT_EQ(read_hello(bytes).fault, DatagramFault::bad_hello) << at;
  }
  Bytes bytes = good;
  bytes.resize(hop_header_bytes + hello_bytes_min - 1);
  EXPECT_EQ(read_hello(bytes).fault, DatagramFault::truncated);
  bytes.resize(hop_header_bytes + hello_bytes_max + 1);
  EXPECT_EQ(read_hello(bytes).fault, DatagramFault::oversized);
  EXPECT_EQ(read_hello(unhex(example::data_datagram.hex)).fault, DatagramFault::bad_count);
}

TEST(Packed, bounds_and_faults) {
  EXPECT_FALSE(packed_well_formed({}));
  EXPECT_TRUE(packed_fits(0, 10, 12));
  EXPECT_FALSE(packed_fits(0, 11, 12));
  EXPECT_FALSE(packed_fits(SIZE_MAX - 1, 10, 12));
  EXPECT_FALSE(packed_fits(0, SIZE_MAX, 12));
  const Bytes good = unhex(example::packed_payload.hex);
  for_each_truncation(good, [](ByteSpan cut) {
    const bool whole = cut.size() == 3 || cut.size() == 5;  // after "a" and after the empty object
    EXPECT_EQ(packed_well_formed(cut), whole) << cut.size();
  });
  EXPECT_EQ(object_part(kind_packed_frame), ObjectPart::packed);
  EXPECT_EQ(object_part(kind_packed | kind_first), ObjectPart::malformed);
  EXPECT_EQ(object_part(kind_first), ObjectPart::first);
  EXPECT_EQ(object_part(0x01), ObjectPart::middle);
}

TEST(Labels, none_is_a_prefix_of_another) {
  for (size_t i = 0; i < labels.size(); ++i) {
    EXPECT_TRUE(labels[i].starts_with("chaincast1 "));
    for (size_t j = 0; j < labels.size(); ++j) {
      EXPECT_FALSE(i != j && labels[j].starts_with(labels[i])) << labels[i];
    }
  }
}

}  // namespace
}  // namespace chaincast::wire
