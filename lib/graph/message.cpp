// SPDX-License-Identifier: BSD-3-Clause
#include "graph/message.hpp"

#include <algorithm>
#include <string>

#include "graph/deflate.hpp"

namespace chaincast::graph {
namespace {

constexpr size_t head_bytes = 2;
constexpr uint8_t flag_resource = 0x01, flag_random = 0x02, flag_urgent = 0x04;

// The place of a message in the list of types, from 1.
template <typename T, typename... Ts>
constexpr uint8_t place_in(const std::variant<Ts...>*) {
  uint8_t place = 0;
  const bool found = ((++place, std::is_same_v<T, Ts>) || ...);
  return found ? place : uint8_t{0};
}
template <typename T>
constexpr uint8_t type_of() {
  return place_in<T>(static_cast<const Message*>(nullptr));
}

// ---- encoding -----------------------------------------------------------------------------------

void put_fact(ByteWriter& out, ByteSpan encoded) {
  out.be16(static_cast<uint16_t>(encoded.size())).bytes(encoded);
}

void put_contacts(ByteWriter& out, const std::vector<Contact>& contacts) {
  CC_ASSERT(contacts.size() <= contacts_max);
  out.u8(static_cast<uint8_t>(contacts.size()));
  for (const Contact& contact : contacts) {
    out.bytes(contact.id.bytes);
    wire::put_endpoint(out, contact.address);
    out.be16(contact.links);
  }
}

void put(ByteWriter& out, const RedirectRequest& m) {
  out.u8(m.has_resource ? flag_resource : uint8_t{0}).bytes(m.resource.bytes);
}
void put(ByteWriter& out, const Redirect& m) {
  put_contacts(out, m.inside);
  put_contacts(out, m.outside);
}
void put(ByteWriter& out, const Attach& m) {
  out.u8(static_cast<uint8_t>((m.has_resource ? flag_resource : 0) |
                              (m.is_random ? flag_random : 0) | (m.is_urgent ? flag_urgent : 0)));
  out.bytes(m.resource.bytes);
  put_fact(out, wire::encode(m.record->said));
}
void put(ByteWriter& out, const Attached& m) {
  put_fact(out, wire::encode(m.record->said));
}
void put(ByteWriter& out, const Refused& m) {
  out.u8(static_cast<uint8_t>(m.reason));
  put_contacts(out, m.instead);
}
void put(ByteWriter&, const Detach&) {}
void put(ByteWriter& out, const Ping& m) {
  out.u8(m.is_linked ? 1 : 0).be64(m.nonce).bytes(m.digest);
}
void put(ByteWriter& out, const Pong& m) {
  out.be64(m.nonce).bytes(m.digest);
}
void put(ByteWriter& out, const News& m) {
  CC_ASSERT(m.records.size() + m.accusations.size() <= news_facts_max);
  out.be16(static_cast<uint16_t>(m.records.size()));
  for (const RecordRef& record : m.records) put_fact(out, wire::encode(record->said));
  out.be16(static_cast<uint16_t>(m.accusations.size()));
  for (const AccusationRef& a : m.accusations) put_fact(out, wire::encode(a->said));
}
void put(ByteWriter& out, const Compare& m) {
  CC_ASSERT(m.items.size() <= compare_items_max);
  out.u8(static_cast<uint8_t>(m.items.size()));
  for (const CompareItem& item : m.items) {
    out.u8(item.path.depth).bytes(item.path.bytes);
    out.u8(item.is_leaf ? static_cast<uint8_t>(1 + item.entries.size()) : uint8_t{0});
    if (!item.is_leaf) {
      for (const Digest& child : item.children) out.bytes(child);
    }
    for (const auto& entry : item.entries) out.bytes(entry.id.bytes).bytes(entry.digest);
  }
}
void put(ByteWriter& out, const Fetch& m) {
  CC_ASSERT(m.ids.size() <= fetch_ids_max);
  out.be16(static_cast<uint16_t>(m.ids.size()));
  for (const NodeId& id : m.ids) out.bytes(id.bytes);
}
void put(ByteWriter&, const GraphRequest&) {}
void put(ByteWriter& out, const Graph& m) {
  ByteWriter all;
  std::vector<EntryRef> entries;
  if (m.root) live_entries(*m.root, entries);
  for (const EntryRef& entry : entries) {
    put_fact(all, wire::encode(entry->record->said));
    all.u8(static_cast<uint8_t>(entry->accusations.size()));
    for (const AccusationRef& a : entry->accusations) put_fact(all, wire::encode(a->said));
  }
  out.be32(static_cast<uint32_t>(entries.size())).be32(static_cast<uint32_t>(all.size()));
  out.bytes(deflate_bytes(all.buffer()));
}

// ---- decoding -----------------------------------------------------------------------------------

Error malformed(std::string_view what) {
  return error(ErrorCode::invalid,
               "message: " + std::string(what) + "; the peer that sent it is faulty");
}

// Facts on their way in: the first bad one spoils the message.
class Facts {
 public:
  Facts(const Authority& authority, const View& known) : authority_(authority), known_(known) {}

