// SPDX-License-Identifier: BSD-3-Clause
#include "punch/probe.hpp"

#include <algorithm>

#include "wire/datagram.hpp"

namespace chaincast::punch {

namespace {

// Behind the steps of a hello.
constexpr uint8_t step_question = 5;
constexpr uint8_t step_answer = 6;
constexpr uint8_t flag_bound = 0x01;
constexpr size_t mac_bytes = 32;
constexpr size_t reserved_bytes = 27;

}  // namespace

bool is_probe(ByteSpan datagram) {
  if (datagram.size() != probe_bytes) return false;
  const wire::HelloView view = wire::read_hello(datagram);
  return view.fault == wire::DatagramFault::none &&
         (view.encoded[0] == step_question || view.encoded[0] == step_answer);
}

Bytes encode(const Probe& probe, const Secret& key, const crypto::Toolbox& toolbox) {
  ByteWriter out;
  out.bytes(wire::hello_hop_header());
  out.u8(probe.is_answer ? step_answer : step_question);
  out.u8(probe.is_bound ? flag_bound : 0).be16(0);
  out.bytes(probe.node.bytes).bytes(probe.nonce).bytes(probe.cookie);
  out.u8(!probe.is_answer ? uint8_t{0} : probe.seen.is_ipv6 ? uint8_t{6} : uint8_t{4});
  out.be16(probe.seen.port).bytes(probe.seen.address);
  out.bytes(std::array<uint8_t, reserved_bytes>{});
  out.bytes(toolbox.hmac_sha256(key, out.buffer()));
  CC_ASSERT(out.buffer().size() == probe_bytes);
  return out.take();
}

std::optional<Probe> parse_probe(ByteSpan datagram) {
  if (!is_probe(datagram)) return std::nullopt;
  ByteReader in(datagram.subspan(wire::hop_header_bytes));
  Probe out;
  out.is_answer = in.u8() == step_answer;
  const uint8_t flags = in.u8();
  const uint16_t zero = in.be16();
  out.is_bound = flags == flag_bound;
  out.node.bytes = in.array<16>();
  out.nonce = in.array<16>();
  out.cookie = in.array<16>();
  const uint8_t family = in.u8();
  out.seen.is_ipv6 = family == 6;
  out.seen.port = in.be16();
  out.seen.address = in.array<16>();
  const auto reserved = in.array<reserved_bytes>();
  const bool has_family = family == 4 || family == 6;
  const bool is_short = std::all_of(out.seen.address.begin() + 4, out.seen.address.end(),
                                    [](uint8_t byte) { return byte == 0; });
  if (flags > flag_bound || zero != 0 || has_family != out.is_answer ||
      reserved != decltype(reserved){} || (family == 4 && !is_short)) {
    return std::nullopt;
  }
  if (!out.is_answer && (out.is_bound || family != 0 || out.seen != Endpoint{})) {
    return std::nullopt;
  }
  return out;
}

bool is_authentic(ByteSpan probe, const Secret& key, const crypto::Toolbox& toolbox) {
  if (probe.size() != probe_bytes) return false;
  const Digest mac = toolbox.hmac_sha256(key, probe.first(probe_bytes - mac_bytes));
  return crypto::equal_constant_time(mac, probe.last(mac_bytes));
}

}  // namespace chaincast::punch
