// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "graph/ref.hpp"
#include "wire/membership.hpp"

// Facts whose signatures hold, immutable and counted, and the entry that a view keeps of each node.
// docs/graph.md, "Records" and "Entries". Owned by their references; one control thread.
namespace chaincast::graph {

class Store;

// A node record that was signed by its subject.
struct Record {
  wire::NodeRecord said;
  NodeId id;
  Digest digest{};  // SHA-256 of the encoding
  uint32_t bytes = 0;
  mutable uint32_t references = 0;
  mutable uint64_t serial = 0;  // given by the Store that it is first offered to; 0: not yet
  static void destroy(const Record* record) { delete record; }
};
using RecordRef = Ref<const Record>;

// A suspicion that was signed by its accuser.
struct Accusation {
  wire::Suspicion said;
  NodeId accuser;
  Digest digest{};
  uint32_t bytes = 0;
  mutable uint32_t references = 0;
  static void destroy(const Accusation* accusation) { delete accusation; }
};
using AccusationRef = Ref<const Accusation>;

// Whom a network admits. Static so far: identity::Genesis.
class Admission {
 public:
  virtual ~Admission() = default;
  virtual bool admits(const PublicKey& key) const = 0;
};

// What signing and checking need. The referenced objects outlive their users.
struct Authority {
  const crypto::Toolbox& toolbox;
  const Admission& admission;
  Digest network{};
};

NodeId id_of(const crypto::Toolbox& toolbox, const PublicKey& key);
bool states_link_with(const Record& record, const NodeId& partner);

// Sets the key, signs. Aborts on a record that check_record() refuses.
RecordRef sign(wire::NodeRecord record, const Authority& authority, const crypto::Signer& signer);
AccusationRef sign(wire::Suspicion suspicion, const Authority& authority,
                   const crypto::Signer& signer);
// Parse and check what came from elsewhere: about 70 us, most of it the signature. `invalid` for a
// malformed one; `refused` for a bad signature, or a key that the network does not admit.
Result<RecordRef> check_record(ByteSpan encoded, const Authority& authority);
Result<AccusationRef> check_accusation(ByteSpan encoded, const Authority& authority);

enum class Standing : uint8_t {
  alive,
  suspected,  // accused, by too few
  dead,       // accused by a majority of its link partners
  left,       // said so itself
};

// All that is known of one node: its newest record, and the accusations under its counter by
// partners that the record names, at most one (the newest) of each. Merging two entries is a join
// of a semilattice: commutative, associative, idempotent. So views merge in any order.
struct Entry {
  RecordRef record;
  std::vector<AccusationRef> accusations;  // ascending by accuser
  Standing standing = Standing::alive;
  bool is_live = true;  // alive or suspected: a node of the graph, and part of its digest
  Digest digest{};
  uint32_t bytes = 0;
  Store* store = nullptr;
  size_t key = 0;  // in the store, with the next one of its bucket
  mutable const Entry* next = nullptr;
  mutable uint32_t references = 0;
  static void destroy(const Entry* entry);

  const NodeId& id() const { return record->id; }
};
using EntryRef = Ref<const Entry>;

// Of two records of one node: the higher counter, then the larger digest. A node that signs two
// records under one counter lies; every node still picks the same one.
bool supersedes(const Record& a, const Record& b);

// Dead by majority: accusers > (partners - excused) / 2, where a partner is excused that no longer
// speaks because at least two accusers, and more than half of them, call it dead. A node without
// partners cannot be accused.
Standing standing_of(const Record& record, const std::vector<AccusationRef>& accusations);

}  // namespace chaincast::graph
