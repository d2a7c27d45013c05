// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "rig/origin.hpp"
#include "rig/product.hpp"
#include "rig/relay.hpp"
#include "rig/stage_clock.hpp"

// The product as a relay over the benchmarks' device: neighbours that send, N peers that receive,
// one stream per worker, whose frames are made beforehand.
namespace chaincast::bench {

class LineRelay final : public Relay {
 public:
  // Borrowed: pools, toolbox, reader (the calling thread's registration with rcu).
  LineRelay(const Cell& cell, const Pools& pools, const crypto::Toolbox& toolbox,
            rcu::Reader& reader);
  ~LineRelay() override;

  Device& device() override { return *devices_[0]; }
  uint64_t arrived() override;
  void prepare(unsigned datagrams) override;
  // The second worker's thread waits for run().
  void get_ready() override;
  void run() override;
  // The same by a clock that ticks once a turn: what is done depends on nothing but the frames.
  void run_by_turns(TimeNs turn_ns);
  uint64_t units() const override { return product_->kept(); }
  uint64_t copies() const override { return product_->copies(); }
  unsigned arrival_bytes() const override;
  std::vector<std::pair<std::string, uint64_t>> stages() const override;
  std::string check() override;
  // Whether what came in is accounted for, without samples.
  std::string check_counters();

 private:
  void add_clock();
  void run_worker(unsigned number, rcu::Reader& reader);
  std::vector<uint8_t> seal(Origin& origin, unsigned number);
  std::string check_sample(ByteSpan packet) const;

  const Cell cell_;
  rte_mempool* const buffers_;
  rcu::Reader& reader_;
  std::unique_ptr<crypto::FrameEngine> sealing_;
  std::vector<std::unique_ptr<Device>> devices_;  // [worker]; all send through the first
  std::vector<std::unique_ptr<Origin>> origins_;  // [worker]
  std::unique_ptr<Product> product_;
  std::shared_ptr<StageClock> clock_;
  std::atomic<bool> is_second_ready_{false}, may_second_run_{false};
  TimeNs turns_now_ns_ = ns_per_s;
};

}  // namespace chaincast::bench
