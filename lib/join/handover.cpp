// SPDX-License-Identifier: BSD-3-Clause
#include "join/handover.hpp"

#include "graph/message.hpp"

namespace chaincast::join {

namespace {

Error bad(const char* what) {
  return error(ErrorCode::invalid, std::string(what) + "; the other end is faulty");
}

}  // namespace

Bytes encode(const Card& card) {
  CC_ASSERT(card.data.size() <= card_endpoints_max);
  ByteWriter out;
  out.u8(static_cast<uint8_t>(card.data.size()));
  for (const Endpoint& endpoint : card.data) wire::put_endpoint(out, endpoint);
  return out.take();
}

Result<Card> parse_card(ByteSpan bytes) {
  Card card;
  if (bytes.empty()) return card;
  ByteReader in(bytes);
  const size_t count = in.u8();
  if (count > card_endpoints_max) return bad("a card with more than 8 endpoints");
  for (size_t i = 0; i < count; ++i) {
    if (!wire::take_endpoint(in, card.data.emplace_back())) return bad("a card that is cut off");
  }
  if (!in.finished()) return bad("a card with bytes left over");
  return card;
}

bool is_grant(ByteSpan message) {
  return message.size() >= 2 && message[0] == graph::message_version && message[1] == grant_type;
}

Bytes encode(const Grant& grant) {
  ByteWriter out;
  out.u8(graph::message_version).u8(grant_type).bytes(grant.resource.bytes);
  out.u8(grant.secret.kind == identity::SecretFile::Kind::full ? 1 : 2).bytes(grant.secret.secret);
  return out.take();
}

Result<Grant> parse_grant(ByteSpan message) {
  if (!is_grant(message) || message.size() != grant_bytes) return bad("a grant of another length");
  ByteReader in(message.subspan(2));
  Grant grant;
  grant.resource.bytes = in.array<16>();
  const uint8_t kind = in.u8();
  if (kind != 1 && kind != 2) return bad("a grant of an unknown kind");
  grant.secret.kind =
      kind == 1 ? identity::SecretFile::Kind::full : identity::SecretFile::Kind::relay;
  grant.secret.secret = in.array<32>();
  return grant;
}

}  // namespace chaincast::join
