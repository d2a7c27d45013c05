// SPDX-License-Identifier: BSD-3-Clause
#include "port/neighbour.hpp"

#include <algorithm>
#include <cstring>

namespace chaincast::port {

namespace {

constexpr uint16_t arp_request = 1;
constexpr uint16_t arp_reply = 2;
constexpr uint8_t icmp_echo_reply = 0;
constexpr uint8_t icmp6_echo_request = 128;
constexpr uint8_t icmp6_echo_reply = 129;
constexpr uint8_t icmp6_solicitation = 135;
constexpr uint8_t icmp6_advertisement = 136;
constexpr uint8_t option_source_mac = 1;
constexpr uint8_t option_target_mac = 2;
constexpr uint8_t flag_solicited = 0x40;
constexpr uint8_t flag_override = 0x20;
constexpr uint8_t hop_limit_on_link = 255;
constexpr uint8_t hop_limit_default = 64;
constexpr size_t discovery_bytes = 24;  // type .. target, before the options
constexpr Mac broadcast_mac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

bool same_prefix(const Endpoint& a, const Endpoint& b, unsigned bits) {
  if (a.is_ipv6 != b.is_ipv6) return false;
  const size_t whole = bits / 8;
  if (!std::equal(a.address.begin(), a.address.begin() + static_cast<ptrdiff_t>(whole),
                  b.address.begin())) {
    return false;
  }
  const auto mask = static_cast<uint8_t>(0xff00 >> (bits % 8));
  return bits % 8 == 0 || ((a.address[whole] ^ b.address[whole]) & mask) == 0;
}

bool is_usable(const Mac& mac) {
  return (mac[0] & 1) == 0 && mac != Mac{};
}

bool is_zero(const uint8_t* bytes, size_t count) {
  return std::all_of(bytes, bytes + count, [](uint8_t b) { return b == 0; });
}

Mac load_mac(const uint8_t* bytes) {
  Mac out;
  std::memcpy(out.data(), bytes, out.size());
  return out;
}

Mac group_mac(const std::array<uint8_t, 16>& group) {
  return {0x33, 0x33, group[12], group[13], group[14], group[15]};
}

// ff02::1:ffXX:XXXX, RFC 4291 section 2.7.1.
std::array<uint8_t, 16> solicited_node(const uint8_t* target) {
  std::array<uint8_t, 16> out = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  std::copy(target + 13, target + 16, out.begin() + 13);
  return out;
}

uint32_t pseudo_sum(const uint8_t* source, const uint8_t* target, size_t bytes) {
  return sum_bytes(source, 16) + sum_bytes(target, 16) + sum_be16(protocol_icmp6) +
         sum_be16(static_cast<uint16_t>(bytes));
}

// The option's link-layer address; nothing if absent. `is_valid` is cleared by a zero length or an
// option past the end (RFC 4861 section 7.1).
std::optional<Mac> find_mac_option(ByteSpan options, uint8_t kind, bool& is_valid) {
  std::optional<Mac> out;
  while (!options.empty()) {
    const size_t bytes = options.size() >= 2 ? size_t{options[1]} * 8 : 0;
    if (bytes == 0 || bytes > options.size()) {
      is_valid = false;
      return std::nullopt;
    }
    if (options[0] == kind && !out) out = load_mac(options.data() + 2);
    options = options.subspan(bytes);
  }
  return out;
}

ByteSpan message_of(ByteSpan frame, const Headers& headers) {
  return frame.subspan(headers.payload_offset, headers.payload_bytes);
}

// Checks common to solicitations and advertisements.
bool is_discovery_valid(ByteSpan frame, const Headers& headers) {
  const ByteSpan message = message_of(frame, headers);
  return frame[headers.l2_bytes + 7u] == hop_limit_on_link && message.size() >= discovery_bytes &&
         message[1] == 0 && message[8] != 0xff;
}

}  // namespace

Neighbours::Neighbours(NeighbourConfig config) : config_(std::move(config)) {
  CC_ASSERT(config_.addresses.size() <= own_addresses_max);
}

// ---- resolution ----

const InterfaceAddress* Neighbours::own_on_link(const Endpoint& remote) const {
  for (const InterfaceAddress& own : config_.addresses) {
    if (same_prefix(own.address, remote, own.prefix_bits)) return &own;
  }
  return nullptr;
}

const InterfaceAddress* Neighbours::own(const uint8_t* address, bool is_ipv6) const {
  for (const InterfaceAddress& own : config_.addresses) {
    if (own.address.is_ipv6 == is_ipv6 &&
        std::memcmp(own.address.address.data(), address, is_ipv6 ? 16 : 4) == 0) {
      return &own;
    }
  }
  return nullptr;
}

Neighbours::Entry* Neighbours::find(const uint8_t* address, bool is_ipv6) {
  Endpoint key;
  key.is_ipv6 = is_ipv6;
  std::memcpy(key.address.data(), address, is_ipv6 ? 16 : 4);
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

NextHop Neighbours::resolve(const Endpoint& remote, TimeNs now_ns, Frames& out) {
  NextHop hop;
  hop.neighbour = remote;
  const InterfaceAddress* source = own_on_link(remote);
  if (source == nullptr) {
    const std::optional<Endpoint>& gateway =
        remote.is_ipv6 ? config_.gateway_v6 : config_.gateway_v4;
    const auto first = std::find_if(
        config_.addresses.begin(), config_.addresses.end(),
        [&](const InterfaceAddress& own) { return own.address.is_ipv6 == remote.is_ipv6; });
    hop.reach = first == config_.addresses.end() ? Reach::no_address : Reach::no_route;
    if (hop.reach == Reach::no_address || !gateway) return hop;
    hop.neighbour = *gateway;
    source = own_on_link(*gateway);
    if (source == nullptr) source = &*first;
  }
  hop.neighbour.port = 0;
  hop.source = source->address;
  hop.source.port = 0;

  auto found = entries_.find(hop.neighbour);
  if (found == entries_.end()) {
    hop.reach = Reach::full;
    if (entries_.size() >= config_.entries_max) return hop;
    found = entries_.emplace(hop.neighbour, Entry{}).first;
    ask(hop.neighbour, found->second, now_ns, out);
  }
  Entry& entry = found->second;
  entry.asked_ns = now_ns;
  const bool is_known =
      entry.state == Entry::State::reachable || entry.state == Entry::State::probe;
  hop.reach = is_known ? Reach::resolved : Reach::unresolved;
  hop.mac = entry.mac;
  return hop;
}

// One question, by unicast where a MAC is to be confirmed.
void Neighbours::ask(const Endpoint& neighbour, Entry& entry, TimeNs now_ns, Frames& out) {
  ++entry.tries;
  entry.due_ns = now_ns + retransmit_ns;
  const InterfaceAddress* source = own_on_link(neighbour);
  for (const InterfaceAddress& own : config_.addresses) {
    if (source == nullptr && own.address.is_ipv6 == neighbour.is_ipv6) source = &own;
  }
  const uint8_t* own_address = source->address.address.data();
  const uint8_t* target = neighbour.address.data();
  const bool is_probe = entry.state == Entry::State::probe;
  if (!neighbour.is_ipv6) {
    out.push_back(
        arp_frame(arp_request, is_probe ? entry.mac : broadcast_mac, Mac{}, own_address, target));
    return;
  }
  ByteWriter message;
  message.u8(icmp6_solicitation).u8(0).be16(0).be32(0).bytes({target, 16});
  message.u8(option_source_mac).u8(1).bytes(config_.mac);
  const std::array<uint8_t, 16> group = solicited_node(target);
  out.push_back(icmp6_frame(is_probe ? entry.mac : group_mac(group), own_address,
                            is_probe ? target : group.data(), hop_limit_on_link, message.take()));
}

void Neighbours::confirm(Entry& entry, const Mac& mac, bool is_solicited, TimeNs now_ns) {
  const bool was_known =
      entry.state == Entry::State::reachable || entry.state == Entry::State::probe;
  if (!was_known || entry.mac != mac) ++version_;
  entry.mac = mac;
  entry.tries = 0;
  entry.state = is_solicited ? Entry::State::reachable : Entry::State::probe;
  entry.due_ns = now_ns + (is_solicited ? reachable_ns : 0);
}

void Neighbours::tick(TimeNs now_ns, Frames& out) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (now_ns - entry.asked_ns > idle_ns) {
      it = entries_.erase(it);
      continue;
    }
    if (now_ns >= entry.due_ns) {
      if (entry.state == Entry::State::reachable) entry.state = Entry::State::probe;
      if (entry.state == Entry::State::failed) {
        entry.state = Entry::State::incomplete;
        entry.tries = 0;
      }
      if (entry.tries < tries_max) {
        ask(it->first, entry, now_ns, out);
      } else {
        if (entry.state == Entry::State::probe) ++version_;
        entry.state = Entry::State::failed;
        entry.due_ns = now_ns + hold_ns;
      }
    }
    ++it;
  }
}

