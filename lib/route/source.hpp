// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

// A stream of bytes from a file that may be compressed. Recognised by content, not by name: gzip
// (RFC 1952, several members), bzip2 (several streams), anything else as it is. Bounded memory
// (64 KiB of input, the decoders' own state). One owner, any thread, blocking file reads.
namespace chaincast::route {

class Source {
 public:
  virtual ~Source() = default;
  // Fills `out`; fewer bytes only at the end of the input.
  virtual size_t read(std::span<uint8_t> out) = 0;
  // nullptr, or why the input ended before its end: "compressed data cut short", "compressed data
  // corrupt", "read error". What could be decoded before it has been delivered.
  virtual const char* fault() const = 0;
};

// Errors name the path: `not_found`, `io`.
Result<std::unique_ptr<Source>> open_source(const std::string& path);
// Over memory that outlives the source; compressed content is recognised as in a file.
std::unique_ptr<Source> memory_source(ByteSpan bytes);

}  // namespace chaincast::route