  RecordRef record(ByteReader& in) {
    const ByteSpan encoded = in.bytes(in.be16());
    if (failed_ || !in.ok()) return {};
    if (const Record* held = held_record(encoded)) return RecordRef(held);
    auto checked = check_record(encoded, authority_);
    if (!checked) return fail<RecordRef>(checked.error());
    return *checked;
  }
  AccusationRef accusation(ByteReader& in) {
    const ByteSpan encoded = in.bytes(in.be16());
    if (failed_ || !in.ok()) return {};
    auto checked = check_accusation(encoded, authority_);
    if (!checked) return fail<AccusationRef>(checked.error());
    return *checked;
  }
  bool failed() const { return failed_; }
  const Error& failure() const { return failure_; }

 private:
  template <typename T>
  T fail(const Error& failure) {
    failed_ = true;
    failure_ = failure;
    return {};
  }
  const Record* held_record(ByteSpan encoded) const {
    if (encoded.size() < 33) return nullptr;
    PublicKey key;
    std::copy_n(encoded.begin() + 1, key.size(), key.begin());
    const Entry* entry = known_.find(id_of(authority_.toolbox, key));
    if (!entry || entry->record->digest != authority_.toolbox.sha256(encoded)) return nullptr;
    return entry->record.get();
  }

  const Authority& authority_;
  const View& known_;
  bool failed_ = false;
  Error failure_;
};

bool take_contacts(ByteReader& in, std::vector<Contact>& contacts) {
  const size_t count = in.u8();
  if (count > contacts_max) return false;
  contacts.resize(count);
  for (Contact& contact : contacts) {
    contact.id.bytes = in.array<16>();
    if (!wire::take_endpoint(in, contact.address)) return false;
    contact.links = in.be16();
  }
  return in.ok();
}

bool take(ByteReader& in, Facts&, RedirectRequest& m) {
  const uint8_t flags = in.u8();
  m.has_resource = flags != 0;
  m.resource.bytes = in.array<16>();
  return flags <= flag_resource && (m.has_resource || m.resource == wire::ResourceId{});
}
bool take(ByteReader& in, Facts&, Redirect& m) {
  return take_contacts(in, m.inside) && take_contacts(in, m.outside);
}
bool take(ByteReader& in, Facts& facts, Attach& m) {
  const uint8_t flags = in.u8();
  m.has_resource = (flags & flag_resource) != 0;
  m.is_random = (flags & flag_random) != 0;
  m.is_urgent = (flags & flag_urgent) != 0;
  m.resource.bytes = in.array<16>();
  m.record = facts.record(in);
  return flags < 8 && (m.has_resource || m.resource == wire::ResourceId{});
}
bool take(ByteReader& in, Facts& facts, Attached& m) {
  m.record = facts.record(in);
  return in.ok();
}
bool take(ByteReader& in, Facts&, Refused& m) {
  const uint8_t reason = in.u8();
  m.reason = Refusal{reason};
  return reason >= 1 && reason <= 4 && take_contacts(in, m.instead);
}
bool take(ByteReader&, Facts&, Detach&) {
  return true;
}
bool take(ByteReader& in, Facts&, Ping& m) {
  const uint8_t flags = in.u8();
  m.is_linked = flags == 1;
  m.nonce = in.be64();
  m.digest = in.array<32>();
  return flags <= 1;
}
bool take(ByteReader& in, Facts&, Pong& m) {
  m.nonce = in.be64();
  m.digest = in.array<32>();
  return true;
}
bool take(ByteReader& in, Facts& facts, News& m) {
  const size_t records = in.be16();
  if (records > news_facts_max) return false;
  for (size_t i = 0; i < records && in.ok() && !facts.failed(); ++i) {
    m.records.push_back(facts.record(in));
  }
  const size_t accusations = in.be16();
  if (records + accusations > news_facts_max) return false;
  for (size_t i = 0; i < accusations && in.ok() && !facts.failed(); ++i) {
    m.accusations.push_back(facts.accusation(in));
  }
  return true;
}
bool take_item(ByteReader& in, CompareItem& item) {
  item.path.depth = in.u8();
  item.path.bytes = in.array<16>();
  if (item.path.depth >= 32) return false;
  Path prefix;
  while (prefix.depth < item.path.depth) {
    prefix = prefix.child(nibble_of(NodeId{item.path.bytes}, prefix.depth));
  }
  if (prefix != item.path) return false;
  const size_t form = in.u8();
  item.is_leaf = form > 0;
  if (form > 1 + trie_leaf_max) return false;
  if (!item.is_leaf) {
    for (Digest& child : item.children) child = in.array<32>();
    return in.ok();
  }
  item.entries.resize(form - 1);
  for (auto& entry : item.entries) {
    entry.id.bytes = in.array<16>();
    entry.digest = in.array<32>();
  }
  return in.ok() && std::adjacent_find(item.entries.begin(), item.entries.end(),
                                       [](const auto& a, const auto& b) {
                                         return !(a.id < b.id);
                                       }) == item.entries.end();
}
bool take(ByteReader& in, Facts&, Compare& m) {
  const size_t count = in.u8();
  if (count > compare_items_max) return false;
  m.items.resize(count);
  return std::all_of(m.items.begin(), m.items.end(),
                     [&](CompareItem& item) { return take_item(in, item); });
}
bool take(ByteReader& in, Facts&, Fetch& m) {
  const size_t count = in.be16();
  if (count > fetch_ids_max) return false;
  m.ids.resize(count);
  for (NodeId& id : m.ids) id.bytes = in.array<16>();
  return in.ok();
}
bool take(ByteReader&, Facts&, GraphRequest&) {
  return true;
}

// Entries of a graph, into a store of the caller's through a view of their own.
Result<Message> take_graph(ByteReader in, Facts& facts, Store& store) {
  const size_t count = in.be32();
  const size_t inflated_bytes = in.be32();
  if (!in.ok() || inflated_bytes > graph_bytes_max || count > inflated_bytes) {
    return malformed("graph of " + std::to_string(inflated_bytes) + " bytes, at most " +
                     std::to_string(graph_bytes_max));
  }
  const auto inflated = inflate_bytes(in.bytes(in.left()), inflated_bytes);
  if (!inflated) return inflated.error();
  ByteReader all(*inflated);
  View view(store);
  for (size_t i = 0; i < count && all.ok() && !facts.failed(); ++i) {
    RecordRef record = facts.record(all);
    if (record) view.merge(std::move(record));
    const size_t accusations = all.u8();
    for (size_t j = 0; j < accusations && all.ok() && !facts.failed(); ++j) {
      AccusationRef accusation = facts.accusation(all);
      if (accusation) view.merge(std::move(accusation));
    }
  }
  if (facts.failed()) return facts.failure();
  if (!all.finished()) return malformed("graph: its length does not match its content");
  return Message(Graph{view.root()});
}

template <typename T>
Result<Message> decode_as(ByteReader in, Facts& facts) {
  T body;
  const bool good = take(in, facts, body);
  if (facts.failed()) return facts.failure();
  if (!good || !in.finished()) {
    return malformed("type " + std::to_string(type_of<T>()) +
                     " is cut short, too long, or has a value out of range");
  }
  return Message(std::move(body));
}

Result<Message> decode_typed(uint8_t type, ByteReader in, Facts& facts, Store& store) {
  switch (type) {
    case type_of<RedirectRequest>():
      return decode_as<RedirectRequest>(in, facts);
    case type_of<Redirect>():
      return decode_as<Redirect>(in, facts);
    case type_of<Attach>():
      return decode_as<Attach>(in, facts);
    case type_of<Attached>():
      return decode_as<Attached>(in, facts);
    case type_of<Refused>():
      return decode_as<Refused>(in, facts);
    case type_of<Detach>():
      return decode_as<Detach>(in, facts);
    case type_of<Ping>():
      return decode_as<Ping>(in, facts);
    case type_of<Pong>():
      return decode_as<Pong>(in, facts);
    case type_of<News>():
      return decode_as<News>(in, facts);
    case type_of<Compare>():
      return decode_as<Compare>(in, facts);
    case type_of<Fetch>():
      return decode_as<Fetch>(in, facts);
    case type_of<GraphRequest>():
      return decode_as<GraphRequest>(in, facts);
    case type_of<Graph>():
      return take_graph(in, facts, store);
    default:
      break;
  }
  return error(ErrorCode::unsupported, "message: type " + std::to_string(type) +
                                           " is unknown; the peer runs another release");
}

// ---- sizes --------------------------------------------------------------------------------------

size_t bytes_of(const std::vector<Contact>& contacts) {
  size_t bytes = 1;
  for (const Contact& contact : contacts) bytes += 16 + 3 + (contact.address.is_ipv6 ? 16 : 4) + 2;
  return bytes;
}

struct Measure {
  size_t operator()(const RedirectRequest&) const { return 17; }
  size_t operator()(const Redirect& m) const { return bytes_of(m.inside) + bytes_of(m.outside); }
  size_t operator()(const Attach& m) const { return 17 + 2 + m.record->bytes; }
  size_t operator()(const Attached& m) const { return 2 + m.record->bytes; }
  size_t operator()(const Refused& m) const { return 1 + bytes_of(m.instead); }
  size_t operator()(const Detach&) const { return 0; }
  size_t operator()(const Ping&) const { return 41; }
  size_t operator()(const Pong&) const { return 40; }
  size_t operator()(const News& m) const {
    size_t bytes = 4;
    for (const RecordRef& record : m.records) bytes += 2 + record->bytes;
    for (const AccusationRef& accusation : m.accusations) bytes += 2 + accusation->bytes;
    return bytes;
  }
  size_t operator()(const Compare& m) const {
    size_t bytes = 1;
    for (const CompareItem& item : m.items) {
      bytes += 18 + (item.is_leaf ? 48 * item.entries.size() : 32 * trie_children);
    }
    return bytes;
  }
  size_t operator()(const Fetch& m) const { return 2 + 16 * m.ids.size(); }
  size_t operator()(const GraphRequest&) const { return 0; }
  // Near enough: without the two length bytes of each accusation.
  size_t operator()(const Graph& m) const {
    return 8 + (m.root ? m.root->bytes + 3 * m.root->live : 0);
  }
};

}  // namespace

size_t encoded_bytes(const Message& message) {
  return head_bytes + std::visit(Measure{}, message);
}

Bytes encode(const Message& message) {
  ByteWriter out;
  out.u8(message_version).u8(static_cast<uint8_t>(message.index() + 1));
  std::visit([&](const auto& body) { put(out, body); }, message);
  return out.take();
}

Result<Message> decode(ByteSpan bytes, const Authority& authority, const View& known) {
  ByteReader in(bytes);
  const uint8_t version = in.u8();
  const uint8_t type = in.u8();
  if (!in.ok()) return malformed("shorter than its head");
  if (version != message_version) {
    return error(ErrorCode::unsupported, "message: version " + std::to_string(version) +
                                             " is unknown; the peer runs another release");
  }
  const size_t bytes_max =
      type == type_of<Graph>() ? graph_compressed_bytes_max : message_bytes_max;
  if (bytes.size() > bytes_max) {
    return malformed("of " + std::to_string(bytes.size()) + " bytes, at most " +
                     std::to_string(bytes_max));
  }
  Facts facts(authority, known);
  return decode_typed(type, in, facts, known.store());
}

}  // namespace chaincast::graph
