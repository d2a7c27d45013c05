// SPDX-License-Identifier: BSD-3-Clause
#include "capture/pcapng.hpp"

#include "port/headers.hpp"

namespace chaincast::capture {

namespace {

constexpr uint32_t block_section = 0x0a0d0d0a, block_interface = 1, block_statistics = 5,
                   block_packet = 6;
constexpr uint32_t byte_order_magic = 0x1a2b3c4d;
constexpr uint16_t linktype_raw = 101;

constexpr uint16_t option_end = 0, option_comment = 1;
constexpr uint16_t section_application = 4;
constexpr uint16_t interface_name = 2, interface_description = 3, interface_resolution = 9;
constexpr uint16_t packet_flags = 2;
constexpr uint16_t statistics_end_time = 3, statistics_received = 4, statistics_dropped = 5;
constexpr uint32_t direction_in = 1, direction_out = 2;
constexpr uint8_t nanoseconds = 9;  // 10^-9

void pad(ByteWriter& out, size_t bytes) {
  for (; bytes % 4 != 0; ++bytes) out.u8(0);
}

void put_option(ByteWriter& out, uint16_t code, ByteSpan value) {
  // A length has 16 bits.
  value = value.first(std::min<size_t>(value.size(), 0xffff));
  out.be16(code).be16(static_cast<uint16_t>(value.size())).bytes(value);
  pad(out, value.size());
}

void put_option64(ByteWriter& out, uint16_t code, uint64_t value) {
  out.be16(code).be16(8).be64(value);
}

void put_time_option(ByteWriter& out, uint16_t code, TimeNs unix_ns) {
  put_option64(out, code, unix_ns);
}

// A block's length stands at both of its ends.
class Block {
 public:
  Block(ByteWriter& out, uint32_t type) : out_(out), start_(out.size()) { out.be32(type).be32(0); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    const auto bytes = static_cast<uint32_t>(out_.size() - start_ + 4);
    out_.be32(bytes);
    store_be32(out_.buffer().data() + start_ + 4, bytes);
  }

 private:
  ByteWriter& out_;
  const size_t start_;
};

// The packet as it would stand on a wire without link layer.
void put_ip(ByteWriter& out, const Packet& packet) {
  port::HeaderFields fields;
  fields.source = packet.source;
  fields.remote = packet.destination;
  const port::Destination to = port::make_destination(fields);
  std::array<uint8_t, sizeof to.header> header = to.header;
  port::complete_headers(header.data(), to, static_cast<uint16_t>(packet.datagram.size()),
                         port::sum_bytes(packet.datagram.data(), packet.datagram.size()), {});
  out.bytes({header.data() + to.l2_bytes, size_t{to.header_bytes} - to.l2_bytes});
  out.bytes(packet.datagram);
}

}  // namespace

void put_section(ByteWriter& out, std::string_view application) {
  const Block block(out, block_section);
  out.be32(byte_order_magic).be16(1).be16(0).be64(~uint64_t{0});
  put_option(out, section_application, as_bytes(application));
  put_option(out, option_end, {});
}

void put_interface(ByteWriter& out, const Interface& interface) {
  const Block block(out, block_interface);
  out.be16(linktype_raw).be16(0).be32(0);
  put_option(out, interface_name, as_bytes(interface.name));
  put_option(out, interface_description, as_bytes(interface.description));
  put_option(out, interface_resolution, {&nanoseconds, 1});
  put_option(out, option_end, {});
}

void put_packet(ByteWriter& out, const Packet& packet) {
  const Block block(out, block_packet);
  out.be32(packet.interface).be64(packet.unix_ns);
  const size_t ip_bytes = packet.source.is_ipv6 ? port::ipv6_bytes : port::ipv4_bytes;
  const size_t bytes = ip_bytes + port::udp_bytes + packet.datagram.size();
  out.be32(static_cast<uint32_t>(bytes)).be32(static_cast<uint32_t>(bytes));
  put_ip(out, packet);
  pad(out, bytes);
  out.be16(packet_flags).be16(4).be32(packet.is_outgoing ? direction_out : direction_in);
  for (const std::string& comment : packet.comments) {
    put_option(out, option_comment, as_bytes(comment));
  }
  put_option(out, option_end, {});
}

void put_statistics(ByteWriter& out, uint32_t interface, TimeNs unix_ns, uint64_t packets,
                    uint64_t missed) {
  const Block block(out, block_statistics);
  out.be32(interface).be64(unix_ns);
  put_time_option(out, statistics_end_time, unix_ns);
  put_option64(out, statistics_received, packets);
  put_option64(out, statistics_dropped, missed);
  put_option(out, option_end, {});
}

}  // namespace chaincast::capture
