-- SPDX-License-Identifier: BSD-3-Clause
-- Hellos, probes, keys and checks of links (sections 2.2 to 2.5, 2.8).

local cc = ...
if not cc then return end  -- Wireshark loads each file of a plugin directory by itself, too
local f, crypto = cc.f, cc.crypto
local band, bxor, rshift = cc.bits.band, cc.bits.bxor, cc.bits.rshift

local links = {}

local function secret_of_hello(body, mac)
  for _, secret in ipairs(cc.state.link_secrets) do
    local key = crypto.expand(crypto.extract("chaincast1", secret), "chaincast1 hello", 32)
    if crypto.hmac(key, body) == mac then return secret end
  end
  return nil
end

local function session_of(nonces)
  local session = cc.state.sessions[nonces]
  if not session then
    session = { nonces = nonces, ids = {}, check_off = {} }
    cc.state.sessions[nonces] = session
  end
  return session
end

-- Who sends a hello receives on the lanes whose ids it names.
local function learn_hello(hello, source)
  if hello.step == 1 then
    cc.state.asks[hello.nonce] = hello.sender
    return
  end
  if hello.step ~= 2 and hello.step ~= 3 then return end
  local is_answer = hello.step == 2
  local session = session_of(is_answer and hello.echo .. hello.nonce or hello.nonce .. hello.echo)
  session.secret = session.secret or hello.secret
  local own, other = is_answer and "answerer" or "asker", is_answer and "asker" or "answerer"
  session.ids[own], session.check_off[own] = hello.sender, hello.check_off
  session.ids.asker = session.ids.asker or cc.state.asks[session.nonces:sub(1, 16)]
  for index, id in ipairs(hello.link_ids) do
    cc.state.lanes[source .. id] = { session = session, number = index - 1, from = other, to = own }
  end
end

-- A key of one direction of a link (2.3), or nil where the capture does not tell enough.
local function link_key(lane, label, suffix, size)
  local session = lane.session
  local from, to = session.ids[lane.from], session.ids[lane.to]
  if not session.secret or not from or not to then return nil end
  session.prk = session.prk or crypto.extract(session.nonces, session.secret)
  return crypto.aes(crypto.expand(session.prk, label .. from .. to .. suffix, size))
end

function links.control_key(lane)
  local session = lane.session
  session[lane.from] = session[lane.from] or link_key(lane, "chaincast1 ctl", "", 32)
  return session[lane.from]
end

local function xor_of_words(tags)
  local sum = 0
  for at = 1, #tags, 4 do
    local a, b, c, d = tags:byte(at, at + 3)
    sum = bxor(sum, a * 0x1000000 + b * 0x10000 + c * 0x100 + d)
  end
  return string.char(rshift(sum, 24), band(rshift(sum, 16), 255), band(rshift(sum, 8), 255),
                     band(sum, 255))
end

-- 2.4. The high half of the counter is 0: who captures has seen the hello, and a capture of 2^32
-- datagrams of one lane is not to be had.
function links.judge_check(lane, header, tags)
  if not lane then return 2 end
  local off = lane.session.check_off
  if off.answerer and off.asker == nil then return 2 end  -- the confirm will tell
  if off.answerer and off.asker then return 3 end
  lane.key = lane.key or link_key(lane, "chaincast1 link", string.char(lane.number), 16)
  if not lane.key then return 2 end
  local block = header(0, 12):raw() .. xor_of_words(tags)
  return crypto.encrypt_block(lane.key, block):sub(1, 4) == header(12, 4):raw() and 1 or 0
end

local HELLO_FIELDS = { { "step", 1 }, { "refusal", 1 }, { "version_min", 1 }, { "version_max", 1 },
                       { "sender", 16 }, { "sender_key", 32 }, { "nonce", 16 }, { "echo", 16 },
                       { "suites", 4 }, { "mtu_bytes", 2 }, { "flags", 1 }, { "reserved", 1 },
                       { "lane_count", 2 }, { "receive_ports", 2 }, { "link_id_count", 2 } }
