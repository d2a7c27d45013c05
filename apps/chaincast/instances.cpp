// SPDX-License-Identifier: BSD-3-Clause
#include "instances.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "rest/streaming.hpp"

namespace chaincast {

namespace {

template <size_t N>
std::array<uint8_t, N> random_of(const crypto::Toolbox& toolbox) {
  std::array<uint8_t, N> out{};
  toolbox.random_bytes(out);
  return out;
}

}  // namespace

NodeInstances::NodeInstances(const Shared& shared, std::string directory, const Endpoint& address)
    : shared_(shared), directory_(std::move(directory)), address_(address) {}

NodeInstances::~NodeInstances() {
  close();
  instances_.clear();
}

void NodeInstances::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  for (const auto& [id, instance] : instances_) instance->request_stop();
}

rest::Outcome NodeInstances::host_super() {
  return start({Role::supernode, {}, "", 0});
}

rest::Outcome NodeInstances::host(const std::vector<Endpoint>& trackers, uint64_t size_max) {
  if (size_max > size_limit) {
    shared_.log(node::LogLevel::warning,
                fmt::format("host: MaxResourceSize {} is above {}; cut objects to that", size_max,
                            size_limit));
    return {};
  }
  const std::string resource =
      rest::make_resource_id(random_of<12>(shared_.toolbox), static_cast<uint32_t>(size_max));
  return start({Role::host, trackers, resource, size_max});
}

rest::Outcome NodeInstances::join(const std::vector<Endpoint>& trackers,
                                  const std::string& resource) {
  if (trackers.empty()) {
    shared_.log(node::LogLevel::warning,
                "join: no tracker; name the management address of a node that is in the network");
    return {};
  }
  return start({Role::member, trackers, resource, rest::size_of(resource).value_or(size_limit)});
}

rest::Outcome NodeInstances::start(Wish wish) {
  std::shared_ptr<Instance> instance;
  std::string id;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return {};
    if (instances_.size() >= instances_max) {
      shared_.log(node::LogLevel::warning,
                  fmt::format("{} instances are here already: stop one, or start another process",
                              instances_max));
      return {};
    }
    id = to_hex(random_of<8>(shared_.toolbox));
    instance = std::make_shared<Instance>(
        std::move(wish), Place{id, fmt::format("{}/{}", directory_, id), address_}, shared_);
    instances_[id] = instance;
  }
  rest::Outcome outcome = instance->wait(patience_ns);
  if (!outcome.is_success) stop(id);
  return outcome;
}

rest::Outcome NodeInstances::stop(const std::string& instance) {
  std::shared_ptr<Instance> found;
  {
    const std::lock_guard lock(mutex_);
    const auto known = instances_.find(instance);
    if (known == instances_.end()) return {};
    found = std::move(known->second);
    instances_.erase(known);
  }
  found->request_stop();
  rest::Outcome outcome;
  outcome.is_success = true;
  return outcome;
}

ops::Json NodeInstances::describe() const {
  const std::lock_guard lock(mutex_);
  ops::Json rows = ops::Json::array();
  for (const auto& [id, instance] : instances_) rows.push_back(instance->describe());
  return {{"pid", ::getpid()}, {"instances_max", instances_max}, {"instances", rows}};
}

}  // namespace chaincast
