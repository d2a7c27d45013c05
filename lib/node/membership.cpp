// SPDX-License-Identifier: BSD-3-Clause
#include "node/membership.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "node/member_state.hpp"
#include "port/port.hpp"

namespace chaincast::node {

namespace {

constexpr TimeNs save_interval_ns = 10 * ns_per_s;
constexpr TimeNs save_soon_ns = ns_per_s;  // after links have changed

// Above what any earlier run of this node can have counted to, even if its state file is gone: a
// record changes twice a second at most.
uint64_t counter_by_clock() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

uint64_t random_number(const crypto::Toolbox& toolbox) {
  uint64_t out = 0;
  toolbox.random_bytes({reinterpret_cast<uint8_t*>(&out), sizeof out});
  return out;
}

graph::MemberConfig member_config(const MembershipConfig& config) {
  graph::MemberConfig out;
  if (config.genesis) out.set_degree(config.genesis->links);
  if (config.degree != 0) out.set_degree(config.degree);
  return out;
}

}  // namespace

const char* to_text(join::State state) {
  switch (state) {
    case join::State::idle:
      return "not started";
    case join::State::redirecting:
      return "asking the trackers";
    case join::State::entering:
      return "entering";
    case join::State::joined:
      return "joined";
    case join::State::refused:
      return "refused: its members do not list this node; ask one to add it to `guests`";
  }
  return "?";
}

wire::ResourceId resource_id(const crypto::Toolbox& toolbox, const std::string& stream) {
  const Digest digest = toolbox.sha256(as_bytes(stream));
  wire::ResourceId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

Membership::Membership(const MembershipConfig& config, const Digest& network,
                       const identity::Identity& identity, const crypto::Toolbox& toolbox,
                       MembershipHooks hooks)
    : config_(config),
      identity_(identity),
      toolbox_(toolbox),
      hooks_(std::move(hooks)),
      admitted_(config_.genesis),
      authority_{toolbox_, admitted_, network},
      store_(toolbox_),
      crossing_(config_, identity.id, toolbox, crossing_hooks()) {}

CrossingHooks Membership::crossing_hooks() {
  CrossingHooks out;
  out.probe = [this](const Endpoint& to, const Bytes& datagram) { hooks_.probe(to, datagram); };
  out.member = [this] { return member_.get(); };
  out.set_addresses = [this](std::vector<Endpoint> addresses) {
    if (member_) member_->set_addresses(std::move(addresses), last_ns_);
  };
  out.changed = [this] { reconcile_ns_ = 0; };
  out.log = [this](LogLevel level, const std::string& text) { hooks_.log(level, text); };
  return out;
}

Membership::~Membership() {
  // Their parts go back to the store.
  join_.reset();
  member_.reset();
  analyst_.clear();
}

session::Config Membership::session_config(const std::vector<Endpoint>& data) {
  session::Config out;
  out.listen = *config_.address;
  out.network = authority_.network;
  join::Card card{data};
  if (card.data.size() > join::card_endpoints_max) card.data.resize(join::card_endpoints_max);
  out.card = join::encode(card);
  crossing_.set_own(data);
  out.admits = [this](const PublicKey& key) { return admitted_.admits(key); };
  return out;
}

void Membership::attach(std::unique_ptr<session::Sessions> sessions) {
  sessions_ = std::move(sessions);
  sessions_->set_listener(*this);
  crossing_.attach(*sessions_);
}

// ---- coming and going -----------------------------------------------------------------------

void Membership::start(TimeNs now_ns) {
  started_ns_ = now_ns;
  std::vector<graph::Contact> remembered;
  graph::Self self;
  self.first_counter = counter_by_clock();
  if (!config_.state_file.empty()) {
    auto state = load_member_state(config_.state_file);
    if (state && state->network == authority_.network) {
      self.first_counter = std::max(self.first_counter, state->counter + 1);
      remembered = std::move(state->members);
    } else if (!state && state.error().code != ErrorCode::not_found) {
      hooks_.log(LogLevel::warning, state.error().message);
    }
  }
  self.addresses = {sessions_->address()};
  self.roles = config_.is_supernode ? wire::role_supernode : uint8_t{0};
  if (config_.is_behind_nat) {
    self.addresses = crossing_.addresses();
    self.roles |= wire::role_behind_nat;
  }
  self.resources = subscriptions();
  self.guests = guests();
  member_ =
      std::make_unique<graph::Member>(member_config(config_), std::move(self), store_, analyst_,
                                      authority_, *identity_.signer, random_number(toolbox_));
  std::optional<wire::ResourceId> resource;
  if (!streams_.empty()) resource = streams_.begin()->first;
  join_ =
      std::make_unique<join::Join>(join::JoinConfig{}, *member_, resource, random_number(toolbox_));
  std::vector<Endpoint> trackers = config_.trackers;
  std::erase(trackers, sessions_->address());
  graph::Output out;
  member_->start(now_ns);
  join_->start(std::move(trackers), std::move(remembered), now_ns, out);
  hooks_.log(LogLevel::info,
             fmt::format("network {}: sessions at {}", to_hex(authority_.network).substr(0, 16),
                         port::to_text(sessions_->address())));
  save_ns_ = now_ns + save_interval_ns;
  send_all(out, now_ns);
}

void Membership::leave(TimeNs now_ns) {
  if (!member_ || has_left_) return;
  has_left_ = true;
  save(now_ns);
  graph::Output out;
  member_->leave(now_ns, out);
  send_all(out, now_ns);
}

bool Membership::is_quiet() const {
  const auto all = sessions_->sessions();
  return std::all_of(all.begin(), all.end(),
                     [](const session::SessionStatus& one) { return one.queued_bytes == 0; });
}

void Membership::save(TimeNs now_ns) {
  save_ns_ = now_ns + save_interval_ns;
  if (config_.state_file.empty()) return;
  MemberState state;
  state.network = authority_.network;
  const graph::Entry* own = member_->view().find(member_->id());
  state.counter = own ? own->record->said.counter : 0;
  for (const graph::LinkStatus& link : member_->links()) {
    state.members.push_back({link.peer, link.address, 0});
  }
  // A node that is cut off does not forget whom it knew.
  if (state.members.empty()) return;
  std::stable_partition(state.members.begin(), state.members.end(),
                        [this](const graph::Contact& c) { return shares_stream(c.id); });
  if (state.members.size() > graph::contacts_max) state.members.resize(graph::contacts_max);
  if (Status saved = save_member_state(config_.state_file, state); !saved) {
    hooks_.log(LogLevel::warning, saved.error().message);
  }
}

void Membership::tick(TimeNs now_ns) {
  if (!member_ || has_left_) return;
  last_ns_ = now_ns;
  crossing_.tick(now_ns);
  graph::Output out;
  if (member_->next_timer_ns() <= now_ns) member_->tick(now_ns, out);
  if (join_->next_timer_ns() <= now_ns) join_->tick(now_ns, out);
  send_all(out, now_ns);
  if (reconcile_ns_ <= now_ns) reconcile(now_ns);
  if (save_ns_ <= now_ns) save(now_ns);
}

TimeNs Membership::next_timer_ns() const {
  if (!member_ || has_left_) return time_never;
  return std::min({member_->next_timer_ns(), join_->next_timer_ns(), reconcile_ns_, save_ns_,
                   crossing_.next_timer_ns()});
}

// ---- streams --------------------------------------------------------------------------------

void Membership::add_stream(const StreamConfig& stream, TimeNs now_ns) {
  streams_[id_of(stream.name)] = {
      stream.name, stream.publish, stream.secret, {stream.guests.begin(), stream.guests.end()}};
  if (member_) member_->set_resources(subscriptions(), guests(), now_ns);
  reconcile_ns_ = now_ns;
}

void Membership::remove_stream(const std::string& name, TimeNs now_ns) {
  if (streams_.erase(id_of(name)) == 0) return;
  if (member_) member_->set_resources(subscriptions(), guests(), now_ns);
  reconcile_ns_ = now_ns;
}

std::vector<wire::Subscription> Membership::subscriptions() const {
  std::vector<wire::Subscription> out;
  for (const auto& [id, stream] : streams_) {
    out.push_back({id, stream.is_host, !stream.guests.empty()});
  }
  return out;
}

std::map<wire::ResourceId, std::set<NodeId>> Membership::guests() const {
  std::map<wire::ResourceId, std::set<NodeId>> out;
  for (const auto& [id, stream] : streams_) {
    if (!stream.guests.empty()) out[id] = stream.guests;
  }
  return out;
}

std::string Membership::stream_of(const wire::ResourceId& resource) const {
  const auto found = streams_.find(resource);
  return found == streams_.end() ? std::string() : found->second.name;
}

wire::ResourceId Membership::id_of(const std::string& stream) const {
  return resource_id(toolbox_, stream);
}

// ---- sessions and machines ------------------------------------------------------------------

// One message to many links is encoded once.
void Membership::send_all(graph::Output& out, TimeNs now_ns) {
  const graph::Message* last = nullptr;
  Bytes encoded;
  for (const graph::Output::Send& send : out.sends) {
    if (send.message.get() != last) encoded = graph::encode(*send.message);
    last = send.message.get();
    if (!crossing_.send(send.to.id, send.to.address, encoded, now_ns)) ++counters_.not_taken;
  }
  if (!out.changes.empty()) {
    reconcile_ns_ = now_ns;
    save_ns_ = std::min(save_ns_, now_ns + save_soon_ns);
  }
  for (const graph::Output::LinkChange& change : out.changes) {
    const bool is_up = change.change == graph::Output::Change::up;
    hooks_.log(LogLevel::info, fmt::format("network: link with {} {}", change.peer.hex(),
                                           is_up ? "made" : "given up"));
  }
  out = {};
  follow_state();
}

void Membership::follow_state() {
  if (join_->state() == logged_) return;
  logged_ = join_->state();
  if (logged_ == join::State::joined) told_.clear();
  hooks_.log(logged_ == join::State::refused ? LogLevel::warning : LogLevel::info,
             fmt::format("network: {}", to_text(logged_)));
}

void Membership::on_open(const session::Remote& remote, TimeNs now_ns) {
  last_ns_ = now_ns;
  remotes_[remote.id] = remote;
  crossing_.on_open(remote, now_ns);
  reconcile_ns_ = now_ns;
}

void Membership::on_closed(const session::Remote& remote, const std::string& why, TimeNs now_ns) {
  // One of two that crossed: the other goes on.
  if (sessions_->exported(remote.id, "link")) return;
  last_ns_ = now_ns;
  remotes_.erase(remote.id);
  crossing_.on_closed(remote, now_ns);
  reconcile_ns_ = now_ns;
  if (!member_ || has_left_) return;
  hooks_.log(LogLevel::debug, fmt::format("session with {}: {}", remote.id.hex(), why));
  graph::Output out;
  member_->on_session_lost(remote.id, now_ns, out);
  send_all(out, now_ns);
}

// Without a tracker an operator waits in vain, so each of its reasons is said once.
void Membership::on_failed(const Endpoint& address, const std::string& why, TimeNs) {
  const bool is_tracker = std::find(config_.trackers.begin(), config_.trackers.end(), address) !=
                          config_.trackers.end();
  const bool is_waited_for = is_tracker && join_ && join_->state() == join::State::redirecting;
  const std::string text = fmt::format("no session with {}{}: {}", is_tracker ? "tracker " : "",
                                       port::to_text(address), why);
  const bool is_new = is_waited_for && told_.size() < 2 * trackers_max && told_.insert(text).second;
  hooks_.log(is_new ? LogLevel::warning : LogLevel::debug, text);
}

void Membership::on_carry(uint64_t channel, ByteSpan bytes, TimeNs now_ns) {
  crossing_.on_carry(channel, bytes, now_ns);
}

void Membership::on_carry_taken(uint64_t channel, uint32_t bytes, TimeNs now_ns) {
  crossing_.on_carry_taken(channel, bytes, now_ns);
}

void Membership::on_carry_end(uint64_t channel, TimeNs now_ns) {
  crossing_.on_carry_end(channel, now_ns);
}

void Membership::on_probe(const Endpoint& from, ByteSpan datagram, TimeNs now_ns) {
  crossing_.on_probe(from, datagram, now_ns);
}

void Membership::on_message(const session::Remote& from, ByteSpan message, TimeNs now_ns) {
  if (!member_) return;
  last_ns_ = now_ns;
  if (join::is_grant(message)) return on_grant(from, message, now_ns);
  if (punch::is_message(message)) {
    if (Status taken = crossing_.on_message(from, message, now_ns); !taken) {
      ++counters_.malformed;
      sessions_->close(from.id, taken.error().message, now_ns);
    }
    return;
  }
  auto decoded = graph::decode(message, authority_, member_->view());
  if (!decoded) {
    ++counters_.malformed;
    hooks_.log(LogLevel::warning,
               fmt::format("message of {}: {}", from.id.hex(), decoded.error().message));
    // A later release may send what this one does not know; what is malformed is a lie.
    if (decoded.error().code != ErrorCode::unsupported) {
      graph::Output named;
      member_->on_bad_message({from.id, from.address}, now_ns, named);
      send_all(named, now_ns);
    }
    sessions_->close(from.id, decoded.error().message, now_ns);
    return;
  }
  const graph::Peer peer{from.id, from.address};
  graph::Output out;
  if (!join_->on_message(peer, *decoded, now_ns, out)) {
    member_->on_message(peer, *decoded, now_ns, out);
    join_->look(now_ns);
  }
  send_all(out, now_ns);
}

}  // namespace chaincast::node
