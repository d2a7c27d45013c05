// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

// What a request shows of the token that writes may need. Pure; any thread.
namespace chaincast::rest {

// True if `authorization` is "Bearer " and the token. The time says nothing of where they differ.
bool shows_token(std::string_view authorization, std::string_view token);

}  // namespace chaincast::rest
