// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include "rig/origin.hpp"
#include "rig/product.hpp"
#include "rig/relay.hpp"

// The first node of a path: frames are sealed from payloads in memory, handed to the worker as
// control does it, committed and sent to N peers. Sealing and the worker's line, which are on two
// cores in the product, take turns on one, so that their costs add up.
namespace chaincast::bench {

class OriginRelay final : public Relay {
 public:
  // Borrowed: pools, toolbox, reader.
  OriginRelay(const Cell& cell, const Pools& pools, const crypto::Toolbox& toolbox,
              rcu::Reader& reader);
  ~OriginRelay() override;

  Device& device() override { return *device_; }
  // Makes payloads, one frame a datagram.
  void prepare(unsigned datagrams) override;
  void run() override;
  uint64_t arrived() override { return made_; }
  uint64_t units() const override { return made_; }
  uint64_t copies() const override { return product_->copies(); }
  unsigned arrival_bytes() const override { return cell_.unit_bytes; }
  std::string check() override;

 private:
  void make_own(unsigned count);

  const Cell cell_;
  const Pools pools_;
  rcu::Reader& reader_;
  std::unique_ptr<crypto::FrameEngine> sealing_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Origin> origin_;
  std::unique_ptr<Product> product_;
  std::vector<uint8_t> payloads_;
  unsigned prepared_ = 0;
  unsigned next_ = 0;
  uint64_t made_ = 0;
};

}  // namespace chaincast::bench
