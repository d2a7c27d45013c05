# SPDX-License-Identifier: BSD-3-Clause
"""The Wireshark dissector against the table of faults in docs/wire.md, on captures that are made
here byte by byte: no node takes part. Which of two faults is named the document says."""

import itertools
import re
import struct

from dissected import CONTROL, DATA, HELLO
from harness import needs
from made_capture import DOCUMENT, dissect, example

HOP_BYTES, FRAME_BYTES = 16, 56
KINDS = {DATA: "data", HELLO: "hello", CONTROL: "control"}


def table_of_faults():
    """[(fault, of which kinds or `frame`, meaning)] as the document has them, in its order."""
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| (.+) \|$", DOCUMENT, re.M)
    return [(fault, of.split(", "), meaning) for fault, of, meaning in rows]


def number_in(text):
    """The first one; 0 where there is none."""
    return int((re.search(r"\d[\d,]*", text) or ["0"])[0].replace(",", ""))


def applies(row, kind):
    return any(of in ("all", KINDS[kind]) or (of, kind) == ("frame", DATA) for of in row[1])


class MadeFrame:
    """Nothing but zeros and a payload length."""

    def __init__(self):
        self.payload_bytes, self.is_header_cut, self.is_payload_cut = 0, False, False

    def bytes(self):
        size = self.payload_bytes or 2 * self.is_payload_cut
        end = FRAME_BYTES - 1 if self.is_header_cut else FRAME_BYTES + size - self.is_payload_cut
        return (struct.pack(">H", size) + bytes(FRAME_BYTES - 2 + size))[:end]


class Made:
    """A datagram of one kind, with faults by the words in which the document tells of them."""

    def __init__(self, kind, frames=1):
        self.version, self.flags, self.hops = 1, int(kind == HELLO), int(kind == DATA)
        self.lane = bytes(12)
        self.frames = [MadeFrame() for _ in range(frames)] if kind == DATA else []
        self.body = {DATA: b"", HELLO: bytes(130), CONTROL: bytes(25)}[kind]
        self.tail = b""
        self.length = None  # of the whole datagram, where a fault wants one

    def add(self, meaning, frame=0):
        """Puts one fault in, just beyond the bound that the document names; a data datagram has it
        in this frame."""
        bound = number_in(meaning)
        if meaning.startswith("version"):
            self.version = bound + 1
        elif meaning.startswith("hops above"):
            self.hops = max(self.hops, bound + 1)
        elif meaning.startswith("link id, link seq or check"):
            self.lane = bytes(11) + b"\1"
        elif meaning.startswith("datagram above"):
            self.length = bound + 1
        elif meaning.startswith("datagram below"):
            self.length = min(self.length or bound, bound) - 1
        elif meaning.startswith("bytes behind"):
            self.tail = b"x"
        elif meaning.startswith("payload above"):
            self.frames[frame].payload_bytes = bound + 1
        elif meaning.startswith("payload is cut"):
            self.frames[frame].is_payload_cut = True
        else:
            assert meaning.startswith("header is cut"), f"no way to make '{meaning}'"
            self.frames[frame].is_header_cut = True

    def bytes(self):
        whole = (bytes([self.version, self.flags, len(self.frames), self.hops]) + self.lane +
                 self.body + b"".join(frame.bytes() for frame in self.frames) + self.tail)
        return whole if self.length is None else whole[:self.length].ljust(self.length, b"\0")


def excludes(one, other):
    """No datagram has both: it is too long or too short, and what is cut has nothing behind it."""
    sizes = {one[2].split(" ")[1], other[2].split(" ")[1]}
    return ({"above", "below"} == sizes and one[2].startswith("datagram") and
            other[2].startswith("datagram") or
            "trailing" in (one[0], other[0]) and "cut" in one[2] + other[2])


def made_with(kind, *rows):
    made = Made(kind)
    for row in rows:
        made.add(row[2])
    return made.bytes()


def pairs_of_faults(kind):
    """(fault that the document names, datagram with it and a later one of its table)."""
    rows = [row for row in table_of_faults() if applies(row, kind)]
    for first, second in itertools.combinations(rows, 2):
        if not excludes(first, second):
            yield first, f"{first[2]} and {second[2]}", made_with(kind, first, second)


def expect(t, cases):
    """cases: [(row of the table or None, what it is, datagram)]."""
    rows = dissect(t, [payload for _, _, payload in cases])
    wrong = [(said.text("fault"), row and row[0], what)
             for said, (row, what, _) in zip(rows, cases)
             if said.text("fault") != (row[0] if row else "")]
    assert not wrong, f"faults (dissector, document, datagram): {wrong}"


@needs("tshark")
def test_each_fault_of_the_table_is_named(t):
    table = table_of_faults()
    assert len(table) == 12, table
    cases = [(None, KINDS[kind], Made(kind).bytes()) for kind in KINDS]
    cases += [(row, f"{KINDS[kind]}: {row[2]}", made_with(kind, row))
              for kind in KINDS for row in table if applies(row, kind)]
    expect(t, cases)


@needs("tshark")
def test_of_two_faults_the_first_of_the_table_is_named(t):
    cases = [(row, f"{KINDS[kind]}: {what}", payload)
             for kind in KINDS for row, what, payload in pairs_of_faults(kind)]
    assert len(cases) > 30, len(cases)
    expect(t, cases)


@needs("tshark")
def test_of_two_frames_the_first_at_fault_is_named(t):
    in_frames = [row for row in table_of_faults() if row[1] == ["frame"]]
    cut = next(row for row in in_frames if row[2] == "header is cut")
    long = next(row for row in in_frames if row[0] == "oversized")
    cases = []
    for first, second in ((long, cut), (None, long), (None, cut)):
        made = Made(DATA, 2)
        if first:
            made.add(first[2], 0)
        made.add(second[2], 1)
        cases.append((first or second, f"{first} then {second}", made.bytes()))
    expect(t, cases)


@needs("tshark")
def test_what_the_bounds_of_the_table_allow_is_no_fault(t):
    cases = []
    for kind in KINDS:
        for row in table_of_faults():
            if not re.search(" (above|below) ", row[2]) or not applies(row, kind):
                continue
            what, limit, made = row[2].split()[0], number_in(row[2]), Made(kind)
            if what == "hops":
                made.hops = limit if kind == DATA else 0
            elif what == "payload":
                made.frames[0].payload_bytes = limit
            elif limit > HOP_BYTES:
                made.length = limit
            cases.append((None, f"{KINDS[kind]}: {what} of {limit}", made.bytes()))
    assert len(cases) > 8, cases
    expect(t, cases)


@needs("tshark")
def test_examples_of_datagrams_are_whole(t):
    names = ["data-datagram", "hello-datagram", "sealed-datagram"]
    rows = dissect(t, [example(name) for name in names], "frame.seq", "hello.link_id",
                   "control.counter")
    assert [row.text("kind") for row in rows] == [DATA, HELLO, CONTROL]
    assert [row.text("fault") for row in rows] == [""] * 3
    assert rows[0].numbers("frame.seq") == [7, 8]
    assert rows[1].numbers("hello.link_id") == [0x0a1b2000, 0x0a1b2001]
    assert rows[2].numbers("control.counter") == [0x100000005]
