// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "route/decoder.hpp"
#include "route/source.hpp"
#include "wire/route.hpp"

// Streaming reader of MRT route dumps (TABLE_DUMP, TABLE_DUMP_V2 with add-path, BGP4MP), plain or
// compressed, and the way from such a file to route update objects. A torn tail or a short record
// is counted and named, never fatal. One owner, any thread, blocking file reads. Memory: one record
// (at most mrt_record_bytes_max) and its routes, the decoder's peer table, the source's buffers.
namespace chaincast::route {

// Longer records are skipped, unread, as `oversized`. The largest BGP message is 64 KiB; RIB
// records of large collectors reach a few hundred KiB.
inline constexpr size_t mrt_record_bytes_max = 4u << 20;

class MrtReader {
 public:
  // `not_found` or `io` if the file cannot be opened.
  static Result<MrtReader> open(const std::string& path);
  explicit MrtReader(std::unique_ptr<Source> source) : source_(std::move(source)) {}

  // Replaces `records` by the routes of the next MRT record that has any (MrtDecoder::decode says
  // in which order). False at the end of the input.
  bool next(std::vector<wire::RouteRecord>& records);
  const MrtCounts& counts() const { return counts_; }

 private:
  // False at the end. `skipped` if the record was too long to be read.
  bool read_record(MrtHeader& header, bool& skipped);
  bool skip_body(size_t bytes);
  void torn(size_t bytes);

  std::unique_ptr<Source> source_;
  MrtDecoder decoder_;
  Bytes body_;
  uint64_t next_offset_ = 0;
  bool ended_ = false;
  MrtCounts counts_;
};

struct PackOptions {
  // Records are packed while they fit; one record that needs more has an object of its own.
  size_t object_bytes = 900;
  // What all objects together may hold; more is `refused`.
  size_t total_bytes_max = size_t{1} << 30;
  // Each MRT record's routes in objects of their own: one object, unless they need more.
  bool one_per_update = false;
};

// Packs route records into objects, each wire::encode(records), in order.
class RoutePacker {
 public:
  explicit RoutePacker(size_t object_bytes) : object_bytes_(object_bytes) {}

  // Records of one call stay in one object where they fit. Finished objects are appended to `out`.
  void add(const std::vector<wire::RouteRecord>& records, std::vector<Bytes>& out);
  // Appends what is still open.
  void flush(std::vector<Bytes>& out);

 private:
  size_t object_bytes_;
  Bytes open_;
};

struct RouteObjects {
  std::vector<Bytes> objects;
  uint64_t bytes = 0;  // of all objects
  MrtCounts counts;
};

// A whole file as objects for a stream that carries routes. Damage is in the counts. Errors name
// the path: `not_found`, `io`, `refused` (total_bytes_max), `invalid` (no route in it).
Result<RouteObjects> load_route_objects(const std::string& path, const PackOptions& options = {});

}  // namespace chaincast::route
