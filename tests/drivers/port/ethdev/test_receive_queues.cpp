// SPDX-License-Identifier: BSD-3-Clause
#include "port/ethdev/receive_queues.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "port/ethdev/device.hpp"

// Flow rules want a NIC, which no test has: a device that only notes what it is told stands in.
namespace chaincast::port::ethdev {
namespace {

class NotingDevice final : public QueueDevice {
 public:
  Status configure(uint16_t rx_queues, uint16_t tx_queues, bool by_hash) override {
    calls.push_back((by_hash ? "hash " : "plain ") + std::to_string(rx_queues) + "/" +
                    std::to_string(tx_queues));
    if (by_hash && refuses_hash) return error(ErrorCode::io, "no hash");
    return {};
  }
  Result<unsigned> try_rules(uint16_t rx_queues) override {
    calls.push_back("rules " + std::to_string(rx_queues));
    return takes_rules ? rx_queues - 1u : 0u;
  }

  Result<bool> try_port_hash(uint16_t rx_queues) override {
    calls.push_back("key " + std::to_string(rx_queues));
    return takes_key;
  }

  bool takes_rules = true;
  bool takes_key = false;
  bool refuses_hash = false;
  std::vector<std::string> calls;
};

using Calls = std::vector<std::string>;

QueueWish wish(uint16_t workers, uint16_t rx_max, uint16_t tx_max) {
  QueueWish out;
  out.workers = workers;
  out.rx_max = rx_max;
  out.tx_max = tx_max;
  return out;
}

TEST(ReceiveQueues, RulesLeaveTheFirstQueueToControl) {
  QueueWish wanted = wish(2, 16, 16);
  wanted.has_rules = true;
  NotingDevice device;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::own);
  EXPECT_EQ(chosen->rx_queues, 3);
  EXPECT_EQ(chosen->tx_queues, 3);
  EXPECT_EQ(chosen->steering, Steering::rules);
  EXPECT_EQ(chosen->rules, 2u);
  EXPECT_EQ(device.calls, (Calls{"plain 3/3", "rules 3"}));
}

TEST(ReceiveQueues, WithTooFewForAllWorkersControlSharesItsQueue) {
  QueueWish wanted = wish(3, 2, 4);
  wanted.has_rules = true;
  NotingDevice device;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::shared);
  EXPECT_EQ(chosen->rx_queues, 2);
  EXPECT_EQ(chosen->rules, 1u);
}

TEST(ReceiveQueues, WhereRulesAreRefusedTheHashSpreads) {
  QueueWish wanted = wish(1, 8, 8);
  wanted.has_rules = wanted.has_hash = true;
  NotingDevice device;
  device.takes_rules = false;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::hashed);
  EXPECT_EQ(chosen->rx_queues, 2);
  EXPECT_EQ(chosen->rules, 0u);
  EXPECT_EQ(device.calls, (Calls{"plain 2/2", "rules 2", "hash 2/2", "key 2"}));
}

TEST(ReceiveQueues, AHashOfThePortLeavesTheFirstQueueToControlToo) {
  QueueWish wanted = wish(2, 16, 16);
  wanted.has_hash = true;
  NotingDevice device;
  device.takes_key = true;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::own);
  EXPECT_EQ(chosen->steering, Steering::hash);
  EXPECT_EQ(chosen->rx_queues, 3);
  EXPECT_EQ(device.calls, (Calls{"hash 3/3", "key 3"}));
}

// Two ports would share a queue: the plain hash spreads better.
TEST(ReceiveQueues, WithTooFewQueuesTheHashIsLeftAsItIs) {
  QueueWish wanted = wish(3, 2, 4);
  wanted.has_hash = true;
  NotingDevice device;
  device.takes_key = true;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::hashed);
  EXPECT_EQ(chosen->steering, Steering::none);
  EXPECT_EQ(device.calls, (Calls{"hash 2/4"}));
}

TEST(ReceiveQueues, WhereTheHashIsRefusedTooThereIsOneQueue) {
  QueueWish wanted = wish(2, 8, 8);
  wanted.has_rules = wanted.has_hash = true;
  NotingDevice device;
  device.takes_rules = false;
  device.refuses_hash = true;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::shared);
  EXPECT_EQ(chosen->rx_queues, 1);
  EXPECT_EQ(chosen->tx_queues, 2);
  EXPECT_EQ(device.calls.back(), "plain 1/2");
}

// The queue that an extra transmit queue ends in, at a memif's other end, has no reader.
TEST(ReceiveQueues, ADeviceThatDoesNeitherHasNoMoreTransmitQueuesThanWorkers) {
  NotingDevice device;
  const auto chosen = choose_queues(wish(1, 255, 255), device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::shared);
  EXPECT_EQ(device.calls, (Calls{"plain 1/1"}));
}

TEST(ReceiveQueues, ADeviceThatSpreadsUntoldHasAllItsQueuesPolled) {
  QueueWish wanted = wish(1, 4, 4);
  wanted.spreads_always = true;
  NotingDevice device;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->control, ControlQueue::hashed);
  EXPECT_EQ(chosen->rx_queues, 4);
}

