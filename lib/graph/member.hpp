// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/random.hpp"
#include "graph/analysis.hpp"
#include "graph/message.hpp"
#include "graph/seen_window.hpp"
#include "graph/view.hpp"

// One node's part in membership (docs/graph.md): its links, its view of the graph, news of changes,
// anti-entropy, failure detection, and the choice of peers. A pure machine: (message or timer, now)
// -> messages. Owner: the control thread. Cost: a change costs each node about a microsecond and
// one message per link; silence costs a ping per link and second.
//
// Memory beside the view: links_hard_max links, probes_max probes, news of one interval, and lists
// bounded by `remembered_max`.
namespace chaincast::graph {

struct MemberConfig {
  unsigned links_target = 8;     // a node asks for links while it has fewer
  unsigned links_max = 12;       // and accepts up to so many,
  unsigned links_hard_max = 48;  // or so many where connectivity hangs on it
  unsigned inside_target = 3;    // of them in each subnetwork, as far as it has members
  unsigned random_min = 2;       // of them picked at random
  unsigned sample = 128;         // nodes looked at for one near link
  unsigned probes_max = 24;      // and of these, nodes whose round trip is measured
  unsigned near_slack = 2;  // partners of near partners may have so many links above the lowest
  TimeNs ping_interval_ns = ns_per_s;
  TimeNs detection_ns = 4 * ns_per_s;  // silence of a link partner until it is accused
  TimeNs news_interval_ns = 200 * ns_per_ms;
  TimeNs record_interval_ns = 500 * ns_per_ms;  // a node's own record changes at most so often
  TimeNs sync_interval_ns = 5 * ns_per_s;
  TimeNs peering_interval_ns = ns_per_s;  // between looks at one's links; doubles while all is well
  TimeNs peering_idle_ns = 16 * ns_per_s;
  TimeNs probe_wait_ns = ns_per_s;  // for round trips, with a session to be made first
  TimeNs attach_wait_ns = 2 * ns_per_s;
  TimeNs settled_ns = 15 * ns_per_s;  // a link older than this may be replaced by a nearer one
  TimeNs better_interval_ns =
      4 * ns_per_s;  // between such searches; three times as long if one finds nothing
  TimeNs better_interval_max_ns = 600 * ns_per_s;
  uint32_t better_by_us = 8000;            // and by a quarter: what a nearer one has to gain
  TimeNs refused_for_ns = 10 * ns_per_s;   // one that refused is left alone so long
  TimeNs barred_for_ns = 60 * ns_per_s;    // and one that bars a private subnetwork, of that one
  TimeNs lost_interval_ns = 5 * ns_per_s;  // between attempts to reach one that was lost
  TimeNs forget_ns = 3600 * ns_per_s;      // until a dead node is forgotten
  TimeNs silent_ns = 30 * ns_per_s;        // until one that nobody can prove dead is given up
  size_t nodes_max = 250'000;
  size_t remembered_max = 1024;
  size_t incoming_max = 1024;  // facts heard of that wait for the end of the news interval
  size_t liars_max = 256;
  TimeNs shunned_ns = 3600 * ns_per_s;  // a liar is no link partner for so long
  unsigned withheld_min = 16;  // records that others brought, of what a link partner has as well
  // Every node hears of every change: with more nodes than this, what a node does of its own accord
  // (nearer links, looks at the whole graph) is done as many times less often, and news is gathered
  // for longer, by the root of that.
  size_t paced_nodes = 1000;

  // Links asked for; half as many more are accepted.
  void set_degree(unsigned links) {
    links_target = links;
    links_max = links + links / 2;
    links_hard_max = std::max(links_hard_max, links_max);
  }
};

// Who this node is. `guests`: whom it admits to its private subnetworks.
struct Self {
  std::vector<Endpoint> addresses;
  uint8_t roles = 0;
  std::vector<wire::Subscription> resources;  // ascending
  uint64_t first_counter = 1;                 // above any that it used before
  std::map<wire::ResourceId, std::set<NodeId>> guests;
};

// The other end of a session: its key's id, as the transport authenticated it, and where it is.
struct Peer {
  NodeId id;
  Endpoint address;
};

struct Output {
  struct Send {
    Peer to;  // `id` is zeros where only the address is known
    MessagePtr message;
  };
  enum class Change : uint8_t { up, down };
  struct LinkChange {
    NodeId peer;
    Change change = Change::up;
  };
  std::vector<Send> sends;
  std::vector<LinkChange> changes;
};

struct MemberCounters {
  uint64_t facts_received = 0, facts_changed = 0, facts_known = 0, facts_stale = 0;
  uint64_t facts_of_unknown = 0, facts_over_limit = 0;
  uint64_t records_published = 0, refutations = 0, accusations = 0, deaths_seen = 0;
  uint64_t links_up = 0, links_down = 0, attaches_sent = 0, refused = 0, refusals_sent = 0;
  uint64_t syncs = 0, probes = 0, ignored = 0, silent_given_up = 0;
  uint64_t bad_messages = 0, shunned = 0, liars_over_limit = 0;
};

struct LinkStatus {
  NodeId peer;
  Endpoint address;
  uint32_t rtt_us = 0;
  bool is_random = false;
  bool is_suspected = false;
};

// What a node did that no honest one does.
enum class Lie : uint8_t {
  two_records,      // signed two records under one counter: anyone can check the two
  bad_message,      // sent what no honest node passes on: known to the receiver alone
  false_suspicion,  // accused a link partner of silence that heard it all the while
  withholding,      // passes on little of what its partners tell it: known to the receiver alone
};
struct Liar {
  NodeId node;
  Lie lie = Lie::two_records;
  RecordRef one, other;  // of two_records: the proof
  TimeNs at_ns = 0;
};

class Member {
 public:
  // The referenced objects outlive the member.
  Member(const MemberConfig& config, Self self, Store& store, Analyst& analyst,
         const Authority& authority, const crypto::Signer& signer, uint64_t seed);

