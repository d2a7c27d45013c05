// SPDX-License-Identifier: BSD-3-Clause
// The reader, its sources and the packing into objects.
#include <bzlib.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/random.hpp"
#include "lines.hpp"
#include "support/data.hpp"

namespace chaincast::route {
namespace {

// ---- records by hand ------------------------------------------------------------------------

Bytes mrt_record(uint16_t type, uint16_t subtype, const Bytes& body) {
  ByteWriter out;
  out.be32(1'000'000).be16(type).be16(subtype).be32(static_cast<uint32_t>(body.size()));
  return out.bytes(body).take();
}

// BGP4MP MESSAGE from AS 65001, 192.0.2.1.
Bytes update_record(const Bytes& withdrawn, const Bytes& attributes, const Bytes& nlri) {
  ByteWriter body;
  body.be16(65001).be16(65002).be16(0).be16(1);
  body.bytes(Bytes{192, 0, 2, 1}).bytes(Bytes{192, 0, 2, 2});
  body.bytes(Bytes(16, 0xff));
  body.be16(static_cast<uint16_t>(23 + withdrawn.size() + attributes.size() + nlri.size())).u8(2);
  body.be16(static_cast<uint16_t>(withdrawn.size())).bytes(withdrawn);
  body.be16(static_cast<uint16_t>(attributes.size())).bytes(attributes).bytes(nlri);
  return mrt_record(16, 1, body.take());
}

const Bytes some_attributes = {0x40, 1, 1, 0, 0x40, 3, 4, 192, 0, 2, 9, 0x80, 4, 4, 0, 0, 0, 42};

Bytes sample_file() {
  Bytes file = update_record({16, 10, 1}, {}, {});
  const Bytes second = update_record({8, 11}, some_attributes, {24, 203, 0, 113, 20, 172, 16, 255});
  file.insert(file.end(), second.begin(), second.end());
  const Bytes state = mrt_record(16, 0, Bytes(20, 0));
  file.insert(file.end(), state.begin(), state.end());
  const Bytes alien = mrt_record(48, 1, {1, 2, 3});
  file.insert(file.end(), alien.begin(), alien.end());
  return file;
}

const std::vector<std::string> sample_lines = {
    "W|1000000|192.0.2.1|65001|10.1.0.0/16", "W|1000000|192.0.2.1|65001|11.0.0.0/8",
    "A|1000000|192.0.2.1|65001|203.0.113.0/24", "A|1000000|192.0.2.1|65001|172.16.240.0/20"};

TEST(Mrt, reads_updates_and_counts_the_rest) {
  const Bytes file = sample_file();
  MrtReader reader(memory_source(file));
  EXPECT_EQ(lines_of(reader), sample_lines);
  EXPECT_EQ(reader.counts().records, 4u);
  EXPECT_EQ(reader.counts().announced, 2u);
  EXPECT_EQ(reader.counts().withdrawn, 2u);
  EXPECT_EQ(reader.counts().skipped, 1u);
  EXPECT_EQ(reader.counts().unknown, 1u);
  EXPECT_EQ(reader.counts().faults, (std::array<uint64_t, mrt_fault_count>{}));
}

TEST(Mrt, keeps_attributes_byte_exact) {
  const Bytes file = update_record({}, some_attributes, {0});
  MrtReader reader(memory_source(file));
  std::vector<wire::RouteRecord> records;
  ASSERT_TRUE(reader.next(records));
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].attributes, some_attributes);
  EXPECT_EQ(records[0].next_hop, (Bytes{192, 0, 2, 9}));
  EXPECT_EQ(records[0].metric, 42u);
  EXPECT_EQ(records[0].prefixes.front().length, 0);
}

// ---- damage ---------------------------------------------------------------------------------

TEST(Mrt, every_truncation_is_named_and_keeps_what_is_whole) {
  const Bytes file = sample_file();
  size_t whole_ends = 0;
  for (size_t size = 0; size < file.size(); ++size) {
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
    std::copy_n(file.begin(), size, exact.get());
    MrtReader reader(memory_source({exact.get(), size}));
    const std::vector<std::string> lines = lines_of(reader);
    ASSERT_LE(lines.size(), sample_lines.size());
    EXPECT_TRUE(std::equal(lines.begin(), lines.end(), sample_lines.begin()));
    const bool torn = reader.counts().of(MrtFault::torn_record) == 1;
    EXPECT_EQ(torn, reader.counts().torn_bytes != 0);
    whole_ends += torn ? 0 : 1;
  }
  EXPECT_EQ(whole_ends, 4u);  // nothing, and after each of the first three records
}

