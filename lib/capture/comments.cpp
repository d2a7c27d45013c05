// SPDX-License-Identifier: BSD-3-Clause
#include "capture/comments.hpp"

#include <fmt/format.h>

#include "wire/datagram.hpp"

namespace chaincast::capture {

std::vector<std::string> comments(const Record& record, ByteSpan datagram,
                                  std::span<const Loss> losses) {
  std::vector<std::string> out;
  if (record.drop != stage::Drop::count_) {
    out.push_back(fmt::format("dropped={}", stage::drop_text(record.drop).name));
  }
  wire::FrameWalker walker(datagram);
  wire::FrameView frame;
  for (unsigned number = 1; walker.next(frame); ++number) {
    const auto offset = static_cast<size_t>(frame.data - datagram.data());
    for (const Loss& loss : losses) {
      if (loss.offset != offset) continue;
      out.push_back(fmt::format("dropped={} frame={} stream={:016x} seq={}",
                                stage::drop_text(loss.reason).name, number,
                                load_be64(frame.data + wire::frame_offset_stream),
                                load_be64(frame.data + wire::frame_offset_seq)));
    }
  }
  return out;
}

}  // namespace chaincast::capture
