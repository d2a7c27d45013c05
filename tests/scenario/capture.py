# SPDX-License-Identifier: BSD-3-Clause
"""Reads captures of chaincast datagrams from the format in docs/wire.md alone, to judge a whole
run from outside: is a sequence number ever used twice? Are all checksums made?"""

import struct

import net

HOP_BYTES, FRAME_BYTES, TAG_AT = 16, 56, 40
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
    """(source, destination, payload) of each UDP datagram of the nodes; addresses with ports."""
    for _, packet in packets(file):
        kind, = struct.unpack_from(">H", packet, 12)
        if kind == ETHERTYPE_IPV4 and packet[23] == UDP:
            header, ends = 14 + (packet[14] & 15) * 4, (packet[26:30], packet[30:34])
        elif kind == ETHERTYPE_IPV6 and packet[20] == UDP:
            header, ends = 54, (packet[22:38], packet[38:54])
        else:
            continue
        source, destination, length = struct.unpack_from(">HHH", packet, header)
        if destination == net.DISCARD_PORT:
            continue
        assert header + length <= len(packet), "several datagrams in one packet of the capture"
        yield ((bytes(ends[0]), source), (bytes(ends[1]), destination),
               packet[header + 8:header + length])


def internet_sum(data):
    """RFC 1071: 0xffff where `data` holds its own checksum."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total


def half_made_checksums(file):
    """How many UDP datagrams of a capture, of all, hold no complete checksum: none, or one that a
    device was to finish. tshark has called such sums good or bad, by version."""
    bad, count = 0, 0
    for _, packet in packets(file):
        is_ipv6 = packet[12:14] == struct.pack(">H", ETHERTYPE_IPV6)
        at = 54 if is_ipv6 else 14 + (packet[14] & 15) * 4
        addresses = packet[22:54] if is_ipv6 else packet[26:34]
        length, checksum = struct.unpack_from(">HH", packet, at + 4)
        count += 1
        pseudo = bytes(addresses) + struct.pack(">HH", UDP, length)
        bad += checksum == 0 or internet_sum(pseudo + packet[at:at + length]) != 0xffff
    return bad, count


class Frame:
    """Where a frame lies in its datagram, and what it is."""

    def __init__(self, datagram, at):
        self.at = at
        length, self.kind = struct.unpack_from(">HB", datagram, at)
        self.epoch, self.stream, self.seq = struct.unpack_from(">IQQ", datagram, at + 4)
        self.tag = bytes(datagram[at + TAG_AT:at + FRAME_BYTES])
        self.end = at + FRAME_BYTES + length


def frames(datagram):
    """The frames of a data datagram; none of a hello or a control datagram."""
    at = HOP_BYTES
    for _ in range(datagram[2]):
        frame = Frame(datagram, at)
        yield frame
        at = frame.end
    assert datagram[2] == 0 or at == len(datagram), "frames do not fill their datagram"


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
        for frame in frames(payload):
            self.frames += 1
            key = (frame.stream, frame.epoch, frame.seq)
            if self.tags.setdefault(key, frame.tag) != frame.tag:
                self.two_tags.append((f"{frame.stream:016x}", frame.epoch, frame.seq))

    def streams(self):
        return {stream for stream, _, _ in self.tags}
