// SPDX-License-Identifier: BSD-3-Clause
#include "wire/descriptor.hpp"

#include <algorithm>

#include "wire/labels.hpp"

namespace chaincast::wire {
namespace {

constexpr uint8_t descriptor_format = 1;
constexpr uint8_t descriptor_flag_routes = 0x01;
constexpr uint8_t statement_format = 1;
constexpr size_t signature_bytes = 64;

Error bad_descriptor(std::string_view what) {
  return error(ErrorCode::invalid,
               "descriptor: " + std::string(what) + "; correct it at the stream's origin");
}

Error bad_statement(std::string_view what) {
  return error(ErrorCode::invalid,
               "statement: " + std::string(what) + "; the stream's origin is faulty");
}

Error out_of_range(std::string_view field, uint64_t value, uint64_t low, uint64_t high) {
  return bad_descriptor(std::string(field) + " " + std::to_string(value) + " is outside " +
                        std::to_string(low) + ".." + std::to_string(high));
}

bool resource_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

Bytes descriptor_body(const Descriptor& d) {
  CC_ASSERT(d.resource.size() <= resource_bytes_max);
  ByteWriter out;
  out.u8(descriptor_format).bytes(d.network).bytes(d.origin).bytes(d.incarnation);
  out.u8(static_cast<uint8_t>(d.suite_class)).u8(static_cast<uint8_t>(d.suite));
  out.be16(d.payload_bytes_max).be32(d.object_bytes_max).be32(d.rate_frames_per_s);
  out.u8(d.window_log2).be16(d.statement_frames_max).be32(d.statement_interval_ms);
  out.u8(static_cast<uint8_t>(d.delivery)).u8(static_cast<uint8_t>(d.reemit));
  out.u8(static_cast<uint8_t>(d.keeping));
  out.u8(d.carries_routes ? descriptor_flag_routes : uint8_t{0});
  out.u8(d.votes_percent).be32(d.created_unix_s);
  out.u8(static_cast<uint8_t>(d.resource.size())).text(d.resource);
  return out.take();
}

Bytes statement_body(const Statement& s) {
  ByteWriter out;
  out.u8(statement_format).u8(s.flags).bytes(s.descriptor_digest).be64(s.index);
  out.bytes(s.previous).be64(s.first_seq).be64(s.last_seq).bytes(s.last_digest);
  return out.take();
}

Bytes signed_bytes(std::string_view label, ByteSpan network, ByteSpan body) {
  ByteWriter out;
  out.text(label).u8(0).bytes(network).bytes(body);
  return out.take();
}

Status check_enumerators(const Descriptor& d) {
  if (d.suite_class < SuiteClass::open || d.suite_class > SuiteClass::trusted) {
    return bad_descriptor("unknown suite class");
  }
  if (suite_class_of(d.suite) != d.suite_class) {
    return bad_descriptor("suite " + std::to_string(static_cast<unsigned>(d.suite)) +
                          " is not one of its class");
  }
  if (d.delivery < Delivery::linked || d.delivery > Delivery::accepted) {
    return bad_descriptor("unknown delivery");
  }
  if (d.reemit < Reemit::verified || d.reemit > Reemit::linked) {
    return bad_descriptor("unknown re-emission");
  }
  if (d.keeping < Keeping::live || d.keeping > Keeping::kept) {
    return bad_descriptor("neither live nor kept");
  }
  return {};
}

}  // namespace

std::optional<SuiteClass> suite_class_of(Suite suite) noexcept {
  switch (suite) {
    case Suite::sha256_gmac:
    case Suite::sha256_gmac_ct:
      return SuiteClass::open;
    case Suite::sha256_gcm:
    case Suite::sha256_gcm_ct:
      return SuiteClass::confidential;
    case Suite::gmac:
      return SuiteClass::trusted;
  }
  return std::nullopt;
}

Status check_descriptor(const Descriptor& d) {
  if (Status known = check_enumerators(d); !known) return known;
  struct Range {
    std::string_view field;
    uint64_t value, low, high;
  };
  const Range ranges[] = {
      {"resource length", d.resource.size(), 1, resource_bytes_max},
      {"payload_bytes_max", d.payload_bytes_max, payload_bytes_min, payload_bytes_limit},
      {"object_bytes_max", d.object_bytes_max, object_bytes_min, object_bytes_limit},
      {"rate_frames_per_s", d.rate_frames_per_s, 1, rate_frames_per_s_max},
      {"window_log2", d.window_log2, window_log2_min, window_log2_max},
      {"statement_frames_max", d.statement_frames_max, 1, 65'535},
      {"statement_interval_ms", d.statement_interval_ms, 1, statement_interval_ms_max},
      {"votes_percent", d.votes_percent, 0, 100},
  };
  for (const Range& r : ranges) {
    if (r.value < r.low || r.value > r.high) {
      return out_of_range(r.field, r.value, r.low, r.high);
    }
  }
  if (!std::all_of(d.resource.begin(), d.resource.end(), resource_char)) {
    return bad_descriptor("resource has a character other than a-z 0-9 . _ -");
  }
  if (d.suite_class == SuiteClass::trusted &&
      (d.votes_percent != 0 || d.delivery != Delivery::linked || d.keeping == Keeping::kept)) {
    return bad_descriptor("a trusted stream takes no votes, is not final and is not kept");
  }
  if (d.keeping == Keeping::kept && d.delivery == Delivery::accepted) {
    return bad_descriptor("a kept stream is delivered at final, not at accepted");
  }
  return {};
}

Bytes descriptor_signed_bytes(const Descriptor& descriptor) {
  return signed_bytes(label_descriptor, descriptor.network, descriptor_body(descriptor));
}

Bytes encode(const Descriptor& descriptor) {
  ByteWriter out;
  out.bytes(descriptor_body(descriptor)).bytes(descriptor.signature);
  return out.take();
}

Result<Descriptor> parse_descriptor(ByteSpan bytes) {
  if (bytes.size() > descriptor_bytes_max) return bad_descriptor("too long");
  ByteReader in(bytes);
  if (in.u8() != descriptor_format) return bad_descriptor("unknown format");
  Descriptor d;
  d.network = in.array<32>();
  d.origin = in.array<32>();
  d.incarnation = in.array<16>();
  d.suite_class = static_cast<SuiteClass>(in.u8());
  d.suite = static_cast<Suite>(in.u8());
  d.payload_bytes_max = in.be16();
  d.object_bytes_max = in.be32();
  d.rate_frames_per_s = in.be32();
  d.window_log2 = in.u8();
  d.statement_frames_max = in.be16();
  d.statement_interval_ms = in.be32();
  d.delivery = static_cast<Delivery>(in.u8());
  d.reemit = static_cast<Reemit>(in.u8());
  d.keeping = static_cast<Keeping>(in.u8());
  const uint8_t flags = in.u8();
  d.carries_routes = (flags & descriptor_flag_routes) != 0;
  d.votes_percent = in.u8();
  d.created_unix_s = in.be32();
  const ByteSpan resource = in.bytes(in.u8());
  d.resource.assign(resource.begin(), resource.end());
  d.signature = in.array<signature_bytes>();
  if (!in.ok()) return bad_descriptor("truncated");
  if (in.left() != 0) return bad_descriptor("trailing bytes");
  if ((flags & ~descriptor_flag_routes) != 0) return bad_descriptor("unknown flags");
  if (Status good = check_descriptor(d); !good) return good.error();
  return d;
}

Bytes statement_signed_bytes(const Statement& statement, const std::array<uint8_t, 32>& network) {
  return signed_bytes(label_statement, network, statement_body(statement));
}

Bytes encode(const Statement& statement) {
  ByteWriter out;
  out.bytes(statement_body(statement)).bytes(statement.signature);
  return out.take();
}

Result<Statement> parse_statement(ByteSpan payload) {
  if (payload.size() > statement_bytes_max) return bad_statement("too long");
  ByteReader in(payload);
  if (in.u8() != statement_format) return bad_statement("unknown format");
  Statement s;
  s.flags = in.u8();
  s.descriptor_digest = in.array<32>();
  s.index = in.be64();
  s.previous = in.array<32>();
  s.first_seq = in.be64();
  s.last_seq = in.be64();
  s.last_digest = in.array<32>();
  s.signature = in.array<signature_bytes>();
  if (!in.ok()) return bad_statement("truncated");
  if ((s.flags & ~statement_flag_end) != 0) {
    return error(ErrorCode::unsupported,
                 "statement: a flag of a later version; update this node to follow the stream");
  }
  if (in.left() != 0) return bad_statement("trailing bytes");
  if (s.first_seq > s.last_seq) return bad_statement("first seq above last seq");
  if (s.index == 0 && s.previous != Digest{}) {
    return bad_statement("index 0 has no previous statement");
  }
  return s;
}

}  // namespace chaincast::wire
