// SPDX-License-Identifier: BSD-3-Clause
#include "rest/openapi.hpp"

#include <algorithm>

namespace chaincast::rest {

namespace {

using ops::Json;

Json schema_of(const ops::Argument& argument) {
  Json out = Json::object();
  switch (argument.type) {
    case ops::ArgumentType::number:
      out["type"] = "integer";
      out["minimum"] = argument.min;
      if (argument.max != ~uint64_t{0}) out["maximum"] = argument.max;
      break;
    case ops::ArgumentType::choice:
      out["type"] = "string";
      out["enum"] = argument.choices;
      break;
    default:
      out["type"] = "string";
      out["minLength"] = 1;
  }
  if (argument.allows_all && argument.type == ops::ArgumentType::number) {
    out = Json{{"anyOf", Json::array({out, Json{{"const", "all"}}})}};
  }
  std::string text = argument.help;
  if (!argument.unit.empty()) text += ", in " + argument.unit;
  if (argument.allows_all) text += "; or `all`";
  out["description"] = text;
  return out;
}

Json parameters_of(const ops::Operation& operation) {
  Json out = Json::array();
  for (const ops::Argument& argument : operation.arguments) {
    out.push_back({{"name", argument.name},
                   {"in", "query"},
                   {"required", !argument.optional},
                   {"schema", schema_of(argument)}});
  }
  return out;
}

Json body_of(const ops::Operation& operation) {
  Json properties = Json::object(), required = Json::array();
  for (const ops::Argument& argument : operation.arguments) {
    properties[argument.name] = schema_of(argument);
    if (!argument.optional) required.push_back(argument.name);
  }
  const bool needs_one = !required.empty();
  Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (needs_one) schema["required"] = required;
  return {{"required", needs_one}, {"content", {{"application/json", {{"schema", schema}}}}}};
}

Json json_content(const Json& schema) {
  return {{"application/json", {{"schema", schema}}}};
}

Json responses(std::string_view good, const Json& schema) {
  const Json error{{"$ref", "#/components/schemas/Error"}};
  Json out = Json::object();
  out[std::string(good)] = {{"description", "done"}, {"content", json_content(schema)}};
  out["default"] = {{"description", "not done: what, where, and what helps"},
                    {"content", json_content(error)}};
  return out;
}

std::string id_of(const ops::Operation& operation) {
  std::string out = operation.path;
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return out;
}

Json item_of(const ops::Operation& operation) {
  Json item{{"operationId", id_of(operation)},
            {"summary", operation.help},
            {"tags", Json::array({operation.section})}};
  if (operation.access == ops::Access::read) {
    item["parameters"] = parameters_of(operation);
  } else {
    item["requestBody"] = body_of(operation);
    item["security"] = Json::array({Json::object(), Json{{"token", Json::array()}}});
  }
  item["responses"] =
      responses("200", operation.schema.is_null() ? Json::object() : operation.schema);
  return item;
}

Json publish_item() {
  const Json binary{{"schema", {{"type", "string"}, {"format", "binary"}}}};
  const Json reply{
      {"type", "object"},
      {"properties", {{"stream", {{"type", "string"}}}, {"bytes", {{"type", "integer"}}}}},
      {"required", Json::array({"stream", "bytes"})}};
  return {
      {"operationId", "publish"},
      {"summary", "publish one object on a stream whose origin this node is"},
      {"tags", Json::array({"streams"})},
      {"parameters", Json::array({{{"name", "stream"},
                                   {"in", "path"},
                                   {"required", true},
                                   {"schema", {{"type", "string"}}}}})},
      {"requestBody", {{"required", true}, {"content", {{"application/octet-stream", binary}}}}},
      {"security", Json::array({Json::object(), Json{{"token", Json::array()}}})},
      {"responses", responses("202", reply)}};
}

Json error_schema() {
  return {{"type", "object"},
          {"properties",
           {{"error",
             {{"type", "object"},
              {"properties", {{"code", {{"type", "string"}}}, {"message", {{"type", "string"}}}}},
              {"required", Json::array({"code", "message"})}}}}},
          {"required", Json::array({"error"})}};
}

}  // namespace

bool is_served(const ops::Operation& operation) {
  const bool takes_command =
      std::any_of(operation.arguments.begin(), operation.arguments.end(),
                  [](const auto& one) { return one.type == ops::ArgumentType::command; });
  return !takes_command;
}

std::string path_of(const ops::Operation& operation) {
  std::string out = "/v1/" + operation.path;
  std::replace(out.begin(), out.end(), ' ', '/');
  return out;
}

std::string method_of(const ops::Operation& operation) {
  return operation.access == ops::Access::read ? "GET" : "POST";
}

Json openapi(const ops::Table& table) {
  Json paths = Json::object();
  for (const ops::Operation& operation : table.operations()) {
    if (!is_served(operation)) continue;
    const bool is_read = operation.access == ops::Access::read;
    paths[path_of(operation)] = Json{{is_read ? "get" : "post", item_of(operation)}};
  }
  paths["/v1/streams/{stream}/objects"] = Json{{"post", publish_item()}};
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "chaincast"},
            {"version", CHAINCAST_VERSION},
            {"description", "The commands of a node: `show peers` is GET /v1/show/peers."}}},
          {"paths", paths},
          {"components",
           {{"schemas", {{"Error", error_schema()}}},
            {"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
}

}  // namespace chaincast::rest
