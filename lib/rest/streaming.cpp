// SPDX-License-Identifier: BSD-3-Clause
#include "rest/streaming.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.hpp"
#include "port/port.hpp"
#include "rest/token.hpp"

namespace chaincast::rest {

namespace {

using ops::Json;
using Action = Call::Action;

constexpr size_t random_digits = 24;
constexpr size_t size_digits = 8;

struct Path {
  std::string_view path;
  Action action;
};
constexpr Path paths[] = {{"/host-super", Action::host_super},
                          {"/host", Action::host},
                          {"/join", Action::join},
                          {"/stop", Action::stop}};

const Path* find_path(std::string_view path) {
  const auto* found = std::find_if(std::begin(paths), std::end(paths),
                                   [&](const Path& one) { return one.path == path; });
  return found == std::end(paths) ? nullptr : found;
}

Error invalid(std::string message) {
  return error(ErrorCode::invalid, std::move(message));
}

// A key that stands twice would be one silently forgotten.
Result<Json> parse_body(std::string_view body) {
  if (body.size() > streaming_body_bytes_max) return invalid("the body is too long");
  std::set<std::string> keys;
  bool is_double = false;
  const Json out = Json::parse(
      body,
      [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::key && depth == 1) {
          is_double = is_double || !keys.insert(parsed.get<std::string>()).second;
        }
        return true;
      },
      false);
  if (out.is_discarded()) return invalid("the body is not JSON");
  if (is_double) return invalid("a key stands twice");
  return out;
}

Result<std::string> text_of(const Json& value, std::string_view what, size_t bytes_max) {
  if (!value.is_string()) return invalid(fmt::format("{}: must be a string", what));
  auto text = value.get<std::string>();
  if (text.empty() || text.size() > bytes_max || text.find('\0') != std::string::npos) {
    return invalid(fmt::format("{}: must have 1..{} bytes, none of them 0", what, bytes_max));
  }
  return text;
}

Status put_trackers(const Json& value, Call& call) {
  if (!value.is_array() || value.size() > trackers_max) {
    return invalid(fmt::format("Trackers: must be at most {} strings", trackers_max));
  }
  for (const Json& one : value) {
    if (!one.is_string()) return invalid("Trackers: must be strings");
    const auto endpoint = port::parse_endpoint(one.get<std::string>());
    if (!endpoint || endpoint->port == 0) {
      return invalid("Trackers: each must be IP:PORT");
    }
    call.trackers.push_back(*endpoint);
  }
  return {};
}

Status put_value(const std::string& key, const Json& value, Call& call) {
  if (key == "Trackers") return put_trackers(value, call);
  if (key == "MaxResourceSize" && call.action == Action::host) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() == 0) {
      return invalid("MaxResourceSize: must be a whole number above 0");
    }
    call.size_max = value.get<uint64_t>();
    return {};
  }
  if (key == "ResourceID" && call.action == Action::join) {
    auto text = text_of(value, key, resource_bytes_max);
    if (!text) return text.error();
    call.resource = std::move(text).value();
    return {};
  }
  return invalid(fmt::format("{}: not known here", key));
}

Status put_dictionary(const Json& body, Call& call) {
  if (!body.is_object()) return invalid("the body must be a dictionary");
  for (const auto& [key, value] : body.items()) {
    if (Status put = put_value(key, value, call); !put) return put;
  }
  for (const char* key :
       {"Trackers", call.action == Action::host ? "MaxResourceSize" : "ResourceID"}) {
    if (!body.contains(key)) return invalid(fmt::format("{}: is missing", key));
  }
  return {};
}

Response empty(int status) {
  Response out;
  out.status = status;
  out.content_type.clear();
  return out;
}

}  // namespace

Result<Call> parse_call(std::string_view path, std::string_view body) {
  const Path* const found = find_path(path);
  if (found == nullptr) return error(ErrorCode::not_found, "no such path");
  Call call;
  call.action = found->action;
  if (call.action == Action::host_super && body.empty()) return call;
  const Result<Json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  Status put;
  if (call.action == Action::host_super) {
    if (!parsed->is_object() || !parsed->empty()) put = invalid("this takes no arguments");
  } else if (call.action == Action::stop) {
    auto text = text_of(*parsed, "the instance", resource_bytes_max);
    if (!text) return text.error();
    call.instance = std::move(text).value();
  } else {
    put = put_dictionary(*parsed, call);
  }
  if (!put) return put.error();
  return call;
}

std::string render(const Outcome& outcome) {
  return Json{{"Success", outcome.is_success},     {"InstanceID", outcome.instance},
              {"TCPServerPort", outcome.tcp_port}, {"UDPServerPort", outcome.udp_port},
              {"ResourceID", outcome.resource},    {"MaxResourceSize", outcome.size_max}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string make_resource_id(const std::array<uint8_t, 12>& random, uint32_t size_max) {
  return to_hex(random) + fmt::format("{:08x}", size_max);
}

std::optional<uint32_t> size_of(std::string_view resource) {
  if (resource.size() != random_digits + size_digits) return std::nullopt;
  const auto raw = from_hex(resource);
  if (!raw || to_hex(*raw) != resource) return std::nullopt;
  const uint32_t size = load_be32(raw->data() + random_digits / 2);
  return size == 0 ? std::nullopt : std::optional(size);
}

Streaming::Streaming(Instances& instances, std::string token)
    : instances_(instances), token_(std::move(token)) {}

Response Streaming::handle(const Request& request) const {
  if (request.path == "/ping") return empty(200);
  if (request.path == "/v1/instances" && request.method == "GET") {
    Response out;
    out.body = instances_.describe().dump(-1, ' ', false, Json::error_handler_t::replace);
    return out;
  }
  if (find_path(request.path) == nullptr) {
    return failure(
        404, "not_found",
        fmt::format("{}: no such path; there are /ping, /host-super, /host, /join, /stop "
                    "and GET /v1/instances",
                    request.path));
  }
  if (request.method != "POST") return empty(400);
  // A page of a browser says where it is from; no program does.
  if (!request.origin.empty()) return empty(403);
  if (!token_.empty() && !shows_token(request.authorization, token_)) return empty(401);
  const Result<Call> call = parse_call(request.path, request.body);
  return call ? act(*call) : empty(400);
}

Response Streaming::act(const Call& call) const {
  Outcome outcome;
  switch (call.action) {
    case Action::host_super:
      outcome = instances_.host_super();
      break;
    case Action::host:
      outcome = instances_.host(call.trackers, call.size_max);
      break;
    case Action::join:
      outcome = instances_.join(call.trackers, call.resource);
      break;
    case Action::stop:
      outcome = instances_.stop(call.instance);
      break;
  }
  Response out;
  out.body = render(outcome.is_success ? outcome : Outcome{});
  return out;
}

}  // namespace chaincast::rest