// The record's length field is right, but what it holds is cut.
TEST(Mrt, every_short_body_is_counted) {
  const Bytes file = update_record({16, 10, 1}, some_attributes, {24, 203, 0, 113});
  for (size_t size = 12; size < file.size(); ++size) {
    Bytes cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    store_be32(cut.data() + 8, static_cast<uint32_t>(size - 12));
    MrtReader reader(memory_source(cut));
    lines_of(reader);
    EXPECT_GE(reader.counts().of(MrtFault::short_record), 1u) << size;
  }
}

TEST(Mrt, oversized_record_is_skipped) {
  Bytes file = mrt_record(16, 1, Bytes(mrt_record_bytes_max + 1, 0));
  const Bytes good = update_record({8, 11}, {}, {});
  file.insert(file.end(), good.begin(), good.end());
  MrtReader reader(memory_source(file));
  EXPECT_EQ(lines_of(reader).size(), 1u);
  EXPECT_EQ(reader.counts().of(MrtFault::oversized), 1u);
  EXPECT_NE(describe(reader.counts()).find("oversized 1"), std::string::npos);
}

TEST(Mrt, wrong_marker_prefix_and_peer_are_named) {
  Bytes file = update_record({8, 11}, {}, {});
  file[12 + 16] = 0;
  const Bytes long_prefix = update_record({33, 1, 2, 3, 4, 5}, {}, {8, 12});
  file.insert(file.end(), long_prefix.begin(), long_prefix.end());
  ByteWriter rib;  // one entry of peer 0, and no peer table before it
  rib.be32(0).u8(8).u8(10).be16(1).be16(0).be32(0).be16(0);
  const Bytes entry = mrt_record(13, 2, rib.take());
  file.insert(file.end(), entry.begin(), entry.end());
  MrtReader reader(memory_source(file));
  EXPECT_EQ(lines_of(reader), std::vector<std::string>{"A|1000000|192.0.2.1|65001|12.0.0.0/8"});
  EXPECT_EQ(reader.counts().of(MrtFault::bad_message), 1u);
  EXPECT_EQ(reader.counts().of(MrtFault::bad_prefix), 1u);
  EXPECT_EQ(reader.counts().of(MrtFault::unknown_peer), 1u);
  EXPECT_EQ(reader.counts().first_fault_offset[static_cast<size_t>(MrtFault::bad_prefix)],
            update_record({8, 11}, {}, {}).size());
}

TEST(Mrt, survives_mutations) {
  const Bytes file = sample_file();
  Random random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = file;
    for (uint64_t edits = 1 + random.below(6); edits > 0; --edits) {
      bytes[random.below(bytes.size())] = static_cast<uint8_t>(random.below(256));
    }
    MrtReader reader(memory_source(bytes));
    std::vector<wire::RouteRecord> records;
    while (reader.next(records)) {
      const auto back = wire::parse_route_update(wire::encode(records));
      ASSERT_TRUE(back.ok()) << back.error().message;
      EXPECT_EQ(*back, records);
    }
  }
}

// ---- compressed sources -----------------------------------------------------------------------

Bytes gzip(const Bytes& plain) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(plain.size() + 1024);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes bzip(const Bytes& plain) {
  Bytes out(plain.size() * 2 + 1024);
  unsigned size = static_cast<unsigned>(out.size());
  Bytes copy = plain;
  BZ2_bzBuffToBuffCompress(reinterpret_cast<char*>(out.data()), &size,
                           reinterpret_cast<char*>(copy.data()), static_cast<unsigned>(copy.size()),
                           1, 0, 0);
  out.resize(size);
  return out;
}

Bytes read_all(Source& source, size_t step) {
  Bytes out;
  Bytes piece(step);
  for (size_t n; (n = source.read(piece)) > 0;)
    out.insert(out.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(n));
  return out;
}

Bytes noise(size_t size) {
  Random random(3);
  Bytes out(size);
  for (uint8_t& b : out) b = static_cast<uint8_t>(random.below(16));
  return out;
}

TEST(Source, plain_gzip_and_bzip2_in_several_parts) {
  const Bytes plain = noise(300'000);
  for (const auto& packed : {gzip(plain), bzip(plain)}) {
    Bytes twice = packed;
    twice.insert(twice.end(), packed.begin(), packed.end());
    Bytes expected = plain;
    expected.insert(expected.end(), plain.begin(), plain.end());
    for (const size_t step : {size_t{1013}, size_t{1} << 20}) {
      const auto source = memory_source(twice);
      EXPECT_EQ(read_all(*source, step), expected);
      EXPECT_EQ(source->fault(), nullptr);
    }
  }
  EXPECT_EQ(read_all(*memory_source(plain), 77), plain);
}

TEST(Source, cut_and_corrupt_compression_is_named_and_what_precedes_it_delivered) {
  const Bytes plain = noise(300'000);
  for (const auto& packed : {gzip(plain), bzip(plain)}) {
    const auto cut = memory_source(ByteSpan(packed).first(packed.size() * 3 / 4));
    const Bytes got = read_all(*cut, 4096);
    EXPECT_GT(got.size(), plain.size() / 4);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), plain.begin()));
    EXPECT_STREQ(cut->fault(), "compressed data cut short");
    Bytes damaged = packed;
    damaged[damaged.size() - 6] ^= 0x55;  // inside the check sum
    const auto corrupt = memory_source(damaged);
    read_all(*corrupt, 4096);
    EXPECT_STREQ(corrupt->fault(), "compressed data corrupt");
  }
}

