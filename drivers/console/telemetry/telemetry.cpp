// SPDX-License-Identifier: BSD-3-Clause
#include "console/telemetry/telemetry.hpp"

#include <fmt/format.h>
#include <rte_memzone.h>
#include <rte_telemetry.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <new>

namespace chaincast::console {

namespace {

using ops::Json;

constexpr const char* zone_name = "chaincast_telemetry";
constexpr size_t names_max = 256;  // of one answer; DPDK cuts at 16 KiB
constexpr size_t string_bytes_max = RTE_TEL_MAX_STRING_LEN - 1;

// Stays for the life of the process, so that a callback never finds it gone.
struct Registry {
  std::atomic<Telemetry*> telemetry{nullptr};
  std::atomic<unsigned> callbacks{0};  // under way
};

Registry* find_registry() {
  const rte_memzone* zone = rte_memzone_lookup(zone_name);
  return zone == nullptr ? nullptr : static_cast<Registry*>(zone->addr);
}

std::string short_text(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.size() > string_bytes_max) text.resize(string_bytes_max);
  return text;
}

void put(rte_tel_data* data, const std::string& key, const Json& value) {
  if (value.is_boolean()) {
    rte_tel_data_add_dict_u64(data, key.c_str(), value.get<bool>() ? 1 : 0);
  } else if (value.is_number_unsigned()) {
    rte_tel_data_add_dict_u64(data, key.c_str(), value.get<uint64_t>());
  } else if (value.is_number_integer()) {
    rte_tel_data_add_dict_int(
        data, key.c_str(),
        static_cast<int>(std::clamp<int64_t>(value.get<int64_t>(), INT32_MIN, INT32_MAX)));
  } else if (!value.is_object() && !value.is_array() && !value.is_null()) {
    rte_tel_data_add_dict_string(data, key.c_str(), short_text(value).c_str());
  }
}

void fill(rte_tel_data* data, const Json& reply) {
  if (reply.is_array()) {
    rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
    for (const Json& name : reply) rte_tel_data_add_array_string(data, short_text(name).c_str());
    return;
  }
  rte_tel_data_start_dict(data);
  for (const auto& [key, value] : reply.items()) put(data, key, value);
}

int answer(const char* command, const char* parameter, rte_tel_data* data) {
  Registry* registry = find_registry();
  if (registry == nullptr) return -ENODEV;
  registry->callbacks.fetch_add(1);
  int code = -ENODEV;
  if (Telemetry* telemetry = registry->telemetry.load(); telemetry != nullptr) {
    const auto reply = telemetry->ask(command, parameter != nullptr ? parameter : "");
    code = reply ? 0 : -EINVAL;
    if (reply) fill(data, *reply);
  }
  registry->callbacks.fetch_sub(1);
  return code;
}

// The rows' names, or the row of one name.
ops::Reply select(const TelemetryCommand& command, const Json& reply, const std::string& name) {
  if (command.rows.empty()) return reply;
  Json names = Json::array();
  for (const Json& row : reply.at(command.rows)) {
    const std::string own = short_text(row.at(command.name));
    if (own == name) return row;
    if (names.size() < names_max) names.push_back(own);
  }
  if (!name.empty()) {
    return error(ErrorCode::not_found, fmt::format("{}: no '{}'", command.path, name));
  }
  return names;
}

Result<Registry*> make_registry(const std::vector<TelemetryCommand>& commands) {
  if (Registry* known = find_registry(); known != nullptr) return known;
  const rte_memzone* zone = rte_memzone_reserve(zone_name, sizeof(Registry), SOCKET_ID_ANY, 0);
  if (zone == nullptr) return error(ErrorCode::io, "telemetry: no memory of DPDK is left");
  for (const TelemetryCommand& one : commands) {
    if (rte_telemetry_register_cmd(one.path.c_str(), answer, one.help.c_str()) != 0) {
      return error(ErrorCode::io, "telemetry: DPDK refuses the command " + one.path);
    }
  }
  return new (zone->addr) Registry;
}

}  // namespace

Result<std::unique_ptr<Telemetry>> Telemetry::open(std::vector<TelemetryCommand> commands,
                                                   Runner run) {
  const auto registry = make_registry(commands);
  if (!registry) return registry.error();
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return error(ErrorCode::io, "telemetry: no descriptor is left");
  std::unique_ptr<Telemetry> made(new Telemetry(std::move(commands), std::move(run), fd));
  Telemetry* none = nullptr;
  if (!(*registry)->telemetry.compare_exchange_strong(none, made.get())) {
    return error(ErrorCode::exists, "telemetry: another node of this process has it");
  }
  return made;
}

Telemetry::Telemetry(std::vector<TelemetryCommand> commands, Runner run, int fd)
    : commands_(std::move(commands)), run_(std::move(run)), fd_(fd) {}

Telemetry::~Telemetry() {
  Registry* registry = find_registry();
  Telemetry* own = this;
  if (registry != nullptr && registry->telemetry.compare_exchange_strong(own, nullptr)) {
    {
      const std::lock_guard lock(mutex_);
      is_closing_ = true;
    }
    answered_.notify_all();
    while (registry->callbacks.load() > 0) ::usleep(100);
  }
  ::close(fd_);
}

void Telemetry::add_poll_fds(std::vector<pollfd>& fds) const {
  fds.push_back({fd_, POLLIN, 0});
}

void Telemetry::on_ready(std::span<const pollfd> fds, TimeNs) {
  if ((fds[0].revents & POLLIN) == 0) return;
  std::shared_ptr<Request> request;
  {
    const std::lock_guard lock(mutex_);
    if (!waiting_.empty()) {
      request = waiting_.front();
      waiting_.pop_front();
    }
    // Further requests keep the descriptor readable: one a turn.
    uint64_t count = 0;
    if (waiting_.empty()) [[maybe_unused]]
      const ssize_t got = ::read(fd_, &count, sizeof count);
  }
  if (!request) return;
  ops::Reply reply = run_(request->command);
  {
    const std::lock_guard lock(mutex_);
    request->reply = std::move(reply);
    request->is_done = true;
    ++requests_;
  }
  answered_.notify_all();
}

ops::Reply Telemetry::wait_for(const std::string& command) {
  const auto request = std::make_shared<Request>();
  request->command = command;
  std::unique_lock lock(mutex_);
  waiting_.push_back(request);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t sent = ::write(fd_, &one, sizeof one);
  answered_.wait_for(lock, std::chrono::nanoseconds(answer_within_ns),
                     [&] { return request->is_done || is_closing_; });
  if (request->is_done) return std::move(request->reply);
  std::erase(waiting_, request);
  return error(ErrorCode::io, "telemetry: the node did not answer in time");
}

ops::Reply Telemetry::ask(const std::string& path, const std::string& parameter) {
  const auto found = std::find_if(commands_.begin(), commands_.end(),
                                  [&](const TelemetryCommand& one) { return one.path == path; });
  if (found == commands_.end()) return error(ErrorCode::not_found, path + ": no such command");
  const ops::Reply reply = wait_for(found->command);
  return reply ? select(*found, *reply, parameter) : reply;
}

ops::Json Telemetry::describe() const {
  return ops::Json{{"kind", "telemetry"}, {"requests", requests_}};
}

}  // namespace chaincast::console
