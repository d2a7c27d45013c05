// SPDX-License-Identifier: BSD-3-Clause
#include "node/changer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "node/key_files.hpp"
#include "node/node.hpp"
#include "ops/schema.hpp"

namespace chaincast::node {

namespace {

using ops::Json;
namespace schema = ops::schema;

bool goes(const Change& change) {
  return change.effect == Effect::removed || change.effect == Effect::replaced;
}

bool comes(const Change& change) {
  return change.effect == Effect::added || change.effect == Effect::replaced;
}

std::string item_of(const Change& change) {
  return change.name.empty() ? change.kind : change.kind + " " + change.name;
}

// Keys of [node] that stay are one row: there are many, and they have no traffic to lose.
Json rows_of(const std::vector<Change>& plan, bool with_unchanged) {
  Json rows = Json::array();
  std::string same;
  for (const Change& change : plan) {
    if (change.effect == Effect::unchanged && !with_unchanged) continue;
    if (change.effect == Effect::unchanged && change.kind == "node") {
      same += (same.empty() ? "" : ", ") + change.name;
      continue;
    }
    rows.push_back(Json{
        {"item", item_of(change)}, {"effect", to_text(change.effect)}, {"detail", change.detail}});
  }
  if (!same.empty()) {
    rows.push_back(
        Json{{"item", "node"}, {"effect", to_text(Effect::unchanged)}, {"detail", same}});
  }
  return rows;
}

Json plan_reply(const std::string& file, bool is_applied, const std::vector<Change>& plan) {
  return Json{{"file", file}, {"applied", is_applied}, {"changes", rows_of(plan, true)}};
}

template <typename Section>
const Section& named(const std::vector<Section>& list, const std::string& name) {
  return *std::find_if(list.begin(), list.end(),
                       [&](const Section& section) { return section.name == name; });
}

Json change_row_schema() {
  return schema::object({{"item", schema::text()},
                         {"effect", schema::one_of({"unchanged", "added", "removed", "changed",
                                                    "replaced", "needs a restart"})},
                         {"detail", schema::text()}});
}

}  // namespace

Result<Config> Changer::load() const {
  const std::string& file = node_.config().file;
  if (file.empty()) {
    return error(ErrorCode::not_found, "reload: the node was started without a file");
  }
  auto wanted = load_config(file);
  if (!wanted) return wanted;
  // What can be refused before anything is touched.
  if (const Status read = read_key_files(*wanted, node_.toolbox()); !read) {
    return error(read.error().code, read.error().message + "; nothing was changed");
  }
  return wanted;
}

ops::Reply Changer::check() const {
  const auto wanted = load();
  if (!wanted) return wanted.error();
  const auto plan = plan_change(node_.config(), *wanted);
  return plan_reply(wanted->file, false, plan);
}

ops::Reply Changer::reload(TimeNs confirm_ns) {
  settle();
  const auto wanted = load();
  if (!wanted) return wanted.error();
  const auto plan = plan_change(node_.config(), *wanted);
  Config before = node_.config();
  if (Status applied = apply(*wanted, plan); !applied) return applied.error();
  log("reload", plan);
  if (confirm_ns != 0 &&
      confirm_.begin(node_.now_ns(), confirm_ns, node_.session()) == Confirm::Act::checkpoint) {
    checkpoint_ = std::move(before);
  }
  return plan_reply(wanted->file, true, plan);
}

Status Changer::apply(const Config& wanted, const std::vector<Change>& plan) {
  const Config before = node_.config();
  const Status done = execute(wanted, plan);
  if (done) return {};
  const Status undone = execute(before, plan_change(node_.config(), before));
  return error(done.error().code,
               fmt::format("{}; {}", done.error().message,
                           undone ? "what had been changed was taken back"
                                  : "taking back what had been changed failed as well: " +
                                        undone.error().message));
}

// Peers before the ports they use, and ports before the peers that will.
Status Changer::execute(const Config& wanted, const std::vector<Change>& plan) {
  if (Status removed = remove(plan); !removed) return removed;
  if (Status added = add(wanted, plan); !added) return added;
  return adjust(wanted, plan);
}

Status Changer::remove(const std::vector<Change>& plan) {
  for (const char* kind : {"peer", "stream", "port"}) {
    for (const Change& change : plan) {
      if (change.kind != kind || !goes(change)) continue;
      const Status removed = change.kind == "peer"     ? node_.remove_peer(change.name)
                             : change.kind == "stream" ? node_.remove_stream(change.name)
                                                       : node_.remove_port(change.name);
      if (!removed) return removed;
    }
  }
  return {};
}

Status Changer::add(const Config& wanted, const std::vector<Change>& plan) {
  for (const char* kind : {"port", "stream", "peer"}) {
    for (const Change& change : plan) {
      if (change.kind != kind || !comes(change)) continue;
      const Status added = change.kind == "peer" ? node_.add_peer(named(wanted.peers, change.name))
                           : change.kind == "stream"
                               ? node_.add_stream(named(wanted.streams, change.name))
                               : node_.add_port(named(wanted.ports, change.name));
      if (!added) return added;
    }
  }
  return {};
}

Status Changer::adjust(const Config& wanted, const std::vector<Change>& plan) {
  for (const Change& change : plan) {
    if (change.effect != Effect::changed) continue;
    if (change.kind == "peer") {
      const uint64_t rate = named(wanted.peers, change.name).rate_bits_per_s;
      if (Status set = node_.set_peer_rate(change.name, rate); !set) return set;
    } else if (change.kind == "port") {
      auto port = node_.find_port(change.name);
      if (!port) return port.error();
      const bool is_on = named(wanted.ports, change.name).promisc;
      if (Status set = node_.set_port_promiscuous(**port, is_on); !set) return set;
    } else if (change.kind == "repair") {
      node_.set_repair(wanted.repair);
    } else if (change.name == "idle") {
      node_.set_idle(wanted.node.idle);
    } else if (change.name == "log_level") {
      node_.set_log_level(wanted.node.log_level);
    } else if (change.name == "drain_timeout_s") {
      node_.config().node.drain_timeout_s = wanted.node.drain_timeout_s;
    }
  }
  return {};
}

void Changer::log(const char* what, const std::vector<Change>& plan) const {
  if (is_same(plan)) node_.log().info(fmt::format("{}: nothing differs", what));
  for (const Change& change : plan) {
    if (change.effect == Effect::unchanged) continue;
    node_.log().info(fmt::format("{}: {}: {}{}{}", what, item_of(change), to_text(change.effect),
                                 change.detail.empty() ? "" : ": ", change.detail));
  }
}

// ---- confirmed changes ------------------------------------------------------------------------

ops::Reply Changer::begin(TimeNs wait_ns) {
  settle();
  if (confirm_.begin(node_.now_ns(), wait_ns, node_.session()) == Confirm::Act::checkpoint) {
    checkpoint_ = node_.config();
  }
  return show();
}

ops::Reply Changer::commit() {
  if (Status committed = confirm_.commit(node_.now_ns()); !committed) return committed.error();
  checkpoint_.reset();
  problem_.clear();
  node_.log().info("commit: the change stays");
  return show();
}

ops::Reply Changer::rollback() {
  if (const auto act = confirm_.rollback(node_.now_ns()); !act) return act.error();
  restore("rollback");
  if (!problem_.empty()) return error(ErrorCode::refused, problem_);
  return show();
}

void Changer::on_closed(cli::SessionId session, TimeNs now_ns) {
  if (confirm_.on_closed(session, now_ns) == Confirm::Act::restore) is_cut_ = true;
}

void Changer::settle() {
  if (!is_cut_) return;
  is_cut_ = false;
  restore("connection cut");
}

void Changer::tick(TimeNs now_ns) {
  settle();
  if (confirm_.tick(now_ns) == Confirm::Act::restore) restore("no commit in time");
}

void Changer::restore(const char* why) {
  const Config before = std::move(checkpoint_).value();
  checkpoint_.reset();
  problem_.clear();
  const auto plan = plan_change(node_.config(), before);
  if (Status restored = apply(before, plan); !restored) {
    problem_ = fmt::format("{}: cannot revert: {}", why, restored.error().message);
    node_.log().say(LogLevel::error, problem_);
    return;
  }
  log(fmt::format("{}: reverted", why).c_str(), plan);
}

ops::Reply Changer::show() const {
  const TimeNs now = node_.now_ns();
  const bool is_open = confirm_.is_open();
  Json reply{{"open", is_open}};
  reply["left_s"] = nullptr;
  if (is_open) {
    const TimeNs deadline = confirm_.deadline_ns();
    reply["left_s"] = (deadline - std::min(deadline, now) + ns_per_s - 1) / ns_per_s;
  }
  reply["ends_with_connection"] = is_open && confirm_.session() != 0;
  reply["changes"] =
      is_open ? rows_of(plan_change(*checkpoint_, node_.config()), false) : Json::array();
  reply["last"] = to_text(confirm_.last_end());
  reply["last_ago_s"] = nullptr;
  if (confirm_.last_end() != Confirm::End::none) {
    reply["last_ago_s"] = (now - confirm_.last_end_ns()) / ns_per_s;
  }
  reply["problem"] = problem_;
  return reply;
}

Json plan_schema() {
  return schema::object({{"file", schema::text()},
                         {"applied", schema::flag()},
                         {"changes", schema::list(change_row_schema())}});
}

Json commit_schema() {
  return schema::object(
      {{"open", schema::flag()},
       {"left_s", schema::nullable(schema::count())},
       {"ends_with_connection", schema::flag()},
       {"changes", schema::list(change_row_schema())},
       {"last",
        schema::one_of({to_text(Confirm::End::none), to_text(Confirm::End::committed),
                        to_text(Confirm::End::rolled_back), to_text(Confirm::End::timed_out),
                        to_text(Confirm::End::disconnected)})},
       {"last_ago_s", schema::nullable(schema::count())},
       {"problem", schema::text()}});
}

}  // namespace chaincast::node
