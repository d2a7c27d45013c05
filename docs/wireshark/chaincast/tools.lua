-- SPDX-License-Identifier: BSD-3-Clause
-- What the parts of the dissector share: adding fields to the tree, marks of what is wrong, and
-- what the capture has told so far (`cc.state`, made anew by `cc.reset`).

local cc = ...
if not cc then return end  -- Wireshark loads each file of a plugin directory by itself, too
local f = cc.f

local all_fields = {}
for name, one in pairs(f) do
  if name ~= "names" then all_fields[#all_fields + 1] = one end
end
cc.proto.fields = all_fields

local wrong = ProtoExpert.new("chaincast.wrong", "chaincast: not as the format says",
                              expert.group.MALFORMED, expert.severity.ERROR)
local forged = ProtoExpert.new("chaincast.forged", "chaincast: does not check",
                               expert.group.CHECKSUM, expert.severity.ERROR)
cc.proto.experts = { wrong, forged }

-- Walks along a range: read.next("hello.step", 1) adds a field of one byte.
function cc.reader(tree, range)
  local self = { at = 0 }
  function self.left() return range:len() - self.at end
  function self.has(size) return self.left() >= size end
  function self.take(size)
    local part = range(self.at, size)
    self.at = self.at + size
    return part
  end
  function self.next(name, size)
    local part = self.take(size)
    tree:add(f[name], part)
    return part
  end
  return self
end

function cc.hex(bytes)
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

-- 8 bytes as Wireshark holds such a number.
function cc.uint64(bytes)
  local a, b, c, d, e, g, h, i = bytes:byte(1, 8)
  return UInt64.new(((e * 256 + g) * 256 + h) * 256 + i, ((a * 256 + b) * 256 + c) * 256 + d)
end

-- A field that is not in the packet but follows from it.
function cc.generated(tree, name, value)
  local item = tree:add(f[name], value)
  item:set_generated()
  return item
end

-- Datagrams whose structure is at fault (1.2).
function cc.show_fault(tree, fault)
  cc.generated(tree, "fault", fault):add_proto_expert_info(wrong, "fault: " .. fault)
end

function cc.malformed(tree, what)
  cc.generated(tree, "malformed", what):add_proto_expert_info(wrong, "malformed " .. what)
end

function cc.status(tree, name, value)
  local item = cc.generated(tree, name, value)
  if value == 0 then item:add_proto_expert_info(forged) end
end

-- ---- what a capture has told so far -------------------------------------------------------------

-- The secrets among the words of a preference: digits, or files as `chaincast keygen` makes them.
local function secrets_of(text)
  local out = {}
  for word in text:gmatch("[^%s,]+") do
    local digits = word:match("^%x+$") and #word == 64 and word
    if not digits then
      local file = io.open(word)
      digits = file and file:read("*a"):match(string.rep("%x", 64))
      if file then file:close() end
    end
    if digits then
      out[#out + 1] = digits:gsub("%x%x", function(x) return string.char(tonumber(x, 16)) end)
    end
  end
  return out
end

function cc.reset(link_secrets, stream_secrets)
  cc.state = {
    asks = {},      -- nonce of an ask: its sender
    sessions = {},  -- both nonces of a handshake: what is known of it
    lanes = {},     -- "destination address, link id": lane
    streams = {},   -- stream id: what its descriptor says
    objects = {},   -- stream id: frames of route objects, by seq
    seen = {},      -- what came to a receiver already
    packets = {},   -- what was settled about a packet, by its number
    link_secrets = secrets_of(link_secrets),
    stream_secrets = secrets_of(stream_secrets),
  }
end

-- Wireshark shows packets in any order once it has read them in theirs, so what a packet means is
-- settled on the first pass and kept under its number.
function cc.settled(pinfo)
  local packet = cc.state.packets[pinfo.number]
  if not packet then
    packet = {}
    cc.state.packets[pinfo.number] = packet
  end
  return packet
end

-- True the second time that `key` is asked for.
function cc.seen_before(key)
  local before = cc.state.seen[key]
  cc.state.seen[key] = true
  return before or false
end
