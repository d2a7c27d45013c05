-- SPDX-License-Identifier: BSD-3-Clause
-- Wireshark dissector for chaincast, written from docs/wire.md alone; "1.2" and the like below are
-- its sections. docs/observing.md says how to install it, its preferences and its fields.

local place = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""

local function part(name, ...)
  return assert(loadfile(place .. "chaincast/" .. name .. ".lua"))(...)
end

local chaincast = Proto("chaincast", "chaincast")
chaincast.prefs.ports = Pref.range("UDP ports", "7000-7015", "base ports of nodes and their lanes",
                                   65535)
chaincast.prefs.link_secrets = Pref.string("Link secrets", "",
  "open control messages and check hellos and datagrams: 64 hex digits or file names, by blanks")
chaincast.prefs.stream_secrets = Pref.string("Stream secrets", "",
  "decrypt payloads and check frames: 64 hex digits or file names, separated by blanks")

local cc = { proto = chaincast, bits = bit32 or bit }
cc.f = part("fields")
cc.crypto = part("crypto", cc.bits)
part("tools", cc)
local links = part("links", cc)
local streams = part("streams", cc)
local messages = part("messages", cc, streams, links)
local frames = part("frames", cc, streams, part("objects", cc, streams))

local HOP_BYTES, HOPS_MAX = 16, 32
local HELLO_BYTES_MIN, HELLO_BYTES_MAX, CONTROL_BYTES_MIN = 146, 406, 41

function chaincast.init()
  cc.reset(chaincast.prefs.link_secrets, chaincast.prefs.stream_secrets)
end

local function fault_of_header(tvb)
  if tvb:len() < HOP_BYTES then return "truncated" end
  if tvb(0, 1):uint() ~= 1 then return "bad_version" end
  if tvb(3, 1):uint() > (tvb(2, 1):uint() > 0 and HOPS_MAX or 0) then return "too_many_hops" end
  return nil
end

local function fault_of_hello(tvb)
  if tvb(4, 12):raw() ~= string.rep("\0", 12) then return "bad_count" end
  if tvb:len() > HELLO_BYTES_MAX then return "oversized" end
  return tvb:len() < HELLO_BYTES_MIN and "truncated" or nil
end

local function show_link(packet, pinfo, tvb, tree)
  if not pinfo.visited then
    packet.lane = cc.state.lanes[tostring(pinfo.dst) .. tvb(4, 4):raw()]
    packet.repeated = cc.seen_before(tostring(pinfo.dst) .. pinfo.dst_port .. tvb(4, 8):raw())
  end
  cc.generated(tree, "repeated", packet.repeated)
  local lane = packet.lane
  if not lane then return end
  cc.generated(tree, "lane", lane.number)
  for name, id in pairs({ sender = lane.session.ids[lane.from],
                          receiver = lane.session.ids[lane.to] }) do
    cc.generated(tree, name, cc.hex(id))
  end
end

local function show_header(tvb, tree)
  local read = cc.reader(tree, tvb(0, HOP_BYTES))
  read.next("version", 1)
  tree:add(cc.f["flags.hello"], read.next("flags", 1))
  for _, row in ipairs({ { "frames", 1 }, { "hops", 1 }, { "link_id", 4 }, { "link_seq", 4 },
                         { "check", 4 } }) do
    read.next(row[1], row[2])
  end
end

-- The tags whose words the check covers, or nil where the datagram is at fault.
local function dissect_lane(tvb, pinfo, tree, packet)
  if tvb(2, 1):uint() > 0 then return frames.dissect_data(tvb, pinfo, tree, packet) end
  if tvb:len() < CONTROL_BYTES_MIN then return cc.show_fault(tree, "truncated") end
  messages.dissect_control(tvb(0, HOP_BYTES), tvb(HOP_BYTES), pinfo, tree, packet.lane)
  return tvb(tvb:len() - 16):raw()
end

local function dissect_datagram(tvb, pinfo, tree)
  local count = tvb(2, 1):uint()
  local is_hello = count == 0 and cc.bits.band(tvb(1, 1):uint(), 1) == 1
  cc.generated(tree, "kind", count > 0 and 1 or is_hello and 2 or 3)
  if is_hello then
    local fault = fault_of_hello(tvb)
    if fault then return cc.show_fault(tree, fault) end
    return links.dissect_hello(tvb(HOP_BYTES), pinfo, tree)
  end
  local packet = cc.settled(pinfo)
  show_link(packet, pinfo, tvb, tree)
  local tags = dissect_lane(tvb, pinfo, tree, packet)
  if not tags then return end
  if not pinfo.visited then
    packet.check = links.judge_check(packet.lane, tvb(0, HOP_BYTES), tags)
  end
  cc.status(tree, "check.status", packet.check)
end

function chaincast.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "chaincast"
  local tree = root:add(chaincast, tvb())
  if tvb:len() >= HOP_BYTES then show_header(tvb, tree) end
  local fault = fault_of_header(tvb)
  if fault then
    pinfo.cols.info = fault
    cc.show_fault(tree, fault)
  else
    dissect_datagram(tvb, pinfo, tree)
  end
  return tvb:len()
end

local udp_ports = DissectorTable.get("udp.port")
local registered = ""

local function register_ports()
  if registered == chaincast.prefs.ports then return end
  if registered ~= "" then udp_ports:remove(registered, chaincast) end
  registered = chaincast.prefs.ports
  if registered ~= "" then udp_ports:add(registered, chaincast) end
end

chaincast.prefs_changed = register_ports
register_ports()
