// SPDX-License-Identifier: BSD-3-Clause
// The datagram walker and the packed-object reader.
#include "fuzz.hpp"
#include "wire/datagram.hpp"
#include "wire/object.hpp"

namespace chaincast::wire {
namespace {

void walk(ByteSpan bytes) {
  FrameWalker walker(bytes);
  FrameView frame;
  size_t consumed = hop_header_bytes;
  while (walker.next(frame)) {
    CC_ASSERT(frame.data == bytes.data() + consumed);
    CC_ASSERT(frame.bytes == frame_header_bytes + load_frame_header(frame.data).payload_bytes);
    consumed += frame.bytes;
    CC_ASSERT(consumed <= bytes.size());
    const ByteSpan payload(frame.data + frame_header_bytes,
                           size_t{frame.bytes} - frame_header_bytes);
    PackedReader reader(payload);
    ByteSpan object;
    size_t unpacked = 0;
    while (reader.next(object)) unpacked += packed_length_bytes + object.size();
    CC_ASSERT(reader.ok() == packed_well_formed(payload));
    CC_ASSERT(!reader.ok() || unpacked == payload.size());
  }
  CC_ASSERT(walker.fault() == check_data_datagram(bytes));
  CC_ASSERT(walker.fault() != DatagramFault::none || consumed == bytes.size());
  if (walker.fault() == DatagramFault::none) datagram_tag_xor(bytes);
}

}  // namespace
}  // namespace chaincast::wire

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace chaincast::wire;
  const chaincast::ByteSpan bytes(data, size);
  walk(bytes);
  const SealedControl sealed = read_sealed_control(bytes);
  CC_ASSERT(sealed.fault != DatagramFault::none || sealed.sealed.size() > control_tag_bytes);
  const HelloView hello = read_hello(bytes);
  CC_ASSERT(hello.fault == DatagramFault::none || hello.encoded.empty());
  // One datagram is of one kind at most.
  const int kinds = (check_data_datagram(bytes) == DatagramFault::none ? 1 : 0) +
                    (sealed.fault == DatagramFault::none ? 1 : 0) +
                    (hello.fault == DatagramFault::none ? 1 : 0);
  CC_ASSERT(kinds <= 1);
  return 0;
}
