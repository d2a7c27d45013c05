// SPDX-License-Identifier: BSD-3-Clause
#include "route/mrt.hpp"

#include <algorithm>
#include <array>

namespace chaincast::route {
namespace {

constexpr size_t mrt_header_bytes = 12;

}  // namespace

Result<MrtReader> MrtReader::open(const std::string& path) {
  auto source = open_source(path);
  if (!source) return source.error();
  return MrtReader(std::move(source).value());
}

void MrtReader::torn(size_t bytes) {
  ended_ = true;
  counts_.torn_bytes = bytes;
  if (bytes > 0) counts_.count(MrtFault::torn_record);
  if (source_->fault() != nullptr) counts_.count(MrtFault::torn_compression);
}

bool MrtReader::skip_body(size_t bytes) {
  std::array<uint8_t, 4096> scratch;
  for (size_t done = 0; done < bytes;) {
    const size_t wanted = std::min(bytes - done, scratch.size());
    const size_t got = source_->read(std::span(scratch).first(wanted));
    done += got;
    if (got < wanted) {
      torn(mrt_header_bytes + done);
      return false;
    }
  }
  return true;
}

bool MrtReader::read_record(MrtHeader& header, bool& skipped) {
  std::array<uint8_t, mrt_header_bytes> raw;
  counts_.record_offset = next_offset_;
  const size_t got = source_->read(raw);
  if (got < raw.size()) {
    torn(got);
    return false;
  }
  ByteReader in(raw);
  header.time_s = in.be32();
  header.type = in.be16();
  header.subtype = in.be16();
  const size_t length = in.be32();
  next_offset_ += mrt_header_bytes + length;
  skipped = length > mrt_record_bytes_max;
  if (skipped) {
    counts_.count(MrtFault::oversized);
    return skip_body(length);
  }
  body_.resize(length);
  const size_t body_got = source_->read(body_);
  if (body_got < length) {
    torn(mrt_header_bytes + body_got);
    return false;
  }
  return true;
}

bool MrtReader::next(std::vector<wire::RouteRecord>& records) {
  records.clear();
  MrtHeader header;
  bool skipped = false;
  while (!ended_ && read_record(header, skipped)) {
    ++counts_.records;
    if (skipped) continue;
    decoder_.decode(header, body_, records, counts_);
    if (!records.empty()) return true;
  }
  return false;
}

void RoutePacker::add(const std::vector<wire::RouteRecord>& records, std::vector<Bytes>& out) {
  size_t needed = 0;
  for (const wire::RouteRecord& record : records) needed += wire::encoded_bytes(record);
  if (open_.size() + needed > object_bytes_) flush(out);
  const bool together = needed <= object_bytes_;
  for (const wire::RouteRecord& record : records) {
    if (!together && open_.size() + wire::encoded_bytes(record) > object_bytes_) flush(out);
    const Bytes encoded = wire::encode({record});
    open_.insert(open_.end(), encoded.begin(), encoded.end());
  }
}

void RoutePacker::flush(std::vector<Bytes>& out) {
  if (!open_.empty()) out.push_back(std::exchange(open_, {}));
}

Result<RouteObjects> load_route_objects(const std::string& path, const PackOptions& options) {
  auto reader = MrtReader::open(path);
  if (!reader) return reader.error();
  RouteObjects out;
  RoutePacker packer(options.object_bytes);
  std::vector<wire::RouteRecord> records;
  size_t counted = 0;
  const auto within_bound = [&] {
    for (; counted < out.objects.size(); ++counted) out.bytes += out.objects[counted].size();
    return out.bytes <= options.total_bytes_max;
  };
  const Error too_large =
      error(ErrorCode::refused, path + ": its routes take more than " +
                                    std::to_string(options.total_bytes_max) +
                                    " bytes; split the file or raise the limit");
  while (reader->next(records)) {
    packer.add(records, out.objects);
    if (options.one_per_update) packer.flush(out.objects);
    if (!within_bound()) return too_large;
  }
  packer.flush(out.objects);
  if (!within_bound()) return too_large;
  out.counts = reader->counts();
  if (out.objects.empty()) {
    return error(ErrorCode::invalid, path + ": no route in it (" + describe(out.counts) +
                                         "); give an MRT file, plain, gzip or bzip2");
  }
  return out;
}

}  // namespace chaincast::route
