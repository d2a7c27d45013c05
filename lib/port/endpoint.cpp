// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

#include "port/port.hpp"

namespace chaincast::port {

namespace {

Error not_an_endpoint(const std::string& text) {
  return error(ErrorCode::invalid,
               fmt::format("'{}' is not an address and UDP port; write 192.0.2.1:7000 or "
                           "[2001:db8::1]:7000",
                           text));
}

bool parse_ip(const std::string& text, bool is_ipv6, Endpoint& out) {
  out = Endpoint{};
  out.is_ipv6 = is_ipv6;
  return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text.c_str(), out.address.data()) == 1;
}

}  // namespace

Status Port::set_mtu(uint16_t) {
  return error(ErrorCode::unsupported, fmt::format("port '{}': {} ports keep the MTU they start "
                                                   "with; set mtu in the configuration",
                                                   info().name, info().driver));
}

Status Port::set_promiscuous(bool) {
  return error(ErrorCode::unsupported, fmt::format("port '{}': {} ports have no promiscuous mode",
                                                   info().name, info().driver));
}

Status Port::set_link(bool) {
  return error(ErrorCode::unsupported,
               fmt::format("port '{}': {} cannot change its link; use `port stop` and `port start`",
                           info().name, info().driver));
}

std::string address_text(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(endpoint.is_ipv6 ? AF_INET6 : AF_INET, endpoint.address.data(), text, sizeof text);
  return text;
}

bool is_unspecified(const Endpoint& endpoint) {
  return endpoint.address == decltype(endpoint.address){};
}

bool is_loopback(const Endpoint& endpoint) {
  if (!endpoint.is_ipv6) return endpoint.address[0] == 127;
  Endpoint one{{}, 0, true};
  one.address[15] = 1;
  return endpoint.address == one.address;
}

std::string to_text(const Endpoint& endpoint) {
  return endpoint.is_ipv6 ? fmt::format("[{}]:{}", address_text(endpoint), endpoint.port)
                          : fmt::format("{}:{}", address_text(endpoint), endpoint.port);
}

Result<Endpoint> parse_address(const std::string& text) {
  Endpoint out;
  if (parse_ip(text, text.find(':') != std::string::npos, out)) return out;
  return error(ErrorCode::invalid,
               fmt::format("'{}' is not an IP address; write 192.0.2.1 or 2001:db8::1", text));
}

Result<Endpoint> parse_endpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return not_an_endpoint(text);
  const bool is_ipv6 = text.front() == '[';
  if (is_ipv6 && (colon < 2 || text[colon - 1] != ']')) return not_an_endpoint(text);

  Endpoint out;
  const std::string host = is_ipv6 ? text.substr(1, colon - 2) : text.substr(0, colon);
  if (!parse_ip(host, is_ipv6, out)) return not_an_endpoint(text);
  const char* first = text.data() + colon + 1;
  const char* last = text.data() + text.size();
  const auto [end, failure] = std::from_chars(first, last, out.port);
  if (failure != std::errc{} || end != last || first == last) return not_an_endpoint(text);
  return out;
}

}  // namespace chaincast::port
