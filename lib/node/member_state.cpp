// SPDX-License-Identifier: BSD-3-Clause
#include "node/member_state.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "ops/ops.hpp"
#include "port/port.hpp"

namespace chaincast::node {

namespace {

using ops::Json;
using File = std::unique_ptr<FILE, int (*)(FILE*)>;

Error failed(const std::string& path, const char* what) {
  return error(ErrorCode::io, fmt::format("state file {}: {}: {}; check the directory and its mode",
                                          path, what, std::strerror(errno)));
}

Error malformed(const std::string& path) {
  return error(ErrorCode::invalid,
               fmt::format("state file {}: not what a node writes; remove it, and this node asks "
                           "its trackers again",
                           path));
}

template <size_t N>
bool take_hex(const Json& value, std::array<uint8_t, N>& out) {
  const auto bytes = value.is_string() ? from_hex(value.get<std::string>()) : std::nullopt;
  if (!bytes || bytes->size() != N) return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return true;
}

bool take_member(const Json& value, graph::Contact& out) {
  if (!value.is_object() || !value.contains("node") || !value.contains("address")) return false;
  if (!take_hex(value["node"], out.id.bytes) || !value["address"].is_string()) return false;
  const auto address = port::parse_endpoint(value["address"].get<std::string>());
  if (address) out.address = *address;
  return address.ok();
}

}  // namespace

Result<MemberState> load_member_state(const std::string& path) {
  const File file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file && errno == ENOENT) return error(ErrorCode::not_found, path);
  if (!file) return failed(path, "cannot be opened");
  std::string text(member_state_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (text.size() > member_state_bytes_max) return malformed(path);
  const Json json = Json::parse(text, nullptr, false);
  const bool is_whole = json.is_object() && json.contains("network") && json.contains("counter") &&
                        json.contains("members") && json["counter"].is_number_unsigned() &&
                        json["members"].is_array() && json["members"].size() <= graph::contacts_max;
  MemberState state;
  if (!is_whole || !take_hex(json["network"], state.network)) return malformed(path);
  state.counter = json["counter"].get<uint64_t>();
  for (const Json& member : json["members"]) {
    if (!take_member(member, state.members.emplace_back())) return malformed(path);
  }
  return state;
}

Status save_member_state(const std::string& path, const MemberState& state) {
  Json members = Json::array();
  for (const graph::Contact& member : state.members) {
    members.push_back({{"node", member.id.hex()}, {"address", port::to_text(member.address)}});
  }
  const std::string text =
      Json{{"network", to_hex(state.network)}, {"counter", state.counter}, {"members", members}}
          .dump(1) +
      "\n";
  const std::string fresh = path + ".new";
  const File file(std::fopen(fresh.c_str(), "we"), &std::fclose);
  if (!file) return failed(fresh, "cannot be made");
  const bool is_written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                          std::fflush(file.get()) == 0 && fdatasync(fileno(file.get())) == 0;
  if (!is_written) return failed(fresh, "cannot be written");
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "cannot be replaced");
  return {};
}

}  // namespace chaincast::node