local HELLO_BYTES, HELLO_MAC_BYTES = 98, 32

local function hello_is_malformed(range, part)
  local function number(name) return part[name]:uint() end
  local count = number("link_id_count")
  local step, refusal = number("step"), number("refusal")
  if step < 1 or step > 4 then return true end
  if (step == 4) ~= (refusal ~= 0) or refusal > 3 then return true end
  if number("version_min") < 1 or number("version_max") < number("version_min") then return true end
  if step == 1 and part.echo:raw() ~= string.rep("\0", 16) then return true end
  if number("flags") > 1 or number("reserved") ~= 0 then return true end
  if number("lane_count") > 64 then return true end
  if count > 65 then return true end
  return range:len() ~= HELLO_BYTES + 4 * count + HELLO_MAC_BYTES
end

local function read_link_ids(read, count)
  local ids = {}
  for _ = 1, count do
    if not read.has(4 + HELLO_MAC_BYTES) then break end
    ids[#ids + 1] = read.next("hello.link_id", 4):raw()
  end
  return ids
end

local PROBE_FIELDS = { { "step", 1 }, { "flags", 1 }, { "zeros", 2 }, { "node", 16 },
                       { "nonce", 16 }, { "cookie", 16 }, { "family", 1 }, { "port", 2 },
                       { "address", 16 }, { "zeros", 27 }, { "mac", 32 } }
local PROBE_BYTES = 130

local function is_sound(range, is_answer)
  local flags, family = range(1, 1):uint(), range(52, 1):uint()
  local function is_zero(at, bytes) return range(at, bytes):raw() == string.rep("\0", bytes) end
  if not is_zero(2, 2) or not is_zero(71, 27) then return false end
  if not is_answer then return flags == 0 and is_zero(52, 19) end
  return flags <= 1 and (family == 6 or family == 4 and is_zero(59, 12))
end

local function dissect_probe(range, pinfo, tree)
  local branch = tree:add(cc.proto, range, "Probe")
  local read, part = cc.reader(branch, range), {}
  for _, row in ipairs(PROBE_FIELDS) do part[row[1]] = read.next("probe." .. row[1], row[2]) end
  local is_answer = part.step:uint() == 6
  pinfo.cols.info = is_answer and "probe answer" or "probe question"
  if not is_sound(range, is_answer) then cc.malformed(branch, "probe") end
end

-- Section 2.8: probes have the hop header of a hello.
local function is_probe(range)
  local step = range(0, 1):uint()
  return range:len() == PROBE_BYTES and (step == 5 or step == 6)
end

function links.dissect_hello(range, pinfo, tree)
  if is_probe(range) then return dissect_probe(range, pinfo, tree) end
  local branch = tree:add(cc.proto, range, "Hello")
  local read, part = cc.reader(branch, range), {}
  for _, row in ipairs(HELLO_FIELDS) do part[row[1]] = read.next("hello." .. row[1], row[2]) end
  branch:add(f["hello.check_off"], part.flags)
  local ids = read_link_ids(read, part.link_id_count:uint())
  pinfo.cols.info = "hello " ..
    (({ "ask", "answer", "confirm", "refuse" })[part.step:uint()] or "of an unknown step")
  if hello_is_malformed(range, part) then return cc.malformed(branch, "hello") end
  local mac = read.next("hello.mac", HELLO_MAC_BYTES):raw()
  local packet = cc.settled(pinfo)
  if not pinfo.visited then
    local secret = secret_of_hello(range(0, range:len() - HELLO_MAC_BYTES):raw(), mac)
    packet.mac = secret and 1 or #cc.state.link_secrets > 0 and 0 or 2
    if packet.mac ~= 0 then
      learn_hello({ step = part.step:uint(), sender = part.sender:raw(), nonce = part.nonce:raw(),
                    echo = part.echo:raw(), check_off = band(part.flags:uint(), 1) == 1,
                    link_ids = ids, secret = secret }, tostring(pinfo.src))
    end
  end
  cc.status(branch, "hello.mac_status", packet.mac)
end

return links
