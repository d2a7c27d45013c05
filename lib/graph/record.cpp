// SPDX-License-Identifier: BSD-3-Clause
#include "graph/record.hpp"

#include <algorithm>

namespace chaincast::graph {
namespace {

template <typename Fact, typename Said>
Ref<const Fact> finish(Said said, const PublicKey& subject, ByteSpan encoded,
                       const crypto::Toolbox& toolbox, NodeId Fact::*id) {
  auto* fact = new Fact;
  fact->said = std::move(said);
  fact->*id = id_of(toolbox, subject);
  fact->digest = toolbox.sha256(encoded);
  fact->bytes = static_cast<uint32_t>(encoded.size());
  return Ref<const Fact>(fact);
}

Error not_admitted(std::string_view what, const PublicKey& key) {
  return error(ErrorCode::refused, std::string(what) + " of key " + to_hex(key) +
                                       ": the network does not admit it; add the key to the "
                                       "genesis file, or look at the neighbour that sent it");
}

Error not_signed(std::string_view what, const PublicKey& key) {
  return error(ErrorCode::refused, std::string(what) + " of key " + to_hex(key) +
                                       ": not signed by that key for this network; look at the "
                                       "neighbour that sent it");
}

}  // namespace

bool states_link_with(const Record& record, const NodeId& partner) {
  return std::binary_search(
      record.said.links.begin(), record.said.links.end(), wire::LinkEnd{partner},
      [](const wire::LinkEnd& a, const wire::LinkEnd& b) { return a.peer < b.peer; });
}

NodeId id_of(const crypto::Toolbox& toolbox, const PublicKey& key) {
  const Digest digest = toolbox.sha256(key);
  NodeId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

RecordRef sign(wire::NodeRecord record, const Authority& authority, const crypto::Signer& signer) {
  record.key = signer.public_key();
  record.signature = signer.sign(wire::signed_bytes(record, authority.network));
  const Bytes encoded = wire::encode(record);
  const PublicKey key = record.key;
  return finish<Record>(std::move(record), key, encoded, authority.toolbox, &Record::id);
}

AccusationRef sign(wire::Suspicion suspicion, const Authority& authority,
                   const crypto::Signer& signer) {
  suspicion.accuser = signer.public_key();
  suspicion.signature = signer.sign(wire::signed_bytes(suspicion, authority.network));
  const Bytes encoded = wire::encode(suspicion);
  const PublicKey key = suspicion.accuser;
  return finish<Accusation>(std::move(suspicion), key, encoded, authority.toolbox,
                            &Accusation::accuser);
}

Result<RecordRef> check_record(ByteSpan encoded, const Authority& authority) {
  auto said = wire::parse_node_record(encoded);
  if (!said) return said.error();
  const PublicKey key = said->key;
  if (!authority.admission.admits(key)) return not_admitted("node record", key);
  if (!authority.toolbox.verify_signature(key, wire::signed_bytes(*said, authority.network),
                                          said->signature)) {
    return not_signed("node record", key);
  }
  auto record =
      finish<Record>(std::move(said).value(), key, encoded, authority.toolbox, &Record::id);
  if (states_link_with(*record, record->id)) {
    return error(ErrorCode::invalid, "node record of key " + to_hex(key) +
                                         ": it lists a link to itself; that node is faulty");
  }
  return record;
}

Result<AccusationRef> check_accusation(ByteSpan encoded, const Authority& authority) {
  auto said = wire::parse_suspicion(encoded);
  if (!said) return said.error();
  const PublicKey key = said->accuser;
  if (!authority.admission.admits(key)) return not_admitted("suspicion", key);
  if (!authority.toolbox.verify_signature(key, wire::signed_bytes(*said, authority.network),
                                          said->signature)) {
    return not_signed("suspicion", key);
  }
  return finish<Accusation>(std::move(said).value(), key, encoded, authority.toolbox,
                            &Accusation::accuser);
}

bool supersedes(const Record& a, const Record& b) {
  if (a.said.counter != b.said.counter) return a.said.counter > b.said.counter;
  return a.digest > b.digest;
}

Standing standing_of(const Record& record, const std::vector<AccusationRef>& accusations) {
  if (record.said.has_left) return Standing::left;
  const size_t accusers = accusations.size();
  if (accusers == 0) return Standing::alive;
  size_t speaking = 0;
  for (const wire::LinkEnd& link : record.said.links) {
    size_t calls = 0;
    bool accuses = false;
    for (const AccusationRef& a : accusations) {
      accuses = accuses || a->accuser == link.peer;
      calls += std::binary_search(a->said.excused.begin(), a->said.excused.end(), link.peer);
    }
    const bool is_excused = !accuses && calls >= 2 && 2 * calls > accusers;
    speaking += is_excused ? 0 : 1;
  }
  return 2 * accusers > speaking ? Standing::dead : Standing::suspected;
}

}  // namespace chaincast::graph