  // Publishes the first record. Nothing is sent before.
  void start(TimeNs now_ns);
  void on_message(const Peer& from, const Message& message, TimeNs now_ns, Output& out);
  void tick(TimeNs now_ns, Output& out);
  TimeNs next_timer_ns() const;
  // Says goodbye: everyone removes this node at once. No output is made afterwards.
  void leave(TimeNs now_ns, Output& out);

  // Asks for a link, outside the usual choice of peers: for joining.
  void attach(const Contact& to, const std::optional<wire::ResourceId>& resource, TimeNs now_ns,
              Output& out);
  // Takes over a whole graph at joining. It is not passed on: others have it.
  void adopt(const PartRef& root, TimeNs now_ns);
  // Other subnetworks than until now (`resources` ascending). Links that were made for one that is
  // left serve on as any others.
  void set_resources(std::vector<wire::Subscription> resources,
                     std::map<wire::ResourceId, std::set<NodeId>> guests, TimeNs now_ns);
  // Where others reach this node, from now on (ascending).
  void set_addresses(std::vector<Endpoint> addresses, TimeNs now_ns);
  // Links that this node asks for; it accepts half as many more. Those that it has stay.
  void set_degree(unsigned links, TimeNs now_ns);
  // The link is gone as the transport knows; no need to wait for silence.
  void on_session_lost(const NodeId& peer, TimeNs now_ns, Output& out);

  // A message of this peer was refused by decode() as malformed or forged. Honest nodes check what
  // they pass on, so the peer itself is to blame: it is named, and its link dropped.
  void on_bad_message(const Peer& from, TimeNs now_ns, Output& out);

  // Those named so far, at most liars_max, each once. A liar is no link partner any more, and in no
  // answer to newcomers; its record stays in the graph.
  const std::vector<Liar>& liars() const { return liars_; }

  const NodeId& id() const { return id_; }
  const Self& self() const { return self_; }
  const View& view() const { return view_; }
  const Digest digest() const { return view_.digest(); }
  std::vector<LinkStatus> links() const;
  size_t link_count() const { return links_.size(); }
  // Whether there is a link with it that is not suspected.
  bool is_linked(const NodeId& peer) const;
  // A link that was made for this subnetwork; where it is not private, any with one of its members.
  bool has_link_inside(const wire::ResourceId& resource) const;
  // Contacts for a newcomer: of the subnetwork, and of others.
  Redirect redirect(const RedirectRequest& request);
  const MemberCounters& counters() const { return counters_; }
  // Bytes that this member holds for itself alone; the shared view is not counted.
  size_t private_bytes() const;

