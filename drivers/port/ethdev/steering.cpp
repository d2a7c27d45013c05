// SPDX-License-Identifier: BSD-3-Clause
#include <rte_flow.h>

#include <vector>

#include "port/ethdev/device.hpp"

namespace chaincast::port::ethdev {

namespace {

rte_flow* steer_one(uint16_t device, bool is_ipv6, uint16_t udp_port, uint16_t queue) {
  rte_flow_attr attributes{};
  attributes.ingress = 1;
  rte_flow_item_udp udp{};
  udp.hdr.dst_port = rte_cpu_to_be_16(udp_port);
  rte_flow_item_udp udp_mask{};
  udp_mask.hdr.dst_port = 0xffff;
  rte_flow_item pattern[4]{};
  pattern[0].type = RTE_FLOW_ITEM_TYPE_ETH;
  pattern[1].type = is_ipv6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4;
  pattern[2].type = RTE_FLOW_ITEM_TYPE_UDP;
  pattern[2].spec = &udp;
  pattern[2].mask = &udp_mask;
  pattern[3].type = RTE_FLOW_ITEM_TYPE_END;
  rte_flow_action_queue target{};
  target.index = queue;
  rte_flow_action actions[2]{};
  actions[0].type = RTE_FLOW_ACTION_TYPE_QUEUE;
  actions[0].conf = &target;
  actions[1].type = RTE_FLOW_ACTION_TYPE_END;
  rte_flow_error failure{};
  if (rte_flow_validate(device, &attributes, pattern, actions, &failure) != 0) return nullptr;
  return rte_flow_create(device, &attributes, pattern, actions, &failure);
}

}  // namespace

bool steer_ports(uint16_t device, const EthdevConfig& config, uint16_t queues) {
  for (uint16_t queue = 1; queue < queues; ++queue) {
    const auto udp_port = static_cast<uint16_t>(config.udp_port + queue);
    for (const InterfaceAddress& own : config.addresses) {
      if (steer_one(device, own.address.is_ipv6, udp_port, queue) != nullptr) continue;
      rte_flow_error failure{};
      rte_flow_flush(device, &failure);
      return false;
    }
  }
  return true;
}

}  // namespace chaincast::port::ethdev
