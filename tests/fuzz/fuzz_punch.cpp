// SPDX-License-Identifier: BSD-3-Clause
// What nodes behind NATs and those that help them read: messages re-encode to the same bytes, a
// carrier and a relay stay within their bounds whatever comes.
#include <algorithm>

#include "fuzz.hpp"
#include "punch/carriage.hpp"
#include "punch/message.hpp"
#include "punch/prober.hpp"
#include "punch/relay.hpp"
#include "sim/fake_crypto.hpp"

namespace {

using namespace chaincast;

bool equals(const Bytes& again, ByteSpan bytes) {
  return std::equal(again.begin(), again.end(), bytes.begin(), bytes.end());
}

NodeId node(uint8_t number) {
  NodeId out;
  out.bytes.fill(number % 4);
  return out;
}

Endpoint place(uint8_t number) {
  Endpoint out;
  out.address = {192, 0, 2, static_cast<uint8_t>(number % 4)};
  out.port = number;
  return out;
}

// Each piece: who sends it, by which socket, its length, and a message or datagram.
void drive(ByteSpan bytes) {
  const auto toolbox = sim::make_fake_crypto(1);
  punch::RelayConfig config;
  config.pairs_max = 4;
  size_t sent = 0;
  punch::Relay relay(
      config, *toolbox, [](const NodeId&) { return std::optional(Secret{}); },
      [&](unsigned socket, const Endpoint&, ByteSpan datagram) {
        CC_ASSERT(socket < punch::vantages + config.pairs_max);
        sent += datagram.size();
        return true;
      });
  punch::Carriage carriage;
  punch::Prober prober(node(0), *toolbox);
  for (uint8_t i = 0; i < 4; ++i) {
    carriage.enrol(node(i));
    prober.set(place(i), Secret{}, true, 0);
  }
  relay.open(node(0), node(1), 0);
  TimeNs now_ns = 0;
  while (bytes.size() > 3) {
    const uint8_t from = bytes[0];
    const unsigned socket = bytes[1] % (punch::vantages + config.pairs_max);
    const ByteSpan piece = bytes.subspan(3, std::min<size_t>(bytes.size() - 3, bytes[2]));
    bytes = bytes.subspan(3 + piece.size());
    now_ns += ns_per_s;
    const size_t before = sent;
    relay.receive(socket, place(from), piece, now_ns);
    CC_ASSERT(sent - before <= piece.size());
    relay.tick(now_ns);
    punch::Prober::Datagrams out;
    prober.receive(place(from), piece, now_ns, out);
    const auto message = punch::parse_message(piece);
    if (!message.ok() || !std::holds_alternative<punch::Carry>(*message)) continue;
    punch::Carriage::Sends sends;
    carriage.take(node(from), std::get<punch::Carry>(*message), sends);
    CC_ASSERT(sends.size() <= 2);
  }
  CC_ASSERT(carriage.channels() <= punch::Carriage::channels_max);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteSpan bytes(data, size);
  if (const auto message = punch::parse_message(bytes); message.ok()) {
    CC_ASSERT(equals(punch::encode(*message), bytes));
  }
  if (const auto probe = punch::parse_probe(bytes)) {
    const auto toolbox = sim::make_fake_crypto(1);
    const Bytes again = punch::encode(*probe, Secret{}, *toolbox);
    CC_ASSERT(equals(Bytes(again.begin(), again.end() - 32), bytes.first(size - 32)));
  }
  drive(bytes);
  return 0;
}
