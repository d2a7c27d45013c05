// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "ipsec_hub/esp.hpp"
#include "rig/relay.hpp"

// IPsec as a relay, written as lean as an expert would: each burst is decrypted in place, and then,
// peer by peer, encrypted out of place into that peer's packets, with that peer's key in the cache.
// Synchronous calls of ipsec-mb; no look-up, no policy, no replay window, no job queue; the inner
// packet keeps its trailer. ESP is complete: SPI, sequence number, IV, padding, ICV, outer IPv4
// header with its checksum.
//
// As a group, all peers share one association: what arrived is authenticated, and sent on as it is
// behind new outer headers, the ciphertext shared by reference (RFC 5374; GET VPN).
namespace chaincast::bench::ipsec {

inline constexpr uint32_t hub_upstream = 4000;  // number of the association of what arrives

struct HubConfig {
  Transform transform = Transform::gcm256;
  bool is_group = false;
  unsigned burst = 32;
};

class Hub final : public Relay {
 public:
  Hub(const Cell& cell, const HubConfig& config, const Pools& pools);
  ~Hub() override;

  Device& device() override { return *device_; }
  void prepare(unsigned datagrams) override;
  void run() override;
  uint64_t units() const override { return opened_; }
  uint64_t copies() const override { return device_->sent(); }
  unsigned arrival_bytes() const override { return packet_bytes_; }
  std::string check() override;

 private:
  using Outer = std::array<uint8_t, outer_bytes>;
  Outer make_outer(uint32_t peer, unsigned packet_bytes) const;
  const Outer& outer_of(uint32_t peer, unsigned payload_bytes) const;
  unsigned turn() noexcept;
  unsigned open(rte_mbuf** packets, unsigned count) noexcept;
  void send_tunnels(rte_mbuf** packets, unsigned count) noexcept;
  void send_group(rte_mbuf** packets, unsigned count) noexcept;
  void transmit(rte_mbuf** packets, unsigned count) noexcept;

  const Cell cell_;
  const HubConfig config_;
  const Pools pools_;
  const unsigned payload_bytes_;  // inner packet and trailer; of the largest
  const unsigned packet_bytes_;   // from the Ethernet header to the ICV; of the largest
  std::vector<unsigned> sizes_;   // payloads that there are, ascending
  Manager manager_;
  std::unique_ptr<Device> device_;
  Sa sender_;    // the other end of `received_`
  Sa received_;  // of what arrives
  std::vector<std::unique_ptr<Sa>> peers_;
  std::vector<Outer> outers_;  // [peer * sizes + size]
  std::vector<uint8_t> scratch_;
  uint64_t made_ = 0;
  uint64_t opened_ = 0;
  uint64_t bad_ = 0;
  uint64_t refused_ = 0;  // packets that the device did not take
};

}  // namespace chaincast::bench::ipsec
