// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "capture/tap.hpp"
#include "support/observed_rig.hpp"

// A line with a tap, and what the tap has taken down.
namespace chaincast::capture {

struct Taken {
  Record record;
  Bytes datagram;
  std::vector<Loss> losses;
};

// Everything that waits in the ring, but for void records.
inline std::vector<Taken> take_all(RecordRing& ring) {
  std::vector<Taken> out;
  for (std::span<const uint8_t> bytes; !(bytes = ring.front()).empty(); ring.pop()) {
    Taken taken;
    std::memcpy(&taken.record, bytes.data(), sizeof(Record));
    const uint8_t* const data = bytes.data() + sizeof(Record);
    taken.datagram.assign(data, data + taken.record.bytes);
    taken.losses.resize(taken.record.losses);
    if (!taken.losses.empty()) {
      std::memcpy(taken.losses.data(), bytes.data() + losses_offset(taken.record.bytes),
                  taken.losses.size() * sizeof(Loss));
    }
    if (!taken.record.is_void) out.push_back(std::move(taken));
  }
  return out;
}

class TapRig {
 public:
  static constexpr uint16_t port_id = 0;

  explicit TapRig(Filter filter = {}, const test::RigConfig& config = {},
                  size_t ring_bytes = 1u << 20)
      : observed(config, [&](unsigned) {
          return std::make_shared<Tap>(filter, observed.rig.plane.streams, clock, ring_bytes);
        }) {
    for (const auto& tap : taps) tap->set_ports({{&rig.port, port_id}}, rig.retirer);
  }

  Bytes next_frame(size_t payload_bytes = 40) { return observed.next_frame(payload_bytes); }
  Bytes put(const std::vector<Bytes>& frames) { return observed.put(frames); }
  std::vector<Taken> taken() { return take_all(taps[0]->ring()); }
  std::vector<Taken> taken(bool is_outgoing) {
    std::vector<Taken> out = taken();
    std::erase_if(out, [&](const Taken& t) { return t.record.is_outgoing != is_outgoing; });
    return out;
  }

  ManualClock clock;
  test::ObservedRig<Tap> observed;
  test::LineRig& rig = observed.rig;
  test::RigStream& stream = observed.stream;
  Random& random = observed.random;
  std::vector<std::shared_ptr<Tap>>& taps = observed.lookers;
};

// How often a reason stands at datagrams and frames of what was taken down.
inline uint64_t count_reason(const std::vector<Taken>& list, stage::Drop reason) {
  uint64_t count = 0;
  for (const Taken& taken : list) {
    count += taken.record.drop == reason ? 1 : 0;
    count += static_cast<uint64_t>(
        std::count_if(taken.losses.begin(), taken.losses.end(),
                      [&](const Loss& loss) { return loss.reason == reason; }));
  }
  return count;
}

}  // namespace chaincast::capture
