// SPDX-License-Identifier: BSD-3-Clause
#include <rte_flow.h>

#include <algorithm>
#include <cerrno>

#include "port/ethdev/device.hpp"
#include "port/ethdev/port_hash.hpp"

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

bool set_key(uint16_t device, uint64_t types, PortHash& hash) {
  rte_eth_rss_conf conf{};
  conf.rss_key = hash.key.data();
  conf.rss_key_len = hash_key_bytes;
  conf.rss_hf = types;
  return rte_eth_dev_rss_hash_update(device, &conf) == 0;
}

bool set_table(uint16_t device, const PortHash& hash) {
  std::vector<rte_eth_rss_reta_entry64> groups(
      (hash.queue_of.size() + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
  for (size_t i = 0; i < hash.queue_of.size(); ++i) {
    rte_eth_rss_reta_entry64& group = groups[i / RTE_ETH_RETA_GROUP_SIZE];
    group.mask |= uint64_t{1} << i % RTE_ETH_RETA_GROUP_SIZE;
    group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = hash.queue_of[i];
  }
  return rte_eth_dev_rss_reta_update(device, groups.data(),
                                     static_cast<uint16_t>(hash.queue_of.size())) == 0;
}

}  // namespace

bool hash_by_port(const rte_eth_dev_info& info, uint16_t device, const EthdevConfig& config,
                  uint16_t queues) {
  const bool is_ipv6 = has_address(config, true);
  if (is_ipv6 == has_address(config, false)) return false;
  const uint64_t types = is_ipv6 ? RTE_ETH_RSS_NONFRAG_IPV6_UDP : RTE_ETH_RSS_NONFRAG_IPV4_UDP;
  if ((info.flow_type_rss_offloads & types) == 0) return false;
  auto hash = hash_ports(config.udp_port, queues, is_ipv6, info.reta_size);
  return hash && set_key(device, types, *hash) && set_table(device, *hash);
}

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
  for (uint16_t queue = 0; queue < queues; ++queue) {
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
