// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "generator.hpp"
#include "ops/ops.hpp"

namespace chaincast::generator {

// Where the objects of one run come from, in order.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  // Replaces `object` by the next one; false at the end. Errors name the file.
  virtual Result<bool> next(Bytes& object) = 0;
  // What the summary says of the content; nothing by default.
  virtual void describe(ops::Json&) const {}
  virtual std::string describe() const { return {}; }
};

// `object_bytes_max` is the stream's. Errors name the option and the remedy: `invalid`, or those of
// the file.
Result<std::unique_ptr<ObjectSource>> make_source(const SendOptions& options,
                                                  uint32_t object_bytes_max);

}  // namespace chaincast::generator
