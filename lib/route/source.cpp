// SPDX-License-Identifier: BSD-3-Clause
#include "route/source.hpp"

#include <bzlib.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace chaincast::route {
namespace {

constexpr size_t chunk_bytes = 64 * 1024;
constexpr const char* cut_short = "compressed data cut short";
constexpr const char* corrupt = "compressed data corrupt";

struct FileCloser {
  void operator()(FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, FileCloser>;

// Raw input, in chunks: a file or memory.
class Chunks {
 public:
  explicit Chunks(File file) : file_(std::move(file)), buffer_(chunk_bytes) {}
  explicit Chunks(ByteSpan memory) : memory_(memory) {}

  // The next piece; empty at the end.
  ByteSpan next() {
    if (!file_) return std::exchange(memory_, {});
    const size_t count = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
    failed_ = failed_ || (count == 0 && std::ferror(file_.get()) != 0);
    return ByteSpan(buffer_).first(count);
  }
  bool failed() const { return failed_; }

 private:
  File file_;
  Bytes buffer_;
  ByteSpan memory_;
  bool failed_ = false;
};

// What the three kinds share: the current piece of raw input.
class ChunkedSource : public Source {
 public:
  ChunkedSource(Chunks chunks, ByteSpan first) : chunks_(std::move(chunks)), input_(first) {}
  const char* fault() const override { return chunks_.failed() ? "read error" : fault_; }

 protected:
  // False at the end of the raw input.
  bool refill() {
    if (input_.empty()) input_ = chunks_.next();
    return !input_.empty();
  }
  // What a decoder has consumed; `left` of the current piece remain.
  void consumed_all_but(size_t left) { input_ = input_.last(left); }

  Chunks chunks_;
  ByteSpan input_;
  const char* fault_ = nullptr;
};

class PlainSource final : public ChunkedSource {
 public:
  using ChunkedSource::ChunkedSource;

  size_t read(std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size() && refill()) {
      const size_t count = std::min(out.size() - done, input_.size());
      std::memcpy(out.data() + done, input_.data(), count);
      done += count;
      input_ = input_.subspan(count);
    }
    return done;
  }
};

class GzipSource final : public ChunkedSource {
 public:
  GzipSource(Chunks chunks, ByteSpan first) : ChunkedSource(std::move(chunks), first) {
    CC_ASSERT(inflateInit2(&stream_, 15 + 16) == Z_OK);
  }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  ~GzipSource() override { inflateEnd(&stream_); }

  size_t read(std::span<uint8_t> out) override {
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), UINT32_MAX));
    while (stream_.avail_out > 0 && fault_ == nullptr) {
      if (!refill()) {
        if (!between_members_) fault_ = cut_short;
        break;
      }
      step();
    }
    return out.size() - stream_.avail_out;
  }

 private:
  void step() {
    stream_.next_in = const_cast<Bytef*>(input_.data());  // NOLINT: zlib's signature
    stream_.avail_in = static_cast<uInt>(std::min<size_t>(input_.size(), UINT32_MAX));
    const size_t offered = stream_.avail_in;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    consumed_all_but(input_.size() - (offered - stream_.avail_in));
    between_members_ = result == Z_STREAM_END;
    if (between_members_) {
      inflateReset(&stream_);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      fault_ = corrupt;
    }
  }

  z_stream stream_{};
  bool between_members_ = false;
};

class BzipSource final : public ChunkedSource {
 public:
  BzipSource(Chunks chunks, ByteSpan first) : ChunkedSource(std::move(chunks), first) { start(); }
  BzipSource(const BzipSource&) = delete;
  BzipSource& operator=(const BzipSource&) = delete;
  ~BzipSource() override { BZ2_bzDecompressEnd(&stream_); }

  size_t read(std::span<uint8_t> out) override {
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = static_cast<unsigned>(std::min<size_t>(out.size(), UINT32_MAX));
    while (stream_.avail_out > 0 && fault_ == nullptr) {
      const unsigned room = stream_.avail_out;
      const bool more = refill();
      if (!more && between_streams_) break;
      const size_t left = input_.size();
      step();
      // bzip2 decodes by blocks: output may follow after the last input byte.
      const bool stuck = stream_.avail_out == room && input_.size() == left;
      if (!more && stuck && fault_ == nullptr) fault_ = cut_short;
    }
    return out.size() - stream_.avail_out;
  }

 private:
  void start() { CC_ASSERT(BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK); }

  void step() {
    stream_.next_in =
        const_cast<char*>(reinterpret_cast<const char*>(input_.data()));  // NOLINT: its signature
    stream_.avail_in = static_cast<unsigned>(std::min<size_t>(input_.size(), UINT32_MAX));
    const size_t offered = stream_.avail_in;
    const int result = BZ2_bzDecompress(&stream_);
    consumed_all_but(input_.size() - (offered - stream_.avail_in));
    between_streams_ = result == BZ_STREAM_END;
    if (between_streams_) {
      char* const next_out = stream_.next_out;
      const unsigned avail_out = stream_.avail_out;
      BZ2_bzDecompressEnd(&stream_);
      start();
      stream_.next_out = next_out;
      stream_.avail_out = avail_out;
    } else if (result != BZ_OK) {
      fault_ = corrupt;
    }
  }

  bz_stream stream_{};
  bool between_streams_ = false;
};

std::unique_ptr<Source> recognise(Chunks chunks) {
  const ByteSpan first = chunks.next();
  if (first.size() >= 2 && first[0] == 0x1f && first[1] == 0x8b) {
    return std::make_unique<GzipSource>(std::move(chunks), first);
  }
  if (first.size() >= 4 && std::memcmp(first.data(), "BZh", 3) == 0 && first[3] >= '1' &&
      first[3] <= '9') {
    return std::make_unique<BzipSource>(std::move(chunks), first);
  }
  return std::make_unique<PlainSource>(std::move(chunks), first);
}

}  // namespace

Result<std::unique_ptr<Source>> open_source(const std::string& path) {
  File file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::io;
    return error(code, path + ": " + std::strerror(errno) + "; name a readable file");
  }
  Chunks chunks(std::move(file));
  return recognise(std::move(chunks));
}

std::unique_ptr<Source> memory_source(ByteSpan bytes) {
  return recognise(Chunks(bytes));
}

}  // namespace chaincast::route
