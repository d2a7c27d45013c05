// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <string>
#include <vector>

#include "route/mrt.hpp"

// Route records as the first fields of `bgpdump -m` lines: action|time|peer|AS|prefix.
namespace chaincast::route {

inline std::string address_text(const uint8_t* bytes, bool is_ipv6) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
  return text;
}

inline std::string line_of(const wire::RouteRecord& record, const wire::Prefix& prefix) {
  const bool announce = record.action == wire::RouteRecord::Action::announce;
  return std::string(announce ? "A|" : "W|") + std::to_string(record.source_time_s) + "|" +
         address_text(record.source_address.data(), record.source_address.size() == 16) + "|" +
         std::to_string(record.source_as) + "|" +
         address_text(prefix.address.data(), prefix.is_ipv6) + "/" + std::to_string(prefix.length);
}

inline std::vector<std::string> lines_of(MrtReader& reader, size_t lines_max = SIZE_MAX) {
  std::vector<std::string> lines;
  std::vector<wire::RouteRecord> records;
  while (lines.size() < lines_max && reader.next(records)) {
    for (const wire::RouteRecord& record : records) {
      for (const wire::Prefix& prefix : record.prefixes) lines.push_back(line_of(record, prefix));
    }
  }
  return lines;
}

}  // namespace chaincast::route
