# SPDX-License-Identifier: BSD-3-Clause
"""A link whose datagrams are made from docs/wire.md alone, section 2: hellos, sealed messages,
frames with a link check. AES comes from the command `openssl`, GCM stands here."""

import hashlib
import hmac
import struct
import subprocess

ASK, ANSWER, CONFIRM = 1, 2, 3
HELLO_FLAG, CHECK_OFF = 1, 1
TAG_AT, FRAME_BYTES = 40, 56


def aes(key, blocks):
    """Each block of 16 bytes under a key of 16 or 32."""
    done = subprocess.run(["openssl", "enc", f"-aes-{8 * len(key)}-ecb", "-nopad", "-K", key.hex()],
                          input=b"".join(blocks), stdout=subprocess.PIPE, check=True, timeout=60)
    return [done.stdout[at:at + 16] for at in range(0, len(done.stdout), 16)]


def ghash(key, text):
    """NIST SP 800-38D, 6.4; a number's most significant bit is the first of its block."""
    h, y = int.from_bytes(key, "big"), 0
    for at in range(0, len(text), 16):
        y ^= int.from_bytes(text[at:at + 16], "big")
        product, v = 0, h
        for bit in range(127, -1, -1):
            product ^= v if y >> bit & 1 else 0
            v = v >> 1 ^ (0xe1 << 120 if v & 1 else 0)
        y = product
    return y.to_bytes(16, "big")


def xor(a, b):
    return bytes(one ^ other for one, other in zip(a, b))


def gcm(key, nonce, aad, plain):
    """Ciphertext and tag."""
    count = -(-len(plain) // 16)
    hash_key, mask, *stream = aes(key, [bytes(16)] + [nonce + struct.pack(">I", 1 + number)
                                                      for number in range(count + 1)])
    sealed = xor(plain, b"".join(stream))
    lengths = struct.pack(">QQ", 8 * len(aad), 8 * len(sealed))
    padded = [part + bytes(-len(part) % 16) for part in (aad, sealed)]
    return sealed + xor(ghash(hash_key, b"".join(padded) + lengths), mask)


def extract(salt, text):
    return hmac.digest(salt, text, hashlib.sha256)


def expand(prk, info, size):
    """At most 32 bytes."""
    return hmac.digest(prk, info + b"\1", hashlib.sha256)[:size]


def tag_xor(tags):
    words = struct.unpack(f">{len(tags) // 4}I", tags)
    total = 0
    for word in words:
        total ^= word
    return total


class MadeLink:
    """A asks B. Both send on one bulk lane; the flags of the three hellos are given."""

    SECRET = bytes(range(32))

    def __init__(self, flags=(0, 0, 0), number=1):
        self.flags = flags
        self.keys = {"A": b"\xaa" * 32, "B": b"\xbb" * 32}
        self.ids = {name: hashlib.sha256(key).digest()[:16] for name, key in self.keys.items()}
        self.nonces = {"A": bytes([number]) * 16, "B": bytes([number + 100]) * 16}
        self.lanes = {"A": [0x1000 + number, 0x2000 + number],  # on which A sends; B chose them
                      "B": [0x3000 + number, 0x4000 + number]}
        self.prk = extract(self.nonces["A"] + self.nonces["B"], self.SECRET)
        self.sent = 0  # on any lane: a lane's counter may leave gaps
        self.sealed = 0

    def hello(self, step):
        side, nonce, echo, ids = {ASK: ("A", self.nonces["A"], bytes(16), []),
                                  ANSWER: ("B", self.nonces["B"], self.nonces["A"],
                                           self.lanes["A"]),
                                  CONFIRM: ("A", self.nonces["A"], self.nonces["B"],
                                            self.lanes["B"])}[step]
        encoded = (bytes([step, 0, 1, 1]) + self.ids[side] + self.keys[side] + nonce + echo +
                   struct.pack(">IHBBHHH", 0x3e, 1500, self.flags[step - 1], 0, 1, 1, len(ids)) +
                   b"".join(struct.pack(">I", one) for one in ids))
        key = expand(extract(b"chaincast1", self.SECRET), b"chaincast1 hello", 32)
        return (bytes([1, HELLO_FLAG]) + bytes(14) + encoded +
                hmac.digest(key, encoded, hashlib.sha256))

    def stamped(self, lane, start, tags, body):
        """`start`: the first four bytes of the hop header."""
        self.sent += 1
        head = start + struct.pack(">II", self.lanes["A"][lane], self.sent)
        key = expand(self.prk, b"chaincast1 link" + self.ids["A"] + self.ids["B"] + bytes([lane]),
                     16)
        check, = aes(key, [head + struct.pack(">I", tag_xor(tags))])
        return head + check[:4] + body

    def message(self, plain, flags=0):
        """From A to B."""
        self.sealed += 1
        key = expand(self.prk, b"chaincast1 ctl" + self.ids["A"] + self.ids["B"], 32)
        counter = struct.pack(">Q", self.sealed)
        sealed = gcm(key, bytes(4) + counter, bytes([1, flags, 0, 0]) + counter, plain)
        return self.stamped(0, bytes([1, flags, 0, 0]), sealed[-16:], counter + sealed)

    def frames(self, frames, hops=1):
        """From A to B on the bulk lane."""
        tags = b"".join(frame[TAG_AT:FRAME_BYTES] for frame in frames)
        return self.stamped(1, bytes([1, 0, len(frames), hops]), tags, b"".join(frames))
