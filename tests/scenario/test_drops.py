# SPDX-License-Identifier: BSD-3-Clause
"""What a capture of one reason holds: as many packets as the counter of that reason counts, for
each reason that a wire, a stranger or an operator can bring about."""

import socket

import net
from harness import limits, needs, until
from lab import Lab
from tamper import parse
from test_dissector import HOP_BYTES, alter, flip
from test_sight import IN, capture, dropped_frames, stop_capture

TIMES = 12  # how often a datagram is changed for each reason
OBJECT = b"x" * 1160  # so long that no second frame fits into its datagram
STREAM_AT, SEQ_AT, SUITE_AT, EPOCH_AT = HOP_BYTES + 8, HOP_BYTES + 16, HOP_BYTES + 3, HOP_BYTES + 4


LONG = 1200  # bytes of payload, above the stream's 1160 and within the MTU


def lengthen(data):
    """One frame with more payload than its stream allows; statements are short."""
    length = int.from_bytes(data[HOP_BYTES:HOP_BYTES + 2], "big")
    return alter(HOP_BYTES, LONG.to_bytes(2, "big"))(data) + bytes(LONG - length)


# reason: what becomes of a datagram with a frame. Where the receiver takes the changed one for the
# original, as its place in the replay window is taken, repair brings the frame again.
ON_THE_WAY = {
    "truncated": lambda data: [data[:HOP_BYTES + 30], data],
    "bad_version": lambda data: [alter(0, b"\2")(data), data],
    "trailing": lambda data: [data + b"abc", data],
    "too_many_hops": lambda data: [alter(3, b"\x21")(data), data],
    "unknown_link": lambda data: [flip(5)(data), data],
    "bad_check": lambda data: [flip(12)(data), data],
    "replayed": lambda data: [data, data],
    "unknown_stream": lambda data: [flip(STREAM_AT)(data)],
    "bad_suite": lambda data: [alter(SUITE_AT, b"\5")(data)],
    "unknown_epoch": lambda data: [flip(EPOCH_AT)(data)],
    "oversized": lambda data: [lengthen(data)],
    "ahead": lambda data: [flip(SEQ_AT)(data)],
    "tag": lambda data: [flip(-1)(data)],
}


class Changing:
    """A rule of tamper.Wire: does `way` to the next TIMES datagrams with frames."""

    def __init__(self):
        self.way, self.left = None, 0
        self.hello = None

    def begin(self, way):
        self.way, self.left = way, TIMES

    def __call__(self, data, forward):
        if forward and not data[2] and data[1] & 1:
            self.hello = data
        if not forward or not data[2] or self.left == 0:
            return [data]
        self.left -= 1
        return self.way(data)


class Pair:
    """n0 publishes to n1 over a wire that changes datagrams when it is told to."""

    def __init__(self, t):
        self.rule = Changing()
        self.lab = Lab(t, 2, {"s": 0}, rules={(0, 1): self.rule}).start()
        self.lab.wait_for_links(60)
        self.origin, self.receiver = self.lab.nodes
        self.object = t.dir / "object"
        self.object.write_bytes(OBJECT)
        self.receiver_address = parse(self.lab.addresses[1])
        t.until(lambda: "id" in self.receiver.stream("s"), 60, "the stream to be known")

    def publish(self):
        self.origin.control("publish", "s", self.object)

    def captured(self, t, reason, provoke):
        """Packets of a capture of this reason while `provoke` is called until it returns true."""
        before = self.receiver.drops().get(reason, 0)
        file = capture(self.receiver, "dropped", reason)
        until(provoke, 60, f"'{reason}' to be provoked", [self.receiver.process])
        ended = stop_capture(self.receiver)
        counted = self.receiver.drops().get(reason, 0) - before
        rows = net.read_capture(file, ["frame.packet_flags_direction", "frame.comment"])
        file.unlink()
        assert counted > 0, reason
        assert len(rows) == ended["packets"] == counted, (reason, len(rows), ended, counted)
        assert dropped_frames(rows, reason) == counted, (reason, rows)
        assert all(row["frame.packet_flags_direction"] == IN for row in rows), reason
        return counted

    def dropped_since(self, reason, before):
        return self.receiver.drops().get(reason, 0) - before


@needs("programs", "tshark")
@limits(seconds=240)
def test_captures_of_each_reason_hold_what_is_counted(t):
    pair = Pair(t)
    for reason, way in ON_THE_WAY.items():
        before = pair.receiver.drops().get(reason, 0)
        pair.rule.begin(way)

        def provoke():
            pair.publish()
            return pair.rule.left == 0 and pair.dropped_since(reason, before) >= TIMES
        assert pair.captured(t, reason, provoke) == TIMES, reason


@needs("programs", "tshark")
@limits(seconds=120)
def test_captures_of_strangers_and_of_a_stopped_node(t):
    pair = Pair(t)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    t.defer(stranger.close)
    to = pair.receiver_address

    def from_elsewhere(data):
        stranger.sendto(data, to)
        return [data]
    before = pair.receiver.drops().get("bad_source", 0)
    pair.rule.begin(from_elsewhere)

    def provoke():
        pair.publish()
        return pair.rule.left == 0 and pair.dropped_since("bad_source", before) >= TIMES
    assert pair.captured(t, "bad_source", provoke) == TIMES

    hello = alter(8, b"\1")(pair.rule.hello)  # which has no link id yet
    before = pair.receiver.drops().get("bad_count", 0)

    def send_hello():
        stranger.sendto(hello, to)
        return pair.dropped_since("bad_count", before) >= TIMES
    assert pair.captured(t, "bad_count", send_hello) >= TIMES

    def while_stopped():
        pair.receiver.control("stop")
        before = pair.receiver.drops().get("stopped", 0)
        until(lambda: pair.publish() or pair.dropped_since("stopped", before) >= TIMES, 60,
              "frames to come")
        pair.receiver.control("start")
        return True
    assert pair.captured(t, "stopped", while_stopped) >= TIMES