 private:
  struct Link {
    NodeId id;
    Endpoint address;
    std::optional<wire::ResourceId> inside;  // the subnetwork that it was asked for
    uint32_t rtt_us = 0;
    bool is_random = false;
    bool is_mine = false;  // this end asked for it, and pings
    bool is_suspected = false;
    TimeNs up_ns = 0, heard_ns = 0, pinged_ns = 0, suspected_ns = 0;
    TimeNs differs_since_ns = 0;                  // 0: the graphs were equal
    unsigned false_suspicions = 0;                // of this node, by a partner that it hears
    unsigned brought = 0, brought_by_others = 0;  // records of its partners
  };
  struct Need {
    enum class Kind : uint8_t { near, random, inside } kind = Kind::near;
    wire::ResourceId resource;  // inside
    bool is_urgent = false;
    bool to_less_than_target = false;  // candidates have fewer links than the target
    std::vector<NodeId> only;          // if any: one of these
    std::optional<NodeId> replaces;    // a link partner that is given up for a nearer one,
    uint32_t replaced_rtt_us = 0;      // and what the new one has to better
  };
  struct Attempt {  // at most one at a time, beside attaches for joining
    Need need;
    std::vector<Contact> candidates;
    std::vector<TimeNs> probed_ns;                     // of each: the nonce of its ping
    std::vector<std::pair<uint32_t, size_t>> answers;  // round trip in us, candidate
    TimeNs started_ns = 0;
    bool is_asking = false;
    Peer asked;
  };
  struct Asked {  // an Attach under way
    NodeId id;
    std::optional<wire::ResourceId> inside;
    bool is_random = false;
    TimeNs since_ns = 0;
  };
  struct News {  // a fact to pass on, and the link that it came by
    RecordRef record;
    AccusationRef accusation;
    NodeId from;
    bool is_proof = false;  // of a lie: passed on although the view does not keep it
  };
  struct Accused {
    NodeId id;
    uint64_t counter = 0;
    uint32_t round = 0;
    size_t excused = 0;
    TimeNs at_ns = 0;
    bool is_repeated = false;  // under a newer record
  };
  struct Gone {
    NodeId id;
    TimeNs at_ns = 0;
  };
  struct Silent {
    uint64_t counter = 0;
    TimeNs since_ns = 0;
    TimeNs asked_ns = 0;    // whether it lives; 0: not yet
    bool is_apart = false;  // of a component that is not one's own, when the graph was looked at
  };
  struct GivenUp {
    RecordRef record;
    TimeNs at_ns = 0;
  };

  // member.cpp
  void take(const Peer& from, const Message& message, TimeNs now_ns, Output& out);
  void take_facts(const News& fact, TimeNs now_ns);
  void take_news(const Peer& from, const graph::News& news, TimeNs now_ns);
  void take_incoming(TimeNs now_ns);
  TimeNs news_delay_ns(const News& fact) const;
  void take_records(const std::vector<News>& facts, TimeNs now_ns);
  void settle_fact(const News& fact, View::Merge merge, TimeNs now_ns);
  void after_change(const News& fact, TimeNs now_ns);
  void look_at_members(const NodeId& subject, const Record& record, bool is_live, TimeNs now_ns);
  void on_own_entry(TimeNs now_ns);
  static void collect_members(const std::vector<EntryRef>& all, const wire::ResourceId& resource,
                              std::set<NodeId>& members);
  void publish(TimeNs now_ns);
  bool is_current(const News& fact) const;
  void flush_news(TimeNs now_ns, Output& out);
  void touch_record(TimeNs now_ns);
  Link* link_of(const NodeId& id);
  void send(const Peer& to, MessagePtr message, Output& out);
  bool is_own(const wire::ResourceId& resource) const;
  // links.cpp
  void on_attach(const Peer& from, const Attach& attach, TimeNs now_ns, Output& out);
  void on_attached(const Peer& from, const Attached& attached, TimeNs now_ns, Output& out);
  void on_refused(const Peer& from, const Refused& refused, TimeNs now_ns);
  void on_ping(const Peer& from, const Ping& ping, TimeNs now_ns, Output& out);
  void on_pong(const Peer& from, const Pong& pong, TimeNs now_ns, Output& out);
  std::optional<Refusal> refusal_of(const Peer& from, const Attach& attach);
  void add_link(const Peer& peer, const Asked& asked, bool is_mine, TimeNs now_ns, Output& out);
  void drop_link(const NodeId& id, TimeNs now_ns, Output& out);
  void watch_links(TimeNs now_ns, Output& out);
  void accuse(const NodeId& id, TimeNs now_ns);
  void accuse_again(TimeNs now_ns);
  void drop_dead_links(TimeNs now_ns, Output& out);
  void probe_lost(TimeNs now_ns, Output& out);
  // silent.cpp
  bool is_given_up(const Record& record) const;
  bool is_alone(const Record& record) const;
  bool is_silent(const Entry& entry) const;
  void note_silent(const Record& record, bool is_suspected, TimeNs now_ns);
  void note(const Record& record, bool is_apart, TimeNs now_ns);
  void note_partners(const Record& record, TimeNs now_ns);
  void note_apart(TimeNs now_ns);
  TimeNs due_ns(const Silent& silent) const;
  void give_up_silent(TimeNs now_ns, Output& out);
  void give_up_apart(size_t may_ask, TimeNs now_ns, Output& out);
  void ask_silent(const std::vector<NodeId>& nodes, size_t& may_ask, TimeNs now_ns, Output& out);
  void give_up(const std::vector<NodeId>& nodes, TimeNs now_ns);
  void take_back(const NodeId& id);
  void take_back_partners(const Record& record);
  void note_speaker(const NodeId& id, TimeNs now_ns);
  void ping(const Record& record, TimeNs now_ns, Output& out);
  void probe_given_up(TimeNs now_ns, Output& out);
  // lies.cpp
  void name(Liar liar, TimeNs now_ns);
  void prove(const RecordRef& one, const RecordRef& other, TimeNs now_ns);
  void count_false_suspicions(const Entry& own, TimeNs now_ns);
  bool is_heard(const Link& link, TimeNs now_ns) const;
  bool is_watched(const Record& record) const;
  void count_brought(Link& by, const Record& record);
  void count_withheld(const News& fact, TimeNs now_ns);
  bool is_shunned(const NodeId& id, TimeNs now_ns) const;
  // sync.cpp
  void compare_digest(const Peer& from, const Digest& digest, TimeNs now_ns, Output& out);
  void on_compare(const Peer& from, const Compare& compare, Output& out);
  void on_fetch(const Peer& from, const Fetch& fetch, Output& out);
  void send_entries(const Peer& to, const std::vector<EntryRef>& entries, Output& out);
  // peering.cpp
  void look_after_links(TimeNs now_ns, Output& out);
  std::optional<Need> next_need(TimeNs now_ns);
  std::optional<Need> inside_need(const wire::ResourceId& resource, TimeNs now_ns);
  std::optional<Need> whole_need(TimeNs now_ns);
  std::optional<Need> weak_need(const Topology& topology, const Analysis& analysis);
  struct Ranked {
    Contact contact;
    unsigned degree = 0;
    uint32_t rtt_us = 0;  // an upper bound, where one is known
  };
  std::vector<Contact> candidates_for(const Need& need, TimeNs now_ns);
  std::vector<Ranked> near_by(const Need& need, TimeNs now_ns);
  std::optional<Ranked> ranked_of(const Entry* entry, const Need& need, TimeNs now_ns) const;
  TimeNs paced(TimeNs interval_ns) const;
  bool is_candidate(const Entry& entry, const Need& need) const;
  void begin(Need need, std::vector<Contact> candidates, TimeNs now_ns, Output& out);
  void ask(const Contact& contact, TimeNs now_ns, Output& out);
  void go_on_with_attempt(TimeNs now_ns, Output& out);
  void end_attempt(TimeNs next_look_ns);
  bool on_probe_answer(const Peer& from, uint64_t nonce, TimeNs now_ns, Output& out);
  std::optional<Need> better_need(TimeNs now_ns);
  void give_up_replaced(TimeNs now_ns, Output& out);
  void look_soon(TimeNs now_ns);
  unsigned links_in(const Entry& entry, const wire::ResourceId& resource) const;

