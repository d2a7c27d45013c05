// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/member.hpp"

// Malicious nodes for the simulator (docs/membership.md, "Liars"). Each is an honest member with a
// wrapper that alters, withholds or adds to what it sends; it holds its own key alone, so what it
// forges in another's name has a bad signature. Pure; one thread.
namespace chaincast::sim {

enum class Malice : uint8_t {
  omit,      // answers newcomers and link partners with a graph of accomplices alone, and claims to
             // hold the same graph as whoever asks
  forge,     // puts records in others' names into graphs and news
  twice,     // signs two records under one counter, one for each half of the network
  redirect,  // names only accomplices, and refuses every link
  accuse,    // calls its link partners silent, as fast as they refute
  silence,   // is alive and in step, it says, but passes nothing on
  news,      // says something new of itself twenty times a second
  corrupt,   // honest here; vouches for frames that were never sent (votes.hpp)
};
inline constexpr unsigned malices = 8;
std::optional<Malice> malice_of(std::string_view name);
std::string_view name_of(Malice malice);

// What all malicious nodes of a network know of each other.
using Accomplices = std::vector<graph::Contact>;

class Adversary {
 public:
  // The referenced objects outlive the adversary.
  Adversary(Malice malice, const Accomplices& accomplices, const graph::Authority& authority,
            const crypto::Signer& signer)
      : malice_(malice), accomplices_(accomplices), authority_(authority), signer_(signer) {}

  // A message came for the honest part.
  void on_message(const graph::Peer& from, const graph::Message& message);
  // Makes of what the honest part wants to send what is sent.
  void act(const graph::Member& honest, TimeNs now_ns, graph::Output& out);
  TimeNs next_timer_ns() const { return next_ns_; }
  Malice malice() const { return malice_; }

 private:
  bool is_accomplice(const NodeId& id) const;
  // Null: nothing is sent.
  graph::MessagePtr altered(const graph::Output::Send& send, const graph::Member& honest);
  graph::MessagePtr in_step(const graph::Output::Send& send);
  graph::MessagePtr without_others(const graph::Output::Send& send, const graph::Member& honest);
  graph::MessagePtr with_forgery(const graph::Output::Send& send, const graph::Member& honest);
  graph::MessagePtr with_other_record(const graph::Output::Send& send, const graph::Member& honest);
  graph::MessagePtr sent_round(const graph::Output::Send& send);
  graph::RecordRef forged(const graph::Member& honest);
  graph::RecordRef twin(const graph::RecordRef& own);
  void add_accusations(const graph::Member& honest, graph::Output& out);
  void add_news(const graph::Member& honest, graph::Output& out);

  const Malice malice_;
  const Accomplices& accomplices_;
  const graph::Authority& authority_;
  const crypto::Signer& signer_;
  std::map<NodeId, Digest> digests_;    // what each peer said that it holds
  std::map<NodeId, uint64_t> accused_;  // under which counter
  graph::RecordRef own_, twin_;         // twice: the last record, and its other version
  uint64_t counter_ = 0;
  uint32_t forgeries_ = 0;
  TimeNs next_ns_ = 0;
};

}  // namespace chaincast::sim
