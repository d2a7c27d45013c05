-- SPDX-License-Identifier: BSD-3-Clause
-- Control messages (section 2.6).

local cc, streams, links = ...
if not cc then return end  -- Wireshark loads each file of a plugin directory by itself, too
local crypto = cc.crypto

local MTU_PROBE, PLAIN_BYTES_MAX = 10, 1200

local messages = {}

-- Each takes a reader of the body and returns false where it is malformed.
local bodies = {}

local function fixed(...)
  local rows = { ... }
  return function(read)
    for _, row in ipairs(rows) do
      if not read.has(row[2]) then return false end
      local value = read.next("message." .. row[1], row[2])
      if row[3] and (value:uint() < row[3] or value:uint() > row[4]) then return false end
    end
    return read.left() == 0
  end
end

bodies[1] = fixed({ "stamp", 8 })
bodies[2] = fixed({ "stamp", 8 })
bodies[4] = fixed({ "stream", 8 }, { "why", 1, 1, 6 }, { "mtu", 2 })
bodies[5] = fixed({ "received_datagrams", 8 }, { "lost_datagrams", 8 }, { "received_bytes", 8 })
bodies[7] = fixed({ "stream", 8 }, { "first_seq", 8 }, { "map", 8 }, { "gone", 1, 0, 1 })
bodies[9] = fixed({ "stream", 8 })
bodies[11] = fixed({ "probe_id", 4 }, { "packet_bytes", 2 })
bodies[12] = fixed({ "reason", 1, 1, 3 })

bodies[3] = function(read, tree)
  if not read.has(2) then return false end
  local length = read.next("message.length", 2):uint()
  if length < 1 or length > 512 or read.left() ~= length then return false end
  streams.dissect_descriptor(read.take(length), tree)
  return true
end

bodies[6] = function(read)
  if not read.has(25) then return false end
  read.next("message.stream", 8)
  read.next("message.first_seq", 8)
  read.next("message.map", 8)
  local by_digest = read.next("message.by_digest", 1):uint()
  if by_digest > 1 or read.left() ~= 8 * by_digest then return false end
  if by_digest == 1 then read.next("message.digest8", 8) end
  return true
end

bodies[8] = function(read, tree)
  if not read.has(9) then return false end
  read.next("message.stream", 8)
  local empty = read.next("message.empty", 1):uint()
  if empty > 1 or not read.has(empty == 0 and 26 or 10) then return false end
  if empty == 0 then
    read.next("message.linked_seq", 8)
    read.next("message.digest8", 8)
  end
  read.next("message.retained_from", 8)
  local length = read.next("message.length", 2):uint()
  if length > 512 or read.left() ~= length then return false end
  if length > 0 then streams.dissect_statement(read.take(length), tree) end
  return true
end

bodies[10] = function(read)
  if not read.has(6) then return false end
  read.next("message.probe_id", 4)
  read.next("message.packet_bytes", 2)
  if read.left() > 0 then read.next("message.padding", read.left()) end
  return true
end

bodies[13] = function(read, tree)
  if not read.has(17) then return false end
  read.next("message.stream", 8)
  local first = read.next("message.first_seq", 8):uint64()
  local count = read.next("message.count", 1):uint()
  if count < 1 or count > 36 or read.left() ~= 32 * count then return false end
  if first + (count - 1) < first then return false end
  for i = 0, count - 1 do
    read.next("message.vote", 32)
    cc.generated(tree, "message.vote_seq", first + i)
  end
  return true
end

local function dissect_message(plain, pinfo, tree)
  local range = ByteArray.new(plain, true):tvb("Opened message")()
  local branch = tree:add(cc.proto, range, "Message")
  local read = cc.reader(branch, range)
  local kind = read.next("message.type", 1):uint()
  pinfo.cols.info = cc.f.names.messages[kind] or "message of an unknown type"
  if #plain > PLAIN_BYTES_MAX and kind ~= MTU_PROBE then return cc.malformed(branch, "message") end
  if not bodies[kind] then
    if read.left() > 0 then read.next("message.unknown", read.left()) end
  elseif not bodies[kind](read, branch) then
    cc.malformed(branch, "message")
  end
end

-- The header is that of the datagram: 2.5.
local function open_message(lane, header, range)
  local key = lane and links.control_key(lane)
  if not key then return nil, 2 end
  local counter = range(0, 8):raw()
  local aad = header(0, 2):raw() .. "\0\0" .. counter
  local sealed = range(8, range:len() - 24):raw()
  local plain = crypto.gcm_open(key, "\0\0\0\0" .. counter, aad, sealed,
                                range(range:len() - 16):raw())
  return plain, plain and 1 or 0
end

-- `range` is behind the hop header, and at least 25 bytes long.
function messages.dissect_control(header, range, pinfo, tree, lane)
  pinfo.cols.info = "control"
  local branch = tree:add(cc.proto, range, "Sealed message")
  local read = cc.reader(branch, range)
  read.next("control.counter", 8)
  read.next("control.ciphertext", range:len() - 24)
  read.next("control.tag", 16)
  local packet = cc.settled(pinfo)
  if not pinfo.visited then packet.plain, packet.seal = open_message(lane, header, range) end
  cc.status(branch, "control.seal", packet.seal)
  if packet.plain then dissect_message(packet.plain, pinfo, branch) end
end

return messages
