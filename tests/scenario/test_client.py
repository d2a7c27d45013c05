# SPDX-License-Identifier: BSD-3-Clause
"""Programs beside a node: the client library's examples, and what subscribers get through the
socket and through shared memory, also slow and dying ones."""

import json
import signal
import subprocess
from pathlib import Path

from harness import BUILD, Skip, limits, needs
from lab import Lab, generator, send_stamped

EXAMPLES = BUILD / "apps" / "libchaincast"
WAYS = {"socket": [], "ring": ["--ring"]}


class Reader:
    """chaincast-gen receive of stamped objects, through either way."""

    def __init__(self, node, stream, way, *words, label=""):
        self.name = f"{node.name}-{way}{label}"
        self.file = node.scenario.dir / f"{self.name}.json"
        with open(self.file, "wb") as sink:
            self.process = node.launch(generator(node, "receive", stream, *WAYS[way], *words),
                                       self.name, stdout=sink)
        node.scenario.until(lambda: self.process.log_has("subscribed"), 30,
                            f"{self.name} to be subscribed", [self.process])

    def result(self, seconds):
        self.process.wait(seconds)
        return json.loads(self.file.read_text())


def one_node(t, **stream):
    return Lab(t, 1, {"feed": 0}, edges=[], stream=lambda name: stream).start().nodes[0]


def console(node):
    """What the node says of its control socket."""
    return node.control("status")["socket"]


def descriptors(node):
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


@needs("programs")
@limits(seconds=100)
def test_examples_publish_and_subscribe(t):
    """C at one node, C++ at its neighbour."""
    if not (EXAMPLES / "example-publish").exists():
        raise Skip(f"not built in {BUILD}: the examples of libchaincast")
    lab = Lab(t, 2, {"feed": 0}, edges=[(0, 1)]).start()
    lab.wait_for_links()
    lines = [f"line {index}" for index in range(200)] + ["", "last"]
    with open(t.dir / "read.txt", "wb") as sink:
        reader = lab.nodes[1].launch([EXAMPLES / "example-subscribe", lab.nodes[1].socket, "feed",
                                      len(lines)], "example-subscribe", stdout=sink)
    t.until(lambda: reader.log_has("subscribed"), 30, "the example to be subscribed", [reader])
    t.until(lambda: lab.nodes[1].stream("feed").get("state") == "live", 60, "the stream at n1")
    done = subprocess.run([EXAMPLES / "example-publish", lab.nodes[0].socket, "feed"], text=True,
                          input="".join(line + "\n" for line in lines), capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"published {len(lines)} objects\n", done.stdout
    assert reader.wait(60) == 0
    assert (t.dir / "read.txt").read_text().splitlines() == lines


@needs("programs")
@limits(seconds=280, alone=True)
def test_a_million_objects_through_socket_and_ring(t):
    """Two readers of a kept stream at once, one of each kind: each gets every object once, in
    order and unaltered, by the stamps of an independent checker."""
    count = 1_000_000
    node = one_node(t, keeping="kept", delivery="final", suite="sha256-gmac")
    readers = [Reader(node, "feed", way, "--stamped", "--count", count) for way in WAYS]
    sent = send_stamped(node, "feed", count, "1M", sizes="80", seconds=240)
    assert sent["objects"] == count, sent
    for reader in readers:
        result = reader.result(240)
        assert result["ok"], f"{reader.name}: {result['verdict']}"
        assert result["stamps"]["stamped"] == count
        assert result["sha256"] == sent["sha256"], f"{reader.name}: other bytes"


def stop_and_go(t, way):
    """A reader that does not read while more is sent than anything holds for it: what it gets and
    what it is told of are all of it, by the node's own counter."""
    count, size = 60_000, 1024
    node = one_node(t)
    reader = Reader(node, "feed", way, "--late", "--idle", "5")
    reader.process.signal(signal.SIGSTOP)
    send_stamped(node, "feed", count, "50k", sizes=str(size), seconds=90)
    t.until(lambda: node.delivered("feed") >= count, 60, "the node to have delivered")
    dropped = node.stream("feed")["dropped_objects"]
    assert dropped > 0, "nothing was dropped: send more"
    reader.process.signal(signal.SIGCONT)
    result = reader.result(60)
    assert count - result["objects"] == dropped, (result, dropped)
    # An object a frame; the ranges that were told hold the origin's statements as well.
    statements = node.stream("feed")["unique_frames"] - count
    assert 0 <= result["frames_lost"] - dropped <= statements, (result, dropped, statements)
    assert result["stamps"]["corrupt"] == result["stamps"]["duplicated"] == 0
    assert console(node)["loss_notices"] == result["loss_notices"] > 0


@needs("programs")
@limits(seconds=200)
def test_a_slow_reader_of_the_socket_is_told_its_losses(t):
    stop_and_go(t, "socket")


@needs("programs")
@limits(seconds=200)
def test_a_slow_reader_of_the_ring_is_told_its_losses(t):
    stop_and_go(t, "ring")


@needs("programs")
@limits(seconds=200)
def test_dying_readers_cost_others_nothing(t):
    """Killed in the middle of reading, again and again, through both ways."""
    count = 40_000
    node = one_node(t, keeping="kept", delivery="final", suite="sha256-gmac")
    before = descriptors(node)
    survivors = [Reader(node, "feed", way, "--stamped", "--count", count) for way in WAYS]
    sender = node.launch(generator(node, "send", "feed", "--sizes", "200", "--count", count,
                                   "--rate", "10k", "--stamp"), "sender")
    for round_ in range(4):
        for way in WAYS:
            Reader(node, "feed", way, label=f"-victim{round_}").process.kill()
    assert sender.wait(90) == 0
    for survivor in survivors:
        result = survivor.result(90)
        assert result["ok"], f"{survivor.name}: {result['verdict']}"
    t.until(lambda: console(node)["rings"] == 0, 60, "the node to forget its readers")
    assert console(node)["ring_bytes"] == 0
    # The command that asks has a connection of its own, which may linger.
    t.until(lambda: descriptors(node) <= before + 1, 60, f"{before} descriptors, as before")
    maps = Path(f"/proc/{node.process.pid}/maps").read_text()
    assert "chaincast-ring" not in maps, "a ring is still mapped"
