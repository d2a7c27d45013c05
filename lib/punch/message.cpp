// SPDX-License-Identifier: BSD-3-Clause
#include "punch/message.hpp"

#include "graph/message.hpp"
#include "wire/membership.hpp"

namespace chaincast::punch {

namespace {

Error bad(const char* what) {
  return error(ErrorCode::invalid, std::string(what) + "; the other end is faulty");
}

void put(ByteWriter& out, const std::vector<Endpoint>& endpoints) {
  CC_ASSERT(endpoints.size() <= endpoints_max);
  out.u8(static_cast<uint8_t>(endpoints.size()));
  for (const Endpoint& endpoint : endpoints) wire::put_endpoint(out, endpoint);
}

bool take(ByteReader& in, std::vector<Endpoint>& endpoints) {
  const size_t count = in.u8();
  if (count > endpoints_max) return false;
  for (size_t i = 0; i < count; ++i) {
    if (!wire::take_endpoint(in, endpoints.emplace_back())) return false;
  }
  return in.ok();
}

void put(ByteWriter&, const Register&) {}
void put(ByteWriter& out, const Offer& offer) {
  put(out, offer.vantages);
}
void put(ByteWriter& out, const Candidates& candidates) {
  out.u8(static_cast<uint8_t>(candidates.mapping));
  put(out, candidates.own);
  put(out, candidates.seen);
}
void put(ByteWriter& out, const Carry& carry) {
  out.u8(static_cast<uint8_t>(carry.kind)).u8(carry.is_from_carrier ? 1 : 0);
  out.bytes(carry.peer.bytes).be32(carry.channel);
  if (carry.kind == Carry::Kind::credit) out.be32(carry.credit);
  if (carry.kind == Carry::Kind::data) out.bytes(carry.bytes);
}
void put(ByteWriter& out, const RelayRequest& request) {
  out.bytes(request.peer.bytes);
}
void put(ByteWriter& out, const RelayGrant& grant) {
  out.bytes(grant.peer.bytes).u8(grant.address ? 1 : 0);
  if (grant.address) wire::put_endpoint(out, *grant.address);
}

Result<Message> parse_carry(ByteReader& in) {
  Carry out;
  out.kind = static_cast<Carry::Kind>(in.u8());
  const uint8_t from_carrier = in.u8();
  out.is_from_carrier = from_carrier == 1;
  out.peer.bytes = in.array<16>();
  out.channel = in.be32();
  if (out.kind < Carry::Kind::open || out.kind > Carry::Kind::close || from_carrier > 1) {
    return bad("a carried message of an unknown kind");
  }
  if (out.kind == Carry::Kind::credit) out.credit = in.be32();
  if (out.kind == Carry::Kind::data) {
    if (in.left() == 0 || in.left() > carried_bytes_max) return bad("carried bytes: none or many");
    const ByteSpan rest = in.bytes(in.left());
    out.bytes.assign(rest.begin(), rest.end());
  }
  return Message(std::move(out));
}

Result<Message> parse_body(uint8_t type, ByteReader& in) {
  switch (type - first_type) {
    case 0:
      return Message(Register{});
    case 1: {
      Offer out;
      if (!take(in, out.vantages)) return bad("an offer that is cut off");
      return Message(std::move(out));
    }
    case 2: {
      Candidates out;
      out.mapping = static_cast<Mapping>(in.u8());
      if (out.mapping > Mapping::dependent) return bad("a mapping of an unknown kind");
      if (!take(in, out.own) || !take(in, out.seen)) return bad("candidates that are cut off");
      return Message(std::move(out));
    }
    case 3:
      return parse_carry(in);
    case 4:
      return Message(RelayRequest{NodeId{in.array<16>()}});
    default: {
      RelayGrant out;
      out.peer.bytes = in.array<16>();
      const uint8_t has_address = in.u8();
      if (has_address > 1) return bad("a relay's answer of an unknown kind");
      if (has_address == 1 && !wire::take_endpoint(in, out.address.emplace())) {
        return bad("a relay's answer that is cut off");
      }
      return Message(std::move(out));
    }
  }
}

}  // namespace

bool is_message(ByteSpan bytes) {
  return bytes.size() >= 2 && bytes[0] == graph::message_version && bytes[1] >= first_type &&
         bytes[1] <= last_type;
}

Bytes encode(const Message& message) {
  ByteWriter out;
  out.u8(graph::message_version).u8(static_cast<uint8_t>(first_type + message.index()));
  std::visit([&](const auto& body) { put(out, body); }, message);
  return out.take();
}

Result<Message> parse_message(ByteSpan bytes) {
  if (!is_message(bytes)) return bad("a message of another type");
  ByteReader in(bytes.subspan(2));
  auto out = parse_body(bytes[1], in);
  if (out && !in.finished()) return bad("a message that is cut off, or has bytes left over");
  return out;
}

}  // namespace chaincast::punch
