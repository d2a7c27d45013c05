// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/thread.hpp"
#include "load/cable.hpp"
#include "rig/product.hpp"
#include "worker/threads.hpp"

// What is under test at the far end of a cable, on a thread of its own.
namespace chaincast::bench::load {

class Subject {
 public:
  virtual ~Subject() = default;
  // Ends its thread.
  virtual void stop() = 0;
  // Of frames and copies, by reason; empty where nothing was dropped. After stop().
  virtual std::string losses() const { return ""; }
};

struct SubjectOptions {
  int cpu = 0;
  worker::Idle idle = worker::Idle::poll;
};

// The product's worker, as it runs on a node. `product` is borrowed.
std::unique_ptr<Subject> start_product(Product& product, const SubjectOptions& options,
                                       const base::ThreadStarter& starter);
// Sends what it receives, in bursts of 32, and does nothing else: what any relay on these ports
// costs in time. Borrows the port.
std::unique_ptr<Subject> start_forwarder(port::Port& port, const SubjectOptions& options,
                                         const base::ThreadStarter& starter);

}  // namespace chaincast::bench::load
