# SPDX-License-Identifier: BSD-3-Clause
"""The Wireshark dissector against the nodes: what it says of a capture, datagram by datagram and
field by field, adds up to what the nodes counted. It is written from docs/wire.md alone, so this
holds the document and the program together. Captured twice: on the interface, by dumpcap, and by
the nodes themselves, whose files say of each datagram and frame why it was dropped."""

import time
from collections import Counter

import capture
import dissected
import net
import shows
from dissected import CONTROL, DATA, HELLO, RIGHT
from harness import Failure, Skip, limits, needs
from lab import PORTS_PER_NODE, Lab, count_prefix_changes, publish_file, publish_routes
from subscriber import Subscriber
from test_network import content

FIELDS = ["kind", "frames", "hops", "link_id", "link_seq", "check.status", "lane", "sender",
          "receiver", "repeated", "fault", "malformed", "frame.stream", "frame.seq", "frame.kind",
          "frame.tag", "frame.tag_status", "frame.length", "hello.mac_status", "control.seal",
          "message.type", "message.stream", "message.received_datagrams", "message.lost_datagrams",
          "message.received_bytes", "descriptor.stream", "descriptor.resource", "statement.index",
          "route.prefix"]
NACK, REPORT = 6, 5
MESSAGES_SEEN = set(range(1, 13))
PENDING, CLOSE = 7, 12
SETTLES_S = 0.3  # a datagram may be captured before it is counted, or counted after it was sent


