-- SPDX-License-Identifier: BSD-3-Clause
-- Every field of the dissector, by its name without `chaincast.`.

local f = {}

-- field("hello.step", "uint8", "Step", ...): f["hello.step"], shown as chaincast.hello.step.
local function field(name, kind, label, ...)
  f[name] = ProtoField[kind]("chaincast." .. name, label, ...)
end

local function fields_of(prefix, rows)
  for _, row in ipairs(rows) do
    field(prefix .. "." .. row[1], table.unpack(row, 2))
  end
end

local DATAGRAM_KINDS = { [1] = "data", [2] = "hello", [3] = "control" }
local FRAME_KINDS = { [0] = "data", [1] = "route update", [2] = "statement" }
local SUITES = { "sha256-gmac", "sha256-gcm", "sha256-gmac-ct", "sha256-gcm-ct", "gmac" }
local CHECKS = { [0] = "wrong", [1] = "right", [2] = "not known", [3] = "off" }
local MESSAGES = { "keepalive", "keepalive_reply", "descriptor", "refuse_stream", "report", "nack",
                   "pending", "tip", "tip_request", "mtu_probe", "mtu_reply", "close",
                   "votes" }

field("kind", "uint8", "Kind of datagram", base.DEC, DATAGRAM_KINDS)
field("version", "uint8", "Version")
field("flags", "uint8", "Flags", base.HEX)
field("flags.hello", "bool", "Hello", 8, nil, 0x01)
field("frames", "uint8", "Frame count")
field("hops", "uint8", "Hops")
field("link_id", "uint32", "Link id", base.HEX)
field("link_seq", "uint32", "Link seq")
field("check", "uint32", "Check", base.HEX)
field("check.status", "uint8", "Check status", base.DEC, CHECKS)
field("lane", "uint8", "Lane")
field("sender", "string", "Sending node")
field("receiver", "string", "Receiving node")
field("repeated", "bool", "Link seq seen before")
field("fault", "string", "Fault of structure")
field("malformed", "string", "Malformed")

fields_of("frame", {
  { "length", "uint16", "Payload length" },
  { "kind", "uint8", "Kind", base.DEC, FRAME_KINDS, 0x0f },
  { "first", "bool", "First of an object", 8, nil, 0x80 },
  { "last", "bool", "Last of an object", 8, nil, 0x40 },
  { "packed", "bool", "Packed", 8, nil, 0x20 },
  { "suite", "uint8", "Suite", base.DEC, SUITES },
  { "epoch", "uint32", "Epoch" },
  { "stream", "uint64", "Stream", base.HEX },
  { "resource", "string", "Resource" },
  { "seq", "uint64", "Seq" },
  { "link", "bytes", "Link" },
  { "tag", "bytes", "Tag" },
  { "tag_status", "uint8", "Tag status", base.DEC, CHECKS },
  { "payload", "bytes", "Payload" },
  { "repeated", "bool", "Came to this receiver before" },
})

fields_of("hello", {
  { "step", "uint8", "Step", base.DEC, { "ask", "answer", "confirm", "refuse" } },
  { "refusal", "uint8", "Refusal", base.DEC,
    { [0] = "none", "bad version", "duplicate id", "removed" } },
  { "version_min", "uint8", "Lowest version" },
  { "version_max", "uint8", "Highest version" },
  { "sender", "bytes", "Sender" },
  { "sender_key", "bytes", "Public key" },
  { "nonce", "bytes", "Nonce" },
  { "echo", "bytes", "Echo" },
  { "suites", "uint32", "Suites", base.HEX },
  { "mtu_bytes", "uint16", "MTU (bytes)" },
  { "flags", "uint8", "Flags", base.HEX },
  { "check_off", "bool", "Wants check 0", 8, nil, 0x01 },
  { "reserved", "uint8", "Reserved" },
  { "lane_count", "uint16", "Bulk lanes" },
  { "receive_ports", "uint16", "Receive ports" },
  { "link_id_count", "uint16", "Link ids" },
  { "link_id", "uint32", "Link id", base.HEX },
  { "mac", "bytes", "MAC" },
  { "mac_status", "uint8", "MAC status", base.DEC, CHECKS },
})

fields_of("probe", {
  { "step", "uint8", "Probe", base.DEC, { [5] = "question", [6] = "answer" } },
  { "flags", "uint8", "Flags", base.HEX },
  { "zeros", "bytes", "Zeros" },
  { "node", "bytes", "Node that asks" },
  { "nonce", "bytes", "Nonce" },
  { "cookie", "bytes", "Cookie" },
  { "family", "uint8", "Family" },
  { "port", "uint16", "Seen UDP port" },
  { "address", "bytes", "Seen address" },
  { "mac", "bytes", "MAC" },
})

fields_of("control", {
  { "counter", "uint64", "Counter" },
  { "ciphertext", "bytes", "Ciphertext" },
  { "tag", "bytes", "GCM tag" },
  { "seal", "uint8", "Seal", base.DEC, CHECKS },
})

