// SPDX-License-Identifier: BSD-3-Clause
#include "gen/capture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace chaincast::gen {

namespace {

constexpr uint32_t packet_bytes_max = 16u << 20;
constexpr size_t interfaces_max = 65'536;

// Fields in the byte order of the file, and where in the file they are.
class Input {
 public:
  Input(std::unique_ptr<route::Source> source, std::string name)
      : source_(std::move(source)), name_(std::move(name)) {}

  bool is_swapped = false;

  // False: the input ends before.
  bool read(std::span<uint8_t> out) {
    const size_t got = source_->read(out);
    offset_ += got;
    return got == out.size();
  }
  bool skip(uint64_t bytes) {
    std::array<uint8_t, 4096> rest;
    while (bytes > 0) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(bytes, rest.size()));
      if (!read(std::span(rest).first(part))) return false;
      bytes -= part;
    }
    return true;
  }
  // Where the next record starts; at_end where there is none.
  enum class Head { whole, at_end, cut };
  Head read_head(std::span<uint8_t> out) {
    record_ = offset_;
    if (read(out)) return Head::whole;
    return offset_ == record_ && source_->fault() == nullptr ? Head::at_end : Head::cut;
  }

  uint16_t u16(const uint8_t* p) const {
    const uint16_t big = load_be16(p);
    return is_swapped ? __builtin_bswap16(big) : big;
  }
  uint32_t u32(const uint8_t* p) const {
    const uint32_t big = load_be32(p);
    return is_swapped ? __builtin_bswap32(big) : big;
  }

  Error wrong(std::string_view what) const {
    return error(ErrorCode::invalid,
                 fmt::format("{}: {} in the record at byte {}; is the recording damaged?", name_,
                             what, record_));
  }
  Error cut() const {
    return wrong(source_->fault() != nullptr ? source_->fault() : "the file ends");
  }

 private:
  std::unique_ptr<route::Source> source_;
  std::string name_;
  uint64_t offset_ = 0;
  uint64_t record_ = 0;
};

class Pcap final : public Capture {
 public:
  Pcap(Input input, uint32_t link_type) : input_(std::move(input)), link_type_(link_type) {}

  Result<bool> next(Packet& packet) override {
    uint8_t head[16];
    const auto got = input_.read_head(head);
    if (got == Input::Head::at_end) return false;
    if (got == Input::Head::cut) return input_.cut();
    const uint32_t bytes = input_.u32(head + 8);
    if (bytes > packet_bytes_max) return input_.wrong(fmt::format("{} bytes", bytes));
    bytes_.resize(bytes);
    if (!input_.read(bytes_)) return input_.cut();
    packet = {link_type_, input_.u32(head + 12), bytes_};
    return true;
  }

 private:
  Input input_;
  const uint32_t link_type_;
  Bytes bytes_;
};

enum Block : uint32_t {
  section = 0x0a0d0d0a,
  interface = 1,
  obsolete_packet = 2,
  simple_packet = 3,
  enhanced_packet = 6,
};

class Pcapng final : public Capture {
 public:
  // The type of the first block has been read.
  explicit Pcapng(Input input) : input_(std::move(input)) {}

  Result<bool> next(Packet& packet) override {
    for (;;) {
      uint8_t head[8];
      auto got = Input::Head::whole;
      if (std::exchange(is_first_, false)) {
        store_be32(head, section);
        if (!input_.read(std::span(head).last(4))) return input_.cut();
      } else {
        got = input_.read_head(head);
      }
      if (got == Input::Head::at_end) return false;
      if (got == Input::Head::cut) return input_.cut();
      const auto is_packet = block(head, packet);
      if (!is_packet || *is_packet) return is_packet;
    }
  }

 private:
  struct Interface {
    uint32_t link_type;
    uint32_t snap_bytes;
  };

