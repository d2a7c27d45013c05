// SPDX-License-Identifier: BSD-3-Clause
#include "wire/control.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>

namespace chaincast::wire {
namespace {

constexpr uint8_t hello_flag_check_off = 0x01;
constexpr size_t hello_mac_bytes = 32;

Error bad_hello(std::string_view what) {
  return error(ErrorCode::invalid, "hello: " + std::string(what) + "; the sender is faulty");
}

Error bad_control(std::string_view message, std::string_view what) {
  return error(ErrorCode::invalid,
               std::string(message) + ": " + std::string(what) + "; the sender is faulty");
}

bool all_zero(ByteSpan bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

// The rules between fields, all read from untrusted bytes.
const char* hello_fault(const Hello& h, uint8_t flags, uint8_t reserved) {
  if (h.step < HelloStep::ask || h.step > HelloStep::refuse) return "unknown step";
  if (h.refusal > HelloRefusal::removed) return "unknown refusal";
  if ((h.step == HelloStep::refuse) != (h.refusal != HelloRefusal::none)) {
    return "a refusal belongs to step refuse and to no other";
  }
  if (h.version_min == 0 || h.version_min > h.version_max) return "empty version range";
  if (h.step == HelloStep::ask && !all_zero(h.echo)) return "an ask echoes nothing";
  if ((flags & ~hello_flag_check_off) != 0 || reserved != 0) return "unknown flags";
  if (h.lane_count > lanes_max) return "more than 64 lanes";
  return nullptr;
}

// Reads a flag byte that may only be 0 or 1.
bool read_bool(ByteReader& in, bool& known) {
  const uint8_t value = in.u8();
  known = known && value <= 1;
  return value == 1;
}

// Length (2 bytes) and as many bytes.
Bytes read_counted(ByteReader& in, size_t bytes_max, bool& known) {
  const size_t count = in.be16();
  known = known && count <= bytes_max;
  if (!known) return {};
  const ByteSpan bytes = in.bytes(count);
  return {bytes.begin(), bytes.end()};
}

ByteWriter& type(ByteWriter& out, ControlType value) {
  return out.u8(static_cast<uint8_t>(value));
}

void write_body(ByteWriter& out, const Keepalive& m) {
  type(out, ControlType::keepalive).be64(m.stamp);
}
void write_body(ByteWriter& out, const KeepaliveReply& m) {
  type(out, ControlType::keepalive_reply).be64(m.stamp);
}
void write_body(ByteWriter& out, const DescriptorMessage& m) {
  CC_ASSERT(!m.encoded.empty() && m.encoded.size() <= descriptor_bytes_max);
  type(out, ControlType::descriptor).be16(static_cast<uint16_t>(m.encoded.size())).bytes(m.encoded);
}
void write_body(ByteWriter& out, const RefuseStream& m) {
  type(out, ControlType::refuse_stream)
      .be64(m.stream.value)
      .u8(static_cast<uint8_t>(m.why))
      .be16(m.mtu_bytes);
}
void write_body(ByteWriter& out, const Report& m) {
  type(out, ControlType::report)
      .be64(m.datagrams_received)
      .be64(m.datagrams_lost)
      .be64(m.bytes_received);
}
void write_body(ByteWriter& out, const Nack& m) {
  type(out, ControlType::nack)
      .be64(m.stream.value)
      .be64(m.first_seq)
      .be64(m.map)
      .u8(m.by_digest ? 1 : 0);
  if (m.by_digest) out.bytes(m.digest8);
}
void write_body(ByteWriter& out, const Pending& m) {
  type(out, ControlType::pending)
      .be64(m.stream.value)
      .be64(m.first_seq)
      .be64(m.map)
      .u8(m.gone ? 1 : 0);
}
void write_body(ByteWriter& out, const Tip& m) {
  CC_ASSERT(m.statement.size() <= statement_bytes_max);
  type(out, ControlType::tip).be64(m.stream.value).u8(m.empty ? 1 : 0);
  if (!m.empty) out.be64(m.linked_seq).bytes(m.digest8);
  out.be64(m.retained_from).be16(static_cast<uint16_t>(m.statement.size())).bytes(m.statement);
}
void write_body(ByteWriter& out, const TipRequest& m) {
  type(out, ControlType::tip_request).be64(m.stream.value);
}
void write_body(ByteWriter& out, const MtuProbe& m) {
  type(out, ControlType::mtu_probe).be32(m.id).be16(m.ip_bytes);
}
void write_body(ByteWriter& out, const MtuReply& m) {
  type(out, ControlType::mtu_reply).be32(m.id).be16(m.ip_bytes);
}
void write_body(ByteWriter& out, const Close& m) {
  type(out, ControlType::close).u8(static_cast<uint8_t>(m.reason));
}
void write_body(ByteWriter& out, const Votes& m) {
  CC_ASSERT(!m.digests.empty() && m.digests.size() <= votes_max);
  type(out, ControlType::votes)
      .be64(m.stream.value)
      .be64(m.first_seq)
      .u8(static_cast<uint8_t>(m.digests.size()));
  for (const Digest& digest : m.digests) out.bytes(digest);
}

// Ends the parse of one body: everything read, nothing left, every enumerator known.
Result<ControlMessage> finish(const ByteReader& in, bool known, std::string_view name,
                              ControlMessage message) {
  if (!in.ok()) return bad_control(name, "truncated");
  if (!known) return bad_control(name, "value out of range");
  if (in.left() != 0) return bad_control(name, "trailing bytes");
  return message;
}

Result<ControlMessage> parse_refuse_stream(ByteReader& in) {
  RefuseStream m;
  m.stream.value = in.be64();
  m.why = static_cast<StreamRefusal>(in.u8());
  m.mtu_bytes = in.be16();
  const bool known =
      m.why >= StreamRefusal::unknown_resource && m.why <= StreamRefusal::conflicting;
  return finish(in, known, "refuse_stream", m);
}

Result<ControlMessage> parse_report(ByteReader& in) {
  Report m;
  m.datagrams_received = in.be64();
  m.datagrams_lost = in.be64();
  m.bytes_received = in.be64();
  return finish(in, true, "report", m);
}

Result<ControlMessage> parse_nack(ByteReader& in) {
  Nack m;
  bool known = true;
  m.stream.value = in.be64();
  m.first_seq = in.be64();
  m.map = in.be64();
  m.by_digest = read_bool(in, known);
  if (m.by_digest) m.digest8 = in.array<8>();
  return finish(in, known, "nack", m);
}

Result<ControlMessage> parse_pending(ByteReader& in) {
  Pending m;
  bool known = true;
  m.stream.value = in.be64();
  m.first_seq = in.be64();
  m.map = in.be64();
  m.gone = read_bool(in, known);
  return finish(in, known, "pending", m);
}

Result<ControlMessage> parse_tip(ByteReader& in) {
  Tip m;
  bool known = true;
  m.stream.value = in.be64();
  m.empty = read_bool(in, known);
  if (!m.empty) {
    m.linked_seq = in.be64();
    m.digest8 = in.array<8>();
  }
  m.retained_from = in.be64();
  m.statement = read_counted(in, statement_bytes_max, known);
  return finish(in, known, "tip", std::move(m));
}

Result<ControlMessage> parse_descriptor_message(ByteReader& in) {
  DescriptorMessage m;
  bool known = true;
  m.encoded = read_counted(in, descriptor_bytes_max, known);
  known = known && !(in.ok() && m.encoded.empty());
  return finish(in, known, "descriptor", std::move(m));
}

Result<ControlMessage> parse_mtu_probe(ByteReader& in) {
  MtuProbe m;
  m.id = in.be32();
  m.ip_bytes = in.be16();
  if (!in.ok()) return bad_control("mtu_probe", "truncated");
  return ControlMessage(m);
}

Result<ControlMessage> parse_mtu_reply(ByteReader& in) {
  MtuReply m;
  m.id = in.be32();
  m.ip_bytes = in.be16();
  return finish(in, true, "mtu_reply", m);
}

Result<ControlMessage> parse_close(ByteReader& in) {
  Close m;
  m.reason = static_cast<CloseReason>(in.u8());
  const bool known = m.reason >= CloseReason::shutdown && m.reason <= CloseReason::rekey;
  return finish(in, known, "close", m);
}

// No vote is for a seq beyond the last one.
Result<ControlMessage> parse_votes(ByteReader& in) {
  Votes m;
  m.stream.value = in.be64();
  m.first_seq = in.be64();
  const size_t count = in.u8();
  const bool known = count >= 1 && count <= votes_max &&
                     m.first_seq <= std::numeric_limits<Seq>::max() - (count - 1);
  if (known && in.left() >= count * sizeof(Digest)) {
    m.digests.resize(count);
    for (Digest& digest : m.digests) digest = in.array<32>();
  } else if (in.ok() && known) {
    return bad_control("votes", "truncated");
  }
  return finish(in, known, "votes", std::move(m));
}

}  // namespace

Bytes encode(const Hello& hello) {
  CC_ASSERT(hello.lane_count <= lanes_max);
  CC_ASSERT(hello.link_ids.size() <= link_ids_max);
  ByteWriter out;
  out.u8(static_cast<uint8_t>(hello.step)).u8(static_cast<uint8_t>(hello.refusal));
  out.u8(hello.version_min).u8(hello.version_max);
  out.bytes(hello.sender.bytes).bytes(hello.sender_key);
  out.bytes(hello.nonce).bytes(hello.echo);
  out.be32(hello.suites).be16(hello.mtu_bytes);
  out.u8(hello.check_off ? hello_flag_check_off : uint8_t{0}).u8(0);
  out.be16(hello.lane_count).be16(hello.receive_ports);
  out.be16(static_cast<uint16_t>(hello.link_ids.size()));
  for (uint32_t id : hello.link_ids) out.be32(id);
  out.bytes(hello.mac);
  return out.take();
}

ByteSpan hello_authenticated_bytes(ByteSpan encoded) {
  if (encoded.size() < hello_bytes_min) return {};
  return encoded.first(encoded.size() - hello_mac_bytes);
}

Result<Hello> parse_hello(ByteSpan bytes) {
  if (bytes.size() > hello_bytes_max) return bad_hello("too long");
  ByteReader in(bytes);
  Hello h;
  h.step = static_cast<HelloStep>(in.u8());
  h.refusal = static_cast<HelloRefusal>(in.u8());
  h.version_min = in.u8();
  h.version_max = in.u8();
  h.sender.bytes = in.array<16>();
  h.sender_key = in.array<32>();
  h.nonce = in.array<16>();
  h.echo = in.array<16>();
  h.suites = in.be32();
  h.mtu_bytes = in.be16();
  const uint8_t flags = in.u8();
  const uint8_t reserved = in.u8();
  h.check_off = (flags & hello_flag_check_off) != 0;
  h.lane_count = in.be16();
  h.receive_ports = in.be16();
  const size_t link_id_count = in.be16();
  if (!in.ok()) return bad_hello("truncated");
  if (link_id_count > link_ids_max) return bad_hello("more than 65 link ids");
  h.link_ids.resize(link_id_count);
  for (uint32_t& id : h.link_ids) id = in.be32();
  h.mac = in.array<hello_mac_bytes>();
  if (!in.ok()) return bad_hello("truncated");
  if (in.left() != 0) return bad_hello("trailing bytes");
  if (const char* fault = hello_fault(h, flags, reserved)) return bad_hello(fault);
  return h;
}

Bytes encode(const ControlMessage& message) {
  ByteWriter out;
  std::visit([&out](const auto& m) { write_body(out, m); }, message);
  return out.take();
}

Result<ControlMessage> parse_control(ByteSpan plaintext) {
  ByteReader in(plaintext);
  const uint8_t type_byte = in.u8();
  if (!in.ok()) return bad_control("control message", "empty");
  if (type_byte != static_cast<uint8_t>(ControlType::mtu_probe) &&
      plaintext.size() > control_bytes_max) {
    return bad_control("control message", "above 1200 bytes");
  }
  switch (static_cast<ControlType>(type_byte)) {
    case ControlType::keepalive: {
      const Keepalive m{in.be64()};
      return finish(in, true, "keepalive", m);
    }
    case ControlType::keepalive_reply: {
      const KeepaliveReply m{in.be64()};
      return finish(in, true, "keepalive_reply", m);
    }
    case ControlType::descriptor:
      return parse_descriptor_message(in);
    case ControlType::refuse_stream:
      return parse_refuse_stream(in);
    case ControlType::report:
      return parse_report(in);
    case ControlType::nack:
      return parse_nack(in);
    case ControlType::pending:
      return parse_pending(in);
    case ControlType::tip:
      return parse_tip(in);
    case ControlType::tip_request: {
      const TipRequest m{StreamId{in.be64()}};
      return finish(in, true, "tip_request", m);
    }
    case ControlType::mtu_probe:
      return parse_mtu_probe(in);
    case ControlType::mtu_reply:
      return parse_mtu_reply(in);
    case ControlType::close:
      return parse_close(in);
    case ControlType::votes:
      return parse_votes(in);
  }
  return error(ErrorCode::unsupported, "control message: type " + std::to_string(type_byte) +
                                           " is not known to version 1; it is counted and ignored");
}

}  // namespace chaincast::wire
