// SPDX-License-Identifier: BSD-3-Clause
#include "node/metrics_page.hpp"

#include <array>

namespace chaincast::node {

namespace {

using metrics::Label;
using metrics::Metric;
using metrics::Table;
using metrics::Type;

constexpr Metric counter(std::string_view key, std::string_view name, std::string_view help,
                         std::string_view unit = "") {
  return {key, Type::counter, name, unit, help, 1, ""};
}

constexpr Metric gauge(std::string_view key, std::string_view name, std::string_view help,
                       std::string_view unit = "", double scale = 1) {
  return {key, Type::gauge, name, unit, help, scale, ""};
}

// 1 while the text of `key` is `state`.
constexpr Metric state(std::string_view key, std::string_view value, std::string_view name,
                       std::string_view help) {
  return {key, Type::gauge, name, "", help, 1, value};
}

constexpr Metric histogram(std::string_view key, std::string_view name, std::string_view help) {
  return {key, Type::histogram, name, "seconds", help, 1e-9, ""};
}

constexpr double milli = 1e-3;
constexpr double micro = 1e-6;
constexpr double percent = 1e-2;

// ---- display --------------------------------------------------------------------------------

constexpr std::array build_labels = {Label{"version", "chaincast"}, Label{"protocol", "protocol"},
                                     Label{"dpdk", "dpdk"}, Label{"crypto", "crypto"}};
constexpr std::array build_metrics = {Metric{"", Type::info, "build", "", "Versions", 1, ""}};

constexpr std::array node_labels = {Label{"name", "name"}, Label{"node", "node"}};
constexpr std::array node_metrics = {
    Metric{"", Type::info, "node", "", "Name and id of this node", 1, ""}};

constexpr std::array status_metrics = {
    gauge("uptime_s", "uptime_seconds", "Time since the node started", "seconds"),
    gauge("forwarding", "forwarding", "0 after `stop`"),
    gauge("workers", "workers", "Forwarding threads"),
    gauge("ports", "ports", "Ports"),
    gauge("peers", "peers", "Configured peers"),
    gauge("peers_up", "peers_up", "Peers whose link is up"),
    gauge("streams", "streams", "Streams carried"),
};

constexpr std::array drop_labels = {Label{"reason", "reason"}, Label{"unit", "unit"}};
constexpr std::array drop_metrics = {
    counter("count", "drops", "Lost since the start or `clear drops`, by reason")};

constexpr std::array worker_labels = {Label{"worker", "worker"}};
constexpr std::array worker_metrics = {
    counter("turns", "worker_turns", "Turns of the line"),
    counter("busy_turns", "worker_busy_turns", "Turns that moved something"),
    counter("packets", "worker_packets", "Packets moved"),
    counter("datagrams", "worker_datagrams", "Datagrams with frames taken"),
    counter("control_datagrams", "worker_control_datagrams", "Hellos and sealed messages taken"),
    counter("handed_over", "worker_handed_over_datagrams", "Datagrams passed to another worker"),
    counter("sleeps", "worker_sleeps", "Times it slept for want of traffic"),
    gauge("turn_max_us", "worker_turn_max_seconds", "Longest turn so far", "seconds", micro),
};

constexpr std::array dedup_metrics = {
    counter("received_frames", "received_frames", "Frames received"),
    counter("unique_frames", "unique_frames", "Frames received that were new and verified"),
    counter("own_frames", "own_frames", "Frames of this node's own streams"),
    counter("duplicate_frames", "duplicate_frames", "Frames seen already, since `clear drops`"),
    gauge("hops_max", "hops_max", "Most hops that a frame has come"),
};

constexpr std::array window_labels = {Label{"stream", "stream"}, Label{"id", "id"}};
constexpr std::array window_metrics = {
    gauge("window_frames", "stream_window_frames", "Size of the window"),
    gauge("memory_bytes", "stream_memory_bytes", "Memory of the window", "bytes"),
    counter("second_variants", "stream_second_variants", "Second variants of frames kept"),
    counter("conflicts", "stream_conflicts", "Frames that another variant stood against"),
};

constexpr std::array pool_labels = {Label{"pool", "pool"}};
constexpr std::array pool_metrics = {
    gauge("size", "pool_size_buffers", "Packet buffers of the pool"),
    gauge("free", "pool_free_buffers", "Packet buffers that are free"),
    gauge("in_use", "pool_used_buffers", "Packet buffers in use"),
};

constexpr std::array control_metrics = {
    counter("commands", "control_commands", "Commands posted to workers"),
    counter("ring_full", "control_ring_full", "Commands that found a worker's ring full"),
    counter("no_mbuf", "control_no_buffer", "Commands that found no packet buffer"),
    counter("unresolved", "control_unresolved", "Hellos whose next hop was not resolved"),
    gauge("retired_waiting", "control_retired_waiting", "Removed objects not freed yet"),
};

// ---- ports ----------------------------------------------------------------------------------

constexpr std::array port_labels = {Label{"port", "name"}};
constexpr std::array port_states = {
    state("state", "up", "port_up", "1 while the port is started and its link is up")};
constexpr std::array port_metrics = {
    counter("rx_packets", "port_rx_packets", "Packets received"),
    counter("rx_bytes", "port_rx_bytes", "Bytes received", "bytes"),
    counter("rx_missed", "port_rx_missed_packets", "Packets that the device had no room for"),
    counter("tx_packets", "port_tx_packets", "Packets sent"),
    counter("tx_bytes", "port_tx_bytes", "Bytes sent", "bytes"),
    counter("tx_full", "port_tx_full", "Times that the device took no more"),
};

constexpr std::array xstat_metrics = {
    Metric{"xstats", Type::unknown, "port_xstat", "", "Counters of the device itself", 1, "",
           "xstat"},
    gauge("count", "port_xstats", "Counters that the device has; at most 256 are shown")};

// ---- peers ----------------------------------------------------------------------------------

constexpr std::array peer_labels = {Label{"peer", "name"}};
constexpr std::array peer_metrics = {
    state("state", "up", "peer_up", "1 while the link is up and the next hop resolved"),
    gauge("last_heard_ms", "peer_last_heard_seconds", "Time since it was last heard", "seconds",
          milli),
    gauge("rtt_us", "peer_rtt_seconds", "Smoothed round trip", "seconds", micro),
    gauge("mtu_bytes", "peer_mtu_bytes", "Largest IP packet proven to pass", "bytes"),
    gauge("loss_percent", "peer_loss_ratio", "Share lost of what was sent, in its last report", "",
          percent),
    counter("sessions", "peer_sessions", "Times the link came up"),
    counter("tx_datagrams", "peer_tx_datagrams", "Datagrams sent to it"),
    counter("tx_frames", "peer_tx_frames", "Frames sent to it"),
    counter("tx_bytes", "peer_tx_bytes", "Bytes of datagrams sent to it", "bytes"),
    counter("tx_dropped_copies", "peer_tx_dropped_copies", "Copies for it that were lost here"),
    counter("rx_datagrams", "peer_rx_datagrams", "Datagrams accepted from it"),
    counter("rx_bytes", "peer_rx_bytes", "Bytes of datagrams accepted from it", "bytes"),
    gauge("rx_lost", "peer_rx_lost_datagrams", "Gaps in what came; late arrivals fill them"),
    Metric{"rx_lanes", Type::counter, "peer_rx_lane_datagrams", "",
           "Datagrams accepted on each lane of the link since it came up", 1, "", "lane"},
};

constexpr std::array peer_drop_labels = {Label{"peer", "peer"}, Label{"reason", "reason"}};
constexpr std::array peer_drop_metrics = {
    counter("copies", "peer_dropped_copies", "Copies for a peer that were lost, by reason")};

constexpr std::array link_metrics = {
    counter("malformed", "link_malformed", "Hellos and messages that do not parse"),
    counter("unknown_address", "link_unknown_address", "Hellos from addresses of no peer"),
    counter("over_budget", "link_over_budget", "Hellos beyond the budget of one address"),
    counter("bad_mac", "link_bad_mac", "Hellos under another secret"),
    counter("reflected", "link_reflected", "Hellos that carry our own node id"),
    counter("wrong_node", "link_wrong_node", "Hellos of a node that is not the configured one"),
    counter("wrong_version", "link_wrong_version", "Hellos without a common version"),
    counter("unexpected", "link_unexpected", "Answers and confirms that belong to no attempt"),
    counter("no_session", "link_no_session", "Sealed messages while the link was not up"),
    counter("bad_seal", "link_bad_seal", "Messages sealed under other keys, or altered"),
    counter("replayed", "link_replayed", "Sealed messages seen already"),
    counter("unsupported", "link_unsupported", "Messages of an unknown type"),
    counter("no_link_id", "link_no_link_id", "Handshakes that found the lane table full"),
};

// ---- streams --------------------------------------------------------------------------------

constexpr std::array stream_labels = {Label{"stream", "name"}, Label{"id", "id"}};
constexpr std::array stream_metrics = {
    state("state", "live", "stream_live", "1 while frames arrive or could"),
    state("state", "origin lost", "stream_origin_lost",
          "1 while the graph has lost the stream's origin"),
    counter("received_frames", "stream_received_frames", "Frames received"),
    counter("unique_frames", "stream_unique_frames", "Frames kept, own ones included"),
    counter("duplicate_frames", "stream_duplicate_frames", "Frames seen already"),
    counter("reordered_frames", "stream_reordered_frames", "Frames that came after later ones"),
    counter("repaired_frames", "stream_repaired_frames", "Frames that came because we asked"),
    counter("lost_frames", "stream_lost_frames", "Frames given up"),
    counter("lost_objects", "stream_lost_objects", "Objects given up"),
    counter("dropped_objects", "stream_dropped_objects",
            "Objects that subscribers had no room for"),
    gauge("hops_max", "stream_hops_max", "Most hops that a frame has come"),
    gauge("highest_seq", "stream_highest_seq", "Highest sequence number seen"),
    gauge("linked_next", "stream_linked_next_seq", "First sequence number not linked"),
    gauge("final_next", "stream_final_next_seq", "First sequence number not final"),
    gauge("accepted_next", "stream_accepted_next_seq",
          "First sequence number not accepted; 0 unless delivered at accepted"),
    gauge("votes_parents", "stream_votes_parents", "Neighbours whose votes count"),
    gauge("votes_needed", "stream_votes_needed", "How many of them must vouch"),
    counter("accepted_by_origin_link", "stream_accepted_by_origin_link",
            "Frames accepted over the origin's own link"),
    counter("accepted_by_votes", "stream_accepted_by_votes", "Frames accepted by votes"),
    counter("accepted_by_signature", "stream_accepted_by_signature",
            "Frames accepted by the origin's signature"),
    counter("votes_received", "stream_votes_received", "Votes received"),
    counter("votes_sent", "stream_votes_sent", "Votes sent, over all children"),
    counter("votes_not_counted", "stream_votes_not_counted",
            "Votes of no parents, or outside the window"),
    counter("votes_double", "stream_votes_double", "Second votes for another frame"),
    counter("votes_overruled", "stream_votes_overruled", "Frames the signature took back"),
    gauge("delivered_next", "stream_delivered_next_seq", "First sequence number not delivered"),
    counter("delivered_objects", "stream_delivered_objects", "Objects delivered"),
    counter("delivered_bytes", "stream_delivered_bytes", "Bytes of objects delivered", "bytes"),
    counter("gap_frames", "stream_gap_frames", "Frames known to exist before they were here"),
    counter("contradictions", "stream_contradictions", "Frames against a signed statement"),
    counter("replaced_frames", "stream_replaced_frames", "Frames replaced by their variant"),
    counter("statements_checked", "stream_statements_checked", "Statements that check"),
    counter("statements_bad", "stream_statements_bad", "Statements that do not"),
    counter("bad_tags", "stream_bad_tags", "Frames whose digest or tag do not match"),
    counter("nacks_sent", "stream_nacks_sent", "Requests for frames sent"),
    counter("nacks_received", "stream_nacks_received", "Requests for frames received"),
    counter("frames_resent", "stream_resent_frames", "Frames sent again on request"),
    gauge("subscribers", "stream_subscribers", "Local subscribers"),
    gauge("queued_bytes", "stream_queued_bytes", "Waiting in the origin's queue", "bytes"),
};

// ---- membership -----------------------------------------------------------------------------

constexpr std::array nat_metrics = {
    gauge("behind_nat", "behind_nat", "1 on a node that says it is behind a NAT"),
    state("mapping", "dependent", "nat_mapping_dependent",
          "1 while its NAT maps it anew for each destination"),
    gauge("relays", "nat_relay", "1 on a node that serves those behind NATs"),
    counter("questions_sent", "nat_questions_sent", "Probes sent to relays"),
    counter("answers_taken", "nat_answers", "Answers of relays taken"),
    counter("answers_refused", "nat_answers_refused", "Answers to no question of this node"),
    gauge("carried_sessions", "nat_carried_sessions", "Sessions that another node carries"),
    counter("messages_refused", "nat_messages_refused", "Messages about NATs refused"),
    counter("messages_not_sent", "nat_messages_not_sent", "Messages about NATs not sent"),
    counter("dials_held_back", "nat_dials_held_back", "Carried sessions asked for too soon again"),
    gauge("pairs", "nat_pairs", "Pairs that datagrams are forwarded between"),
    counter("pairs_opened", "nat_pairs_opened", "Pairs made"),
    counter("pairs_ended", "nat_pairs_ended", "Pairs that ended"),
    counter("pairs_refused", "nat_pairs_refused", "Pairs beyond a bound, or of strangers"),
    counter("datagrams_forwarded", "nat_forwarded_datagrams", "Datagrams forwarded"),
    counter("bytes_forwarded", "nat_forwarded_bytes", "Bytes of these", "bytes"),
    counter("datagrams_unproven", "nat_unproven_datagrams", "Datagrams of unproven addresses"),
    counter("datagrams_over_rate", "nat_over_rate_datagrams", "Datagrams beyond a pair's rate"),
    counter("datagrams_not_sent", "nat_unsent_datagrams", "Datagrams the socket did not take"),
    counter("questions_answered", "nat_questions_answered", "Probes answered"),
    counter("questions_refused", "nat_questions_refused", "Probes that were none, or of strangers"),
    gauge("channels", "nat_channels", "Sessions carried for others"),
    counter("channels_opened", "nat_channels_opened", "Sessions for others begun"),
    counter("channels_ended", "nat_channels_ended", "Sessions for others that ended"),
    counter("channels_refused", "nat_channels_refused", "Sessions for others refused"),
    counter("channels_over_window", "nat_channels_over_window", "Ended for sending too much"),
    counter("channel_messages_unknown", "nat_channel_messages_unknown",
            "Messages of sessions that are not there"),
    counter("channel_bytes", "nat_channel_bytes", "Bytes carried for others", "bytes"),
};

// ---- sight ----------------------------------------------------------------------------------

constexpr std::array capture_metrics = {
    state("state", "running", "capture_running", "1 while a capture runs"),
    counter("packets", "capture_packets", "Packets written by the capture that runs or ran last"),
    counter("missed", "capture_missed_packets", "Packets that found no room on their way to it"),
    counter("file_bytes", "capture_file_bytes", "Size of its file", "bytes"),
};

constexpr std::array latency_state = {
    gauge("measuring", "latency_measuring", "1 while `set latency on` measures")};
constexpr std::array stage_labels = {Label{"stage", "stage"}};
constexpr std::array stage_metrics = {
    histogram("burst", "stage_burst_seconds", "Time of a burst in a stage"),
    histogram("item", "stage_item_seconds", "The same by what entered the stage"),
};
constexpr std::array copy_labels = {Label{"peer", "peer"}};
constexpr std::array copy_metrics = {
    histogram("direct", "peer_direct_copy_seconds", "From arrival until the port took a copy"),
    histogram("queued", "peer_queued_copy_seconds", "The same for copies that had to wait"),
};

constexpr std::array tables = {
    Table{"show version", "", build_labels, build_metrics},
    Table{"show status", "", node_labels, node_metrics},
    Table{"show status", "", {}, status_metrics},
    Table{"show drops", "drops", drop_labels, drop_metrics},
    Table{"show workers", "workers", worker_labels, worker_metrics},
    Table{"show dedup", "", {}, dedup_metrics},
    Table{"show dedup", "streams", window_labels, window_metrics},
    Table{"show pools", "pools", pool_labels, pool_metrics},
    Table{"show pools", "control", {}, control_metrics},
    Table{"show port summary all", "ports", port_labels, port_states},
    Table{"show port stats all", "ports", port_labels, port_metrics},
    Table{"show port xstats all", "ports", port_labels, xstat_metrics},
    Table{"show peers", "peers", peer_labels, peer_metrics},
    Table{"show peer drops all", "drops", peer_drop_labels, peer_drop_metrics},
    Table{"show links", "", {}, link_metrics},
    Table{"show streams", "streams", stream_labels, stream_metrics},
    Table{"show nat", "", {}, nat_metrics},
    Table{"show capture", "", {}, capture_metrics},
    Table{"show latency buckets", "", {}, latency_state},
    Table{"show latency buckets", "stages", stage_labels, stage_metrics, "measuring", "bounds_ns"},
    Table{"show latency buckets", "peers", copy_labels, copy_metrics, "measuring", "bounds_ns"},
};

}  // namespace

std::span<const metrics::Table> metric_tables() {
  return tables;
}

std::string metrics_page(const std::function<ops::Reply(std::string_view)>& run) {
  metrics::Page page;
  std::string_view command;
  ops::Reply reply = ops::Json::object();
  for (const Table& table : tables) {
    if (table.command != command) reply = run(table.command);
    command = table.command;
    if (reply) page.add(table, *reply);
  }
  return page.finish();
}

}  // namespace chaincast::node
