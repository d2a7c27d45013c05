// SPDX-License-Identifier: BSD-3-Clause
// Of two faults the parsers name the one that stands first in the table of docs/wire.md, 1.2.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>

#include "wire/datagram.hpp"

namespace chaincast::wire {
namespace {

struct Row {
  std::string fault, of, meaning;
  size_t bound = 0;  // the first number in the meaning
};

std::vector<Row> table_of_faults() {
  std::ifstream in(CHAINCAST_DOCS "/wire.md");
  const std::regex row(R"(\| `(\w+)` \| ([a-z, ]+) \| (.+) \|)");
  std::vector<Row> out;
  for (std::string line; std::getline(in, line);) {
    std::smatch parts;
    if (!std::regex_match(line, parts, row)) continue;
    out.push_back({parts[1], parts[2], parts[3], 0});
    line.erase(std::remove(line.begin(), line.end(), ','), line.end());
    if (std::regex_search(line, parts, std::regex(R"(\d+)")))
      out.back().bound = std::stoul(parts[0]);
  }
  return out;
}

bool applies(const Row& row, DatagramType type) {
  const char* const name = type == DatagramType::hello     ? "hello"
                           : type == DatagramType::control ? "control"
                                                           : "data";
  return row.of == "all" || row.of.find(name) != std::string::npos ||
         (row.of == "frame" && type == DatagramType::data);
}

// A datagram without a fault, and what the words of the table change in it.
struct Made {
  explicit Made(DatagramType kind) : type(kind) { hop.hops = kind == DatagramType::data; }

  bool says(const Row& row, const char* start) const { return row.meaning.rfind(start, 0) == 0; }
  void add(const Row& row) {
    if (says(row, "version")) {
      hop.version = static_cast<uint8_t>(row.bound + 1);
    } else if (says(row, "hops above")) {
      hop.hops = static_cast<uint8_t>(std::max<size_t>(hop.hops, row.bound + 1));
    } else if (says(row, "link id, link seq or check")) {
      hop.check = 1;
    } else if (says(row, "datagram above")) {
      bytes = row.bound + 1;
    } else if (says(row, "datagram below")) {
      bytes = std::min(bytes, row.bound - 1);
    } else if (says(row, "bytes behind")) {
      tail = 1;
    } else if (says(row, "payload above")) {
      payload = row.bound + 1;
    } else if (says(row, "payload is cut")) {
      payload = std::max<size_t>(payload, 2);
      is_payload_cut = true;
    } else if (says(row, "header is cut")) {
      is_header_cut = true;
    } else {
      ADD_FAILURE() << "no way to make: " << row.meaning;
    }
  }
  Bytes datagram() const {
    HopHeader header = hop;
    header.frame_count = type == DatagramType::data;
    header.flags = type == DatagramType::hello ? hop_flag_hello : uint8_t{0};
    Bytes out(hop_header_bytes);
    store_hop_header(out.data(), header);
    size_t body = type == DatagramType::hello ? 130 : 25;
    if (type == DatagramType::data) {
      out.resize(out.size() + 2);
      store_be16(out.data() + hop_header_bytes, static_cast<uint16_t>(payload));
      body = frame_header_bytes - 2 + payload + tail;
      if (is_payload_cut) --body;
      if (is_header_cut) body = frame_header_bytes - 3;
    }
    out.resize(bytes != unset ? bytes : out.size() + body);
    return out;
  }

  static constexpr size_t unset = ~size_t{0};
  const DatagramType type;
  HopHeader hop;
  size_t bytes = unset, payload = 0, tail = 0;
  bool is_header_cut = false, is_payload_cut = false;
};

DatagramFault fault_of(ByteSpan datagram) {
  const DatagramHead head = read_head(datagram);
  if (head.fault != DatagramFault::none) return head.fault;
  if (head.type == DatagramType::hello) return read_hello(datagram).fault;
  if (head.type == DatagramType::control) return read_sealed_control(datagram).fault;
  FrameWalker walker(datagram);
  FrameView frame;
  while (walker.next(frame)) {
  }
  return walker.fault();
}

// As the document has them: a bad hello counts as a bad count.
std::string name_of(DatagramFault fault) {
  return to_string(fault == DatagramFault::bad_hello ? DatagramFault::bad_count : fault);
}

// No datagram has both.
bool excludes(const Row& a, const Row& b) {
  const auto is_size = [](const Row& row) { return row.meaning.rfind("datagram ", 0) == 0; };
  const auto is_cut = [](const Row& row) { return row.meaning.find("cut") != std::string::npos; };
  if (is_size(a) && is_size(b)) {
    return (a.meaning.find("above") == std::string::npos) !=
           (b.meaning.find("above") == std::string::npos);
  }
  return (a.fault == "trailing" && is_cut(b)) || (b.fault == "trailing" && is_cut(a));
}

class Faults : public testing::TestWithParam<DatagramType> {};

TEST_P(Faults, TheFirstOfTheDocumentedOnesIsNamed) {
  EXPECT_EQ(fault_of(Made(GetParam()).datagram()), DatagramFault::none);
  std::vector<Row> rows = table_of_faults();
  ASSERT_EQ(rows.size(), 12u);
  std::erase_if(rows, [](const Row& row) { return !applies(row, GetParam()); });
  unsigned pairs = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = i; j < rows.size(); ++j) {
      if (excludes(rows[i], rows[j])) continue;
      Made made(GetParam());
      made.add(rows[i]);
      made.add(rows[j]);
      EXPECT_EQ(name_of(fault_of(made.datagram())), rows[i].fault)
          << rows[i].meaning << " and " << rows[j].meaning;
      ++pairs;
    }
  }
  EXPECT_GE(pairs, 10u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Faults,
                         testing::Values(DatagramType::data, DatagramType::hello,
                                         DatagramType::control));

}  // namespace
}  // namespace chaincast::wire
