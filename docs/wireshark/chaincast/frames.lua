-- SPDX-License-Identifier: BSD-3-Clause
-- Frames (section 1.2).

local cc, streams, objects = ...
if not cc then return end  -- Wireshark loads each file of a plugin directory by itself, too
local f, band = cc.f, cc.bits.band
local HOP_BYTES, FRAME_BYTES, PAYLOAD_MAX = 16, 56, 65000

local frames = {}

-- What is settled about a frame on the first pass.
local function settle_frame(header, payload, receiver)
  local bits_of = header(2, 1):uint()
  local frame = { header = header(0, 40):raw(), payload = payload and payload:raw() or "",
                  suite = header(3, 1):uint(), epoch = header(4, 4):raw(),
                  stream = header(8, 8):raw(), seq = header(16, 8):raw(),
                  tag = header(40, 16):raw(),
                  kind = band(bits_of, 0x0f), is_first = band(bits_of, 0x80) ~= 0,
                  is_last = band(bits_of, 0x40) ~= 0, is_packed = band(bits_of, 0x20) ~= 0 }
  frame.repeated = cc.seen_before(receiver .. frame.stream .. frame.seq .. frame.tag)
  streams.open_frame(frame)
  if frame.clear then frame.route = objects.complete_route(frame) end
  frame.header, frame.payload = nil, nil  -- the capture has them
  return frame
end

local function show_frame(frame, header, payload, tree)
  local read = cc.reader(tree, header)
  read.next("frame.length", 2)
  local kind = read.take(1)
  for _, name in ipairs({ "kind", "first", "last", "packed" }) do
    tree:add(f["frame." .. name], kind)
  end
  for _, row in ipairs({ { "suite", 1 }, { "epoch", 4 }, { "stream", 8 }, { "seq", 8 },
                         { "link", 16 }, { "tag", 16 } }) do
    read.next("frame." .. row[1], row[2])
  end
  local stream = cc.state.streams[frame.stream]
  if stream then cc.generated(tree, "frame.resource", stream.resource) end
  cc.status(tree, "frame.tag_status", frame.tag_status)
  cc.generated(tree, "frame.repeated", frame.repeated)
  if payload then tree:add(f["frame.payload"], payload) end
  if not frame.clear then return end
  local clear = payload
  if payload and streams.IS_ENCRYPTED[frame.suite] then
    clear = ByteArray.new(frame.clear, true):tvb("Decrypted payload")()
  end
  objects.dissect_payload(frame, clear, tree)
end

-- The fault of a frame at the start of `range`, and its whole length.
local function frame_fault(range)
  if range:len() < FRAME_BYTES then return "truncated" end
  local length = range(0, 2):uint()
  if length > PAYLOAD_MAX then return "oversized" end
  if range:len() < FRAME_BYTES + length then return "truncated" end
  return nil, FRAME_BYTES + length
end

-- Calls take(index, range of a frame) for each; the fault of the datagram, if it has one.
local function each_frame(tvb, take)
  local at = HOP_BYTES
  for index = 1, tvb(2, 1):uint() do
    if at >= tvb:len() then return "truncated" end
    local fault, size = frame_fault(tvb(at))
    if fault then return fault end
    take(index, tvb(at, size))
    at = at + size
  end
  return at < tvb:len() and "trailing" or nil
end

-- The tags of all frames in a row, or nil where the datagram is at fault.
function frames.dissect_data(tvb, pinfo, tree, packet)
  local count = tvb(2, 1):uint()
  pinfo.cols.info = count == 1 and "data, 1 frame" or "data, " .. count .. " frames"
  local fault = each_frame(tvb, function() end)
  if fault then return cc.show_fault(tree, fault) end
  local tags = {}
  packet.frames = packet.frames or {}
  local receiver = packet.lane and packet.lane.session.ids[packet.lane.to] or tostring(pinfo.dst)
  each_frame(tvb, function(index, range)
    local header = range(0, FRAME_BYTES)
    local payload = range:len() > FRAME_BYTES and range(FRAME_BYTES) or nil
    packet.frames[index] = packet.frames[index] or settle_frame(header, payload, receiver)
    tags[index] = packet.frames[index].tag
    local branch = tree:add(cc.proto, range, "Frame " .. index)
    show_frame(packet.frames[index], header, payload, branch)
  end)
  return table.concat(tags)
end

return frames