class Books:
    """What one node must have counted, from the datagrams at its ports."""

    def __init__(self, base, names, streams, early):
        """names: {node id: name}. streams: the node's rows of `show streams`. early: how many
        datagrams of each peer came before the node knew their link; nobody else can tell."""
        self.ports = range(base, base + PORTS_PER_NODE)
        self.names = names
        self.carried = {f"0x{row['id']}" for row in streams}
        self.own = {f"0x{row['id']}" for row in streams if row["own"]}
        self.early = Counter(early)
        self.drops, self.links, self.total = Counter(), Counter(), Counter()
        self.peers = {name: Counter() for name in names.values()}
        self.lanes = {}  # (peer, lane): the link seqs that came
        self.streams = {}  # stream id: Counter
        self.frames = {}  # stream id: {seq: tag}
        self.received = {}  # peer: all (datagrams, lost, bytes) that it ever counted
        self.reports = []  # (peer, what it says of us)
        self.messages = Counter()
        self.kinds = set()  # (was it sent, kind of datagram)
        self.verdicts = []  # of the datagram that came last: what a node's own capture says of it
        self.contradicted = []  # comments of such a capture that say otherwise

    def take(self, datagram):
        if int(datagram.text("udp.srcport")) in self.ports:
            self.take_sent(datagram)
        if int(datagram.text("udp.dstport")) in self.ports:
            self.verdicts = []
            self.take_received(datagram)
            said = datagram.all("frame.comment")
            if sorted(said) != sorted(self.verdicts):
                self.contradicted.append((datagram.fields, said, self.verdicts))

    def take_sent(self, datagram):
        self.total["tx_packets"] += 1
        self.kinds.add((True, datagram.text("kind")))
        if datagram.text("kind") == HELLO or not datagram.text("receiver"):
            return
        peer = self.peers[self.names[datagram.text("receiver")]]
        peer["tx_datagrams"] += 1
        peer["tx_bytes"] += datagram.bytes
        peer["tx_frames"] += datagram.number("frames")
        for kind, stream in zip(datagram.numbers("message.type"), datagram.all("message.stream")):
            if kind == NACK:
                self.stream(stream)["nacks_sent"] += 1
        for stream, seq, tag in zip(datagram.all("frame.stream"), datagram.numbers("frame.seq"),
                                    datagram.all("frame.tag")):
            if stream in self.own:
                self.frames.setdefault(stream, {})[seq] = tag

    def take_received(self, datagram):
        self.total["rx_packets"] += 1
        self.kinds.add((False, datagram.text("kind")))
        reason = self.reason_of(datagram)
        if reason:
            self.drops[reason] += 1
            self.verdicts.append(f"dropped={reason}")
        elif datagram.text("kind") == HELLO:
            self.total["control_datagrams"] += 1
            self.take_hello(datagram)
        else:
            self.take_accepted(datagram)

    def reason_of(self, datagram):
        """Why the node dropped it before its frames were looked at: section 2.4."""
        fault = datagram.text("fault")
        if fault in ("truncated", "bad_version") and not datagram.text("kind"):
            return fault
        if fault == "too_many_hops" or datagram.text("kind") == HELLO:
            return fault
        if not datagram.text("receiver"):
            return "unknown_link"
        if self.early[self.names[datagram.text("sender")]] > 0:
            self.early[self.names[datagram.text("sender")]] -= 1
            return "unknown_link"
        if datagram.text("repeated") == "1":
            return "replayed"
        return fault or ("" if datagram.text("check.status") == RIGHT else "bad_check")

    def take_hello(self, datagram):
        if datagram.text("malformed"):
            self.links["malformed"] += 1
        elif datagram.text("hello.mac_status") != RIGHT:
            self.links["bad_mac"] += 1

    def take_accepted(self, datagram):
        name = self.names[datagram.text("sender")]
        peer = self.peers[name]
        peer["rx_datagrams"] += 1
        peer["rx_bytes"] += datagram.bytes
        seqs = self.lanes.setdefault((name, datagram.number("lane")), set())
        seqs.add(datagram.number("link_seq"))
        peer["rx_lost"] = sum(max(seqs) - len(seqs) for (one, _), seqs in self.lanes.items()
                              if one == name)
        self.received.setdefault(name, set()).add(
            (peer["rx_datagrams"], peer["rx_lost"], peer["rx_bytes"]))
        if datagram.text("kind") == CONTROL:
            self.take_message(datagram, name)
        else:
            self.take_frames(datagram)

    def take_message(self, datagram, name):
        self.total["control_datagrams"] += 1
        if datagram.text("control.seal") != RIGHT:
            self.links["bad_seal"] += 1
            return
        kind = datagram.number("message.type")
        self.messages[kind] += 1
        if kind == NACK:
            self.stream(datagram.text("message.stream"))["nacks_received"] += 1
        elif kind == REPORT:
            self.reports.append((name, tuple(datagram.number(f"message.{field}") for field in (
                "received_datagrams", "lost_datagrams", "received_bytes"))))

    def take_frames(self, datagram):
        self.total["datagrams"] += 1
        self.total["hops_max"] = max(self.total["hops_max"], datagram.number("hops"))
        rows = zip(datagram.all("frame.stream"), datagram.numbers("frame.seq"),
                   datagram.all("frame.tag"), datagram.all("frame.tag_status"))
        for number, (stream, seq, tag, status) in enumerate(rows, 1):
            reason = self.take_frame(stream, seq, tag, status)
            if reason:
                self.verdicts.append(f"dropped={reason} frame={number} "
                                     f"stream={int(stream, 0):016x} seq={seq}")

    def take_frame(self, stream, seq, tag, status):
        """Why it was dropped."""
        if stream not in self.carried:
            self.drops["unknown_stream"] += 1
            return "unknown_stream"
        self.total["received_frames"] += 1
        counts, known = self.stream(stream), self.frames.setdefault(stream, {})
        counts["received_frames"] += 1
        if known.get(seq) == tag:
            counts["duplicate_frames"] += 1
            return "duplicate"
        if status != RIGHT:
            self.drops["tag"] += 1
            return "tag"
        known[seq] = tag
        self.total["unique_frames"] += 1
        return None

    def stream(self, stream):
        return self.streams.setdefault(stream, Counter())


def alter(at, value):
    """Overwrites bytes from an offset; from the end where it is negative."""
    def change(data):
        start = at if at >= 0 else len(data) + at
        return data[:start] + value + data[start + len(value):]
    return change


def flip(at):
    return lambda data: alter(at, bytes([data[at] ^ 0x55]))(data)


HOP_BYTES, MAC_BYTES = 16, 32
# What a wire does to some datagrams of each kind, in place of passing them on.
DATA_CHANGES = [lambda data: data[:-3], lambda data: data + b"abc", lambda data: data[:9],
                alter(0, b"\2"), alter(2, b"\3"), alter(3, b"\x21"), flip(5), flip(12), flip(-1),
                flip(HOP_BYTES + 23)]  # the last: of the seq, so that it is no duplicate
CONTROL_CHANGES = [lambda data: data[:HOP_BYTES + 20], alter(3, b"\1"), flip(HOP_BYTES + 8)]
HELLO_CHANGES = [flip(-1), alter(HOP_BYTES, b"\x09"), alter(8, b"\1"), lambda data: data[:-100],
                 lambda data: data + bytes(300)]