  // True if that was a packet.
  Result<bool> block(const uint8_t* head, Packet& packet) {
    // The same in either byte order.
    if (load_be32(head) == section) return start_section(head);
    const uint32_t type = input_.u32(head);
    const uint32_t whole = input_.u32(head + 4);
    if (whole < 12 || whole % 4 != 0)
      return input_.wrong(fmt::format("a block of {} bytes", whole));
    const uint32_t body = whole - 12;
    const bool is_wanted = type == interface || type == obsolete_packet || type == simple_packet ||
                           type == enhanced_packet;
    if (!is_wanted) return input_.skip(body + 4) ? Result<bool>(false) : input_.cut();
    if (body > packet_bytes_max) return input_.wrong(fmt::format("a block of {} bytes", whole));
    body_.resize(body);
    if (!input_.read(body_) || !input_.skip(4)) return input_.cut();
    if (type == interface) return add_interface();
    return type == simple_packet ? take_simple(packet) : take(type, packet);
  }

  Result<bool> start_section(const uint8_t* head) {
    uint8_t magic[4];
    if (!input_.read(magic)) return input_.cut();
    if (load_be32(magic) != 0x1a2b3c4d && load_be32(magic) != 0x4d3c2b1a) {
      return input_.wrong("a section without byte order");
    }
    input_.is_swapped = load_be32(magic) == 0x4d3c2b1a;
    const uint32_t whole = input_.u32(head + 4);
    if (whole < 28 || whole % 4 != 0) {
      return input_.wrong(fmt::format("a section header of {} bytes", whole));
    }
    interfaces_.clear();
    return input_.skip(whole - 12) ? Result<bool>(false) : input_.cut();
  }

  Result<bool> add_interface() {
    if (body_.size() < 8) return input_.wrong("an interface without its fields");
    if (interfaces_.size() == interfaces_max) return input_.wrong("more than 65536 interfaces");
    interfaces_.push_back({input_.u16(body_.data()), input_.u32(body_.data() + 4)});
    return false;
  }

  Result<bool> take(uint32_t type, Packet& packet) {
    if (body_.size() < 20) return input_.wrong("a packet without its fields");
    const uint32_t index =
        type == enhanced_packet ? input_.u32(body_.data()) : input_.u16(body_.data());
    const uint32_t bytes = input_.u32(body_.data() + 12);
    if (index >= interfaces_.size()) return input_.wrong("a packet of no known interface");
    if (bytes > body_.size() - 20) return input_.wrong("a packet longer than its block");
    packet = {interfaces_[index].link_type, input_.u32(body_.data() + 16),
              ByteSpan(body_).subspan(20, bytes)};
    return true;
  }

  Result<bool> take_simple(Packet& packet) {
    if (body_.size() < 4 || interfaces_.empty()) return input_.wrong("a packet of no interface");
    const uint32_t original = input_.u32(body_.data());
    const uint32_t snap = interfaces_[0].snap_bytes;
    const uint32_t bytes = snap > 0 ? std::min(snap, original) : original;
    if (bytes > body_.size() - 4) return input_.wrong("a packet longer than its block");
    packet = {interfaces_[0].link_type, original, ByteSpan(body_).subspan(4, bytes)};
    return true;
  }

  Input input_;
  bool is_first_ = true;
  std::vector<Interface> interfaces_;
  Bytes body_;
};

// ---- what a packet carries ----------------------------------------------------------------------

constexpr uint16_t ether_ipv4 = 0x0800;
constexpr uint16_t ether_ipv6 = 0x86dd;
constexpr uint8_t protocol_udp = 17;

