// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>
#include <vector>

#include "ops/ops.hpp"

// What a reply looks like, put together beside the handler that makes it and kept in the operation:
// a fragment of JSON Schema (draft 2020-12). `show schema` and --print-schemas print the documents,
// tests/scenario/test_schemas.py holds the replies of running nodes against them. Pure; any thread.
namespace chaincast::ops::schema {

Json text();
Json flag();
Json count();    // a whole number from 0
Json integer();  // of any sign
Json real();
Json one_of(const std::vector<std::string_view>& words);
Json nullable(Json of);
Json list(Json of);
Json map(Json of);  // an object whose keys are names of this node
Json either(Json a, Json b);

struct Field {
  std::string_view name;
  Json of;
  bool is_required = true;
};
// Exactly these fields: whoever adds one to a reply adds it here.
Json object(const std::vector<Field>& fields);
// {"NAME": [row, ...]}: what most `show` commands give.
Json rows(std::string_view name, Json row);

// The whole document for an operation's reply: dialect, title, description. Null where the
// operation declares none. A reply that is an error looks otherwise: see error_document().
Json document(const Operation& operation);
// {"error": {"code": ..., "message": ...}}, which any command may give instead.
Json error_document();

}  // namespace chaincast::ops::schema
