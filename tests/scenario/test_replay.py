# SPDX-License-Identifier: BSD-3-Clause
"""A captured run, altered and replayed to a receiver that saw nothing of it. The link check is off,
as between provisioned ends, so datagrams can be renumbered and every alteration reaches the frame's
own protection. The format is read from docs/wire.md alone (capture.py)."""

import random
import socket
import struct

import capture
import net
import tamper
from harness import needs, until
from lab import Lab
from subscriber import Subscriber
from test_network import content

OBJECTS, OBJECT_BYTES = 60, 1000  # one a frame, and one a datagram
LINK_IDS_AT = capture.HOP_BYTES + 96
KEEPALIVE_BYTES = capture.HOP_BYTES + 8 + 9 + 16
PROBE_BYTES_MIN = 576 - 28  # larger than any tip
DATA = 0


class Replay:
    """n0 publishes to n1 and is captured. n2 has a link with n0 as well, so it knows the stream and
    may ask for repair; but once it does, all that n0 says is that it lives, until `listen`."""

    def __init__(self, t):
        self.t = t
        self.is_deaf = False
        self.link_ids = ()
        self.link_seq = 0
        place = net.Namespace(t, "lab")
        # Captured as they would be on a wire, not as the batches that sendmsg hands over.
        place.run("ethtool", "-K", "lo", "tx-udp-segmentation", "off")
        with place.entered():
            self.lab = Lab(t, 3, {"s": 0}, edges=[(0, 1), (0, 2)], namespace=place,
                           peer={"check": False}, rules={(0, 2): self.rule},
                           stream=lambda name: {"gap_deadline_ms": 600_000})
        self.origin, self.first, self.second = self.lab.start().nodes
        self.lab.wait_for_links()
        until(lambda: self.state().get("anchor") == "descriptor", 20, "n2 to know the stream")
        self.second.control("set", "repair", "off")
        self.is_deaf = True
        self.early = self.second.drops()  # what came before n2 had the link
        self.reader = Subscriber(self.second, "s")
        self.sent = content(t, "sent", OBJECTS * OBJECT_BYTES)
        self.datagrams = self.record(place)

    def rule(self, data, forward):
        if data[2] == 0 and data[1] & 1:
            if not forward:
                self.learn_link_ids(data)
            return [data]
        passes = len(data) == KEEPALIVE_BYTES or data[2] == 0 and len(data) >= PROBE_BYTES_MIN
        return [data] if passes or not forward or not self.is_deaf else []

    def learn_link_ids(self, hello):
        count, = struct.unpack_from(">H", hello, LINK_IDS_AT)
        if count:
            self.link_ids = struct.unpack_from(f">{count}I", hello, LINK_IDS_AT + 2)

    def record(self, place):
        """The data datagrams from n0 to n1, in order; n1 has received the content."""
        reader = Subscriber(self.first, "s")
        file = self.t.dir / "run.pcap"
        recording = place.capture("lo", file)
        self.origin.control("publish", "s", self.sent, "--object-bytes", OBJECT_BYTES)
        reader.wait_bytes(OBJECTS * OBJECT_BYTES)
        assert reader.stop() == self.sent.read_bytes()
        until(self.all_is_stated, 20, "the last statement")
        recording.stop()
        host, port = tamper.parse(self.lab.addresses[1])
        destination = socket.inet_aton(host), port
        found = [bytes(payload) for _, to, payload in capture.datagrams(file)
                 if to == destination and payload[2] > 0]
        frames = [frame for datagram in found for frame in capture.frames(datagram)]
        assert [frame.seq for frame in frames] == list(range(len(frames))), "a frame is missing"
        assert all(datagram[12:16] == bytes(4) for datagram in found), "the link check is on"
        self.frame_count = len(frames)
        return found

    def all_is_stated(self):
        """n1 has the statement behind the last object: it covers all but itself."""
        state = self.first.stream("s")
        return state["linked_next"] > OBJECTS and state["final_next"] + 1 == state["linked_next"]

    def lonely(self):
        """Places of the datagrams that hold one data frame only, the first and last excepted."""
        return [at for at, datagram in enumerate(self.datagrams[:-1])
                if at > 0 and datagram[2] == 1 and
                next(capture.frames(datagram)).kind & 15 == DATA]

    def state(self):
        return self.second.stream("s")

    def send(self, datagrams):
        """Renumbers them for n2's lane 1 and waits until n2 has looked at every frame."""
        before = self.state()["received_frames"]
        for datagram in datagrams:
            self.link_seq += 1
            hop = struct.pack(">4sII4x", datagram[:4], self.link_ids[1], self.link_seq)
            self.lab.wires[0, 2].inject(hop + datagram[capture.HOP_BYTES:])
        frames = sum(datagram[2] for datagram in datagrams)
        until(lambda: self.state()["received_frames"] >= before + frames, 20,
              f"n2 to receive {frames} frames")

    def is_repaired(self, frames):
        """n2 asks n0 for what it lacks, and has it all."""
        self.second.control("set", "repair", "on")
        self.is_deaf = False
        self.delivers_the_original()
        # More: an idle origin states again. Counted a turn after delivery.
        until(lambda: self.state()["repaired_frames"] >= frames, 20, f"{frames} repaired frames")
        assert self.state()["lost_frames"] == 0, self.state()

    def delivers_the_original(self):
        self.reader.wait_bytes(OBJECTS * OBJECT_BYTES)
        assert self.reader.stop() == self.sent.read_bytes(), "n2 delivered something else"
        assert self.reader.lost_frames() == 0

    def dropped(self):
        return {reason: count - self.early.get(reason, 0)
                for reason, count in self.second.drops().items()
                if count > self.early.get(reason, 0)}

    def counts(self, drops, **wanted):
        """Exactly these drops, and these numbers of the stream, at n2."""
        assert self.dropped() == drops, self.dropped()
        state = self.state()
        got = {name: state[name] for name in wanted}
        assert got == wanted, state


