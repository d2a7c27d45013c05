-- SPDX-License-Identifier: BSD-3-Clause
-- What chaincast.lua needs of cryptography, in plain Lua because Wireshark 4.0 offers none to
-- scripts: SHA-256, HMAC and HKDF-Expand, AES encryption, AES-GCM opening. Strings of bytes in and
-- out. Times depend on keys and data: this looks into captures, it protects nothing.

local bits = ...
if not bits then return end  -- Wireshark loads each file of a plugin directory by itself, too
local band, bxor, bnot = bits.band, bits.bxor, bits.bnot
local lshift, rshift = bits.lshift, bits.rshift
local ror = bits.rrotate or bits.ror

local crypto = {}

-- The big-endian 32-bit words of a string whose length is a multiple of 4.
local function to_words(text)
  local words = {}
  for at = 1, #text, 4 do
    local a, b, c, d = text:byte(at, at + 3)
    words[#words + 1] = a * 0x1000000 + b * 0x10000 + c * 0x100 + d
  end
  return words
end

local function from_words(words)
  local parts = {}
  for i, word in ipairs(words) do
    parts[i] = string.char(rshift(word, 24), band(rshift(word, 16), 255),
                           band(rshift(word, 8), 255), band(word, 255))
  end
  return table.concat(parts)
end

local function pad_to_16(text)
  return text .. string.rep("\0", -#text % 16)
end

-- `value` below 2^53 as `size` bytes.
local function big_endian(value, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(bytes)
end

-- ---- SHA-256, HMAC, HKDF-Expand ---------------------------------------------------------------

-- The first 32 bits of the fractional parts of the roots of the first primes (FIPS 180-4).
local function fractions_of_roots(count, root)
  local out, candidate = {}, 2
  while #out < count do
    local is_prime = true
    for divisor = 2, math.floor(math.sqrt(candidate)) do
      is_prime = is_prime and candidate % divisor ~= 0
    end
    if is_prime then
      local value = candidate ^ (1 / root)
      out[#out + 1] = math.floor((value - math.floor(value)) * 0x100000000)
    end
    candidate = candidate + 1
  end
  return out
end

local round_constants = fractions_of_roots(64, 3)
local initial_hash = fractions_of_roots(8, 2)

local function schedule(block)
  local w = to_words(block)
  for t = 17, 64 do
    local x, y = w[t - 15], w[t - 2]
    local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
    local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
    w[t] = band(w[t - 16] + s0 + w[t - 7] + s1, 0xffffffff)
  end
  return w
end

local function compress(hash, block)
  local w = schedule(block)
  local a, b, c, d, e, f, g, h = table.unpack(hash)
  for t = 1, 64 do
    local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
    local choice = bxor(band(e, f), band(bnot(e), g))
    local t1 = h + s1 + choice + round_constants[t] + w[t]
    local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
    local majority = bxor(band(a, b), band(a, c), band(b, c))
    h, g, f, e, d, c, b, a = g, f, e, band(d + t1, 0xffffffff), c, b, a,
      band(t1 + s0 + majority, 0xffffffff)
  end
  for i, value in ipairs({ a, b, c, d, e, f, g, h }) do
    hash[i] = band(hash[i] + value, 0xffffffff)
  end
end

function crypto.sha256(text)
  local whole = text .. "\128" .. string.rep("\0", -(#text + 9) % 64) .. big_endian(#text * 8, 8)
  local hash = { table.unpack(initial_hash) }
  for at = 1, #whole, 64 do
    compress(hash, whole:sub(at, at + 63))
  end
  return from_words(hash)
end

local function xor_byte(text, value)
  return (text:gsub(".", function(c) return string.char(bxor(c:byte(), value)) end))
end

-- `key` of at most 64 bytes.
function crypto.hmac(key, text)
  local block = key .. string.rep("\0", 64 - #key)
  return crypto.sha256(xor_byte(block, 0x5c) .. crypto.sha256(xor_byte(block, 0x36) .. text))
end

crypto.extract = crypto.hmac

-- At most 32 bytes: nothing here asks for more.
function crypto.expand(prk, info, length)
  return crypto.hmac(prk, info .. "\1"):sub(1, length)
end

-- ---- AES --------------------------------------------------------------------------------------

local function double(value)
  return bxor(band(lshift(value, 1), 255), value >= 128 and 0x1b or 0)
end

local function make_sbox()
  local sbox, p, q = { [0] = 0x63 }, 1, 1
  repeat
    p = bxor(p, double(p))  -- times 3
    for _, shift in ipairs({ 1, 2, 4 }) do
      q = band(bxor(q, lshift(q, shift)), 255)  -- divided by 3
    end
    if q >= 128 then q = bxor(q, 9) end
    local wide = q * 0x101
    sbox[p] = band(bxor(q, rshift(wide, 7), rshift(wide, 6), rshift(wide, 5), rshift(wide, 4),
                        0x63), 255)
  until p == 1
  return sbox
end

local sbox = make_sbox()
local mixed = {}  -- SubBytes and MixColumns of the first byte of a column
for value = 0, 255 do
  local s = sbox[value]
  mixed[value] = double(s) * 0x1000000 + s * 0x10000 + s * 0x100 + bxor(double(s), s)
end

local function substitute(word)
  return sbox[rshift(word, 24)] * 0x1000000 + sbox[band(rshift(word, 16), 255)] * 0x10000 +
    sbox[band(rshift(word, 8), 255)] * 0x100 + sbox[band(word, 255)]
end

-- The round keys of a key of 16 or 32 bytes.
local function expand_key(key)
  local w = to_words(key)
  local size, constant = #w, 1
  for i = size, 4 * (size + 7) - 1 do
    local t = w[i]
    if i % size == 0 then
      t = bxor(substitute(ror(t, 24)), lshift(constant, 24))
      constant = double(constant)
    elseif size > 6 and i % size == 4 then
      t = substitute(t)
    end
    w[i + 1] = bxor(w[i + 1 - size], t)
  end
  return w
end

-- One column after SubBytes and ShiftRows, without MixColumns.
local function last_column(a, b, c, d)
  return sbox[rshift(a, 24)] * 0x1000000 + sbox[band(rshift(b, 16), 255)] * 0x10000 +
    sbox[band(rshift(c, 8), 255)] * 0x100 + sbox[band(d, 255)]
end

local function column(a, b, c, d)
  return bxor(mixed[rshift(a, 24)], ror(mixed[band(rshift(b, 16), 255)], 8),
              ror(mixed[band(rshift(c, 8), 255)], 16), ror(mixed[band(d, 255)], 24))
end

local function encrypt_words(keys, input)
  local a, b = bxor(input[1], keys[1]), bxor(input[2], keys[2])
  local c, d = bxor(input[3], keys[3]), bxor(input[4], keys[4])
  local at = 5
  while at < #keys - 4 do
    a, b, c, d = bxor(column(a, b, c, d), keys[at]), bxor(column(b, c, d, a), keys[at + 1]),
      bxor(column(c, d, a, b), keys[at + 2]), bxor(column(d, a, b, c), keys[at + 3])
    at = at + 4
  end
  return { bxor(last_column(a, b, c, d), keys[at]),
           bxor(last_column(b, c, d, a), keys[at + 1]),
           bxor(last_column(c, d, a, b), keys[at + 2]),
           bxor(last_column(d, a, b, c), keys[at + 3]) }
end

-- An AES key for the functions below. Making one costs as much as some hundred blocks.
function crypto.aes(key)
  return { round_keys = expand_key(key) }
end

-- One block of 16 bytes.
function crypto.encrypt_block(aes, block)
  return from_words(encrypt_words(aes.round_keys, to_words(block)))
end

-- ---- GCM with a nonce of 12 bytes ------------------------------------------------------------

-- H, H x, H x^2, ...: a product in GHASH is the sum of those whose bit is set.
local function multiples(aes)
  if aes.multiples then return aes.multiples end
  local a, b, c, d = table.unpack(encrypt_words(aes.round_keys, { 0, 0, 0, 0 }))
  local out = {}
  for i = 1, 128 do
    out[i] = { a, b, c, d }
    local carry = band(d, 1) == 1 and 0xe1000000 or 0
    d = bxor(rshift(d, 1), lshift(band(c, 1), 31))
    c = bxor(rshift(c, 1), lshift(band(b, 1), 31))
    b = bxor(rshift(b, 1), lshift(band(a, 1), 31))
    a = bxor(rshift(a, 1), carry)
  end
  aes.multiples = out
  return out
end

local function ghash(aes, text)
  local powers, y = multiples(aes), { 0, 0, 0, 0 }
  local words = to_words(text)
  for at = 1, #words, 4 do
    local a, b, c, d = 0, 0, 0, 0
    for w = 0, 3 do
      local word = bxor(y[w + 1], words[at + w])
      for bit_index = 1, 32 do
        if band(rshift(word, 32 - bit_index), 1) == 1 then
          local power = powers[w * 32 + bit_index]
          a, b, c, d = bxor(a, power[1]), bxor(b, power[2]), bxor(c, power[3]), bxor(d, power[4])
        end
      end
    end
    y = { a, b, c, d }
  end
  return y
end

-- The GCM tag of additional data and ciphertext.
function crypto.gcm_tag(aes, nonce, aad, ciphertext)
  local sum = ghash(aes, pad_to_16(aad) .. pad_to_16(ciphertext) .. big_endian(#aad * 8, 8) ..
                    big_endian(#ciphertext * 8, 8))
  local mask = encrypt_words(aes.round_keys, to_words(nonce .. "\0\0\0\1"))
  for i = 1, 4 do sum[i] = bxor(sum[i], mask[i]) end
  return from_words(sum)
end

-- The plaintext, whatever the tag.
function crypto.gcm_decrypt(aes, nonce, ciphertext)
  local words, out = to_words(pad_to_16(ciphertext)), {}
  for at = 1, #words, 4 do
    local counter = nonce .. big_endian((at - 1) / 4 + 2, 4)
    local mask = encrypt_words(aes.round_keys, to_words(counter))
    for i = 0, 3 do out[at + i] = bxor(words[at + i], mask[i + 1]) end
  end
  return from_words(out):sub(1, #ciphertext)
end

-- The plaintext, or nil if the tag does not match.
function crypto.gcm_open(aes, nonce, aad, ciphertext, tag)
  if crypto.gcm_tag(aes, nonce, aad, ciphertext) ~= tag then return nil end
  return crypto.gcm_decrypt(aes, nonce, ciphertext)
end

return crypto
