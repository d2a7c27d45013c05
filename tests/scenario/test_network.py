# SPDX-License-Identifier: BSD-3-Clause
"""Networks of nodes over udp: bad wires, crashes, latecomers, and what a capture of it all may not
hold."""

import random

import net
import shows
from capture import Census
from harness import PROGRAMS, limits, must, needs, until
from lab import Lab, publish_file
from subscriber import Subscriber

BAD_WIRE = {"loss": 0.05, "reorder": 0.02, "duplicate": 0.01}
SUITES = {"open": "sha256-gmac", "sealed": "sha256-gcm"}


def content(t, name, size, seed=1):
    path = t.dir / name
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def five_nodes(t, link=BAD_WIRE, **options):
    """Two origins, n0 and n1; the others relay and receive."""
    return Lab(t, 5, {"open": 0, "sealed": 1}, link=link,
               stream=lambda name: {"suite": SUITES[name]}, **options)


def subscribe_all(lab, streams, nodes=None):
    return {(node.name, stream): Subscriber(node, stream) for node in nodes or lab.nodes
            for stream in streams if lab.nodes[lab.streams[stream]] is not node}


@needs("programs")
@limits(seconds=110)
def test_bad_wires_lose_nothing(t):
    lab = five_nodes(t).start()
    lab.wait_for_links()
    readers = subscribe_all(lab, SUITES)
    files = {name: content(t, name, 600_000, seed) for seed, name in enumerate(SUITES)}
    for name, file in files.items():
        publish_file(lab.nodes[lab.streams[name]], name, file)
    for (_, stream), reader in readers.items():
        reader.wait_bytes(600_000)
    for (node, stream), reader in readers.items():
        assert reader.stop() == files[stream].read_bytes(), f"{node}: {stream} differs"
        assert reader.lost_frames() == 0, f"{node} lost frames of {stream}"
    # Three copies of a frame are seldom all lost, so repair may have had nothing to do.
    for node in lab.nodes:
        peers = node.control("show", "peers")["peers"]
        assert sum(row["rx_lost"] for row in peers) > 0, f"{node}: no bad wire"


@needs("programs")
@limits(seconds=110)
def test_without_repair_what_is_missing_is_told(t):
    """One object per frame, so that objects delivered and frames lost can be added up."""
    lab = five_nodes(t, edges=[(0, 1), (1, 2), (2, 3), (3, 4)]).start()
    lab.wait_for_links()
    for node in lab.nodes:
        node.control("set", "repair", "off")
    readers = subscribe_all(lab, ["open"])
    count = 1000
    origin = lab.nodes[0]
    must(origin.control_command("publish", "open", content(t, "o", count * 1000),
                                "--object-bytes", "1000"))
    # Without repair only later frames show that the last ones are missing.
    trailer = content(t, "trailer", 1000)
    end = [0]

    def everything_known():
        must(origin.control_command("publish", "open", trailer))
        end[0] = end[0] or origin.stream("open")["highest_seq"]
        return all(lab.nodes[i].stream("open").get("delivered_next", 0) > end[0]
                   for i in range(1, 5))
    until(everything_known, 40, "every node to know what it has", interval_s=0.2)
    lost_of = {}
    for (node, stream), reader in readers.items():
        reader.stop()
        delivered = [event["first_seq"] for event in reader.objects()]
        assert delivered == sorted(set(delivered)), f"{node}: not in order, or twice"
        missing = {seq for event in reader.events() if event["event"] == "lost"
                   for seq in range(event["first_seq"], event["last_seq"] + 1)}
        assert not missing & set(delivered), f"{node}: delivered and lost"
        row = next(one for one in lab.nodes if one.name == node).stream("open")
        lost_of[node] = row["lost_frames"]
        assert row["lost_frames"] >= len(missing), (row, len(missing))
        # Every frame is an object, a statement, or lost.
        between = sum(1 for seq in range(delivered[0], delivered[-1])
                      if seq not in missing and seq not in set(delivered))
        assert between <= row["statements_checked"], f"{node}: {between} frames without a trace"
    assert lost_of["n4"] > lost_of["n1"] > 0, lost_of


