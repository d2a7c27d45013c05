// SPDX-License-Identifier: BSD-3-Clause
#include "sources.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>

#include "gen/capture.hpp"
#include "gen/sizes.hpp"
#include "gen/synthetic.hpp"
#include "report.hpp"
#include "route/mrt.hpp"
#include "route/source.hpp"
#include "route/synthetic.hpp"

namespace chaincast::generator {

namespace {

constexpr size_t default_object_bytes = 64 * 1024;

class FileSource final : public ObjectSource {
 public:
  FileSource(File file, const SendOptions& options, size_t object_bytes)
      : file_(std::move(file)), path_(options.file), object_bytes_(object_bytes) {}

  Result<bool> next(Bytes& object) override {
    object.resize(object_bytes_);
    FILE* file = file_ ? file_.get() : stdin;
    object.resize(std::fread(object.data(), 1, object.size(), file));
    if (std::ferror(file) != 0) {
      return error(ErrorCode::io,
                   fmt::format("{}: {}; can all of it be read?", path_, std::strerror(errno)));
    }
    return !object.empty();
  }

 private:
  File file_;  // none: stdin
  std::string path_;
  size_t object_bytes_;
};

class MrtSource final : public ObjectSource {
 public:
  explicit MrtSource(route::RouteObjects routes) : routes_(std::move(routes)) {}

  Result<bool> next(Bytes& object) override {
    if (at_ == routes_.objects.size()) return false;
    object = std::move(routes_.objects[at_++]);
    return true;
  }
  void describe(ops::Json& document) const override {
    document["prefix_changes"] = routes_.counts.prefix_changes();
    document["announced"] = routes_.counts.announced;
    document["withdrawn"] = routes_.counts.withdrawn;
    document["mrt_records"] = routes_.counts.records;
    ops::Json faults = ops::Json::object();
    for (size_t i = 0; i < route::mrt_fault_count; ++i) {
      if (routes_.counts.faults[i] == 0) continue;
      faults[route::to_string(static_cast<route::MrtFault>(i))] = {
          {"count", routes_.counts.faults[i]},
          {"first_offset", routes_.counts.first_fault_offset[i]}};
    }
    document["faults"] = faults;
  }
  std::string describe() const override { return route::describe(routes_.counts); }

 private:
  route::RouteObjects routes_;
  size_t at_ = 0;
};

class CaptureSource final : public ObjectSource {
 public:
  CaptureSource(std::unique_ptr<gen::Capture> capture, const SendOptions& options,
                uint32_t object_bytes_max)
      : capture_(std::move(capture)), options_(options), object_bytes_max_(object_bytes_max) {}

  Result<bool> next(Bytes& object) override {
    gen::Packet packet;
    for (;;) {
      const auto more = capture_->next(packet);
      if (!more || !*more) return more;
      ++packets_;
      ByteSpan content = packet.bytes;
      auto verdict = gen::UdpVerdict::payload;
      if (options_.payloads) verdict = gen::udp_payload(packet, content);
      // A packet that was recorded in part is still a packet, and counts as such.
      if (!options_.payloads && packet.original_bytes > packet.bytes.size()) ++cut_;
      other_ += verdict == gen::UdpVerdict::other;
      fragments_ += verdict == gen::UdpVerdict::fragment;
      cut_ += verdict == gen::UdpVerdict::cut;
      if (verdict != gen::UdpVerdict::payload) continue;
      if (content.size() > object_bytes_max_) return too_long(content.size());
      object.assign(content.begin(), content.end());
      return true;
    }
  }
  void describe(ops::Json& document) const override {
    document["packets"] = packets_;
    document["cut"] = cut_;
    if (options_.payloads) {
      document["fragments"] = fragments_;
      document["not_udp"] = other_;
    }
  }
  std::string describe() const override {
    const std::string rest =
        options_.payloads ? fmt::format(", {} fragments, {} not UDP", fragments_, other_) : "";
    return fmt::format("{} packets: {} cut short by the recorder{}", packets_, cut_, rest);
  }

 private:
  Error too_long(size_t bytes) const {
    return error(ErrorCode::invalid,
                 fmt::format("{}: packet {} has {} bytes, and stream {} takes objects of at most "
                             "{}; raise its object_bytes_max",
                             options_.pcap, packets_, bytes, options_.stream, object_bytes_max_));
  }

  std::unique_ptr<gen::Capture> capture_;
  const SendOptions& options_;
  const uint32_t object_bytes_max_;
  uint64_t packets_ = 0;
  uint64_t cut_ = 0;
  uint64_t fragments_ = 0;
  uint64_t other_ = 0;
};

class RouteSource final : public ObjectSource {
 public:
  RouteSource(const SendOptions& options, size_t object_bytes)
      : routes_(options.seed, options.routes), packer_(object_bytes) {
    packs_ = options.object_bytes > 0;
  }