@needs("programs", "netns", "tshark")
def test_replayed_as_captured(t):
    run = Replay(t)
    run.send(run.datagrams)
    run.delivers_the_original()
    run.counts({}, unique_frames=run.frame_count, duplicate_frames=0, reordered_frames=0,
               gap_frames=0, repaired_frames=0, lost_frames=0)


@needs("programs", "netns", "tshark")
def test_replayed_with_flipped_bits(t):
    """One bit each of a frame's link, of its tag and of its payload."""
    run = Replay(t)
    frame = capture.HOP_BYTES
    chooser = random.Random(5)
    datagrams = list(run.datagrams)
    parts = [range(frame + 24, frame + 40), range(frame + 40, frame + 56),
             range(frame + 56, frame + 56 + OBJECT_BYTES)]
    for at, part in zip(run.lonely()[10::10], parts):
        bad = bytearray(datagrams[at])
        bad[chooser.choice(part)] ^= 1 << chooser.randrange(8)
        datagrams[at] = bytes(bad)
    run.send(datagrams)
    dropped = run.dropped()
    assert set(dropped) <= {"tag", "conflict"} and sum(dropped.values()) == len(parts), dropped
    run.counts(dropped, unique_frames=run.frame_count - len(parts), repaired_frames=0)
    run.is_repaired(len(parts))


@needs("programs", "netns", "tshark")
def test_replayed_without_a_frame(t):
    run = Replay(t)
    at = run.lonely()[20]
    missing = next(capture.frames(run.datagrams[at])).seq
    run.send(run.datagrams[:at] + run.datagrams[at + 1:])
    until(lambda: run.state()["linked_next"] == missing, 20, "n2 to come to the gap")
    run.counts({}, gap_frames=1, unique_frames=run.frame_count - 1, repaired_frames=0)
    run.is_repaired(1)


@needs("programs", "netns", "tshark")
def test_replayed_with_a_frame_twice(t):
    run = Replay(t)
    at = run.lonely()[20]
    run.send(run.datagrams[:at] + [run.datagrams[at]] + run.datagrams[at:])
    run.delivers_the_original()
    run.counts({"duplicate": 1}, unique_frames=run.frame_count, duplicate_frames=1, gap_frames=0)


@needs("programs", "netns", "tshark")
def test_replayed_with_a_frame_inserted(t):
    """An outsider's frames at a seq yet to come, at one that is here, and behind the end."""
    run = Replay(t)

    def made_up(datagram, ahead):
        frame = next(capture.frames(datagram))
        chooser = random.Random(ahead)
        out = bytearray(datagram)
        struct.pack_into(">Q", out, frame.at + 16, frame.seq + ahead)
        out[frame.at + capture.TAG_AT:] = chooser.randbytes(len(out) - frame.at - capture.TAG_AT)
        return bytes(out)
    at = run.lonely()[20]
    forged = [made_up(run.datagrams[at], ahead) for ahead in (3, 0, 1000)]
    run.send(run.datagrams[:at + 1] + forged + run.datagrams[at + 1:])
    run.delivers_the_original()
    dropped = run.dropped()
    assert set(dropped) <= {"tag", "conflict"} and sum(dropped.values()) == len(forged), dropped
    run.counts(dropped, unique_frames=run.frame_count, gap_frames=0, lost_frames=0)


@needs("programs", "netns", "tshark")
def test_replayed_with_frames_swapped(t):
    run = Replay(t)
    datagrams = list(run.datagrams)
    places = [at for at in run.lonely() if at + 1 in run.lonely()][10::15]
    for at in places:
        datagrams[at:at + 2] = reversed(datagrams[at:at + 2])
    assert len(places) > 1
    run.send(datagrams)
    run.delivers_the_original()
    run.counts({}, unique_frames=run.frame_count, reordered_frames=len(places), repaired_frames=0,
               lost_frames=0)