bool is_vlan(uint16_t type) {
  return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

// The kind of network packet that is left in `reader`; 0 where there is none.
uint16_t network_type(uint32_t link_type, ByteReader& reader, ByteSpan bytes) {
  switch (link_type) {
    case 1: {  // Ethernet
      reader.bytes(12);
      uint16_t type = reader.be16();
      while (is_vlan(type) && reader.ok()) {
        reader.be16();
        type = reader.be16();
      }
      return type;
    }
    case 113:  // Linux cooked
      reader.bytes(14);
      return reader.be16();
    case 276: {  // Linux cooked, version 2
      const uint16_t type = reader.be16();
      reader.bytes(18);
      return type;
    }
    case 0:      // null: the family in the byte order of the host that recorded
    case 108: {  // loopback
      const uint32_t family = reader.be32();
      const uint32_t low = family > 0xffff ? __builtin_bswap32(family) : family;
      if (low == 2) return ether_ipv4;
      return low == 24 || low == 28 || low == 30 ? ether_ipv6 : uint16_t{0};
    }
    case 12:
    case 14:
    case 101:  // raw IP
      if (bytes.empty()) return 0;
      return bytes[0] >> 4 == 6 ? ether_ipv6 : ether_ipv4;
    case 228:
      return ether_ipv4;
    case 229:
      return ether_ipv6;
    default:
      return 0;
  }
}

UdpVerdict read_udp(ByteReader& reader, ByteSpan& payload) {
  reader.be32();  // ports
  const uint16_t length = reader.be16();
  reader.be16();
  if (!reader.ok() || length < 8) return UdpVerdict::cut;
  payload = reader.bytes(length - 8u);
  return reader.ok() ? UdpVerdict::payload : UdpVerdict::cut;
}

UdpVerdict read_ipv4(ByteReader& reader, ByteSpan& payload) {
  const uint8_t first = reader.u8();
  reader.bytes(5);
  const uint16_t fragment = reader.be16();
  reader.u8();
  const uint8_t protocol = reader.u8();
  reader.bytes(10);
  if (!reader.ok() || first >> 4 != 4 || (first & 0x0f) < 5) return UdpVerdict::other;
  reader.bytes(size_t{4} * (first & 0x0f) - 20);
  if (protocol != protocol_udp) return UdpVerdict::other;
  if ((fragment & 0x3fff) != 0) return UdpVerdict::fragment;
  return read_udp(reader, payload);
}

UdpVerdict read_ipv6(ByteReader& reader, ByteSpan& payload) {
  const uint8_t first = reader.u8();
  reader.bytes(5);
  uint8_t next = reader.u8();
  reader.bytes(33);
  if (!reader.ok() || first >> 4 != 6) return UdpVerdict::other;
  // Hop-by-hop, routing and destination options; each step takes bytes, so it ends.
  while ((next == 0 || next == 43 || next == 60) && reader.ok()) {
    next = reader.u8();
    const size_t units = reader.u8();
    reader.bytes(8 * units + 6);
  }
  if (next == 44) {
    const uint8_t inner = reader.u8();
    reader.u8();
    const uint16_t place = reader.be16();
    reader.be32();
    if (inner != protocol_udp) return UdpVerdict::other;
    // A fragment that is the whole datagram is one all the same (RFC 6946).
    if ((place & 0xfff9) != 0) return UdpVerdict::fragment;
    next = inner;
  }
  return next == protocol_udp ? read_udp(reader, payload) : UdpVerdict::other;
}

}  // namespace

Result<std::unique_ptr<Capture>> Capture::open(std::unique_ptr<route::Source> source,
                                               std::string name) {
  using Made = Result<std::unique_ptr<Capture>>;
  Input input(std::move(source), name);
  uint8_t head[24];
  const bool has_magic = input.read_head(std::span(head).first(4)) == Input::Head::whole;
  const uint32_t magic = has_magic ? load_be32(head) : 0;
  if (magic == section) return Made(std::make_unique<Pcapng>(std::move(input)));
  const bool is_straight = magic == 0xa1b2c3d4 || magic == 0xa1b23c4d;
  input.is_swapped = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1;
  if (!is_straight && !input.is_swapped) {
    return error(ErrorCode::invalid,
                 fmt::format("{}: begins with {:08x}, which is neither pcap nor pcapng; name a "
                             "recording of tcpdump, Wireshark or `capture start`",
                             name, magic));
  }
  if (!input.read(std::span(head).subspan(4))) return input.cut();
  // The upper bits say how long the check sequence is.
  const uint32_t link_type = input.u32(head + 20) & 0xffff;
  return Made(std::make_unique<Pcap>(std::move(input), link_type));
}

UdpVerdict udp_payload(const Packet& packet, ByteSpan& payload) {
  ByteReader reader(packet.bytes);
  const uint16_t type = network_type(packet.link_type, reader, packet.bytes);
  if (!reader.ok()) return UdpVerdict::other;
  if (type == ether_ipv4) return read_ipv4(reader, payload);
  if (type == ether_ipv6) return read_ipv6(reader, payload);
  return UdpVerdict::other;
}

}  // namespace chaincast::gen
