-- SPDX-License-Identifier: BSD-3-Clause
-- Objects and what route updates hold (section 4).

local cc, streams = ...
if not cc then return end  -- Wireshark loads each file of a plugin directory by itself, too
local f = cc.f
local KIND_DATA, KIND_ROUTE, KIND_STATEMENT = 0, 1, 2

local objects = {}

-- ---- route updates (4.3) ------------------------------------------------------------------------

local function ipv6_text(bytes)
  return tostring(ByteArray.new(bytes, true):tvb("Address")():ipv6())
end

local function prefix_text(family, length, bytes)
  local whole = bytes .. string.rep("\0", (family == 4 and 4 or 16) - #bytes)
  local address = family == 4 and table.concat({ whole:byte(1, 4) }, ".") or ipv6_text(whole)
  return address .. "/" .. length
end

-- Host bits are zero: 2^(8 - used) divides the last byte.
local function has_host_bits(length, bytes)
  local used = length % 8
  return used ~= 0 and bytes:byte(-1) % 2 ^ (8 - used) ~= 0
end

local route_fields = {}

route_fields[1] = function(read, tree)
  local family = read.next("route.family", 1):uint()
  local bits_max = ({ [4] = 32, [6] = 128 })[family]
  if not bits_max or read.left() == 0 then return false end
  local count = 0
  while read.left() > 0 do
    local head = read.take(1)
    local length = head:uint()
    local size = math.ceil(length / 8)
    if length > bits_max or not read.has(size) then return false end
    local bytes = size > 0 and read.take(size) or nil
    local raw = bytes and bytes:raw() or ""
    if has_host_bits(length, raw) then return false end
    tree:add(f["route.prefix"], bytes or head, prefix_text(family, length, raw))
    count = count + 1
  end
  return count <= 65535
end

local function add_address(read, name)
  if read.left() == 4 then
    read.next(name, 4)
  elseif read.left() == 16 then
    read.next(name .. "6", 16)
  end
  return read.left() == 0
end

route_fields[2] = function(read)
  return read.left() > 0 and add_address(read, "route.next_hop")
end

route_fields[3] = function(read)
  return read.left() == 4 and read.next("route.metric", 4):uint() ~= 0
end

route_fields[4] = function(read)
  if read.left() % 4 ~= 0 or read.left() > 4 * 1024 then return false end
  while read.left() > 0 do read.next("route.tag", 4) end
  return true
end

route_fields[5] = function(read)
  if not read.has(8) then return false end
  local as, time = read.next("route.source_as", 4):uint(), read.next("route.source_time", 4):uint()
  return (as ~= 0 or time ~= 0 or read.left() > 0) and add_address(read, "route.source_address")
end

route_fields[6] = function(read)
  if read.left() > 65535 then return false end
  read.next("route.attributes", read.left())
  return true
end

-- Records and fields are alike: type (1), length (3), value. Calls take(type, value, branch) for
-- each; false where one is cut short or refused.
local function each_entry(range, tree, name, take)
  local read = cc.reader(tree, range)
  while read.left() > 0 do
    if not read.has(4) then return false end
    local head = read.take(4)
    local length = head(1, 3):uint()
    if not read.has(length) then return false end
    local branch = tree:add(f[name], head(0, 1))
    branch:add(f["route.length"], head(1, 3))
    if not take(head(0, 1):uint(), length > 0 and read.take(length) or nil, branch) then
      return false
    end
  end
  return true
end

local function dissect_record(value, tree)
  local last, has_prefixes = 0, false
  local is_good = each_entry(value, tree, "route.field", function(kind, content, branch)
    if kind <= last then return false end
    last, has_prefixes = kind, has_prefixes or kind == 1
    if not route_fields[kind] then
      if content then branch:add(f["route.unknown"], content) end
      return true
    end
    return content ~= nil and route_fields[kind](cc.reader(branch, content), branch)
  end)
  return is_good and has_prefixes
end

-- `range` is nil where there is nothing.
local function dissect_routes(range, tree)
  if not range then return cc.malformed(tree, "route update") end
  local branch = tree:add(cc.proto, range, "Route update")
  local is_good = each_entry(range, branch, "route.record", function(kind, value, record)
    if kind == 0 then return false end
    if kind > 2 then
      if value then record:add(f["route.unknown"], value) end
      return true
    end
    return value ~= nil and dissect_record(value, record)
  end)
  if not is_good then cc.malformed(branch, "route update") end
end

-- ---- objects (4.1, 4.2) -------------------------------------------------------------------------

local function number_of(bytes)
  local value = 0
  for i = 1, #bytes do value = value * 256 + bytes:byte(i) end
  return value
end

-- The seqs of the frames from one end of an object to the other, or nil where some are missing, or
-- `seq` stands between two objects.
local function ends_of_object(frames, seq)
  local first, last = seq, seq
  while frames[first] and not frames[first].is_first do
    first = first - 1
    if frames[first] and frames[first].is_last then return nil end
  end
  while frames[last] and not frames[last].is_last do
    last = last + 1
    if frames[last] and frames[last].is_first then return nil end
  end
  return frames[first] and frames[last] and first, last
end

-- Files a frame, and returns the whole route object that it completes. Statements and frames of an
-- unknown kind may stand between two frames of an object.
function objects.complete_route(frame)
  if frame.kind == KIND_DATA or (frame.kind == KIND_ROUTE and frame.is_packed) then return nil end
  local frames = cc.state.objects[frame.stream] or {}
  cc.state.objects[frame.stream] = frames
  local seq = number_of(frame.seq)
  if frame.kind == KIND_ROUTE then
    frames[seq] = { is_first = frame.is_first, is_last = frame.is_last, payload = frame.clear }
  else
    frames[seq] = {}
  end
  local first, last = ends_of_object(frames, seq)
  if not first then return nil end
  local parts = {}
  for at = first, last do parts[#parts + 1] = frames[at].payload end
  return table.concat(parts)
end

-- False where lengths and payload disagree, or there is no object.
local function dissect_packed(range, take)
  if not range then return false end
  local read = cc.reader(nil, range)
  while read.left() > 0 do
    if not read.has(2) then return false end
    local head = read.take(2)
    if not read.has(head:uint()) then return false end
    take(head, head:uint() > 0 and read.take(head:uint()) or nil)
  end
  return true
end

local function dissect_packed_objects(frame, range, tree)
  local is_good = dissect_packed(range, function(head, object)
    local length = tree:add(f["object.length"], head)
    if object then length:add(f["object.data"], object) end
    if frame.kind == KIND_ROUTE then dissect_routes(object, length) end
  end)
  if not is_good or not frame.is_first or not frame.is_last then
    cc.malformed(tree, "packed object")
  end
end

local function dissect_route_object(text, tree)
  local whole = #text > 0 and ByteArray.new(text, true):tvb("Route object")() or nil
  cc.generated(tree, "object.bytes", #text)
  dissect_routes(whole, tree)
end

-- What the payload holds, where it can be read; `range` is nil where it is empty.
function objects.dissect_payload(frame, range, tree)
  if frame.kind == KIND_STATEMENT then
    streams.dissect_statement(range, tree)
  elseif frame.is_packed and frame.kind <= KIND_ROUTE then
    dissect_packed_objects(frame, range, tree)
  end
  if frame.route then dissect_route_object(frame.route, tree) end
end

return objects
