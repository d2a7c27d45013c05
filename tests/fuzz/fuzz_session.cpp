// SPDX-License-Identifier: BSD-3-Clause
// A stream of a session, as whoever has shown an admitted key may send it: cut into messages in
// pieces of which the first byte of the input says the size, the first of them a hello. However it
// is cut, the same messages come, as they are read off the input by hand.
#include <algorithm>
#include <optional>

#include "fuzz.hpp"
#include "session/frame.hpp"

namespace {

using namespace chaincast;
using session::FrameReader;

constexpr size_t limit_bytes = 4096;  // small, so that the input reaches it

struct Cut {
  std::vector<Bytes> messages;
  bool is_malformed = false;
  bool operator==(const Cut&) const = default;
};

Cut cut_by_hand(ByteSpan stream) {
  Cut out;
  size_t at = 0, limit = session::hello_bytes_max;
  while (at + 4 <= stream.size()) {
    const size_t length = load_be32(stream.data() + at);
    out.is_malformed = length == 0 || length > limit;
    if (out.is_malformed || at + 4 + length > stream.size()) return out;
    const ByteSpan message = stream.subspan(at + 4, length);
    out.messages.emplace_back(message.begin(), message.end());
    at += 4 + length;
    limit = limit_bytes;
  }
  return out;
}

Cut cut(ByteSpan stream, size_t piece) {
  Cut out;
  FrameReader reader(session::hello_bytes_max);
  size_t came = 0;
  while (!stream.empty() && !out.is_malformed) {
    ByteSpan part = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(part.size());
    while (!part.empty() && !out.is_malformed) {
      const size_t taken = reader.take(part);
      part = part.subspan(taken);
      came += taken;
      out.is_malformed = reader.state() == FrameReader::State::malformed;
      CC_ASSERT(taken > 0 && reader.kept_bytes() <= came);
      if (reader.state() != FrameReader::State::whole) continue;
      out.messages.emplace_back(reader.message().begin(), reader.message().end());
      reader.set_limit(limit_bytes);
      reader.next();
      CC_ASSERT(!reader.is_inside());
    }
  }
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const ByteSpan stream(data + 1, size - 1);
  const Cut expected = cut_by_hand(stream);
  CC_ASSERT(cut(stream, size_t{1} + data[0]) == expected);
  CC_ASSERT(cut(stream, size) == expected);
  for (const Bytes& message : expected.messages) {
    const auto hello = session::parse_hello(message);
    // What is taken for a hello is one, byte for byte.
    CC_ASSERT(!hello.ok() || session::encode_hello(*hello) == message);
    CC_ASSERT(hello.ok() || !hello.error().message.empty());
  }
  return 0;
}
