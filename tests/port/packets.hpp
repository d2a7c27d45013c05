// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "port/headers.hpp"
#include "support/checksum.hpp"
#include "support/random.hpp"

// Packets for tests: classic pcap files, tshark's opinion of them, a naive checksum.
namespace chaincast::port::test {

using chaincast::test::naive_checksum;
using chaincast::test::random_bytes;

Endpoint endpoint(const std::string& text);

// One frame: `payload` behind complete headers.
Bytes build_frame(const HeaderFields& fields, ByteSpan payload, Offload offload = {});

// The frames of a classic pcap file (either byte order, micro- or nanoseconds).
std::vector<Bytes> parse_pcap(ByteSpan file);
Bytes make_pcap(const std::vector<Bytes>& frames);

// A file that is removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& suffix, ByteSpan content = {});
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool has_tshark();
// One row per frame, one string per field (several occurrences joined by ','). IP checksums are
// verified, fragments are left as they are.
std::vector<std::vector<std::string>> tshark_fields(const std::string& path,
                                                    const std::vector<std::string>& fields);

}  // namespace chaincast::port::test
