# SPDX-License-Identifier: BSD-3-Clause
"""Captures made byte by byte, what the Wireshark dissector says of them, and the examples of
docs/wire.md to make them of."""

import re
import struct

import dissected
from harness import ROOT

PORT = 7000
LINK_RAW = 101  # packets begin with their IP header
DOCUMENT = (ROOT / "docs" / "wire.md").read_text()


def write_capture(file, payloads, backwards):
    """A pcap file of UDP datagrams over IPv4, from A to B but for those whose numbers are given."""
    ends = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
    with file.open("wb") as out:
        out.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 1 << 18, LINK_RAW))
        for number, payload in enumerate(payloads):
            bytes_of_ip = 28 + len(payload)
            packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, bytes_of_ip, 0, 0x4000, 64, 17, 0,
                                 *(ends[::-1] if number in backwards else ends))
            packet += struct.pack(">HHHH", PORT, PORT, 8 + len(payload), 0) + payload
            out.write(struct.pack("<IIII", number, 0, len(packet), len(packet)) + packet)


def dissect(t, payloads, *fields, backwards=(), **dissector):
    """What the dissector says of each."""
    file = t.dir / "made.pcap"
    write_capture(file, payloads, backwards)
    rows = dissected.read(file, ["kind", "fault", "malformed", *fields], ports=PORT, **dissector)
    assert len(rows) == len(payloads), (len(rows), len(payloads))
    return rows


def example(name):
    """The bytes of a block `hex NAME` of the document."""
    block = re.search(rf"^```hex {name}\n(.*?)^```", DOCUMENT, re.M | re.S)[1]
    return bytes.fromhex("".join(re.sub(r"#.*", "", line) for line in block.splitlines()))


def altered(data, at, value):
    return data[:at] + value + data[at + len(value):]


def frame(stream, seq, kind, payload):
    """In clear, of suite 1 and under no key that anybody has."""
    return struct.pack(">HBBIQQ", len(payload), kind, 1, 0, stream, seq) + bytes(32) + payload


def datagram_of(*frames):
    return bytes([1, 0, len(frames), 1]) + bytes(12) + b"".join(frames)
