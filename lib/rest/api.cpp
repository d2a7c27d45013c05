// SPDX-License-Identifier: BSD-3-Clause
#include "rest/api.hpp"

#include <fmt/format.h>

#include "rest/line.hpp"
#include "rest/openapi.hpp"
#include "rest/token.hpp"

namespace chaincast::rest {

namespace {

constexpr std::string_view streams_prefix = "/v1/streams/";
constexpr std::string_view objects_suffix = "/objects";
constexpr unsigned busy_retry_s = 1;

struct Fault {
  int status;
  std::string_view code;
};

Fault fault_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return {400, "invalid"};
    case ErrorCode::not_found:
      return {404, "not_found"};
    case ErrorCode::exists:
      return {409, "exists"};
    case ErrorCode::refused:
      return {422, "refused"};
    case ErrorCode::unsupported:
      return {501, "unsupported"};
    case ErrorCode::timeout:
      return {504, "timeout"};
    case ErrorCode::io:
      break;
  }
  return {500, "io"};
}

Response failed(const Error& problem) {
  const Fault fault = fault_of(problem.code);
  return failure(fault.status, fault.code, problem.message);
}

Response other_method(const std::string& allow) {
  Response out = failure(405, "method", "this path knows " + allow + " alone");
  out.allow = allow;
  return out;
}

Result<Values> arguments_of(const Request& request) {
  if (request.method == "GET") return Values(request.query.begin(), request.query.end());
  if (!request.query.empty()) {
    return error(ErrorCode::invalid, "arguments of a POST stand in its body, not in the query");
  }
  if (request.body.empty()) return Values{};
  const ops::Json body = ops::Json::parse(request.body, nullptr, false);
  if (body.is_discarded()) return error(ErrorCode::invalid, "the body is not JSON");
  return values_of(body);
}

}  // namespace

Response failure(int status, std::string_view code, std::string_view message) {
  Response out;
  out.status = status;
  out.body = ops::Json{{"error", {{"code", code}, {"message", message}}}}.dump(
      -1, ' ', false, ops::Json::error_handler_t::replace);
  return out;
}

Api::Api(const ops::Table& table, cli::Service& service, std::string token)
    : table_(table), service_(service), token_(std::move(token)) {
  for (const ops::Operation& operation : table.operations()) {
    if (is_served(operation)) by_path_[path_of(operation)] = &operation;
  }
}

std::optional<Response> Api::refuse_write(const Request& request, std::string_view type) const {
  if (!token_.empty() && !shows_token(request.authorization, token_)) {
    return failure(401, "token", "this needs `Authorization: Bearer` with the node's token");
  }
  // A page of a browser can send the other types without asking first.
  if (request.content_type == type) return std::nullopt;
  return failure(415, "content_type", fmt::format("send Content-Type: {}", type));
}

Response Api::handle(const Request& request) {
  const std::string_view path = request.path;
  const bool is_get = request.method == "GET";
  if (path == "/v1/openapi.json") return is_get ? document() : other_method("GET");
  if (path.starts_with(streams_prefix) && path.ends_with(objects_suffix) &&
      path.size() > streams_prefix.size() + objects_suffix.size()) {
    if (request.method != "POST") return other_method("POST");
    return publish(path.substr(streams_prefix.size(),
                               path.size() - streams_prefix.size() - objects_suffix.size()),
                   request);
  }
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) {
    return failure(404, "not_found",
                   fmt::format("{}: no such path; /v1/openapi.json has them all", path));
  }
  const std::string method = method_of(*found->second);
  return request.method == method ? run(*found->second, request) : other_method(method);
}

Response Api::run(const ops::Operation& operation, const Request& request) {
  if (operation.access == ops::Access::write) {
    if (auto refused = refuse_write(request, "application/json")) return *refused;
  }
  const Result<Values> values = arguments_of(request);
  if (!values) return failed(values.error());
  const Result<std::string> line = line_of(operation, *values);
  if (!line) return failed(line.error());
  const ops::Reply reply = service_.run(*line);
  if (!reply) return failed(reply.error());
  Response out;
  out.body = reply->dump(-1, ' ', false, ops::Json::error_handler_t::replace);
  return out;
}

Response Api::publish(std::string_view stream, const Request& request) {
  if (auto refused = refuse_write(request, "application/octet-stream")) return *refused;
  if (auto known = service_.stream(stream); !known) return failed(known.error());
  const auto* bytes = reinterpret_cast<const uint8_t*>(request.body.data());
  const cli::PublishResult result = service_.publish(stream, {bytes, request.body.size()});
  switch (result.state) {
    case cli::PublishState::accepted:
      break;
    case cli::PublishState::busy: {
      Response out = failure(503, "busy", "the stream has no room yet: send the object again");
      out.retry_after_s = busy_retry_s;
      return out;
    }
    case cli::PublishState::failed:
      return failure(422, "refused", result.message);
  }
  Response out;
  out.status = 202;
  out.body = ops::Json{{"stream", result.stream.hex()}, {"bytes", request.body.size()}}.dump();
  return out;
}

Response Api::document() {
  if (openapi_.empty()) openapi_ = openapi(table_).dump(2);
  Response out;
  out.body = openapi_;
  return out;
}

}  // namespace chaincast::rest