class BadWire:
    """A rule of tamper.Wire: every tenth data datagram is lost, doubled or changed in the next way,
    once it is told to; changed copies of the first hello and of a keepalive go before them."""

    def __init__(self):
        self.is_bad = False
        self.seen = 0
        self.samples = {}
        self.pending = [("hello", change) for change in HELLO_CHANGES]
        self.pending += [("control", change) for change in CONTROL_CHANGES]
        self.ways = [lambda data: [], lambda data: [data, data],
                     *(lambda data, change=change: [change(data)] for change in DATA_CHANGES)]

    def __call__(self, data, forward):
        kind = "data" if data[2] else "hello" if data[1] & 1 else "control"
        if not forward:
            return [data]
        if not self.is_bad:
            self.samples.setdefault(kind, data)
            return [data]
        if kind == "control" and self.pending:
            wanted, change = self.pending.pop()
            return [change(data if wanted == "control" else self.samples["hello"])]
        if kind != "data":
            return [data]
        self.seen += 1
        if self.seen % 10 or not self.ways:
            return [data]
        return self.ways.pop()(data)

    def is_done(self):
        return not self.pending and not self.ways


class CommonLoss:
    """A rule for each of the origin's wires, which all lose the first copy of the same frames: who
    then asks another neighbour than the origin is told `pending`."""

    EVERY = 40

    def __init__(self, inner=None):
        self.inner = inner
        self.lost = set()

    def __call__(self, data, forward):
        if forward and data[2]:
            marked = {(frame.stream, frame.seq) for frame in self.frames_of(data)
                      if frame.seq % self.EVERY == self.EVERY - 1}
            if marked - self.lost:
                self.lost |= marked
                return []
        return self.inner(data, forward) if self.inner else [data]

    @staticmethod
    def frames_of(data):
        return list(capture.frames(data))


SHOWN = {"peers": ("show", "peers"), "streams": ("show", "streams"), "dedup": ("show", "dedup"),
         "workers": ("show", "workers"), "links": ("show", "links"), "drops": ("show", "drops"),
         "ports": ("show", "port", "stats", "all")}
PEER_KEYS = ("tx_datagrams", "tx_frames", "tx_bytes", "rx_datagrams", "rx_bytes", "rx_lost")
STREAM_KEYS = ("received_frames", "duplicate_frames", "nacks_sent", "nacks_received")
LINK_KEYS = ("malformed", "bad_mac", "bad_seal")
WIRE_DROPS = ("truncated", "bad_version", "bad_count", "trailing", "too_many_hops", "oversized",
              "unknown_link", "replayed", "bad_check", "tag")
FRAME_DROPS = ("unknown_stream",)


def counted(what, reply):
    """The counters of one reply that the books have as well."""
    if what == "peers":
        return {(row["name"], key): row[key] for row in reply["peers"] for key in PEER_KEYS}
    if what == "streams":
        return {(row["id"], key): row[key] for row in reply["streams"] for key in STREAM_KEYS}
    if what == "dedup":
        return {key: reply[key] for key in ("received_frames", "unique_frames", "hops_max")}
    if what == "workers":
        return {key: reply["workers"][0][key] for key in ("datagrams", "control_datagrams")}
    if what == "links":
        return {key: reply[key] for key in LINK_KEYS}
    if what == "drops":
        known = shows.drops(reply)
        return {key: known.get(key, 0) for key in WIRE_DROPS + FRAME_DROPS}
    return {key: reply["ports"][0][key] for key in ("rx_packets", "tx_packets")}


def expected(what, books, keys):
    """The same from a node's books."""
    if what == "peers":
        return {(name, key): books.peers[name][key] for name, key in keys}
    if what == "streams":
        return {(stream, key): books.streams.get(f"0x{stream}", {}).get(key, 0)
                for stream, key in keys}
    tables = {"links": books.links, "drops": books.drops}
    return {key: tables.get(what, books.total)[key] for key in keys}


class Reading:
    """One reply of one node, and between which moments it was made."""

    def __init__(self, node, what):
        self.what, self.node = what, node
        self.begin = time.time()
        self.counters = counted(what, node.control(*SHOWN[what]))
        self.end = time.time()

    def differs(self, books):
        """What the books have otherwise: {counter: (node, capture)}."""
        wanted = expected(self.what, books, self.counters)
        return {key: (value, wanted[key]) for key, value in self.counters.items()
                if value != wanted[key]}


