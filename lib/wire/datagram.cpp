// SPDX-License-Identifier: BSD-3-Clause
#include "wire/datagram.hpp"

#include "wire/control.hpp"

namespace chaincast::wire {

const char* to_string(DatagramFault fault) noexcept {
  switch (fault) {
    case DatagramFault::none:
      return "none";
    case DatagramFault::truncated:
      return "truncated";
    case DatagramFault::bad_version:
      return "bad_version";
    case DatagramFault::bad_count:
      return "bad_count";
    case DatagramFault::too_many_hops:
      return "too_many_hops";
    case DatagramFault::trailing:
      return "trailing";
    case DatagramFault::oversized:
      return "oversized";
    case DatagramFault::bad_hello:
      return "bad_hello";
  }
  return "?";
}

DatagramHead read_head(ByteSpan datagram) noexcept {
  DatagramHead head;
  if (datagram.size() < hop_header_bytes) {
    head.fault = DatagramFault::truncated;
    return head;
  }
  head.hop = load_hop_header(datagram.data());
  if (head.hop.version != version) head.fault = DatagramFault::bad_version;
  if (head.hop.frame_count == 0) {
    const bool hello = (head.hop.flags & hop_flag_hello) != 0;
    head.type = hello ? DatagramType::hello : DatagramType::control;
  }
  return head;
}

FrameWalker::FrameWalker(ByteSpan datagram) noexcept {
  const DatagramHead head = read_head(datagram);
  fault_ = head.fault;
  if (fault_ != DatagramFault::none) return;
  if (head.type != DatagramType::data) {
    fault_ = DatagramFault::bad_count;
  } else if (head.hop.hops > hops_max) {
    fault_ = DatagramFault::too_many_hops;
  } else {
    frames_left_ = head.hop.frame_count;
    rest_ = datagram.subspan(hop_header_bytes);
  }
}

bool FrameWalker::next(FrameView& frame) noexcept {
  if (frames_left_ == 0) {
    if (fault_ == DatagramFault::none && !rest_.empty()) fault_ = DatagramFault::trailing;
    return false;
  }
  size_t frame_bytes = frame_header_bytes;
  DatagramFault found = DatagramFault::none;
  if (rest_.size() < frame_bytes) {
    found = DatagramFault::truncated;
  } else {
    const size_t payload_bytes = load_be16(rest_.data() + frame_offset_payload_bytes);
    frame_bytes += payload_bytes;
    if (payload_bytes > payload_bytes_limit) {
      found = DatagramFault::oversized;
    } else if (rest_.size() < frame_bytes) {
      found = DatagramFault::truncated;
    }
  }
  if (found != DatagramFault::none) {
    fault_ = found;
    frames_left_ = 0;
    rest_ = {};
    return false;
  }
  frame = {rest_.data(), static_cast<uint16_t>(frame_bytes)};
  rest_ = rest_.subspan(frame_bytes);
  --frames_left_;
  return true;
}

DatagramFault check_data_datagram(ByteSpan datagram) noexcept {
  FrameWalker walker(datagram);
  FrameView frame;
  while (walker.next(frame)) {
  }
  return walker.fault();
}

uint32_t datagram_tag_xor(std::span<const FrameView> frames) noexcept {
  uint32_t words = 0;
  for (const FrameView& frame : frames) words ^= tag_words_xor(frame.data + frame_offset_tag);
  return words;
}

uint32_t datagram_tag_xor(ByteSpan checked_datagram) noexcept {
  uint32_t words = 0;
  FrameWalker walker(checked_datagram);
  FrameView frame;
  while (walker.next(frame)) words ^= tag_words_xor(frame.data + frame_offset_tag);
  return words;
}

SealedControl read_sealed_control(ByteSpan datagram) noexcept {
  const DatagramHead head = read_head(datagram);
  SealedControl out;
  out.fault = head.fault;
  out.hop = head.hop;
  if (out.fault != DatagramFault::none) return out;
  if (head.type != DatagramType::control) {
    out.fault = DatagramFault::bad_count;
  } else if (head.hop.hops != 0) {
    out.fault = DatagramFault::too_many_hops;
  } else if (datagram.size() < control_overhead_bytes + 1) {
    out.fault = DatagramFault::truncated;
  } else {
    out.counter = load_be64(datagram.data() + hop_header_bytes);
    out.sealed = datagram.subspan(hop_header_bytes + control_counter_bytes);
    out.tag_xor = tag_words_xor(datagram.data() + datagram.size() - control_tag_bytes);
  }
  return out;
}

std::array<uint8_t, control_aad_bytes> control_aad(uint8_t version_byte, uint8_t flags,
                                                   uint64_t counter) noexcept {
  std::array<uint8_t, control_aad_bytes> aad{};
  aad[0] = version_byte;
  aad[1] = flags;
  store_be64(aad.data() + 4, counter);
  return aad;
}

HelloView read_hello(ByteSpan datagram) noexcept {
  const DatagramHead head = read_head(datagram);
  HelloView out;
  out.fault = head.fault;
  if (out.fault != DatagramFault::none) return out;
  const HopHeader& hop = head.hop;
  const ByteSpan encoded = datagram.subspan(hop_header_bytes);
  if (head.type != DatagramType::hello) {
    out.fault = DatagramFault::bad_count;
  } else if (hop.hops != 0) {
    out.fault = DatagramFault::too_many_hops;
  } else if (hop.link_id != 0 || hop.link_seq != 0 || hop.check != 0) {
    out.fault = DatagramFault::bad_hello;
  } else if (encoded.size() > hello_bytes_max) {
    out.fault = DatagramFault::oversized;
  } else if (encoded.size() < hello_bytes_min) {
    out.fault = DatagramFault::truncated;
  } else {
    out.encoded = encoded;
  }
  return out;
}

std::array<uint8_t, hop_header_bytes> hello_hop_header() noexcept {
  HopHeader hop;
  hop.flags = hop_flag_hello;
  std::array<uint8_t, hop_header_bytes> bytes;
  store_hop_header(bytes.data(), hop);
  return bytes;
}

}  // namespace chaincast::wire
