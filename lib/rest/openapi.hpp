// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "ops/ops.hpp"

// Where operations are found, and the OpenAPI 3.1 description of it all. Pure; any thread.
namespace chaincast::rest {

// Not what takes another command: that has a path of its own.
bool is_served(const ops::Operation& operation);
std::string path_of(const ops::Operation& operation);    // "show peers": "/v1/show/peers"
std::string method_of(const ops::Operation& operation);  // GET where it only reads, else POST
ops::Json openapi(const ops::Table& table);

}  // namespace chaincast::rest