class Background:
    """Publishes a file while the scenario goes on."""

    def __init__(self, node, stream, file):
        self.process = node.launch(node.control_command("publish", stream, file),
                                   f"publish-{stream}-{file.name}")

    def wait(self):
        code = self.process.wait(40)
        assert code == 0, self.process.log_text()


def slow(name):
    """About 2.3 MB/s, so that there is a middle of the stream."""
    return {"rate": 2000}


def mid_stream(reader, size):
    until(lambda: reader.received_bytes() > size // 5, 30, f"{reader.name}: the middle",
          interval_s=0.02)


def is_quiet(lab, nodes):
    """Everything that the origin has emitted was delivered or given up at these nodes."""
    rows = shows.rows(lab.nodes[0].control("show", "streams"), "streams")
    own = next(row for row in rows if row.get("own"))
    if own["queued_bytes"] > 0:
        return False
    for node in nodes:
        rows = shows.rows(node.control("show", "streams"), "streams")
        here = [row for row in rows if row.get("id") == own["id"]]
        if not here or here[0]["delivered_next"] < own["linked_next"]:
            return False
    return True


def all_receive(t, lab, name, seed, nodes):
    """A new file reaches these nodes whole, once what was under way has arrived."""
    until(lambda: is_quiet(lab, nodes), 40, "what was published before to be delivered")
    file = content(t, name, 300_000, seed)
    readers = [Subscriber(node, "s") for node in nodes]
    publish_file(lab.nodes[0], "s", file)
    for reader in readers:
        reader.wait_bytes(300_000)
        assert reader.stop() == file.read_bytes(), f"{reader.name}: differs"


@needs("programs")
@limits(seconds=110)
def test_origin_killed_and_restarted(t):
    lab = Lab(t, 5, {"s": 0}, stream=slow).start()
    lab.wait_for_links()
    readers = subscribe_all(lab, ["s"])
    first_id = lab.nodes[1].stream("s")["id"]
    Background(lab.nodes[0], "s", content(t, "big", 4_000_000))
    mid_stream(readers["n4", "s"], 4_000_000)
    lab.nodes[0].kill()
    lab.nodes[0].start()
    lab.wait_for_links(nodes=[lab.nodes[0]])
    file = content(t, "after", 300_000, 2)
    publish_file(lab.nodes[0], "s", file)
    for (node, _), reader in readers.items():
        until(lambda: sum(event["bytes"] for event in reader.objects()
                          if event["stream"] != first_id) >= 300_000, 30,
              f"{node}: the new incarnation", [reader.process])
        assert reader.stop().endswith(file.read_bytes()), f"{node}: differs"


@needs("programs")
@limits(seconds=110)
def test_relay_killed_and_restarted(t):
    """The others have a way around it; it finds back itself, and carries again."""
    lab = Lab(t, 5, {"s": 0}, stream=slow).start()
    lab.wait_for_links()
    relay = lab.nodes[2]
    readers = subscribe_all(lab, ["s"], [node for node in lab.nodes[1:] if node is not relay])
    big = content(t, "big", 4_000_000)
    publishing = Background(lab.nodes[0], "s", big)
    mid_stream(readers["n4", "s"], 4_000_000)
    relay.kill()
    for reader in readers.values():
        reader.wait_bytes(4_000_000)
        assert reader.stop() == big.read_bytes(), f"{reader.name}: differs"
    publishing.wait()
    relay.start()
    lab.wait_for_links()
    all_receive(t, lab, "after", 2, lab.nodes[1:])


@needs("programs")
@limits(seconds=110)
def test_only_relay_killed_and_restarted(t):
    """Nobody else connects the two ends."""
    lab = Lab(t, 3, {"s": 0}, edges=[(0, 1), (1, 2)], stream=slow).start()
    lab.wait_for_links()
    reader = Subscriber(lab.nodes[2], "s")
    Background(lab.nodes[0], "s", content(t, "big", 4_000_000))
    mid_stream(reader, 4_000_000)
    lab.nodes[1].kill()
    lab.nodes[1].start()
    lab.wait_for_links()
    all_receive(t, lab, "after", 2, lab.nodes[2:])


