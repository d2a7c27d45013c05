// SPDX-License-Identifier: BSD-3-Clause
#include "node/commands_nat.hpp"

#include "ops/schema.hpp"
#include "port/port.hpp"

namespace chaincast::node {

namespace {

using ops::Json;
using ops::Reply;
namespace schema = ops::schema;

const char* mapping_text(punch::Mapping mapping) {
  switch (mapping) {
    case punch::Mapping::unknown:
      return "unknown";
    case punch::Mapping::independent:
      return "independent";
    case punch::Mapping::dependent:
      return "dependent";
  }
  return "?";
}

Reply show_nat(Node& node) {
  if (node.membership() == nullptr) {
    return error(ErrorCode::not_found,
                 "this node is in no network; set [membership] address and start it again");
  }
  const Crossing& crossing = node.membership()->crossing();
  const punch::RelayCounters relay =
      crossing.relay() == nullptr ? punch::RelayCounters{} : crossing.relay()->counters();
  const punch::CarriageCounters& carriage = crossing.carriage().counters();
  const punch::ProberCounters& prober = crossing.prober().counters();
  Json seen = Json::array();
  for (const Endpoint& one : crossing.prober().seen()) seen.push_back(port::to_text(one));
  return Json{{"behind_nat", crossing.is_behind_nat()},
              {"mapping", mapping_text(crossing.prober().mapping())},
              {"seen", seen},
              {"relays", crossing.relay() != nullptr},
              {"questions_sent", prober.questions},
              {"answers_taken", prober.answers},
              {"answers_refused", prober.refused},
              {"carried_sessions", crossing.channels()},
              {"messages_refused", crossing.counters().refused},
              {"messages_not_sent", crossing.counters().not_sent},
              {"dials_held_back", crossing.counters().backing_off},
              {"pairs", crossing.relay() == nullptr ? 0 : crossing.relay()->pairs()},
              {"pairs_opened", relay.pairs_opened},
              {"pairs_ended", relay.pairs_ended},
              {"pairs_refused", relay.pairs_refused},
              {"datagrams_forwarded", relay.forwarded},
              {"bytes_forwarded", relay.forwarded_bytes},
              {"datagrams_unproven", relay.unproven},
              {"datagrams_over_rate", relay.over_rate},
              {"datagrams_not_sent", relay.not_sent},
              {"questions_answered", relay.questions},
              {"questions_refused", relay.bad_probes},
              {"channels", crossing.carriage().channels()},
              {"channels_opened", carriage.opened},
              {"channels_ended", carriage.ended},
              {"channels_refused", carriage.refused},
              {"channels_over_window", carriage.over_window},
              {"channel_messages_unknown", carriage.unknown},
              {"channel_bytes", carriage.bytes}};
}

Json nat_schema() {
  std::vector<schema::Field> fields = {
      {"behind_nat", schema::flag()},
      {"mapping", schema::one_of({"unknown", "independent", "dependent"})},
      {"seen", schema::list(schema::text())},
      {"relays", schema::flag()}};
  for (const char* name : {"questions_sent",
                           "answers_taken",
                           "answers_refused",
                           "carried_sessions",
                           "messages_refused",
                           "messages_not_sent",
                           "dials_held_back",
                           "pairs",
                           "pairs_opened",
                           "pairs_ended",
                           "pairs_refused",
                           "datagrams_forwarded",
                           "bytes_forwarded",
                           "datagrams_unproven",
                           "datagrams_over_rate",
                           "datagrams_not_sent",
                           "questions_answered",
                           "questions_refused",
                           "channels",
                           "channels_opened",
                           "channels_ended",
                           "channels_refused",
                           "channels_over_window",
                           "channel_messages_unknown",
                           "channel_bytes"}) {
    fields.push_back({name, schema::count()});
  }
  return schema::object(fields);
}

}  // namespace

ops::Operation nat_operation(Node* node) {
  return {"show nat",
          "membership",
          {},
          ops::Access::read,
          "What NATs make of this node's address, and what it passes on for nodes behind some",
          [node](const ops::Arguments&) { return show_nat(*node); },
          nat_schema()};
}

}  // namespace chaincast::node
