// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <intel-ipsec-mb.h>

#include <memory>

#include "crypto/crypto.hpp"
#include "rig/relay.hpp"

// What no relay of chained frames can avoid, written without the product's line: hash and tag of
// each frame in bursts, as the suite wants them and where the frame lies, and N times the cheapest
// send there is (a small buffer with a fixed header, chained before the shared payload). The hash
// is ipsec-mb's or the product's sixteen lanes, of which now one is the cheaper and now the other.
// No parsing, no link, no window, no queue, no checksum; tags are computed and compared with
// nothing. A relay that is faster than this shows that this is wrong.
namespace chaincast::bench {

class Floor final : public Relay {
 public:
  enum class Hash : uint8_t { ipsec_mb, lanes };
  // Lanes: where the processor has AVX-512, else ipsec-mb.
  Floor(const Cell& cell, Hash hash, const Pools& pools);
  ~Floor() override;

  Device& device() override { return *device_; }
  void prepare(unsigned datagrams) override;
  void run() override;
  uint64_t units() const override { return device_->received() * cell_.bundle; }
  uint64_t copies() const override { return device_->sent() * cell_.bundle; }
  unsigned arrival_bytes() const override { return header_bytes + frames_bytes_; }
  std::string check() override;

 private:
  static constexpr unsigned header_bytes = 58;  // Ethernet, IPv4, UDP, hop header
  static constexpr unsigned hashed_header_bytes = 40;
  static constexpr unsigned burst_max = 64;
  struct FreeManager {
    void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
  };

  unsigned turn() noexcept;
  void hash(rte_mbuf* const* packets, unsigned count) noexcept;
  void hash_on_lanes(rte_mbuf* const* packets, unsigned count) noexcept;
  void tag(rte_mbuf* const* packets, unsigned count) noexcept;
  void send(rte_mbuf** packets, unsigned count) noexcept;
  const uint8_t* frame(const rte_mbuf* packet, unsigned index) const noexcept;

  const Cell cell_;
  const Pools pools_;
  rte_mempool* const buffers_;
  const bool is_strict_;
  const bool has_lanes_;
  const unsigned frame_bytes_;
  const unsigned frames_bytes_;
  std::unique_ptr<IMB_MGR, FreeManager> manager_;
  std::unique_ptr<Device> device_;
  alignas(64) gcm_key_data key_{};
  gcm_context_data context_{};
  std::array<uint8_t, header_bytes> header_{};
  std::vector<std::array<uint8_t, 32>> digests_;
  std::vector<crypto::FrameJob> jobs_;
  std::vector<crypto::FrameJob*> job_list_;
  uint64_t tags_ = 0;  // keeps the work alive
  uint64_t made_ = 0;
};

}  // namespace chaincast::bench
