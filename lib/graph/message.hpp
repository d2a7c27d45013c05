// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "graph/view.hpp"

// Messages between nodes (docs/graph.md, "Messages"), over a session that has authenticated both
// keys. Each has one encoding: version, type, body. Facts inside are checked while decoding, so
// a Message never holds one whose signature does not match. Values; one control thread.
namespace chaincast::graph {

inline constexpr uint8_t message_version = 1;
inline constexpr size_t message_bytes_max = 256 * 1024;                 // of all but Graph
inline constexpr size_t graph_bytes_max = 64 * 1024 * 1024;             // inflated
inline constexpr size_t graph_compressed_bytes_max = 32 * 1024 * 1024;  // as it travels
inline constexpr size_t contacts_max = 64;
inline constexpr size_t news_facts_max = 128;
inline constexpr size_t compare_items_max = 64;
inline constexpr size_t fetch_ids_max = 1024;

// Where a node is reached, and how busy it was when last heard of.
struct Contact {
  NodeId id;
  Endpoint address;
  uint16_t links = 0;
  bool operator==(const Contact&) const = default;
};

// "Whom shall I join?" without a resource: as a supernode.
struct RedirectRequest {
  bool has_resource = false;
  wire::ResourceId resource;
};
struct Redirect {
  std::vector<Contact> inside;   // of the resource's subnetwork
  std::vector<Contact> outside;  // any others
};

// "Be my link partner." A private resource is refused to whom its hosts do not list.
struct Attach {
  RecordRef record;  // the asker's
  bool has_resource = false;
  wire::ResourceId resource;  // which subnetwork the link is for
  bool is_random = false;
  bool is_urgent = false;  // connectivity hangs on it, so the bound on links is the hard one
};
struct Attached {
  RecordRef record;  // the answerer's
};
enum class Refusal : uint8_t { full = 1, not_admitted = 2, not_member = 3, leaving = 4 };
struct Refused {
  Refusal reason = Refusal::full;
  std::vector<Contact> instead;  // others that may have room
};
struct Detach {};

// Liveness, round trip, and whether the graphs are equal.
struct Ping {
  uint64_t nonce = 0;
  Digest digest{};         // zeros: only the round trip is asked for
  bool is_linked = false;  // the sender takes us for a link partner
};
struct Pong {
  uint64_t nonce = 0;
  Digest digest{};
};

struct News {
  std::vector<RecordRef> records;
  std::vector<AccusationRef> accusations;
};

// Anti-entropy: what the sender has at some places of the trie. The receiver answers with Compare
// for what differs further down, News that the sender lacks, Fetch for what it lacks itself.
struct CompareItem {
  Path path;
  bool is_leaf = false;
  std::array<Digest, trie_children> children{};  // not a leaf
  struct Summary {
    NodeId id;
    Digest digest{};
    bool operator==(const Summary&) const = default;
  };
  std::vector<Summary> entries;  // a leaf's live entries, ascending, at most trie_leaf_max
};
struct Compare {
  std::vector<CompareItem> items;
};
struct Fetch {
  std::vector<NodeId> ids;
};

struct GraphRequest {};
struct Graph {
  PartRef root;  // of a view; only the live entries travel
};

using Message = std::variant<RedirectRequest, Redirect, Attach, Attached, Refused, Detach, Ping,
                             Pong, News, Compare, Fetch, GraphRequest, Graph>;
using MessagePtr = std::shared_ptr<const Message>;

template <typename T>
MessagePtr make_message(T body) {
  return std::make_shared<const Message>(std::move(body));
}

// Bytes of encode(), without making them; of a Graph before compression.
size_t encoded_bytes(const Message& message);
Bytes encode(const Message& message);
// `known`: facts that this view holds already are taken from it instead of being checked again.
// Errors: `invalid` (malformed, too long), `unsupported` (version or type), `refused` (a fact
// inside is not what it says). The sender of such a message is faulty or hostile.
Result<Message> decode(ByteSpan bytes, const Authority& authority, const View& known);

}  // namespace chaincast::graph
