// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "instance.hpp"
#include "rest/instances.hpp"

namespace chaincast {

// The nodes of `chaincast --rest`, by their ids. Any thread.
class NodeInstances final : public rest::Instances {
 public:
  // Memory is asked of EAL for so many.
  static constexpr size_t instances_max = 16;
  static constexpr uint64_t size_limit = 16u << 20;  // the longest object of any stream
  static constexpr TimeNs patience_ns = 20 * ns_per_s;

  // `directory` is private to this process, and removed by its owner; `address` is where ports are
  // bound. `shared` outlives it.
  NodeInstances(const Shared& shared, std::string directory, const Endpoint& address);
  ~NodeInstances() override;

  rest::Outcome host_super() override;
  rest::Outcome host(const std::vector<Endpoint>& trackers, uint64_t size_max) override;
  rest::Outcome join(const std::vector<Endpoint>& trackers, const std::string& resource) override;
  rest::Outcome stop(const std::string& instance) override;
  ops::Json describe() const override;

  // Tells all to end; no call that waits, and no later one, succeeds.
  void close();

 private:
  rest::Outcome start(Wish wish);

  const Shared& shared_;
  const std::string directory_;
  const Endpoint address_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Instance>> instances_;
  bool is_closed_ = false;
};

}  // namespace chaincast
