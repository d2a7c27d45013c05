// SPDX-License-Identifier: BSD-3-Clause
// Bodies and values that anyone may send over HTTP: what becomes a command line is read back as the
// same arguments, and as nothing else.
#include "base/assert.hpp"
#include "fuzz.hpp"
#include "rest/line.hpp"

namespace {

using namespace chaincast;
using ops::ArgumentType;

rest::Values seen_of(const ops::Operation& operation, const ops::Arguments& arguments) {
  rest::Values out;
  for (const ops::Argument& one : operation.arguments) {
    if (arguments.has(one.name)) out[one.name] = arguments.text(one.name);
  }
  return out;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ops::Operation operation;
  operation.path = "add thing";
  operation.arguments = {ops::argument("name", ArgumentType::word, "its name"),
                         ops::optional(ops::argument("place", ArgumentType::word, "where")),
                         ops::optional(ops::keyed(ops::argument("rate", ArgumentType::word, "")))};
  operation.handler = [](const ops::Arguments&) { return ops::Reply(ops::Json::object()); };
  ops::Table table;
  table.add(operation);

  const std::string body(reinterpret_cast<const char*>(data), size);
  const ops::Json document = ops::Json::parse(body, nullptr, false);
  if (document.is_discarded()) return 0;
  const auto values = rest::values_of(document);
  if (!values) return 0;
  const auto line = rest::line_of(operation, *values);
  if (!line) return 0;
  const auto match = table.match(*line);
  if (!match) return 0;  // an empty value, which no argument takes
  CC_ASSERT(seen_of(operation, match->arguments) == *values);
  return 0;
}
