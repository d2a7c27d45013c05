// SPDX-License-Identifier: BSD-3-Clause
// Both ends of the shared ring, each against another end that writes anything at any time. The
// first byte says whose end is tested; then steps follow.
#include <algorithm>
#include <cstring>

#include "console/unix/shared_ring.hpp"
#include "fuzz.hpp"
#include "local/ring.hpp"

namespace {

using namespace chaincast;
using local::RingReader;
using local::RingRecord;
using local::RingWriter;

constexpr unsigned steps_max = 256;

// One for all runs: making it costs system calls.
console::SharedRing& memory() {
  static auto made = console::SharedRing::create(local::ring_bytes_min);
  CC_ASSERT(made.ok());
  return *made;
}

// A position, small or wild, as the input says.
uint64_t position(ByteReader& in) {
  const uint8_t how = in.u8();
  if (how % 4 == 0) return in.be64();
  return uint64_t{in.be16()} << (how % 4 == 1 ? 0 : 3);
}

// The reader may write its position, whether it sleeps, and (which it has no right to) all else.
void test_writer(ByteReader& in) {
  local::RingControl& control = memory().control();
  RingWriter writer(control, memory().data(), memory().data_bytes());
  static const Bytes object(local::ring_bytes_min, 0x5a);
  uint64_t uncommitted = 0;
  for (unsigned i = 0; i < steps_max && in.left() > 0; ++i) {
    const uint8_t step = in.u8();
    switch (step % 5) {
      case 0: {
        const size_t bytes = std::min<size_t>(in.be16(), object.size());
        const bool had_room = writer.has_room(local::ring_record_bytes(bytes));
        const bool written =
            writer.write({local::Type::object, StreamId{1}, i, i, ByteSpan(object).first(bytes)});
        CC_ASSERT(written == had_room);
        uncommitted += written ? local::ring_record_bytes(bytes) : 0;
        break;
      }
      case 1:
        writer.commit();
        uncommitted = 0;
        break;
      case 2:
        control.head.store(position(in));
        break;
      case 3:
        control.asleep.store(in.u8());
        break;
      default:
        control.tail.store(position(in));
        control.data_bytes = in.be32();
        break;
    }
    const bool was_damaged = writer.is_damaged();
    writer.read_bytes();
    CC_ASSERT(!was_damaged || writer.is_damaged());
    CC_ASSERT(writer.uncommitted_bytes() == uncommitted);
    CC_ASSERT(uncommitted <= writer.data_bytes());
  }
}

// The writer may write everything.
void test_reader(ByteReader& in) {
  local::RingControl& control = memory().control();
  const uint32_t size = memory().data_bytes();
  control.tail.store(0);
  control.head.store(0);
  control.data_bytes = size;
  RingReader reader(control, memory().data(), size);
  for (unsigned i = 0; i < steps_max && in.left() > 0; ++i) {
    const uint8_t step = in.u8();
    if (step % 4 == 0) {
      const size_t at = in.be16() % size;
      const ByteSpan bytes = in.bytes(std::min<size_t>(in.u8(), in.left()));
      std::copy(bytes.begin(), bytes.end(), memory().data() + at);  // mapped twice in a row
    } else if (step % 4 == 1) {
      control.tail.store(position(in));
    } else if (step % 4 == 2) {
      reader.fall_asleep();
    } else {
      RingRecord record;
      if (reader.next(record) != RingReader::Step::record) continue;
      const uint8_t* const data = memory().data();
      CC_ASSERT(record.bytes.data() >= data + local::ring_record_header_bytes);
      CC_ASSERT(record.bytes.data() + record.bytes.size() <= data + 2 * size_t{size});
      CC_ASSERT(local::ring_record_bytes(record.bytes.size()) <= size);
      volatile uint8_t sum = 0;
      for (const uint8_t byte : record.bytes) sum = static_cast<uint8_t>(sum + byte);
    }
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteReader in({data, size});
  if (in.u8() % 2 == 0) {
    test_writer(in);
  } else {
    test_reader(in);
  }
  return 0;
}
