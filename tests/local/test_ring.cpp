// SPDX-License-Identifier: BSD-3-Clause
// The ring against a queue that cannot be wrong, two threads, and each end against a hostile other.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <memory>
#include <thread>

#include "base/random.hpp"
#include "local/ring.hpp"

namespace chaincast::local {
namespace {

constexpr uint32_t data_bytes = ring_bytes_min;

// Memory as the two processes have it: the data twice in a row.
class Memory {
 public:
  Memory() {
    const int fd = ::memfd_create("ring-test", MFD_CLOEXEC);
    EXPECT_EQ(::ftruncate(fd, ring_data_offset + data_bytes), 0);
    base_ = static_cast<uint8_t*>(::mmap(nullptr, ring_data_offset + 2 * size_t{data_bytes},
                                         PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    put(fd, 0, ring_data_offset + data_bytes, 0);
    put(fd, ring_data_offset + data_bytes, data_bytes, ring_data_offset);
    ::close(fd);
  }
  ~Memory() { ::munmap(base_, ring_data_offset + 2 * size_t{data_bytes}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  RingControl& control() const { return *reinterpret_cast<RingControl*>(base_); }
  uint8_t* data() const { return base_ + ring_data_offset; }

 private:
  void put(int fd, size_t at, size_t bytes, off_t offset) const {
    EXPECT_NE(::mmap(base_ + at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset),
              MAP_FAILED);
  }
  uint8_t* base_ = nullptr;
};

struct Ends {
  Memory memory;
  RingWriter writer{memory.control(), memory.data(), data_bytes};
  RingReader reader{memory.control(), memory.data(), data_bytes};
};

Bytes content(Seq seq, size_t bytes) {
  Bytes out(bytes);
  Random random(seq + 1);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random.next());
  return out;
}

RingRecord record(Seq seq, const Bytes& bytes) {
  return {Type::object, StreamId{seq * 3}, seq, seq + 5, bytes};
}

void expect_record(const RingRecord& got, Seq seq, const Bytes& bytes) {
  ASSERT_EQ(got.type, Type::object);
  ASSERT_EQ(got.stream, StreamId{seq * 3});
  ASSERT_EQ(got.first_seq, seq);
  ASSERT_EQ(got.last_seq, seq + 5);
  ASSERT_EQ(Bytes(got.bytes.begin(), got.bytes.end()), bytes);
}

TEST(Ring, AgreesWithAQueue) {
  Ends ends;
  std::deque<std::pair<Seq, size_t>> model;
  Random random(7);
  Seq next = 0;
  uint64_t full = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random.below(2) == 0) {
      const size_t bytes = random.below(step % 100 == 0 ? data_bytes : 2'000);
      if (ends.writer.write(record(next, content(next, bytes)))) {
        model.emplace_back(next++, bytes);
      } else {
        ++full;
      }
      ends.writer.commit();
      continue;
    }
    RingRecord got;
    const auto found = ends.reader.next(got);
    ASSERT_EQ(found, model.empty() ? RingReader::Step::empty : RingReader::Step::record);
    if (model.empty()) continue;
    expect_record(got, model.front().first, content(model.front().first, model.front().second));
    model.pop_front();
  }
  EXPECT_GT(full, 0u);
  EXPECT_GT(next, 5'000u);
}

TEST(Ring, NothingIsSeenBeforeItIsCommitted) {
  Ends ends;
  RingRecord got;
  ASSERT_TRUE(ends.writer.write(record(1, {})));
  EXPECT_EQ(ends.reader.next(got), RingReader::Step::empty);
  EXPECT_FALSE(ends.writer.commit());
  EXPECT_EQ(ends.reader.next(got), RingReader::Step::record);
  EXPECT_EQ(ends.reader.next(got), RingReader::Step::empty);
}

TEST(Ring, OnlyASleeperIsWoken) {
  Ends ends;
  RingRecord got;
  EXPECT_TRUE(ends.reader.fall_asleep());
  ASSERT_TRUE(ends.writer.write(record(1, {})));
  EXPECT_TRUE(ends.writer.commit());
  ASSERT_TRUE(ends.writer.write(record(2, {})));
  EXPECT_FALSE(ends.writer.commit()) << "woken twice";
  EXPECT_FALSE(ends.reader.fall_asleep()) << "sleeps over what has come";
  EXPECT_EQ(ends.reader.next(got), RingReader::Step::record);
  EXPECT_FALSE(ends.reader.fall_asleep()) << "sleeps over what is left";
}

TEST(Ring, ARecordAsLongAsTheRingFits) {
  Ends ends;
  const Bytes longest = content(3, data_bytes - ring_record_header_bytes);
  for (Seq round = 0; round < 3; ++round) {
    ASSERT_TRUE(ends.writer.write(record(3, longest)));
    EXPECT_FALSE(ends.writer.write(record(4, {})));
    ends.writer.commit();
    RingRecord got;
    ASSERT_EQ(ends.reader.next(got), RingReader::Step::record);
    expect_record(got, 3, longest);
    EXPECT_EQ(ends.reader.next(got), RingReader::Step::empty);
  }
  EXPECT_FALSE(ends.writer.write(record(5, Bytes(data_bytes))));
  EXPECT_FALSE(ends.writer.is_damaged());
}

// Positions that a reader cannot have reached: refused for good, and never used.
TEST(Ring, AWriterDoesNotBelieveItsReader) {
  const uint64_t lies[] = {1'000'000, ~uint64_t{0}, uint64_t{1} << 63, data_bytes};
  for (const uint64_t lie : lies) {
    Ends ends;
    ends.memory.control().head.store(lie);
    Seq written = 0;
    while (ends.writer.write(record(written, Bytes(1'000)))) {
      ASSERT_LT(++written, data_bytes / 1'000) << "wrote over what was not read";
      ends.memory.control().head.store(lie);
    }
    EXPECT_TRUE(ends.writer.is_damaged()) << lie;
    ends.memory.control().head.store(0);
    EXPECT_FALSE(ends.writer.has_room(8)) << "forgot what it knew";
  }
}

TEST(Ring, AReaderThatGoesBackIsNotBelieved) {
  Ends ends;
  RingRecord got;
  ASSERT_TRUE(ends.writer.write(record(1, Bytes(40'000))));
  ends.writer.commit();
  EXPECT_EQ(ends.reader.next(got), RingReader::Step::record);
  EXPECT_EQ(ends.reader.next(got), RingReader::Step::empty);
  EXPECT_GT(ends.writer.read_bytes(), 0u);
  ends.memory.control().head.store(0);
  // Asked again only where what was read before does not suffice.
  ASSERT_TRUE(ends.writer.write(record(2, Bytes(40'000))));
  EXPECT_FALSE(ends.writer.has_room(40'000));
  EXPECT_TRUE(ends.writer.is_damaged());
}

// Any tail and any bytes: a record lies within the ring, or the ring is damaged.
TEST(Ring, AReaderStaysWithinTheRingWhateverItHolds) {
  Random random(11);
  uint64_t damaged = 0;
  uint64_t records = 0;
  for (int round = 0; round < 3'000; ++round) {
    Ends ends;
    const size_t filled = 64 + random.below(400);
    for (size_t at = 0; at < filled; ++at) {
      ends.memory.data()[at] = static_cast<uint8_t>(random.below(4) == 0 ? random.next() : 0);
    }
    // Types as they are, now and then, so that some get past the first look.
    if (round % 2 == 0) ends.memory.data()[4] = static_cast<uint8_t>(Type::object);
    if (round % 4 == 0) std::memset(ends.memory.data(), static_cast<int>(random.below(60)), 1);
    ends.memory.control().tail.store(random.below(3) == 0 ? random.next() : random.below(600));
    RingRecord got;
    auto step = RingReader::Step::record;
    for (int i = 0; i < 50 && step == RingReader::Step::record; ++i) {
      step = ends.reader.next(got);
      if (step != RingReader::Step::record) break;
      ++records;
      ASSERT_GE(got.bytes.data(), ends.memory.data());
      ASSERT_LE(got.bytes.data() + got.bytes.size(), ends.memory.data() + 2 * size_t{data_bytes});
      ASSERT_LE(got.bytes.size() + ring_record_header_bytes, 600u + 8) << "beyond the tail";
    }
    damaged += step == RingReader::Step::damaged;
  }
  EXPECT_GT(damaged, 500u);
  EXPECT_GT(records, 100u);
}

// Everything arrives once, in order, and a reader that falls asleep is always woken.
TEST(Ring, RaceOfTwoThreads) {
  constexpr Seq records = 50'000;
  Ends ends;
  std::atomic<uint32_t> wakes = 0;
  std::jthread reader([&] {
    RingRecord got;
    for (Seq seq = 0; seq < records;) {
      const auto step = ends.reader.next(got);
      ASSERT_NE(step, RingReader::Step::damaged);
      if (step == RingReader::Step::record) {
        ASSERT_EQ(got.first_seq, seq);
        ASSERT_EQ(got.bytes.size(), seq % 200);
        for (const uint8_t byte : got.bytes) ASSERT_EQ(byte, static_cast<uint8_t>(seq));
        ++seq;
        continue;
      }
      const uint32_t before = wakes.load();
      if (ends.reader.fall_asleep()) wakes.wait(before);
    }
  });
  for (Seq seq = 0; seq < records;) {
    const Bytes bytes(seq % 200, static_cast<uint8_t>(seq));
    const bool written = ends.writer.write({Type::object, {}, seq, seq, bytes});
    seq += written;
    if (written && seq % 7 != 0 && seq != records) continue;
    if (ends.writer.commit()) {
      ++wakes;
      wakes.notify_one();
    }
    if (testing::Test::HasFailure()) break;
    if (!written) std::this_thread::yield();
  }
}

}  // namespace
}  // namespace chaincast::local
