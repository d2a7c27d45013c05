// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "capture/record.hpp"

// What a captured packet says of its losses, one comment each:
//   dropped=REASON                                           the datagram, or the rest of it
//   dropped=REASON frame=N stream=ID seq=SEQ                 its N-th frame, from 1
// Pure; the writer's thread. Cost: a text per loss.
namespace chaincast::capture {

std::vector<std::string> comments(const Record& record, ByteSpan datagram,
                                  std::span<const Loss> losses);

}  // namespace chaincast::capture
