// SPDX-License-Identifier: BSD-3-Clause
#include <rte_flow.h>

#include <algorithm>
#include <cerrno>

#include "port/ethdev/device.hpp"

namespace chaincast::port::ethdev {

namespace {

bool steer_one(uint16_t device, const EthdevConfig& config, bool is_ipv6, uint16_t queue,
               const FlowCalls& flows) {
  rte_flow_attr attributes{};
  attributes.ingress = 1;
  rte_flow_item_udp udp{};
  udp.hdr.dst_port = rte_cpu_to_be_16(static_cast<uint16_t>(config.udp_port + queue));
  rte_flow_item_udp udp_mask{};
  udp_mask.hdr.dst_port = 0xffff;
  rte_flow_item pattern[5]{};
  rte_flow_item* item = pattern;
  (item++)->type = RTE_FLOW_ITEM_TYPE_ETH;
  if (config.vlan != no_vlan) (item++)->type = RTE_FLOW_ITEM_TYPE_VLAN;
  (item++)->type = is_ipv6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4;
  *item++ = {RTE_FLOW_ITEM_TYPE_UDP, &udp, nullptr, &udp_mask};
  item->type = RTE_FLOW_ITEM_TYPE_END;
  rte_flow_action_queue target{};
  target.index = queue;
  rte_flow_action actions[2]{};
  actions[0].type = RTE_FLOW_ACTION_TYPE_QUEUE;
  actions[0].conf = &target;
  actions[1].type = RTE_FLOW_ACTION_TYPE_END;
  rte_flow_error failure{};
  return flows.validate(device, &attributes, pattern, actions, &failure) == 0 &&
         flows.create(device, &attributes, pattern, actions, &failure) != nullptr;
}

bool has_address(const EthdevConfig& config, bool is_ipv6) {
  return std::any_of(
      config.addresses.begin(), config.addresses.end(),
      [is_ipv6](const InterfaceAddress& own) { return own.address.is_ipv6 == is_ipv6; });
}

}  // namespace

bool knows_rules(uint16_t device) {
  const rte_flow_attr attributes{};
  const rte_flow_item nothing{RTE_FLOW_ITEM_TYPE_END, nullptr, nullptr, nullptr};
  const rte_flow_action none{RTE_FLOW_ACTION_TYPE_END, nullptr};
  rte_flow_error failure{};
  return rte_flow_validate(device, &attributes, &nothing, &none, &failure) != -ENOSYS;
}

unsigned steer_ports(uint16_t device, const EthdevConfig& config, uint16_t queues,
                     const FlowCalls& flows) {
  unsigned rules = 0;
  for (uint16_t queue = 1; queue < queues; ++queue) {
    for (const bool is_ipv6 : {false, true}) {
      if (!has_address(config, is_ipv6)) continue;
      if (!steer_one(device, config, is_ipv6, queue, flows)) {
        rte_flow_error failure{};
        flows.flush(device, &failure);
        return 0;
      }
      ++rules;
    }
  }
  return rules;
}

}  // namespace chaincast::port::ethdev
