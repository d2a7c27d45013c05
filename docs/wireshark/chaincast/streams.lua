-- SPDX-License-Identifier: BSD-3-Clause
-- Descriptors, statements and the keys of streams (sections 3.2 to 3.4).

local cc = ...
if not cc then return end  -- Wireshark loads each file of a plugin directory by itself, too
local f, crypto = cc.f, cc.crypto
local PAYLOAD_MAX = 65000

local streams = {}

local DESCRIPTOR_FIELDS = {
  { "format", 1 }, { "network", 32 }, { "origin", 32 }, { "incarnation", 16 }, { "class", 1 },
  { "suite", 1 }, { "payload_bytes_max", 2 }, { "object_bytes_max", 4 }, { "rate_frames_per_s", 4 },
  { "window_log2", 1 }, { "statement_frames_max", 2 }, { "statement_interval_ms", 4 },
  { "delivery", 1 }, { "reemit", 1 }, { "keeping", 1 }, { "flags", 1 }, { "votes_percent", 1 },
  { "created", 4 }, { "resource_length", 1 } }
local DESCRIPTOR_BYTES, SIGNATURE_BYTES = 110, 64
local CLASS_OF_SUITE = { 1, 2, 1, 2, 3 }
local DESCRIPTOR_RANGES = {
  format = { 1, 1 }, payload_bytes_max = { 512, PAYLOAD_MAX }, object_bytes_max = { 2^20, 2^30 },
  rate_frames_per_s = { 1, 100000000 }, window_log2 = { 10, 20 },
  statement_frames_max = { 1, 65535 }, statement_interval_ms = { 1, 10000 }, delivery = { 1, 3 },
  reemit = { 1, 2 }, keeping = { 1, 2 }, flags = { 0, 1 }, votes_percent = { 0, 100 },
  resource_length = { 1, 64 } }

local function descriptor_is_malformed(range, part)
  for name, bounds in pairs(DESCRIPTOR_RANGES) do
    local value = part[name]:uint()
    if value < bounds[1] or value > bounds[2] then return true end
  end
  if CLASS_OF_SUITE[part.suite:uint()] ~= part.class:uint() then return true end
  local is_trusted = part.class:uint() == 3
  if is_trusted and (part.votes_percent:uint() ~= 0 or part.delivery:uint() ~= 1 or
                     part.keeping:uint() ~= 1) then return true end
  if part.keeping:uint() == 2 and part.delivery:uint() == 3 then return true end
  local length = part.resource_length:uint()
  if range:len() ~= DESCRIPTOR_BYTES + length + SIGNATURE_BYTES then return true end
  return not range(DESCRIPTOR_BYTES, length):raw():match("^[a-z0-9._-]+$")
end

function streams.dissect_descriptor(range, tree)
  local branch = tree:add(cc.proto, range, "Descriptor")
  if range:len() < DESCRIPTOR_BYTES + 1 + SIGNATURE_BYTES then
    return cc.malformed(branch, "descriptor")
  end
  local read, part = cc.reader(branch, range), {}
  for _, row in ipairs(DESCRIPTOR_FIELDS) do
    part[row[1]] = read.next("descriptor." .. row[1], row[2])
  end
  branch:add(f["descriptor.carries_routes"], part.flags)
  if descriptor_is_malformed(range, part) then return cc.malformed(branch, "descriptor") end
  local resource = read.next("descriptor.resource", part.resource_length:uint()):raw()
  read.next("descriptor.signature", SIGNATURE_BYTES)
  local digest = crypto.sha256(range:raw())
  local id = digest:sub(1, 8)
  cc.generated(branch, "descriptor.digest", cc.hex(digest))
  cc.generated(branch, "descriptor.stream", cc.uint64(id))
  cc.state.streams[id] = cc.state.streams[id] or
    { digest = digest, network = part.network:raw(), resource = resource }
end

local STATEMENT_FIELDS = { { "format", 1 }, { "flags", 1 }, { "descriptor_digest", 32 },
                           { "index", 8 }, { "previous", 32 }, { "first_seq", 8 },
                           { "last_seq", 8 }, { "last_digest", 32 }, { "signature", 64 } }
local STATEMENT_BYTES = 186

-- `range` is nil where there is nothing.
function streams.dissect_statement(range, tree)
  if not range then return cc.malformed(tree, "statement") end
  local branch = tree:add(cc.proto, range, "Statement")
  if range:len() ~= STATEMENT_BYTES then return cc.malformed(branch, "statement") end
  local read, part = cc.reader(branch, range), {}
  for _, row in ipairs(STATEMENT_FIELDS) do
    part[row[1]] = read.next("statement." .. row[1], row[2])
  end
  branch:add(f["statement.end"], part.flags)
  local is_first = part.index:uint64() == UInt64(0)
  if part.format:uint() ~= 1 or part.flags:uint() > 1 or
     part.last_seq:uint64() < part.first_seq:uint64() or
     (is_first and part.previous:raw() ~= string.rep("\0", 32)) then
    cc.malformed(branch, "statement")
  end
end

-- ---- keys (3.3) ---------------------------------------------------------------------------------

streams.IS_ENCRYPTED = { [2] = true, [4] = true }
local IS_OVER_DIGEST = { [1] = true, [2] = true }

local function stream_keys(stream, secret, suite, epoch)
  local context = string.char(suite) .. stream.network .. stream.digest .. epoch
  local function key(letter, label)
    local half = crypto.expand(secret, "chaincast1 " .. letter, 32)
    return crypto.aes(crypto.expand(half, "chaincast1 " .. label .. context, 32))
  end
  return { mac = key("A", "mac"), enc = streams.IS_ENCRYPTED[suite] and key("C", "enc") }
end

local function tag_matches(keys, frame)
  local aad = frame.header .. frame.payload
  if IS_OVER_DIGEST[frame.suite] then aad = crypto.sha256(aad) end
  return crypto.gcm_tag(keys.mac, frame.epoch .. frame.seq, aad, "") == frame.tag
end

-- Sets frame.tag_status, and frame.clear where the payload can be read. Of several secrets the one
-- under which a first frame checks belongs to the stream.
function streams.open_frame(frame)
  local stream = cc.state.streams[frame.stream]
  frame.tag_status = 2
  if not streams.IS_ENCRYPTED[frame.suite] then frame.clear = frame.payload end
  if not stream or not CLASS_OF_SUITE[frame.suite] then return end
  local slot = frame.suite .. frame.epoch
  local tries = stream[slot] and { stream[slot] } or {}
  if #tries == 0 then
    for i, secret in ipairs(cc.state.stream_secrets) do
      tries[i] = stream_keys(stream, secret, frame.suite, frame.epoch)
    end
  end
  for _, keys in ipairs(tries) do
    frame.tag_status = 0
    if tag_matches(keys, frame) then
      stream[slot], frame.tag_status = keys, 1
      if keys.enc then
        frame.clear = crypto.gcm_decrypt(keys.enc, frame.epoch .. frame.seq, frame.payload)
      end
      return
    end
  end
end

return streams