  MemberConfig config_;
  Self self_;
  Analyst& analyst_;
  const Authority& authority_;
  const crypto::Signer& signer_;
  Random random_;
  NodeId id_;
  View view_;
  bool is_started_ = false, has_left_ = false;
  std::vector<Link> links_;     // ascending by id
  std::vector<News> incoming_;  // heard of, not merged yet
  std::vector<News> news_;      // to be passed on
  SeenWindow seen_;
  std::vector<Liar> liars_;
  TimeNs flush_at_ns_ = time_never;
  uint64_t counter_ = 0;
  TimeNs publish_at_ns_ = time_never, published_ns_ = 0;
  TimeNs synced_ns_ = 0, watch_at_ns_ = time_never;
  std::optional<Attempt> attempt_;
  std::vector<Asked> asked_;
  TimeNs look_at_ns_ = time_never, look_interval_ns_ = 0, short_since_ns_ = 0;
  TimeNs changed_ns_ = 0, analysed_ns_ = 0;  // the view; when its whole graph was looked at
  TimeNs lost_link_ns_ = 0;                  // the last time that a link was lost
  TimeNs better_at_ns_ = 0, better_interval_ns_ = 0;  // the next search for a nearer one
  std::map<NodeId, TimeNs> refused_until_;
  std::map<std::pair<NodeId, wire::ResourceId>, TimeNs> barred_until_;  // of a private subnetwork
  std::vector<Accused> accused_;
  std::deque<Gone> gone_;  // dead, in order of death
  // In the view, and to be given up if they stay silent; looked into at every message.
  std::unordered_map<NodeId, Silent> silent_;
  std::map<NodeId, GivenUp> given_up_;               // taken out of it
  TimeNs silent_at_ns_ = time_never, apart_ns_ = 0;  // when the graph was looked at for `silent_`
  TimeNs lost_at_ns_ = time_never, accuse_again_ns_ = time_never;
  bool has_dead_links_ = false;
  std::map<wire::ResourceId, std::set<NodeId>> members_;  // of own subnetworks, itself included
  std::map<wire::ResourceId, TimeNs> looked_inside_ns_;   // at how these hold together
  MemberCounters counters_;
};

}  // namespace chaincast::graph
