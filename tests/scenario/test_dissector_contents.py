# SPDX-License-Identifier: BSD-3-Clause
"""The Wireshark dissector against docs/wire.md, on links and streams that are made from the page
alone (made_link.py, made_stream.py): no node takes part."""

import hashlib
import re

from dissected import RIGHT
from harness import ROOT, needs
from made_capture import DOCUMENT, altered, datagram_of, dissect, example, frame
from made_link import ANSWER, ASK, CHECK_OFF, CONFIRM, MadeLink
from made_stream import MadeStream

HOP_BYTES = 16


# ---- what frames hold (3.4, 4) ------------------------------------------------------------------

ROUTES, STATEMENT, UNKNOWN = 1, 2, 3
WHOLE, FIRST, LAST, PACKED = 0xc0, 0x80, 0x40, 0xe0
PREFIX = bytes([1, 0, 0, 3, 4, 8, 10])  # the field: 10.0.0.0/8


def announce(fields):
    return b"\1" + len(fields).to_bytes(3, "big") + fields


def field(kind, value):
    return bytes([kind]) + len(value).to_bytes(3, "big") + value


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

def dissect_link(t, link, datagrams, *fields, **dissector):
    """What the dissector says of the three hellos of a link and of what comes then."""
    hellos = [link.hello(step) for step in (ASK, ANSWER, CONFIRM)]
    return dissect(t, hellos + datagrams, "hello.mac_status", "check.status", "control.seal",
                   "lane", *fields, backwards=[1], link_secrets=[link.SECRET.hex()], **dissector)


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
             "mtu-probe", "mtu-reply", "close", "votes"]
    inside = {"descriptor-message": "descriptor", "tip": "statement"}  # of examples cut short
    for name in names:
        one = example(name)
        yield one, inside.get(name, "")
        yield one[:-1], "message"
        yield one + b"\0", "" if name == "mtu-probe" else "message"
    for name, at, values in (("refuse-stream", 9, b"\0\7"), ("nack", 25, b"\2"),
                             ("nack-by-digest", 25, b"\0\2"), ("pending", 25, b"\2"),
                             ("tip", 9, b"\1\2"), ("tip-of-empty", 9, b"\0\2"),
                             ("close", 1, b"\0\4"), ("votes", 17, b"\0\1\3")):
        for value in values:
            yield altered(example(name), at, bytes([value])), "message"
    last = altered(example("votes"), 9, b"\xff" * 7)
    yield altered(last, 16, b"\xfe"), ""
    yield altered(last, 16, b"\xff"), "message"
    for count, malformed in ((36, ""), (37, "message")):
        yield bytes([13]) + bytes(16) + bytes([count]) + bytes(32 * count), malformed
    yield b"\3\0\0", "message"
    yield b"\3\2\1" + bytes(513), "message"
    yield altered(example("tip-of-empty"), 18, b"\2\1") + bytes(513), "message"
    for kind in (0, 14, 255):
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


HELLO_RULES = [(0, b"\0"), (0, b"\7"), (1, b"\1"), (2, b"\0"), (2, b"\2"), (68, b"\1"), (90, b"\2"),
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


def probe(step, *changes):
    """One without a fault (2.8), and what is to stand elsewhere instead of zeros."""
    made = altered(bytes(HOP_BYTES + 130), 0, b"\1\1")
    for at, value in ((0, bytes([step])), *changes):
        made = altered(made, HOP_BYTES + at, value)
    return made


@needs("tshark")
def test_probes_are_malformed_where_the_document_says_so(t):
    four, six = (52, b"\4"), (52, b"\6")
    good = [probe(5), probe(6, four), probe(6, six, (55, b"\xff" * 16)), probe(6, four, (1, b"\1")),
            probe(6, four, (53, b"\xff" * 6))]
    bad = [probe(5, (1, b"\1")), probe(5, four), probe(5, (53, b"\1")), probe(5, (70, b"\1")),
           probe(6), probe(6, (52, b"\5")), probe(6, four, (59, b"\1")), probe(6, six, (1, b"\2")),
           probe(6, six, (3, b"\1")), probe(5, (71, b"\1")), probe(5, (97, b"\1"))]
    rows = dissect(t, good + bad)
    assert [row.text("fault") for row in rows] == [""] * len(rows)
    assert [row.text("malformed") for row in rows] == [""] * len(good) + ["probe"] * len(bad)


# ---- descriptors (3.2) --------------------------------------------------------------------------

def number_of(text):
    base, _, power = text.replace(",", "").partition("^")
    return int(base) ** int(power or 1)


def ranges_of_descriptor():
    """[(offset, size, lowest, highest)] of the table's rows that name a range."""
    table = DOCUMENT[DOCUMENT.index("### 3.2 Descriptor"):DOCUMENT.index("### 3.3")]
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


# ---- keys, digests and tags (3.3) ---------------------------------------------------------------

STREAM_SECRET = bytes(range(100, 132))


def appendix():
    """{suite: {word: hex}} of the example in docs/security.md, a test of the engines as well."""
    text = (ROOT / "docs" / "security.md").read_text().split("## Appendix A")[1]
    return {int(suite): dict(re.findall(r"^  (\w+) +([0-9a-f]+)$", block, re.M))
            for suite, block in re.findall(r"^[\w-]+ \((\d)\)\n((?:  .+\n)+)", text, re.M)}


def test_a_stream_made_from_the_document_is_that_of_the_appendix(_):
    suites = appendix()
    assert sorted(suites) == [1, 2, 3, 4, 5], suites
    for suite, wanted in suites.items():
        stream = MadeStream(bytes(range(32)), bytes(range(0x20, 0x40)), bytes(range(0x40, 0x60)),
                            suite, epoch=1)
        made = stream.frame(5, WHOLE, bytes(range(0x60, 0x70)),
                            b"chaincast: one frame, many copies")
        said = [wanted[word] for word in ("header", "tag", "payload", "digest")]
        assert [part.hex() for part in made] == said, (suite, made)


@needs("tshark")
def test_frames_made_from_the_document_are_opened(t):
    link, datagrams = MadeLink(), []
    for suite_class, suite in ((1, 1), (2, 2), (1, 3), (2, 4), (3, 5)):
        descriptor = altered(example("descriptor"), 81, bytes([suite_class, suite]))
        if suite_class == 3:
            descriptor = altered(altered(descriptor, 100, b"\1\1\1"), 104, b"\0")
        digest = hashlib.sha256(descriptor).digest()
        stream = MadeStream(STREAM_SECRET, descriptor[1:33], digest, suite)
        head, tag, payload, digest = stream.frame(0, PACKED, digest[:16], example("packed-payload"))
        datagrams += [link.message(b"\3" + len(descriptor).to_bytes(2, "big") + descriptor),
                      link.frames([head + tag + payload]),
                      link.frames([altered(head, 24, b"\0") + tag + payload])]
    rows = dissect_link(t, link, datagrams, "frame.tag_status", "object.data",
                        stream_secrets=[STREAM_SECRET.hex()])[3:]
    for described, good, bad in zip(rows[::3], rows[1::3], rows[2::3]):
        assert described.text("malformed") == "", described.fields
        assert good.text("frame.tag_status") == RIGHT, good.fields
        assert good.all("object.data") == [b"a".hex(), b"bcd".hex()], good.fields
        assert bad.text("frame.tag_status") == "0", bad.fields
