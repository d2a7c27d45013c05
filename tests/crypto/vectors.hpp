// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "support/data.hpp"

// Published vectors, read from the data set: NIST response files and Wycheproof.
namespace chaincast::test {

inline Bytes hex(std::string_view text) {
  const auto bytes = from_hex(text);
  EXPECT_TRUE(bytes) << "not hex: " << text;
  return bytes.value_or(Bytes{});
}

template <size_t N>
std::array<uint8_t, N> hex_array(std::string_view text) {
  std::array<uint8_t, N> out{};
  const Bytes bytes = hex(text);
  EXPECT_EQ(bytes.size(), N);
  std::copy_n(bytes.begin(), std::min(N, bytes.size()), out.begin());
  return out;
}

// A NIST .rsp file: each record's "name = value" lines, "[name = value]" headings included.
inline std::vector<std::map<std::string, std::string>> nist_records(const std::string& path,
                                                                    const std::string& last_name) {
  const Bytes bytes = read_file(path);
  std::istringstream lines(std::string(bytes.begin(), bytes.end()));
  std::map<std::string, std::string> record;
  std::vector<std::map<std::string, std::string>> out;
  for (std::string line; std::getline(lines, line);) {
    std::erase_if(line, [](char c) { return c == '\r' || c == '[' || c == ']'; });
    const size_t equals = line.find('=');
    if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    const auto trim = [](std::string text) {
      text.erase(0, text.find_first_not_of(' '));
      text.erase(text.find_last_not_of(' ') + 1);
      return text;
    };
    const std::string name = trim(line.substr(0, equals));
    record[name] = trim(line.substr(equals + 1));
    if (name == last_name) out.push_back(record);
  }
  return out;
}

// Calls `check(group, test)` for each test of a Wycheproof file.
template <typename Check>
void each_wycheproof(const std::string& path, Check&& check) {
  const Bytes bytes = read_file(path);
  const auto file = nlohmann::json::parse(bytes.begin(), bytes.end());
  for (const auto& group : file.at("testGroups")) {
    for (const auto& one : group.at("tests")) {
      SCOPED_TRACE("tcId " + one.at("tcId").dump());
      check(group, one);
    }
  }
}

}  // namespace chaincast::test