def audit(readings, datagrams, books):
    """For every kind of reply, one at least equals the books at some moment around it, in all of
    its counters. Links are never silent, so a reading that fell among datagrams may fit none."""
    matched, nearest = set(), {}
    moments = sorted(readings, key=lambda reading: reading.begin)
    history = iter(datagrams)
    pending = []
    for datagram in [*history, None]:
        now = datagram.time if datagram else float("inf")
        pending += [moments.pop(0) for _ in list(moments) if moments[0].begin - SETTLES_S <= now]
        for reading in pending:
            differences = reading.differs(books)
            if not differences:
                matched.add(reading.what)
            best = nearest.setdefault(reading.what, differences)
            if len(differences) < len(best):
                nearest[reading.what] = differences
        pending = [reading for reading in pending if reading.end + SETTLES_S > now and
                   reading.what not in matched]
        if datagram:
            books.take(datagram)
    missed = {what: nearest[what] for what in SHOWN if what not in matched}
    if missed:
        raise Failure(f"counters that no moment of the capture has (node, capture): {missed}")


class Watched:
    """Three nodes in a triangle, two streams of data (one confidential) and one of routes, with a
    bad wire between the first two, captured from their start to their end, and by each node from
    before its first hello."""

    def __init__(self, t):
        self.t = t
        self.rule = BadWire()
        place = net.Namespace(t, "lab")
        # Captured as they would be on a wire, not as the batches that sendmsg hands over.
        place.run("ethtool", "-K", "lo", "tx-udp-segmentation", "off")
        with place.entered():
            self.lab = Lab(t, 3, {"d": 0, "c": 0, "r": 1, "x": 0}, namespace=place,
                           rules={(0, 1): CommonLoss(self.rule), (0, 2): CommonLoss()},
                           stream=self.stream_keys)
        self.nodes = self.lab.nodes
        # Refuses x, and c has the bad wire as its only way, so that what it loses is asked for.
        carried = [table for table in self.nodes[2].tables["stream"] if table["name"] in "dr"]
        self.nodes[2].tables["stream"] = carried
        self.file = t.dir / "run.pcap"
        self.capture = place.capture("lo", self.file)
        self.start()
        self.lab.wait_for_links(60)
        for node in self.nodes:
            t.until(lambda: all("id" in row for row in node.streams().values()), 60,
                    f"{node.name} to know all streams", [node.process])

    def start(self):
        """Peers come once all nodes run: what a node sends to one that does not listen yet is in
        the capture, and in nobody's counters."""
        peers = {node: node.tables["peer"] for node in self.nodes}
        for node in self.nodes:
            node.configure({**node.tables, "peer": [], "repair": {"tip_idle_ms": 10_000}})
            node.start(seconds=60)
            node.control("capture", "start", self.own_file(node))
        for node in self.nodes:
            node.tables["peer"] = peers[node]
            for peer in peers[node]:
                node.control("add", "peer", peer["name"], peer["address"], "secret", peer["secret"])

    @staticmethod
    def own_file(node):
        return node.dir / "own.pcapng"

    def stop(self):
        """The nodes' captures end before they say goodbye."""
        for node in self.nodes:
            ended = node.control("capture", "stop")
            assert (ended["state"], ended["missed"]) == ("ended", 0), ended
        for node in self.nodes:
            node.stop()
        self.capture.stop()

    @staticmethod
    def stream_keys(name):
        return {"routes": name == "r", "suite": "sha256-gcm-ct" if name == "c" else "sha256-gmac"}

    def run(self):
        """Until the wire has done all it does, and everything was delivered nevertheless."""
        data = content(self.t, "data", 60_000)
        readers = [Subscriber(self.nodes[1], "d"), Subscriber(self.nodes[1], "c"),
                   Subscriber(self.nodes[2], "d")]
        self.rule.is_bad = True
        turns = 0

        def publish_until_done():
            nonlocal turns
            turns += 1
            for stream in ("d", "c"):
                publish_file(self.nodes[0], stream, data)
            return self.rule.is_done()
        self.t.until(publish_until_done, 100, "the wire to have done everything")
        for reader in readers:
            reader.wait_bytes(turns * 60_000, 60)
        routes = self.t.dir / "routes"
        publish_routes(self.nodes[1], "r", routes, synthetic=300)
        self.prefixes = count_prefix_changes(routes.read_bytes())
        seq = self.nodes[1].stream("r")["highest_seq"]
        self.t.until(lambda: self.nodes[2].stream("r")["linked_next"] > seq, 60, "the routes")

    def has_told_pending(self):
        return any(row.get("pending_sent")
                   for node in self.nodes for row in node.streams().values())

    def one_session(self):
        return all(row["sessions"] == 1 for node in self.nodes
                   for row in node.control("show", "peers")["peers"])

    def ids(self):
        return {node.control("show", "status")["node"]: node.name for node in self.nodes}

    def read(self, file):
        """What the dissector makes of a capture; the nodes have ended."""
        base = int(self.lab.addresses[0].rsplit(":", 1)[1])
        return dissected.read(file, FIELDS, 180,
                              ports=f"{base}-{base + 7 * PORTS_PER_NODE - 1}",
                              link_secrets=sorted(self.t.dir.glob("link-*.secret")),
                              stream_secrets=sorted(self.t.dir.glob("stream-*.secret")))