// ---- received frames ----

void Neighbours::receive(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out) {
  switch (headers.layer) {
    case Layer::arp:
      return receive_arp(frame, headers, now_ns, out);
    case Layer::icmp:
      return receive_icmp(frame, headers, out);
    case Layer::icmp6:
      return receive_icmp6(frame, headers, now_ns, out);
    default:
      ++counters_.ignored;
  }
}

void Neighbours::receive_arp(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out) {
  const uint8_t* arp = message_of(frame, headers).data();
  const uint16_t operation = load_be16(arp + 6);
  const Mac sender_mac = load_mac(arp + 8);
  const uint8_t* sender = arp + 14;
  const uint8_t* target = arp + 24;
  const bool is_ethernet_ipv4 =
      load_be16(arp) == 1 && load_be16(arp + 2) == ethertype_ipv4 && arp[4] == 6 && arp[5] == 4;
  if (!is_ethernet_ipv4 || !is_usable(sender_mac) ||
      (operation != arp_request && operation != arp_reply)) {
    ++counters_.ignored;
    return;
  }
  if (own(sender, false) != nullptr) {
    if (sender_mac != config_.mac) ++counters_.conflicts;
  } else if (Entry* entry = find(sender, false)) {
    const bool is_for_us = own(target, false) != nullptr;
    if (operation == arp_reply && is_for_us) {
      confirm(*entry, sender_mac, true, now_ns);
    } else if (entry->state != Entry::State::reachable || entry->mac != sender_mac) {
      confirm(*entry, sender_mac, false, now_ns);  // a claim: taken, and asked about
    }
  }
  if (operation != arp_request || own(target, false) == nullptr || sender_mac == config_.mac)
    return;
  ++counters_.answered_arp;
  out.push_back(arp_frame(arp_reply, sender_mac, sender_mac, target, sender));
}

