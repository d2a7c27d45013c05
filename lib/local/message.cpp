// SPDX-License-Identifier: BSD-3-Clause
#include "local/message.hpp"

#include <algorithm>

namespace chaincast::local {

Header load_header(const uint8_t* p) {
  return {static_cast<Type>(p[0]), load_be32(p + 1)};
}

Bytes message(Type type, ByteSpan body) {
  ByteWriter writer;
  writer.u8(static_cast<uint8_t>(type)).be32(static_cast<uint32_t>(body.size())).bytes(body);
  return writer.take();
}

std::optional<size_t> request_bytes_max(uint8_t type, size_t object_bytes_max) {
  switch (static_cast<Type>(type)) {
    case Type::command:
    case Type::complete:
      return command_bytes_max;
    case Type::publish:
      return 1 + name_bytes_max + object_bytes_max;
    case Type::subscribe:
    case Type::stream:
      return 1 + name_bytes_max;
    case Type::subscribe_ring:
      return 4 + 1 + name_bytes_max;
    case Type::status:
    case Type::watch_origins:
      return 0;
    default:
      return std::nullopt;
  }
}

bool is_event(Type type) {
  return type == Type::object || type == Type::lost || type == Type::closed ||
         type == Type::origin_lost || type == Type::origin_back;
}

void put_name(ByteWriter& writer, std::string_view name) {
  name = name.substr(0, std::min(name.size(), name_bytes_max));
  writer.u8(static_cast<uint8_t>(name.size())).text(name);
}

std::string_view get_name(ByteReader& reader) {
  const size_t length = reader.u8();
  const ByteSpan name = reader.bytes(length);
  return {reinterpret_cast<const char*>(name.data()), name.size()};
}

std::string_view rest_text(ByteReader& reader) {
  const ByteSpan rest = reader.bytes(reader.left());
  return {reinterpret_cast<const char*>(rest.data()), rest.size()};
}

}  // namespace chaincast::local