TEST(ReceiveQueues, TheConfigurationsNumberCounts) {
  QueueWish wanted = wish(4, 16, 16);
  wanted.queues = 2;
  wanted.has_rules = true;
  NotingDevice device;
  const auto chosen = choose_queues(wanted, device);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(device.calls, (Calls{"plain 2/2", "rules 2"}));
}

// ---- the rules themselves ----

struct Rule {
  std::vector<rte_flow_item_type> pattern;
  uint16_t udp_port = 0, queue = 0;
  bool operator==(const Rule&) const = default;
};

// Keeps what it is asked for, and refuses from the `accepted`-th rule on.
class FakeFlows {
 public:
  FlowCalls calls() {
    FlowCalls out;
    out.validate = [this](uint16_t, const rte_flow_attr*, const rte_flow_item*,
                          const rte_flow_action*,
                          rte_flow_error*) { return rules.size() < accepted ? 0 : -ENOTSUP; };
    out.create = [this](uint16_t, const rte_flow_attr* attributes, const rte_flow_item* pattern,
                        const rte_flow_action* actions, rte_flow_error*) {
      EXPECT_EQ(attributes->ingress, 1u);
      rules.push_back(read(pattern, actions));
      return reinterpret_cast<rte_flow*>(this);
    };
    out.flush = [this](uint16_t, rte_flow_error*) {
      rules.clear();
      return 0;
    };
    return out;
  }

  size_t accepted = 100;
  std::vector<Rule> rules;

 private:
  static Rule read(const rte_flow_item* item, const rte_flow_action* action) {
    Rule out;
    for (; item->type != RTE_FLOW_ITEM_TYPE_END; ++item) {
      out.pattern.push_back(item->type);
      if (item->type != RTE_FLOW_ITEM_TYPE_UDP) continue;
      EXPECT_EQ(static_cast<const rte_flow_item_udp*>(item->mask)->hdr.dst_port, 0xffff);
      out.udp_port =
          rte_be_to_cpu_16(static_cast<const rte_flow_item_udp*>(item->spec)->hdr.dst_port);
    }
    EXPECT_EQ(action->type, RTE_FLOW_ACTION_TYPE_QUEUE);
    out.queue = static_cast<const rte_flow_action_queue*>(action->conf)->index;
    return out;
  }
};

constexpr auto eth = RTE_FLOW_ITEM_TYPE_ETH;
constexpr auto vlan = RTE_FLOW_ITEM_TYPE_VLAN;
constexpr auto ipv4 = RTE_FLOW_ITEM_TYPE_IPV4;
constexpr auto ipv6 = RTE_FLOW_ITEM_TYPE_IPV6;
constexpr auto udp = RTE_FLOW_ITEM_TYPE_UDP;

EthdevConfig config_with(std::initializer_list<const char*> addresses) {
  EthdevConfig out;
  out.udp_port = 7000;
  out.workers = 2;
  for (const char* address : addresses) {
    out.addresses.push_back({parse_address(address).value(), 24});
  }
  return out;
}

// The base port too: a device may have an own mind about what no rule names.
TEST(Steering, NamesEveryPort) {
  FakeFlows flows;
  EXPECT_EQ(steer_ports(0, config_with({"192.0.2.1"}), 3, flows.calls()), 3u);
  EXPECT_EQ(flows.rules, (std::vector<Rule>{{{eth, ipv4, udp}, 7000, 0},
                                            {{eth, ipv4, udp}, 7001, 1},
                                            {{eth, ipv4, udp}, 7002, 2}}));
}

TEST(Steering, HasARulePerFamilyAndNotPerAddress) {
  FakeFlows flows;
  EXPECT_EQ(
      steer_ports(0, config_with({"192.0.2.1", "2001:db8::1", "192.0.2.2"}), 2, flows.calls()), 4u);
  EXPECT_EQ(flows.rules, (std::vector<Rule>{{{eth, ipv4, udp}, 7000, 0},
                                            {{eth, ipv6, udp}, 7000, 0},
                                            {{eth, ipv4, udp}, 7001, 1},
                                            {{eth, ipv6, udp}, 7001, 1}}));
}

TEST(Steering, LooksBehindTheTagWhereThereIsOne) {
  FakeFlows flows;
  EthdevConfig config = config_with({"192.0.2.1"});
  config.vlan = 77;
  EXPECT_EQ(steer_ports(0, config, 2, flows.calls()), 2u);
  EXPECT_EQ(flows.rules, (std::vector<Rule>{{{eth, vlan, ipv4, udp}, 7000, 0},
                                            {{eth, vlan, ipv4, udp}, 7001, 1}}));
}

TEST(Steering, LeavesNothingBehindWhereOneRuleIsRefused) {
  FakeFlows flows;
  flows.accepted = 1;
  EXPECT_EQ(steer_ports(0, config_with({"192.0.2.1"}), 3, flows.calls()), 0u);
  EXPECT_TRUE(flows.rules.empty());
}

}  // namespace
}  // namespace chaincast::port::ethdev