@needs("programs")
@limits(seconds=110)
def test_receiver_killed_and_restarted_in_mid_stream(t):
    """It starts from the newest statement, or from the descriptor where the window still holds it,
    and gets the rest of what is being sent."""
    lab = Lab(t, 5, {"s": 0}, stream=slow).start()
    lab.wait_for_links()
    receiver = lab.nodes[4]
    reader = Subscriber(receiver, "s")
    big = content(t, "big", 16_000_000)
    publishing = Background(lab.nodes[0], "s", big)
    mid_stream(reader, 2_000_000)
    receiver.kill()
    receiver.start()
    again = Subscriber(receiver, "s")
    until(lambda: again.received_bytes() > 200_000, 30, "the rest of the stream",
          [again.process])
    assert receiver.stream("s")["anchor"] != "none", receiver.stream("s")
    publishing.wait()
    until(lambda: again.objects()[-1]["last_seq"] + 3 > lab.nodes[0].stream("s")["highest_seq"],
          30, "the end of the stream", [again.process])
    assert big.read_bytes().endswith(again.stop())


@needs("programs")
@limits(seconds=170, alone=True)
def test_sixth_node_starts_after_100000_frames(t):
    small_bytes = 260  # two do not fit into one frame
    lab = Lab(t, 6, {"s": 0}, stream=lambda name: {"payload": 512, "rate": 60_000,
                                                   "statement_frames": 1000})
    for node in lab.nodes[:5]:
        node.start()
    for node in lab.nodes[:5]:
        until(lambda: sum(state == "up" for state in node.peers().values()) >= 2, 30,
              f"{node.name}: two links", [node.process])
    reader = Subscriber(lab.nodes[4], "s")
    count = 102_000
    small = content(t, "small", count * small_bytes)
    objects = ["--object-bytes", small_bytes]
    must(lab.nodes[0].control_command("publish", "s", small, *objects), 60)
    reader.wait_bytes(count * small_bytes, 60)
    assert reader.stop() == small.read_bytes()
    assert lab.nodes[0].stream("s")["highest_seq"] > 100_000
    late = lab.nodes[5].start()
    lab.wait_for_links()
    reader = Subscriber(late, "s")
    t.until(lambda: late.stream("s").get("anchor", "none") != "none", 30, "an anchor",
            [late.process])
    assert late.stream("s")["anchor"].startswith("statement at "), late.stream("s")
    file = content(t, "after", 200 * small_bytes, 2)
    must(lab.nodes[0].control_command("publish", "s", file, *objects), 60)
    reader.wait_bytes(200 * small_bytes)
    assert reader.stop().endswith(file.read_bytes())


@needs("programs", "netns", "tshark")
@limits(seconds=110)
def test_no_sequence_number_is_used_twice(t):
    """A whole run with loss, repair and a restart of the origin, two streams under one secret."""
    place = net.Namespace(t, "lab")
    # Captured as they would be on a wire, not as the batches that sendmsg hands over.
    place.run("ethtool", "-K", "lo", "tx-udp-segmentation", "off")
    secret = t.dir / "shared.secret"
    must([PROGRAMS["chaincast"], "keygen", "secret", secret])
    lab = Lab(t, 5, {"one": 0, "two": 0}, namespace=place, link={"loss": 0.05, "reorder": 0.02},
              stream=lambda name: {"secret": str(secret)})
    file = t.dir / "run.pcap"
    capture = place.capture("lo", file)
    lab.start()
    lab.wait_for_links()
    for turn in range(2):
        data = {name: content(t, f"{name}{turn}", 300_000, turn) for name in lab.streams}
        readers = {name: [Subscriber(node, name) for node in lab.nodes[1:]]
                   for name in lab.streams}
        for name in lab.streams:
            publish_file(lab.nodes[0], name, data[name])
        for name in lab.streams:
            for reader in readers[name]:
                reader.wait_bytes(300_000)
                assert reader.stop().endswith(data[name].read_bytes())
        if turn == 0:
            lab.nodes[0].kill()
            lab.nodes[0].start()
            lab.wait_for_links()
    for node in lab.nodes:
        node.stop()
    packets = capture.stop()
    census = Census().read(file)
    assert census.datagrams == packets - 1, (census.datagrams, packets)  # the capture's own end
    assert census.frames > 2000 and census.datagrams > 2000, (census.frames, census.datagrams)
    assert len(census.streams()) == 4, "two streams, each in two incarnations"
    assert not census.two_tags, census.two_tags[:5]
    assert not census.repeated, census.repeated[:5]
