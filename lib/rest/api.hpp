// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cli/console.hpp"
#include "ops/ops.hpp"

// The operations table as a REST interface (docs/rest.md): `show peers` is GET /v1/show/peers,
// `add peer` is POST /v1/add/peer with a JSON object of its arguments. What HTTP needs around it
// (sockets, threads, headers) is in drivers/console/rest.
namespace chaincast::rest {

struct Request {
  std::string method;  // as it came: "GET", "POST"
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;
  std::string content_type;   // media type alone, lower case
  std::string authorization;  // header as it came, or empty
  std::string body;
  std::string origin = {};  // of a browser's page, or empty
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";  // empty: there is no body
  std::string body;
  std::string allow;           // 405: the method that the path knows
  unsigned retry_after_s = 0;  // 503: when to come again
};

// Control thread. The table and the service outlive it. A request costs what its command costs; the
// OpenAPI document is made at the first request for it, and kept.
class Api {
 public:
  // `token`: what writes have to show as `Authorization: Bearer TOKEN`; empty: nothing.
  Api(const ops::Table& table, cli::Service& service, std::string token);

  // Every failure is {"error": {"code": ..., "message": ...}} with a status of its own:
  // 400 invalid, 401 no or a wrong token, 404 not found, 405 other method, 409 exists, 413 (by the
  // driver), 415 not JSON, 422 refused, 501 unsupported, 503 busy, 504 timeout, 500 io.
  Response handle(const Request& request);

 private:
  Response run(const ops::Operation& operation, const Request& request);
  Response publish(std::string_view stream, const Request& request);
  Response document();
  // Nothing if the request may write what is of this media type.
  std::optional<Response> refuse_write(const Request& request, std::string_view type) const;

  const ops::Table& table_;
  cli::Service& service_;
  const std::string token_;
  std::map<std::string, const ops::Operation*, std::less<>> by_path_;
  std::string openapi_;
};

// Answers a failure as every other.
Response failure(int status, std::string_view code, std::string_view message);

}  // namespace chaincast::rest
