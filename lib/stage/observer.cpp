// SPDX-License-Identifier: BSD-3-Clause
#include "stage/observer.hpp"

#include <array>

#include "base/assert.hpp"

namespace chaincast::stage {

std::string_view point_text(Point point) {
  static constexpr std::array<std::string_view, point_count> names = {
      "rx", "hop", "classify", "probe", "verify", "commit", "fanout", "tx"};
  CC_ASSERT(point < Point::count_);
  return names[static_cast<size_t>(point)];
}

}  // namespace chaincast::stage