  Result<bool> next(Bytes& object) override {
    while (ready_.empty()) {
      std::vector<wire::RouteRecord> records;
      std::vector<Bytes> packed;
      const bool more = routes_.next(records);
      if (more) packer_.add(records, packed);
      if (!more || !packs_) packer_.flush(packed);
      std::move(packed.begin(), packed.end(), std::back_inserter(ready_));
      if (!more && ready_.empty()) return false;
    }
    object = std::move(ready_.front());
    ready_.pop_front();
    changes_.add(object);
    return true;
  }
  void describe(ops::Json& document) const override {
    document["prefix_changes"] = changes_.prefix_changes();
    document["announced"] = changes_.announced;
    document["withdrawn"] = changes_.withdrawn;
  }
  std::string describe() const override {
    return fmt::format("{} prefix changes: {} announced, {} withdrawn", changes_.prefix_changes(),
                       changes_.announced, changes_.withdrawn);
  }

 private:
  route::SyntheticRoutes routes_;
  route::RoutePacker packer_;
  bool packs_ = false;
  std::deque<Bytes> ready_;
  route::RouteChanges changes_;
};

class SyntheticSource final : public ObjectSource {
 public:
  SyntheticSource(gen::Sizes sizes, const SendOptions& options)
      : sizes_(std::move(sizes)), seed_(options.seed), count_(options.count) {}

  Result<bool> next(Bytes& object) override {
    if (count_ > 0 && index_ == count_) return false;
    gen::synthetic_object(sizes_, seed_, index_++, object);
    return true;
  }

 private:
  gen::Sizes sizes_;
  uint64_t seed_;
  uint64_t count_;
  uint64_t index_ = 0;
};

using Made = Result<std::unique_ptr<ObjectSource>>;

Made make_file(const SendOptions& options, uint32_t object_bytes_max) {
  const size_t object_bytes = options.object_bytes > 0
                                  ? options.object_bytes
                                  : std::min<size_t>(object_bytes_max, default_object_bytes);
  File file;
  if (options.file != "-") {
    file.reset(std::fopen(options.file.c_str(), "re"));
    if (!file) {
      return error(ErrorCode::io, fmt::format("{}: {}; name a readable file, or - for stdin",
                                              options.file, std::strerror(errno)));
    }
  }
  return Made(std::make_unique<FileSource>(std::move(file), options, object_bytes));
}

Made make_mrt(const SendOptions& options, uint32_t object_bytes_max) {
  route::PackOptions pack;
  pack.object_bytes = options.object_bytes > 0 ? options.object_bytes : object_bytes_max;
  pack.one_per_update = options.object_bytes == 0;
  auto routes = route::load_route_objects(options.mrt, pack);
  // The file is the caller's mistake, whatever is wrong with it; the node said nothing yet.
  if (!routes) return error(ErrorCode::invalid, routes.error().message);
  for (const Bytes& object : routes->objects) {
    if (object.size() <= object_bytes_max) continue;
    return error(ErrorCode::invalid,
                 fmt::format("{}: one route needs {} bytes, and stream {} takes objects of at "
                             "most {} bytes; raise its object_bytes_max",
                             options.mrt, object.size(), options.stream, object_bytes_max));
  }
  return Made(std::make_unique<MrtSource>(std::move(*routes)));
}

Made make_capture(const SendOptions& options, uint32_t object_bytes_max) {
  auto source = route::open_source(options.pcap);
  if (!source) return error(ErrorCode::invalid, source.error().message);
  auto capture = gen::Capture::open(std::move(*source), options.pcap);
  if (!capture) return capture.error();
  return Made(std::make_unique<CaptureSource>(std::move(*capture), options, object_bytes_max));
}

Made make_synthetic(const SendOptions& options, uint32_t object_bytes_max) {
  auto sizes = gen::Sizes::parse(options.sizes);
  if (!sizes) return error(ErrorCode::invalid, "--" + sizes.error().message);
  if (sizes->largest() > object_bytes_max) {
    return error(ErrorCode::invalid,
                 fmt::format("--sizes {}: stream {} takes objects of at most {} bytes; ask for "
                             "less, or raise its object_bytes_max",
                             options.sizes, options.stream, object_bytes_max));
  }
  if (options.stamp && sizes->smallest() < gen::stamp_bytes) {
    return error(ErrorCode::invalid, fmt::format("--sizes {}: a stamp takes {} bytes; ask for "
                                                 "more, or leave out --stamp",
                                                 options.sizes, gen::stamp_bytes));
  }
  return Made(std::make_unique<SyntheticSource>(std::move(*sizes), options));
}

}  // namespace

Made make_source(const SendOptions& options, uint32_t object_bytes_max) {
  if (options.object_bytes > object_bytes_max) {
    return error(ErrorCode::invalid,
                 fmt::format("--object-bytes {}: stream {} takes objects of at most {} bytes; ask "
                             "for less, or raise its object_bytes_max",
                             options.object_bytes, options.stream, object_bytes_max));
  }
  if (!options.file.empty()) return make_file(options, object_bytes_max);
  if (!options.mrt.empty()) return make_mrt(options, object_bytes_max);
  if (!options.pcap.empty()) return make_capture(options, object_bytes_max);
  if (!options.sizes.empty()) return make_synthetic(options, object_bytes_max);
  const size_t object_bytes = options.object_bytes > 0 ? options.object_bytes : object_bytes_max;
  return Made(std::make_unique<RouteSource>(options, object_bytes));
}

}  // namespace chaincast::generator
