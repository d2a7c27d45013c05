// SPDX-License-Identifier: BSD-3-Clause
#include "ops/schema.hpp"

#include <fmt/format.h>

#include "ops/nearest.hpp"

namespace chaincast::ops::schema {

namespace {

constexpr const char* dialect = "https://json-schema.org/draft/2020-12/schema";

Json typed(const char* type) {
  Json out = Json::object();
  out["type"] = type;
  return out;
}

Json any_of(Json a, Json b) {
  Json out = Json::object();
  out["anyOf"] = Json::array();
  out["anyOf"].push_back(std::move(a));
  out["anyOf"].push_back(std::move(b));
  return out;
}

Json titled(std::string_view title, std::string_view description, const Json& body) {
  Json out = Json::object();
  out["$schema"] = dialect;
  out["title"] = title;
  out["description"] = description;
  out.update(body);
  return out;
}

}  // namespace

Json text() {
  return typed("string");
}

Json flag() {
  return typed("boolean");
}

Json count() {
  Json out = typed("integer");
  out["minimum"] = 0;
  return out;
}

Json integer() {
  return typed("integer");
}

Json real() {
  return typed("number");
}

Json one_of(const std::vector<std::string_view>& words) {
  Json out = typed("string");
  out["enum"] = words;
  return out;
}

Json nullable(Json of) {
  return any_of(std::move(of), typed("null"));
}

Json list(Json of) {
  Json out = typed("array");
  out["items"] = std::move(of);
  return out;
}

Json map(Json of) {
  Json out = typed("object");
  out["additionalProperties"] = std::move(of);
  return out;
}

Json either(Json a, Json b) {
  return any_of(std::move(a), std::move(b));
}

Json object(const std::vector<Field>& fields) {
  Json out = typed("object");
  out["properties"] = Json::object();
  out["required"] = Json::array();
  for (const Field& field : fields) {
    out["properties"][std::string(field.name)] = field.of;
    if (field.is_required) out["required"].push_back(field.name);
  }
  out["additionalProperties"] = false;
  return out;
}

Json rows(std::string_view name, Json row) {
  return object({{name, list(std::move(row))}});
}

Json document(const Operation& operation) {
  if (operation.schema.is_null()) return {};
  return titled(operation.path, operation.help, operation.schema);
}

Json error_document() {
  return titled(
      "error", "What any command gives instead where it fails",
      object({{"error", object({{"code", one_of({"invalid", "not_found", "exists", "refused",
                                                 "unsupported", "io", "timeout"})},
                                {"message", text()}})}}));
}

}  // namespace chaincast::ops::schema