void Neighbours::receive_icmp(ByteSpan frame, const Headers& headers, Frames& out) {
  const ByteSpan request = message_of(frame, headers);
  const Mac sender = load_mac(frame.data() + 6);
  if (own(headers.destination.address.data(), false) == nullptr || headers.is_group_mac ||
      is_group_address(headers.source) || !is_usable(sender) || request[1] != 0 ||
      sum_bytes(request.data(), request.size()) != 0xffff) {
    ++counters_.ignored;
    return;
  }
  ByteWriter frame_out = start_frame(sender, ethertype_ipv4);
  const size_t ip_at = frame_out.size();
  frame_out.be16(0x4500).be16(static_cast<uint16_t>(ipv4_bytes + request.size()));
  frame_out.be16(0).be16(0x4000).u8(hop_limit_default).u8(protocol_icmp).be16(0);
  frame_out.bytes({headers.destination.address.data(), 4});
  frame_out.bytes({headers.source.address.data(), 4});
  const size_t icmp_at = frame_out.size();
  frame_out.bytes(request);
  Bytes reply = frame_out.take();
  const uint16_t ip_checksum = finish_sum(sum_bytes(&reply[ip_at], ipv4_bytes));
  std::memcpy(&reply[ip_at + 10], &ip_checksum, 2);
  reply[icmp_at] = icmp_echo_reply;
  store_be16(&reply[icmp_at + 2], 0);
  const uint16_t checksum = finish_sum(sum_bytes(&reply[icmp_at], request.size()));
  std::memcpy(&reply[icmp_at + 2], &checksum, 2);
  ++counters_.answered_echo;
  out.push_back(std::move(reply));
}

void Neighbours::receive_icmp6(ByteSpan frame, const Headers& headers, TimeNs now_ns, Frames& out) {
  const ByteSpan message = message_of(frame, headers);
  const uint32_t sum = pseudo_sum(headers.source.address.data(), headers.destination.address.data(),
                                  message.size()) +
                       sum_bytes(message.data(), message.size());
  if (fold_sum(sum) != 0xffff) {
    ++counters_.ignored;
  } else if (message[0] == icmp6_echo_request) {
    echo6(frame, headers, out);
  } else if (!is_discovery_valid(frame, headers)) {
    ++counters_.ignored;
  } else if (message[0] == icmp6_solicitation) {
    receive_solicitation(frame, headers, now_ns, out);
  } else if (message[0] == icmp6_advertisement) {
    receive_advertisement(frame, headers, now_ns);
  } else {
    ++counters_.ignored;
  }
}

void Neighbours::echo6(ByteSpan frame, const Headers& headers, Frames& out) {
  const ByteSpan request = message_of(frame, headers);
  const Mac sender = load_mac(frame.data() + 6);
  if (own(headers.destination.address.data(), true) == nullptr || headers.is_group_mac ||
      is_group_address(headers.source) || is_zero(headers.source.address.data(), 16) ||
      !is_usable(sender) || request[1] != 0) {
    ++counters_.ignored;
    return;
  }
  Bytes reply(request.begin(), request.end());
  reply[0] = icmp6_echo_reply;
  store_be16(&reply[2], 0);
  ++counters_.answered_echo;
  out.push_back(icmp6_frame(sender, headers.destination.address.data(),
                            headers.source.address.data(), hop_limit_default, std::move(reply)));
}