def reports_are_right(books):
    """What a neighbour says in its reports is what the capture has it receive. It reads three
    counters while they move, so a few may fit no moment."""
    for node, own in books.items():
        said = [(books_of, report) for other, books_of in books.items() if other is not node
                for peer, report in own.reports if peer == other.name]
        right = [report in books_of.received.get(node.name, ()) for books_of, report in said]
        assert sum(right) > len(right) / 2, f"{node.name}: {sum(right)} of {len(right)} reports"


def shown_prefixes(datagrams, sender, receiver):
    """The prefixes of route updates on the way from one node to another, each frame once."""
    seen, count = set(), 0
    for datagram in datagrams:
        if (datagram.text("sender"), datagram.text("receiver")) != (sender, receiver):
            continue
        frames = set(zip(datagram.all("frame.stream"), datagram.all("frame.seq")))
        if not frames <= seen:
            count += len(datagram.all("route.prefix"))
        seen |= frames
    return count


def descriptors_are_right(datagrams, ids):
    """ids: {resource: stream id} as the nodes show them."""
    said = {(resource, stream) for datagram in datagrams for resource, stream in zip(
        datagram.all("descriptor.resource"), datagram.all("descriptor.stream"))}
    assert said == {(name, f"0x{stream}") for name, stream in ids.items()}, (said, ids)


def audited(lab, node, readings, datagrams, names, streams, early):
    """The node's books of a capture, which its counters agree with."""
    address = lab.lab.addresses[lab.nodes.index(node)]
    books = Books(int(address.rsplit(":", 1)[1]), names, streams, early)
    audit([reading for reading in readings if reading.node is node], datagrams, books)
    return books


def everything_was_seen(lab, books, messages):
    """Each kind of datagram and message, and on the bad wire each reason to drop one."""
    drops, links = books[lab.nodes[1]].drops, books[lab.nodes[1]].links
    assert all(drops[reason] for reason in WIRE_DROPS), drops
    assert all(links[key] for key in LINK_KEYS), links
    for node, one in books.items():
        kinds = {(sent, kind) for sent in (True, False) for kind in (DATA, HELLO, CONTROL)}
        assert kinds - one.kinds <= {(True, DATA)}, (node.name, one.kinds)
    seen = sum((one.messages for one in books.values()), Counter())
    assert messages <= set(seen), messages - set(seen)


@needs("programs", "netns", "tshark")
@limits(seconds=500)
def test_dissector_counts_what_the_nodes_count(t):
    lab = Watched(t)
    early = {node: {row["name"]: row["rx_lost"] for row in node.control("show", "peers")["peers"]}
             for node in lab.nodes}
    lab.run()
    messages = set(MESSAGES_SEEN)
    if not lab.has_told_pending():  # nobody asked who had lost the same frame
        print("pending: not sent in this run, and not required")
        messages.remove(PENDING)
    names = lab.ids()
    streams = {node: node.streams().values() for node in lab.nodes}
    readings = [Reading(node, what) for _ in range(12) for node in lab.nodes for what in SHOWN]
    if not lab.one_session():
        raise Skip("the machine was too slow: a link went down meanwhile")
    lab.stop()
    on_wire = lab.read(lab.file)
    books, own = {}, {}
    for node in lab.nodes:
        rest = readings, names, streams[node], early[node]
        books[node] = audited(lab, node, rest[0], on_wire, *rest[1:])
        own[node] = audited(lab, node, rest[0], lab.read(lab.own_file(node)), *rest[1:])
        assert not own[node].contradicted, own[node].contradicted[0]
    everything_was_seen(lab, books, messages)
    everything_was_seen(lab, own, messages - {CLOSE})
    reports_are_right(books)
    descriptors_are_right(on_wire, {row["name"]: row["id"] for row in streams[lab.nodes[0]]})
    id_of = {name: node for node, name in names.items()}
    assert shown_prefixes(on_wire, id_of["n1"], id_of["n2"]) == lab.prefixes
