// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include "base/bytes.hpp"

// The external data set: real inputs that are not part of the repository.
namespace chaincast::test {

// Absolute path of a file of the data set, or nothing if $CHAINCAST_DATA is unset or lacks it.
std::optional<std::string> data_file(const std::string& relative);
// The file's bytes, decompressed if its name ends in .gz (zcat).
Bytes read_file(const std::string& path);

}  // namespace chaincast::test

// Skips the test loudly where the data set is absent; else `variable` holds the path.
#define CC_DATA_FILE_OR_SKIP(variable, relative)                                      \
  const auto variable##_found = ::chaincast::test::data_file(relative);               \
  if (!variable##_found) GTEST_SKIP() << "needs $CHAINCAST_DATA with " << (relative); \
  const std::string& variable = *variable##_found