void Neighbours::receive_solicitation(ByteSpan frame, const Headers& headers, TimeNs now_ns,
                                      Frames& out) {
  const ByteSpan message = message_of(frame, headers);
  const uint8_t* target = message.data() + 8;
  bool is_valid = true;
  const std::optional<Mac> option =
      find_mac_option(message.subspan(discovery_bytes), option_source_mac, is_valid);
  const bool is_from_nobody = is_zero(headers.source.address.data(), 16);  // address detection
  if (is_from_nobody) {
    is_valid = is_valid && !option && headers.destination.address == solicited_node(target);
  }
  const Mac sender = option.value_or(load_mac(frame.data() + 6));
  if (!is_valid || own(target, true) == nullptr || !is_usable(sender) ||
      is_group_address(headers.source)) {
    ++counters_.ignored;
    return;
  }
  Entry* entry = is_from_nobody ? nullptr : find(headers.source.address.data(), true);
  if (entry != nullptr && option &&
      (entry->mac != *option || entry->state == Entry::State::incomplete ||
       entry->state == Entry::State::failed)) {
    confirm(*entry, *option, false, now_ns);
  }
  static constexpr std::array<uint8_t, 16> all_nodes = {0xff, 2, 0, 0, 0, 0, 0, 0,
                                                        0,    0, 0, 0, 0, 0, 0, 1};
  const uint8_t flags = flag_override | (is_from_nobody ? uint8_t{0} : flag_solicited);
  ByteWriter answer;
  answer.u8(icmp6_advertisement).u8(0).be16(0).u8(flags).u8(0).be16(0).bytes({target, 16});
  answer.u8(option_target_mac).u8(1).bytes(config_.mac);
  ++counters_.answered_ndp;
  out.push_back(icmp6_frame(is_from_nobody ? group_mac(all_nodes) : sender, target,
                            is_from_nobody ? all_nodes.data() : headers.source.address.data(),
                            hop_limit_on_link, answer.take()));
}

// RFC 4861 section 7.2.5, without routers and without redirecting anyone.
void Neighbours::receive_advertisement(ByteSpan frame, const Headers& headers, TimeNs now_ns) {
  const ByteSpan message = message_of(frame, headers);
  const uint8_t* target = message.data() + 8;
  const bool is_solicited = (message[4] & flag_solicited) != 0;
  const bool is_override = (message[4] & flag_override) != 0;
  bool is_valid = true;
  const std::optional<Mac> option =
      find_mac_option(message.subspan(discovery_bytes), option_target_mac, is_valid);
  is_valid = is_valid && !(is_solicited && is_group_address(headers.destination)) &&
             (!option || is_usable(*option));
  if (is_valid && own(target, true) != nullptr) {
    ++counters_.conflicts;
    return;
  }
  Entry* entry = is_valid ? find(target, true) : nullptr;
  if (entry == nullptr) {
    ++counters_.ignored;
    return;
  }
  const bool is_known =
      entry->state == Entry::State::reachable || entry->state == Entry::State::probe;
  if (!is_known) {
    if (option) confirm(*entry, *option, is_solicited, now_ns);
    return;
  }
  const Mac mac = option.value_or(entry->mac);
  if (mac == entry->mac) {
    if (is_solicited) confirm(*entry, mac, true, now_ns);
  } else if (is_override) {
    confirm(*entry, mac, is_solicited, now_ns);
  } else if (entry->state == Entry::State::reachable) {
    confirm(*entry, entry->mac, false, now_ns);  // doubt: ask the known one
  }
}

// ---- frames sent ----

ByteWriter Neighbours::start_frame(const Mac& to, uint16_t ethertype) const {
  ByteWriter out;
  out.bytes(to).bytes(config_.mac);
  if (config_.vlan != no_vlan) out.be16(0x8100).be16(config_.vlan);
  out.be16(ethertype);
  return out;
}

Bytes Neighbours::arp_frame(uint16_t operation, const Mac& to, const Mac& target_mac,
                            const uint8_t* source, const uint8_t* target) const {
  ByteWriter out = start_frame(to, ethertype_arp);
  out.be16(1).be16(ethertype_ipv4).u8(6).u8(4).be16(operation);
  out.bytes(config_.mac).bytes({source, 4}).bytes(target_mac).bytes({target, 4});
  return out.take();
}

Bytes Neighbours::icmp6_frame(const Mac& to, const uint8_t* source, const uint8_t* target,
                              uint8_t hop_limit, Bytes message) const {
  const uint16_t checksum = finish_sum(pseudo_sum(source, target, message.size()) +
                                       sum_bytes(message.data(), message.size()));
  std::memcpy(&message[2], &checksum, 2);
  ByteWriter out = start_frame(to, ethertype_ipv6);
  out.be32(0x60000000).be16(static_cast<uint16_t>(message.size()));
  out.u8(protocol_icmp6).u8(hop_limit).bytes({source, 16}).bytes({target, 16}).bytes(message);
  return out.take();
}

}  // namespace chaincast::port
