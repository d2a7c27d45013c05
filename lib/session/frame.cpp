// SPDX-License-Identifier: BSD-3-Clause
#include "session/frame.hpp"

#include <algorithm>

namespace chaincast::session {

Bytes encode_hello(const Hello& hello) {
  CC_ASSERT(hello.card.size() <= card_bytes_max);
  return ByteWriter()
      .u8(hello_version)
      .bytes(hello.network)
      .be16(hello.port)
      .be16(static_cast<uint16_t>(hello.card.size()))
      .bytes(hello.card)
      .take();
}

Result<Hello> parse_hello(ByteSpan message) {
  ByteReader in(message);
  const uint8_t version = in.u8();
  Hello out;
  out.network = in.array<32>();
  out.port = in.be16();
  const size_t card_bytes = in.be16();
  if (version != hello_version) {
    return error(ErrorCode::invalid, "hello: version " + std::to_string(version) + ", not " +
                                         std::to_string(hello_version));
  }
  if (card_bytes > card_bytes_max) return error(ErrorCode::invalid, "hello: its card is too long");
  const ByteSpan card = in.bytes(card_bytes);
  if (!in.finished()) return error(ErrorCode::invalid, "hello: its length is wrong");
  if (out.port == 0) return error(ErrorCode::invalid, "hello: it names no port");
  out.card.assign(card.begin(), card.end());
  return out;
}

Bytes encode_frame(ByteSpan message) {
  return ByteWriter().be32(static_cast<uint32_t>(message.size())).bytes(message).take();
}

size_t FrameReader::take(ByteSpan bytes) {
  if (state_ != State::partial) return 0;
  size_t taken = 0;
  while (header_bytes_ < frame_header_bytes && taken < bytes.size()) {
    header_[header_bytes_++] = bytes[taken++];
    if (header_bytes_ < frame_header_bytes) continue;
    length_ = load_be32(header_.data());
    if (length_ == 0 || length_ > bytes_max_) state_ = State::malformed;
  }
  if (header_bytes_ < frame_header_bytes || state_ == State::malformed) return taken;
  const size_t count = std::min(bytes.size() - taken, length_ - message_.size());
  const ByteSpan part = bytes.subspan(taken, count);
  message_.insert(message_.end(), part.begin(), part.end());
  if (message_.size() == length_) state_ = State::whole;
  return taken + count;
}

void FrameReader::next() {
  CC_ASSERT(state_ == State::whole);
  state_ = State::partial;
  header_bytes_ = 0;
  if (message_.capacity() > kept_capacity_max) {
    message_ = Bytes();
  } else {
    message_.clear();
  }
}

}  // namespace chaincast::session