fields_of("message", {
  { "type", "uint8", "Message", base.DEC, MESSAGES },
  { "stamp", "uint64", "Stamp", base.HEX },
  { "length", "uint16", "Length" },
  { "stream", "uint64", "Stream", base.HEX },
  { "why", "uint8", "Why", base.DEC,
    { "unknown resource", "mtu", "suite", "capacity", "bad signature", "conflicting" } },
  { "mtu", "uint16", "MTU (bytes)" },
  { "received_datagrams", "uint64", "Datagrams received" },
  { "lost_datagrams", "uint64", "Datagrams lost" },
  { "received_bytes", "uint64", "Bytes received" },
  { "first_seq", "uint64", "First seq" },
  { "map", "uint64", "Map", base.HEX },
  { "by_digest", "uint8", "By digest" },
  { "digest8", "bytes", "Digest (first 8 bytes)" },
  { "gone", "uint8", "Gone", base.DEC, { [0] = "coming soon", "lost for good" } },
  { "empty", "uint8", "Empty" },
  { "linked_seq", "uint64", "Linked seq" },
  { "retained_from", "uint64", "Retained from" },
  { "probe_id", "uint32", "Probe id" },
  { "packet_bytes", "uint16", "IP packet size (bytes)" },
  { "padding", "bytes", "Padding" },
  { "reason", "uint8", "Reason", base.DEC, { "shutdown", "removed", "rekey" } },
  { "count", "uint8", "Votes" },
  { "vote_seq", "uint64", "Seq" },
  { "vote", "bytes", "Digest" },
  { "unknown", "bytes", "Body of an unknown message" },
})

fields_of("descriptor", {
  { "format", "uint8", "Format" },
  { "network", "bytes", "Network" },
  { "origin", "bytes", "Origin" },
  { "incarnation", "bytes", "Incarnation" },
  { "class", "uint8", "Suite class", base.DEC, { "open", "confidential", "trusted" } },
  { "suite", "uint8", "Suite", base.DEC, SUITES },
  { "payload_bytes_max", "uint16", "Payload max (bytes)" },
  { "object_bytes_max", "uint32", "Object max (bytes)" },
  { "rate_frames_per_s", "uint32", "Rate (frames/s)" },
  { "window_log2", "uint8", "Window (log2 frames)" },
  { "statement_frames_max", "uint16", "Statement after (frames)" },
  { "statement_interval_ms", "uint32", "Statement interval (ms)" },
  { "delivery", "uint8", "Delivery", base.DEC, { "linked", "final", "accepted" } },
  { "reemit", "uint8", "Re-emit", base.DEC, { "verified", "linked" } },
  { "keeping", "uint8", "Keeping", base.DEC, { "live", "kept" } },
  { "flags", "uint8", "Flags", base.HEX },
  { "carries_routes", "bool", "Carries routes", 8, nil, 0x01 },
  { "votes_percent", "uint8", "Votes (percent)" },
  { "created", "uint32", "Created (Unix seconds)" },
  { "resource_length", "uint8", "Resource length" },
  { "resource", "string", "Resource" },
  { "signature", "bytes", "Signature" },
  { "digest", "string", "Digest" },
  { "stream", "uint64", "Stream id", base.HEX },
})

fields_of("statement", {
  { "format", "uint8", "Format" },
  { "flags", "uint8", "Flags", base.HEX },
  { "end", "bool", "End of the stream", 8, nil, 0x01 },
  { "descriptor_digest", "bytes", "Descriptor digest" },
  { "index", "uint64", "Index" },
  { "previous", "bytes", "Previous" },
  { "first_seq", "uint64", "First seq" },
  { "last_seq", "uint64", "Last seq" },
  { "last_digest", "bytes", "Last digest" },
  { "signature", "bytes", "Signature" },
})

fields_of("object", {
  { "length", "uint16", "Length" },
  { "data", "bytes", "Object" },
  { "bytes", "uint32", "Length of the whole object" },
})

fields_of("route", {
  { "record", "uint8", "Record", base.DEC, { "announce", "withdraw" } },
  { "field", "uint8", "Field", base.DEC,
    { "prefixes", "next hop", "metric", "tags", "source", "attributes" } },
  { "length", "uint24", "Length" },
  { "family", "uint8", "Family", base.DEC, { [4] = "IPv4", [6] = "IPv6" } },
  { "prefix", "string", "Prefix" },
  { "next_hop", "ipv4", "Next hop" },
  { "next_hop6", "ipv6", "Next hop" },
  { "metric", "uint32", "Metric" },
  { "tag", "uint32", "Tag", base.HEX },
  { "source_as", "uint32", "Source AS" },
  { "source_time", "uint32", "Source time (Unix seconds)" },
  { "source_address", "ipv4", "Source address" },
  { "source_address6", "ipv6", "Source address" },
  { "attributes", "bytes", "BGP path attributes" },
  { "unknown", "bytes", "Skipped" },
})

f.names = { messages = MESSAGES }

return f
