// SPDX-License-Identifier: BSD-3-Clause
#include "feed/datagram.hpp"

namespace chaincast::feed {

namespace {

constexpr uint32_t answer_magic = 0x63636131;   // "cca1"
constexpr uint32_t request_magic = 0x63637231;  // "ccr1"

}  // namespace

Bytes encode(const Answer& answer) {
  ByteWriter out;
  out.be32(answer_magic).be32(static_cast<uint32_t>(answer.newest));
  out.be64(answer.taken).be64(answer.refused);
  return out.take();
}

Bytes encode(const Request& request) {
  ByteWriter out;
  out.be32(request_magic).be32(request.number).be64(request.reader).be64(request.taken);
  out.be32(request.room).be16(request.hold_ms).be16(0);
  return out.take();
}

std::optional<Answer> parse_answer(ByteSpan datagram) {
  ByteReader in(datagram);
  const bool is_one = in.be32() == answer_magic;
  const uint32_t newest = in.be32();
  Answer out;
  out.taken = in.be64();
  out.refused = in.be64();
  if (!is_one || !in.finished() || newest > 2) return std::nullopt;
  out.newest = static_cast<Answer::Refusal>(newest);
  return out;
}

std::optional<Request> parse_request(ByteSpan datagram) {
  ByteReader in(datagram);
  const bool is_one = in.be32() == request_magic;
  Request out;
  out.number = in.be32();
  out.reader = in.be64();
  out.taken = in.be64();
  out.room = in.be32();
  out.hold_ms = in.be16();
  const bool is_zero = in.be16() == 0;
  if (!is_one || !is_zero || !in.finished() || out.hold_ms > hold_max_ms) return std::nullopt;
  return out;
}

}  // namespace chaincast::feed
