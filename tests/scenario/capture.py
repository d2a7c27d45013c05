# SPDX-License-Identifier: BSD-3-Clause
"""Reads captures of chaincast datagrams from the format in docs/wire.md alone, to judge a whole
run from outside: is a sequence number ever used twice?"""

import struct

HOP_BYTES, FRAME_BYTES = 16, 56
LINK_ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, UDP = 1, 0x0800, 0x86dd, 17


def packets(file):
    """(seconds, bytes) of each packet of a pcap file of Ethernet frames."""
    data = memoryview(file.read_bytes())
    magic, = struct.unpack_from("<I", data)
    divisor = {0xa1b2c3d4: 1e6, 0xa1b23c4d: 1e9}[magic]
    link, = struct.unpack_from("<I", data, 20)
    assert link == LINK_ETHERNET, f"link type {link}"
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, kept, whole = struct.unpack_from("<IIII", data, at)
        assert kept == whole, "a packet was cut"
        yield seconds + fraction / divisor, data[at + 16:at + 16 + kept]
        at += 16 + kept


def datagrams(file):
    """(source, destination, payload) of each UDP datagram; addresses with their ports."""
    for _, packet in packets(file):
        kind, = struct.unpack_from(">H", packet, 12)
        if kind == ETHERTYPE_IPV4 and packet[23] == UDP:
            header, ends = 14 + (packet[14] & 15) * 4, (packet[26:30], packet[30:34])
        elif kind == ETHERTYPE_IPV6 and packet[20] == UDP:
            header, ends = 54, (packet[22:38], packet[38:54])
        else:
            continue
        source, destination, length = struct.unpack_from(">HHH", packet, header)
        assert header + length <= len(packet), "several datagrams in one packet of the capture"
        yield ((bytes(ends[0]), source), (bytes(ends[1]), destination),
               packet[header + 8:header + length])


class Census:
    """What a capture holds, and what it must not."""

    def __init__(self):
        self.datagrams = 0
        self.frames = 0
        self.tags = {}  # (stream, epoch, seq): tag
        self.two_tags = []
        self.link_seqs = set()  # (destination, link id, link seq)
        self.repeated = []

    def read(self, file):
        for _, destination, payload in datagrams(file):
            self.take(destination, payload)
        return self

    def take(self, destination, payload):
        self.datagrams += 1
        version, flags, count = payload[0], payload[1], payload[2]
        assert version == 1, f"version {version}"
        link_id, link_seq = struct.unpack_from(">II", payload, 4)
        if count > 0 or not flags & 1:  # a hello stands before any link
            key = (destination, link_id, link_seq)
            if key in self.link_seqs:
                self.repeated.append(key)
            self.link_seqs.add(key)
        at = HOP_BYTES
        for _ in range(count):
            length, = struct.unpack_from(">H", payload, at)
            epoch, stream, seq = struct.unpack_from(">IQQ", payload, at + 4)
            tag = bytes(payload[at + 40:at + FRAME_BYTES])
            self.frames += 1
            if self.tags.setdefault((stream, epoch, seq), tag) != tag:
                self.two_tags.append((f"{stream:016x}", epoch, seq))
            at += FRAME_BYTES + length
        assert count == 0 or at == len(payload), "frames do not fill their datagram"

    def streams(self):
        return {stream for stream, _, _ in self.tags}
