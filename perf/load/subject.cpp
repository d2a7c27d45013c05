// SPDX-License-Identifier: BSD-3-Clause
#include "load/subject.hpp"

#include <rte_ethdev.h>
#include <sched.h>

#include <array>
#include <thread>

#include "base/assert.hpp"
#include "rig/machine.hpp"

namespace chaincast::bench::load {

namespace {

class ProductSubject final : public Subject {
 public:
  ProductSubject(Product& product, const SubjectOptions& options,
                 const base::ThreadStarter& starter)
      : product_(product), threads_(worker::make_registered_threads(starter)) {
    product_.worker(0).set_idle(options.idle);
    CC_ASSERT(product_.worker(0).start(*threads_, options.cpu).ok());
    while (product_.worker(0).thread_id() == 0) std::this_thread::yield();
    // As the tester has it; where that is not permitted, neither has.
    sched_param first{};
    first.sched_priority = 1;
    sched_setscheduler(product_.worker(0).thread_id(), SCHED_FIFO, &first);
  }
  void stop() override { product_.worker(0).stop(); }
  std::string losses() const override { return product_.losses(); }

 private:
  Product& product_;
  std::unique_ptr<worker::Threads> threads_;
};

class Forwarder final : public Subject {
 public:
  Forwarder(port::Port& port, const SubjectOptions& options, const base::ThreadStarter& starter)
      : threads_(worker::make_registered_threads(starter)) {
    const std::string device = port.info().device;
    const std::string name = device.substr(0, device.find(','));
    CC_ASSERT(rte_eth_dev_get_port_by_name(name.c_str(), &id_) == 0);
    auto started = threads_->start("forwarder", options.cpu, [this](std::stop_token stop) {
      const Undisturbed undisturbed;
      is_running_ = true;
      while (!stop.stop_requested()) turn();
    });
    CC_ASSERT(started.ok());
    run_ = std::move(started).value();
    while (!is_running_) std::this_thread::yield();
  }
  void stop() override { run_.reset(); }

 private:
  void turn() const {
    std::array<rte_mbuf*, 32> packets;
    const uint16_t got = rte_eth_rx_burst(id_, 0, packets.data(), packets.size());
    for (uint16_t sent = 0; sent < got;) {
      const auto left = static_cast<uint16_t>(got - sent);
      sent = static_cast<uint16_t>(sent + rte_eth_tx_burst(id_, 0, packets.data() + sent, left));
    }
  }
  std::unique_ptr<worker::Threads> threads_;
  uint16_t id_ = 0;
  std::atomic<bool> is_running_{false};
  std::unique_ptr<worker::Run> run_;
};

}  // namespace

std::unique_ptr<Subject> start_product(Product& product, const SubjectOptions& options,
                                       const base::ThreadStarter& starter) {
  return std::make_unique<ProductSubject>(product, options, starter);
}

std::unique_ptr<Subject> start_forwarder(port::Port& port, const SubjectOptions& options,
                                         const base::ThreadStarter& starter) {
  return std::make_unique<Forwarder>(port, options, starter);
}

}  // namespace chaincast::bench::load
