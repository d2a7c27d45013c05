# SPDX-License-Identifier: BSD-3-Clause
"""Frames of a stream made from docs/wire.md alone, section 3.3."""

import hashlib
import struct
from dataclasses import dataclass

from made_link import expand, gcm

OVER_DIGEST, ENCRYPTED, TRUSTED = (1, 2), (2, 4), 5  # suites


@dataclass(frozen=True)
class MadeStream:
    """`secret` is the configured one."""
    secret: bytes
    network: bytes
    descriptor_digest: bytes
    suite: int
    epoch: int = 0

    def key(self, letter, label):
        half = expand(self.secret, b"chaincast1 " + letter, 32)
        return expand(half, b"chaincast1 " + label + bytes([self.suite]) + self.network +
                      self.descriptor_digest + struct.pack(">I", self.epoch), 32)

    def frame(self, seq, kind, link, payload):
        """(header before the tag, tag, payload as it travels, digest)."""
        nonce = struct.pack(">IQ", self.epoch, seq)
        if self.suite in ENCRYPTED:
            payload = gcm(self.key(b"C", b"enc"), nonce, b"", payload)[:-16]
        header = (struct.pack(">HBB", len(payload), kind, self.suite) + nonce[:4] +
                  self.descriptor_digest[:8] + nonce[4:] + link)
        digest = hashlib.sha256(header + payload).digest()
        covered = digest if self.suite in OVER_DIGEST else header + payload
        tag = gcm(self.key(b"A", b"mac"), nonce, covered, b"")
        return header, tag, payload, tag + bytes(16) if self.suite == TRUSTED else digest
