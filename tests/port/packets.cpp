// SPDX-License-Identifier: BSD-3-Clause
#include "port/packets.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace chaincast::port::test {

Endpoint endpoint(const std::string& text) {
  Result<Endpoint> parsed = parse_endpoint(text);
  CC_ASSERT(parsed.ok());
  return *parsed;
}

Bytes build_frame(const HeaderFields& fields, ByteSpan payload, Offload offload) {
  const Destination to = make_destination(fields);
  Bytes out(to.header.begin(), to.header.begin() + to.header_bytes);
  out.insert(out.end(), payload.begin(), payload.end());
  complete_headers(out.data(), to, static_cast<uint16_t>(payload.size()),
                   sum_bytes(payload.data(), payload.size()), offload);
  return out;
}

std::vector<Bytes> parse_pcap(ByteSpan file) {
  CC_ASSERT(file.size() >= 24);
  uint32_t magic;
  std::memcpy(&magic, file.data(), 4);
  const bool is_swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
  CC_ASSERT(is_swapped || magic == 0xa1b2c3d4 || magic == 0xa1b23c4d);
  std::vector<Bytes> out;
  for (size_t at = 24; at + 16 <= file.size();) {
    uint32_t captured;
    std::memcpy(&captured, file.data() + at + 8, 4);
    if (is_swapped) captured = __builtin_bswap32(captured);
    CC_ASSERT(at + 16 + captured <= file.size());
    const uint8_t* frame = file.data() + at + 16;
    out.emplace_back(frame, frame + captured);
    at += 16 + captured;
  }
  return out;
}

Bytes make_pcap(const std::vector<Bytes>& frames) {
  ByteWriter out;
  out.be32(0xa1b2c3d4).be16(2).be16(4).be32(0).be32(0).be32(262144).be32(1);
  for (const Bytes& frame : frames) {
    const auto bytes = static_cast<uint32_t>(frame.size());
    out.be32(0).be32(0).be32(bytes).be32(bytes).bytes(frame);
  }
  return out.take();
}

TemporaryFile::TemporaryFile(const std::string& suffix, ByteSpan content) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cc-XXXXXX").string() + suffix;
  const int fd = mkstemps(pattern.data(), static_cast<int>(suffix.size()));
  CC_ASSERT(fd >= 0);
  close(fd);
  path_ = pattern;
  std::ofstream file(path_, std::ios::binary);
  file.write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
}

TemporaryFile::~TemporaryFile() {
  std::filesystem::remove(path_);
}

bool has_tshark() {
  return std::system("command -v tshark >/dev/null 2>&1") == 0;
}

std::vector<std::vector<std::string>> tshark_fields(const std::string& path,
                                                    const std::vector<std::string>& fields) {
  std::string command =
      "tshark -n -r '" + path +
      "' -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE "
      "-o ip.defragment:FALSE -o ipv6.defragment:FALSE -T fields -E separator=';'";
  for (const std::string& field : fields) command += " -e " + field;
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  CC_ASSERT(pipe != nullptr);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  for (int c; (c = std::fgetc(pipe)) != EOF;) {
    if (c == ';') {
      row.emplace_back();
    } else if (c == '\n') {
      rows.push_back(std::move(row));
      row.assign(1, "");
    } else {
      row.back().push_back(static_cast<char>(c));
    }
  }
  CC_ASSERT(pclose(pipe) == 0);
  return rows;
}

}  // namespace chaincast::port::test