TEST(Source, missing_file_is_named) {
  const auto source = open_source("/nonexistent/routes.mrt");
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.error().code, ErrorCode::not_found);
  EXPECT_NE(source.error().message.find("/nonexistent/routes.mrt"), std::string::npos);
}

// ---- objects ----------------------------------------------------------------------------------

uint64_t changes_in(const std::vector<Bytes>& objects) {
  uint64_t changes = 0;
  for (const Bytes& object : objects) {
    const auto records = wire::parse_route_update(object);
    EXPECT_TRUE(records.ok()) << records.error().message;
    EXPECT_EQ(wire::encode(*records), object);
    for (const wire::RouteRecord& record : *records) changes += record.prefixes.size();
  }
  return changes;
}

TEST(RouteObjects, real_updates_become_53657_prefix_changes) {
  CC_DATA_FILE_OR_SKIP(path, "bgp/bgpdump.updates.20070211.0141.gz");
  const auto loaded = load_route_objects(path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->counts.records, 23'394u);
  EXPECT_EQ(loaded->counts.announced, 51'329u);
  EXPECT_EQ(loaded->counts.withdrawn, 2'328u);
  EXPECT_EQ(changes_in(loaded->objects), 53'657u);
  uint64_t bytes = 0;
  for (const Bytes& object : loaded->objects) {
    bytes += object.size();
    EXPECT_TRUE(object.size() <= 900 || wire::parse_route_update(object)->size() == 1);
  }
  EXPECT_EQ(loaded->bytes, bytes);
}

struct Total {
  const char* file;
  uint64_t records, announced, torn_bytes;
};

// Counted by other programs (see the data set's README).
TEST(RouteObjects, full_tables_cut_in_the_middle) {
  for (const Total& total :
       {Total{"routeviews.rib.20140523.0600.firstMB.bz2", 9'073, 270'005, 1'267},
        Total{"routeviews.rib6.20151101.0600.firstMB.bz2", 6'871, 149'578, 1'829}}) {
    CC_DATA_FILE_OR_SKIP(path, std::string("bgp/") + total.file);
    auto reader = MrtReader::open(path);
    ASSERT_TRUE(reader.ok());
    std::vector<wire::RouteRecord> records;
    while (reader->next(records)) {
    }
    EXPECT_EQ(reader->counts().records, total.records);
    EXPECT_EQ(reader->counts().announced, total.announced);
    EXPECT_EQ(reader->counts().torn_bytes, total.torn_bytes);
    EXPECT_EQ(reader->counts().of(MrtFault::torn_record), 1u);
    EXPECT_EQ(reader->counts().of(MrtFault::torn_compression), 1u);
  }
}

TEST(RouteObjects, bounds_and_empty_input_are_errors_with_the_path) {
  CC_DATA_FILE_OR_SKIP(path, "bgp/bgpdump.updates.20100722.2015.gz");
  const auto refused = load_route_objects(path, {900, 10'000});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused);
  const auto empty = load_route_objects("/dev/null");
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().code, ErrorCode::invalid);
  EXPECT_NE(empty.error().message.find("/dev/null"), std::string::npos);
}

wire::RouteRecord record_of(size_t attributes_bytes) {
  wire::RouteRecord record;
  record.prefixes.resize(1);
  record.attributes.assign(attributes_bytes, 1);
  return record;
}

TEST(RoutePacker, fills_objects_keeps_calls_together_and_order) {
  RoutePacker packer(100);
  std::vector<Bytes> out;
  const size_t small = wire::encoded_bytes(record_of(20));  // 4 + 6 + 24
  ASSERT_EQ(small, 34u);
  packer.add({record_of(20), record_of(20)}, out);
  packer.add({record_of(20), record_of(20)}, out);  // does not fit behind the first two
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].size(), 2 * small);
  packer.add({record_of(500)}, out);  // alone, larger than an object
  packer.add({record_of(1)}, out);
  packer.flush(out);
  packer.flush(out);
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[1].size(), 2 * small);
  EXPECT_EQ(out[2].size(), wire::encoded_bytes(record_of(500)));
  EXPECT_EQ(out[3].size(), wire::encoded_bytes(record_of(1)));
}

}  // namespace
}  // namespace chaincast::route
