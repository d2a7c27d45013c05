# SPDX-License-Identifier: BSD-3-Clause
"""The Wireshark dissector against the tables and examples of docs/wire.md, on captures that are
made here byte by byte: no node takes part. Which of two faults is named the document says."""

import itertools
import re
import struct

import dissected
from dissected import CONTROL, DATA, HELLO, RIGHT
from harness import ROOT, needs
from made_link import ANSWER, ASK, CHECK_OFF, CONFIRM, MadeLink

PORT = 7000
HOP_BYTES, FRAME_BYTES = 16, 56
LINK_RAW = 101  # packets begin with their IP header
DOCUMENT = ROOT / "docs" / "wire.md"
KINDS = {DATA: "data", HELLO: "hello", CONTROL: "control"}


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


# ---- faults of structure (1.2) ------------------------------------------------------------

def table_of_faults():
    """[(fault, of which kinds or `frame`, meaning)] as the document has them, in its order."""
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| (.+) \|$", DOCUMENT.read_text(), re.M)
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


# ---- examples ------------------------------------------------------------

def example(name):
    """The bytes of a block `hex NAME` of the document."""
    block = re.search(rf"^```hex {name}\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)[1]
    return bytes.fromhex("".join(re.sub(r"#.*", "", line) for line in block.splitlines()))


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


# ---- what frames hold (3.4, 4) ------------------------------------------------------------------

ROUTES, STATEMENT, UNKNOWN = 1, 2, 3
WHOLE, FIRST, MIDDLE, LAST, PACKED = 0xc0, 0x80, 0, 0x40, 0xe0
PREFIX = bytes([1, 0, 0, 3, 4, 8, 10])  # the field: 10.0.0.0/8


def frame(stream, seq, kind, payload):
    """In clear, of suite 1 and under no key that anybody has."""
    return struct.pack(">HBBIQQ", len(payload), kind, 1, 0, stream, seq) + bytes(32) + payload


def datagram_of(*frames):
    return bytes([1, 0, len(frames), 1]) + bytes(12) + b"".join(frames)


def announce(fields):
    return b"\1" + len(fields).to_bytes(3, "big") + fields


def field(kind, value):
    return bytes([kind]) + len(value).to_bytes(3, "big") + value


def altered(data, at, value):
    return data[:at] + value + data[at + len(value):]


def payloads():
    """(kind byte, payload, what the dissector must call malformed in it)."""
    statement, update, packed = (example(name) for name in
                                 ("statement", "route-update", "packed-payload"))
    good = [(STATEMENT | WHOLE, statement), (STATEMENT, statement), (ROUTES | WHOLE, update),
            (PACKED, packed), (PACKED, b"\0\0"), (UNKNOWN | PACKED, b"\0"), (WHOLE, b""),
            (ROUTES | PACKED, len(update).to_bytes(2, "big") + update),
            (ROUTES | WHOLE, bytes([3, 0, 0, 0])),
            (ROUTES | WHOLE, announce(PREFIX + field(2, bytes(4)) + field(4, bytes(4)))),
            (ROUTES | WHOLE, announce(PREFIX + field(5, bytes(12)) + field(7, b""))),
            (ROUTES | WHOLE, announce(field(1, b"\4\0")))]
    updates = [b"", update[:-1], field(0, b""), announce(b""), announce(field(2, bytes(4))),
               announce(PREFIX + PREFIX), announce(field(0, b"x") + PREFIX),
               announce(PREFIX + field(2, b"")), announce(PREFIX + field(2, bytes(5))),
               announce(PREFIX + field(3, bytes(4))), announce(PREFIX + field(3, b"\1")),
               announce(PREFIX + field(4, bytes(5))), announce(PREFIX + field(4, bytes(4100))),
               announce(PREFIX + field(4, b"")), announce(PREFIX + field(5, bytes(8))),
               announce(PREFIX + field(5, b"\1" * 9)), announce(PREFIX + field(6, b"")),
               announce(PREFIX + field(6, bytes(65_536))), announce(field(1, b"\4")),
               announce(field(1, b"\5\0")), announce(field(1, b"\4\x21" + bytes(5))),
               announce(field(1, b"\4\x10\1")), announce(field(1, b"\4\x04\x08")),
               announce(field(1, b"\4" + bytes(65_536)))]
    statements = [b"", statement[:-1], statement + b"\0", altered(statement, 0, b"\2"),
                  altered(statement, 1, b"\2"), altered(statement, 34, bytes(8)),
                  altered(statement, 82, bytes(8))]
    objects = [(PACKED, b""), (PACKED, b"\0"), (PACKED, packed + b"\0"), (0xa0, packed),
               (0x60, packed), (0x20, packed)]
    return ([(kind, payload, "") for kind, payload in good] +
            [(ROUTES | WHOLE, payload, "route update") for payload in updates] +
            [(ROUTES | PACKED, b"\0\0", "route update")] +
            [(STATEMENT | WHOLE, payload, "statement") for payload in statements] +
            [(kind, payload, "packed object") for kind, payload in objects])


def in_datagrams(stream, kind, payload):
    """Frames of 65,000 bytes at most: a longer payload is cut into two of them."""
    if len(payload) <= 65_000:
        return [datagram_of(frame(stream, 0, kind, payload))]
    return [datagram_of(frame(stream, 0, kind & 0x8f, payload[:65_000])),
            datagram_of(frame(stream, 1, kind & 0x4f, payload[65_000:]))]


@needs("tshark")
def test_payloads_are_malformed_where_the_document_says_so(t):
    cases, made = [], []
    for number, (kind, payload, wanted) in enumerate(payloads()):
        parts = in_datagrams(number, kind, payload)
        made += parts
        cases += [(kind, payload[:40].hex(), "")] * (len(parts) - 1)
        cases.append((kind, payload[:40].hex(), wanted))
    rows = dissect(t, made)
    wrong = [(said.text("malformed"), wanted, hex(kind), payload)
             for said, (kind, payload, wanted) in zip(rows, cases)
             if said.text("malformed") != wanted or said.text("fault")]
    assert not wrong, f"malformed (dissector, document, kind byte, payload): {wrong}"


@needs("tshark")
def test_what_may_stand_between_two_frames_of_an_object(t):
    update, other = example("route-update"), announce(PREFIX)
    half = len(update) // 2
    begin = (ROUTES | FIRST, update[:half])
    end = (ROUTES | LAST, update[half:])
    between = {"nothing": [], "a statement": [(STATEMENT | WHOLE, example("statement"))],
               "an unknown kind": [(UNKNOWN | WHOLE, b"x")], "data": [(WHOLE, b"x")],
               "packed routes": [(ROUTES | PACKED, len(other).to_bytes(2, "big") + other)]}
    made, lengths = [], {}
    for stream, (name, frames) in enumerate(between.items()):
        made.append(datagram_of(*(frame(stream, seq, *one)
                                  for seq, one in enumerate([begin, *frames, end]))))
        whole = name in ("nothing", "a statement", "an unknown kind")
        lengths[name] = [len(update)] if whole else []
    rows = dissect(t, made, "object.bytes")
    assert {name: row.numbers("object.bytes") for name, row in zip(between, rows)} == lengths


@needs("tshark")
def test_a_late_frame_completes_its_object_and_no_other(t):
    part = example("route-update")
    half = len(part) // 2
    statement = (STATEMENT | WHOLE, example("statement"))
    whole = (ROUTES | WHOLE, announce(PREFIX))
    orders = {"a statement inside": ([(ROUTES | FIRST, part[:half]), statement,
                                      (ROUTES | LAST, part[half:])], [len(part)]),
              "a statement between two": ([whole, statement, whole], [len(whole[1])] * 2)}
    made = []
    for stream, (frames, _) in enumerate(orders.values()):
        made.append(datagram_of(*(frame(stream, seq, *frames[seq]) for seq in (0, 2, 1))))
    rows = dissect(t, made, "object.bytes")
    for (name, (_, lengths)), row in zip(orders.items(), rows):
        assert row.numbers("object.bytes") == lengths, (name, row.numbers("object.bytes"))


# ---- links (2.2 to 2.6) -------------------------------------------------------------------------

def dissect_link(t, link, datagrams, *fields):
    """What the dissector says of the three hellos of a link and of what comes then."""
    hellos = [link.hello(step) for step in (ASK, ANSWER, CONFIRM)]
    return dissect(t, hellos + datagrams, "hello.mac_status", "check.status", "control.seal",
                   "lane", *fields, backwards=[1], link_secrets=[link.SECRET.hex()])


@needs("tshark")
def test_a_link_made_from_the_document_is_understood(t):
    link = MadeLink()
    tagged = altered(frame(1, 0, WHOLE, b"x"), 40, bytes(range(16)))
    other = altered(frame(1, 1, WHOLE, b"y"), 40, bytes(range(100, 116)))
    datagrams = [link.message(example("keepalive")), link.message(example("report"), flags=0x80),
                 link.frames([tagged]), link.frames([tagged, other], hops=9)]
    rows = dissect_link(t, link, datagrams, "message.type")
    assert [row.text("hello.mac_status") for row in rows[:3]] == [RIGHT] * 3
    assert [row.text("check.status") for row in rows[3:]] == [RIGHT] * 4
    assert [row.text("control.seal") for row in rows[3:5]] == [RIGHT] * 2
    assert [row.number("lane") for row in rows[3:]] == [0, 0, 1, 1]
    assert [row.number("message.type") for row in rows[3:5]] == [1, 5]
    spoilt = [altered(datagrams[0], 12, b"\0\0\0\0"), altered(datagrams[2], 3, b"\2"),
              altered(datagrams[0], 20, b"\7")]
    rows = dissect_link(t, link, spoilt)[3:]
    assert [row.text("check.status") for row in rows] == ["0", "0", RIGHT]
    assert [row.text("control.seal") for row in rows] == [RIGHT, "", "0"]


@needs("tshark")
def test_answer_and_confirm_say_whether_there_is_a_check(t):
    off = "3"
    for flags, status in (((0, CHECK_OFF, CHECK_OFF), off), ((CHECK_OFF, CHECK_OFF, 0), RIGHT),
                          ((CHECK_OFF, 0, CHECK_OFF), RIGHT)):
        link = MadeLink(flags)
        rows = dissect_link(t, link, [link.message(example("keepalive"))])
        assert rows[3].text("check.status") == status, (flags, rows[3].text("check.status"))


def messages():
    """(message, what the dissector must call malformed in it)."""
    names = ["keepalive", "keepalive-reply", "descriptor-message", "refuse-stream", "report",
             "nack", "nack-by-digest", "pending", "tip", "tip-of-empty", "tip-request",
             "mtu-probe", "mtu-reply", "close"]
    inside = {"descriptor-message": "descriptor", "tip": "statement"}  # of examples cut short
    for name in names:
        one = example(name)
        yield one, inside.get(name, "")
        yield one[:-1], "message"
        yield one + b"\0", "" if name == "mtu-probe" else "message"
    for name, at, values in (("refuse-stream", 9, b"\0\7"), ("nack", 25, b"\2"),
                             ("nack-by-digest", 25, b"\0\2"), ("pending", 25, b"\2"),
                             ("tip", 9, b"\1\2"), ("tip-of-empty", 9, b"\0\2"),
                             ("close", 1, b"\0\4")):
        for value in values:
            yield altered(example(name), at, bytes([value])), "message"
    yield b"\3\0\0", "message"
    yield b"\3\2\1" + bytes(513), "message"
    yield altered(example("tip-of-empty"), 18, b"\2\1") + bytes(513), "message"
    for kind in (0, 13, 255):
        yield bytes([kind]), ""
        yield bytes([kind]) + bytes(1199), ""
        yield bytes([kind]) + bytes(1200), "message"
    yield example("mtu-probe") + bytes(1200), ""


@needs("tshark")
def test_messages_are_malformed_where_the_document_says_so(t):
    link = MadeLink()
    cases = list(messages())
    rows = dissect_link(t, link, [link.message(plain) for plain, _ in cases], "message.type")[3:]
    assert all(row.text("control.seal") == RIGHT for row in rows)
    assert [row.number("message.type") for row in rows] == [plain[0] for plain, _ in cases]
    wrong = [(row.text("malformed"), wanted, plain[:40].hex())
             for row, (plain, wanted) in zip(rows, cases) if row.text("malformed") != wanted]
    assert not wrong, f"malformed (dissector, document, message): {wrong}"


HELLO_RULES = [(0, b"\0"), (0, b"\5"), (1, b"\1"), (2, b"\0"), (2, b"\2"), (68, b"\1"), (90, b"\2"),
               (91, b"\1"), (92, b"\0\x41"), (96, b"\0\1"), (96, b"\0\x42")]  # offset, value


@needs("tshark")
def test_hellos_are_malformed_where_the_document_says_so(t):
    ask, answer = MadeLink().hello(ASK), MadeLink().hello(ANSWER)
    refuse = altered(altered(answer, HOP_BYTES, b"\4"), HOP_BYTES + 1, b"\3")
    good = [ask, answer, refuse, altered(ask, HOP_BYTES + 84, b"\xff" * 4),
            altered(ask, HOP_BYTES + 3, b"\xff"), altered(ask, HOP_BYTES + 92, b"\0\x40"),
            altered(answer, 1, b"\x81")]
    bad = [altered(ask, HOP_BYTES + at, value) for at, value in HELLO_RULES]
    bad += [altered(refuse, HOP_BYTES + 1, b"\0"), altered(refuse, HOP_BYTES + 1, b"\4"),
            ask + b"\0", answer[:-1]]
    rows = dissect(t, good + bad)
    assert [row.text("fault") for row in rows] == [""] * len(rows)
    assert [row.text("malformed") for row in rows] == [""] * len(good) + ["hello"] * len(bad)


# ---- descriptors (3.2) --------------------------------------------------------------------------

def number_of(text):
    base, _, power = text.replace(",", "").partition("^")
    return int(base) ** int(power or 1)


def ranges_of_descriptor():
    """[(offset, size, lowest, highest)] of the table's rows that name a range."""
    text = DOCUMENT.read_text()
    table = text[text.index("### 3.2 Descriptor"):text.index("### 3.3")]
    rows = re.findall(r"^\| (\d+) \| (\d) \| [\w ]+ \| ([\d,^]+)\.\.([\d,^]+)", table, re.M)
    return [(int(at), int(size), number_of(low), number_of(high)) for at, size, low, high in rows]


RESOURCE_LENGTH_AT = 109


def descriptors():
    """(descriptor, is it well-formed)."""
    one = example("descriptor")
    resource_ends = RESOURCE_LENGTH_AT + 1 + one[RESOURCE_LENGTH_AT]

    def named(resource):
        return one[:RESOURCE_LENGTH_AT] + bytes([len(resource)]) + resource + one[resource_ends:]
    ranges = ranges_of_descriptor()
    assert len(ranges) == 8, ranges
    for at, size, low, high in ranges:
        for value in (low - 1, low, high, high + 1):
            if not 0 <= value < 256 ** size:
                continue
            wanted = low <= value <= high
            if at == RESOURCE_LENGTH_AT:
                yield named(b"a" * value), wanted
            else:
                yield altered(one, at, value.to_bytes(size, "big")), wanted
    for at, values in ((0, b"\0\2"), (100, b"\0\3"), (101, b"\0\3"), (102, b"\0\3"), (103, b"\2")):
        for value in values:
            yield altered(one, at, bytes([value])), False
    trusted = {100: b"\1", 102: b"\1", 104: b"\0"}  # delivery, keeping, votes
    for suite_class, suites in ((0, ()), (1, (1, 3)), (2, (2, 4)), (3, (5,)), (4, ())):
        for suite in range(7):
            made = altered(one, 81, bytes([suite_class, suite]))
            for at, value in trusted.items():
                made = altered(made, at, value)
            yield made, suite in suites
    for left in trusted:
        made = altered(one, 81, b"\3\5")
        for at, value in trusted.items():
            made = made if at == left else altered(made, at, value)
        yield made, False
    yield from ((named(b"a-z0.9_"), True), (named(b"A"), False), (named(b"a/b"), False),
                (one[:-1], False), (one + b"\0", False), (b"\1", False))


@needs("tshark")
def test_descriptors_are_malformed_where_the_document_says_so(t):
    link, cases = MadeLink(), list(descriptors())
    rows = dissect_link(t, link, [link.message(b"\3" + len(one).to_bytes(2, "big") + one)
                                  for one, _ in cases])[3:]
    wrong = [(row.text("malformed"), is_good, one.hex())
             for row, (one, is_good) in zip(rows, cases)
             if row.text("malformed") != ("" if is_good else "descriptor")]
    assert not wrong, f"malformed (dissector, well-formed by the document, descriptor): {wrong}"
