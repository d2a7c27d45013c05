// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>
#include <vector>

#include "examples.hpp"
#include "support.hpp"
#include "wire/control.hpp"
#include "wire/descriptor.hpp"
#include "wire/route.hpp"

// The values that the examples encode, in the same order of names.
namespace chaincast::wire::sample {

inline constexpr StreamId stream{0x1122334455667788};

inline Hello hello() {
  Hello h;
  h.step = HelloStep::answer;
  h.sender.bytes = counting<std::array<uint8_t, 16>>(0x00);
  h.sender_key = counting<PublicKey>(0x10);
  h.nonce = counting<std::array<uint8_t, 16>>(0x30);
  h.echo = counting<std::array<uint8_t, 16>>(0x40);
  h.suites = 0x3e;
  h.mtu_bytes = 1500;
  h.check_off = true;
  h.lane_count = 2;
  h.receive_ports = 3;
  h.link_ids = {0x0a1b2000, 0x0a1b2001};
  h.mac = counting<std::array<uint8_t, 32>>(0x50);
  return h;
}

inline std::vector<std::pair<example::Example, ControlMessage>> control_messages() {
  const std::array<uint8_t, 8> digest8 = counting<std::array<uint8_t, 8>>(0xa0);
  return {
      {example::keepalive, Keepalive{0xabcdef}},
      {example::keepalive_reply, KeepaliveReply{0xabcdef}},
      {example::descriptor_message, DescriptorMessage{{1, 2, 3}}},
      {example::refuse_stream, RefuseStream{stream, StreamRefusal::mtu, 1500}},
      {example::report, Report{1000, 5, 1'000'000}},
      {example::nack, Nack{stream, 256, 0x8000000000000001, false, {}}},
      {example::nack_by_digest, Nack{stream, 256, 1, true, digest8}},
      {example::pending, Pending{stream, 256, 3, true}},
      {example::tip, Tip{stream, false, 1023, digest8, 16, {1, 2}}},
      {example::tip_of_empty, Tip{stream, true, 0, {}, 0, {}}},
      {example::tip_request, TipRequest{stream}},
      {example::mtu_probe, MtuProbe{7, 1500}},
      {example::mtu_reply, MtuReply{7, 1500}},
      {example::close, Close{CloseReason::shutdown}},
      {example::votes, Votes{stream, 256, {counting<Digest>(0x00), counting<Digest>(0x20)}}},
  };
}

inline Descriptor descriptor() {
  Descriptor d;
  d.network = counting<std::array<uint8_t, 32>>(0x00);
  d.resource = "feeds";
  d.origin = counting<PublicKey>(0x20);
  d.incarnation = counting<std::array<uint8_t, 16>>(0x40);
  d.suite_class = SuiteClass::confidential;
  d.suite = Suite::sha256_gcm_ct;
  d.payload_bytes_max = 1400;
  d.object_bytes_max = 2u << 20;
  d.rate_frames_per_s = 10'000;
  d.window_log2 = 13;
  d.statement_frames_max = 256;
  d.statement_interval_ms = 10;
  d.delivery = Delivery::final;
  d.reemit = Reemit::verified;
  d.keeping = Keeping::kept;
  d.carries_routes = true;
  d.votes_percent = 51;
  d.created_unix_s = 0x67748580;
  d.signature = counting<Signature>(0x50);
  return d;
}

inline Statement statement() {
  Statement s;
  s.descriptor_digest = counting<Digest>(0x00);
  s.index = 3;
  s.previous = counting<Digest>(0x20);
  s.first_seq = 0x300;
  s.last_seq = 0x3fe;
  s.last_digest = counting<Digest>(0x40);
  s.flags = statement_flag_end;
  s.signature = counting<Signature>(0x60);
  return s;
}

inline Prefix prefix(bool is_ipv6, uint8_t bits, const Bytes& address) {
  Prefix out;
  out.is_ipv6 = is_ipv6;
  out.length = bits;
  std::copy(address.begin(), address.end(), out.address.begin());
  return out;
}

inline std::vector<RouteRecord> route_update() {
  RouteRecord announce;
  announce.action = RouteRecord::Action::announce;
  announce.prefixes = {prefix(false, 8, {10}), prefix(false, 25, {192, 0, 2, 128})};
  announce.next_hop = {192, 0, 2, 1};
  announce.metric = 100;
  announce.tags = {0x00010001, 0x00010002};
  announce.source_as = 65000;
  announce.source_address = {198, 51, 100, 1};
  announce.source_time_s = 0x45ce7c3c;
  announce.attributes = {0xff};
  RouteRecord withdraw;
  withdraw.action = RouteRecord::Action::withdraw;
  withdraw.prefixes = {prefix(true, 33, {0x20, 0x01, 0x0d, 0xb8, 0x80}), prefix(true, 0, {})};
  return {announce, withdraw};
}

}  // namespace chaincast::wire::sample
