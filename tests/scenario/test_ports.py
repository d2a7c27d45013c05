# SPDX-License-Identifier: BSD-3-Clause
"""Appliances on ports of their own: net_af_packet over veth between namespaces, net_vhost with
net_virtio_user. The kernel interface below a port has no address."""

import signal

import hugepages
import net
from capture import half_made_checksums
from harness import PROGRAMS, Skip, limits, must, needs, until
from lab import Node, publish_file
from subscriber import Subscriber
from test_network import content

UDP_PORT = 7000
NO_OFFLOADS = ("rx", "off", "tx", "off", "gso", "off", "tso", "off")


def secret(t, name):
    path = t.dir / f"{name}.secret"
    if not path.exists():
        must([PROGRAMS["chaincast"], "keygen", "secret", path])
    return str(path)


def addresses_of(number, is_ipv6):
    """Both ends of link `number`: (with prefix length, as a peer's address)."""
    if is_ipv6:
        plain = [f"fd77:{number}::{end}" for end in (1, 2)]
        return [(f"{one}/64", f"[{one}]:{UDP_PORT}") for one in plain]
    plain = [f"10.77.{number}.{end}" for end in (1, 2)]
    return [(f"{one}/24", f"{one}:{UDP_PORT}") for one in plain]


class Appliances:
    """Nodes in namespaces of their own, one veth and two ethdev ports per edge; n0 publishes."""

    def __init__(self, t, edges, is_ipv6=False, stream=None, settings=None):
        """stream, settings: more keys of every `stream` and `node` table."""
        self.t = t
        count = max(max(edge) for edge in edges) + 1
        self.places = [net.Namespace(t, f"n{index}") for index in range(count)]
        self.nodes = [Node(t, f"n{index}", place) for index, place in enumerate(self.places)]
        tables = [{"port": [], "peer": []} for _ in range(count)]
        for number, (a, b) in enumerate(edges):
            names = f"v{a}{b}", f"v{b}{a}"
            net.connect(self.places[a], names[0], self.places[b], names[1])
            ends = addresses_of(number, is_ipv6)
            for one, other, own, their, name in ((a, b, ends[0], ends[1], names[0]),
                                                 (b, a, ends[1], ends[0], names[1])):
                self.places[one].run("ethtool", "-K", name, *NO_OFFLOADS)
                port = len(tables[one]["port"])
                tables[one]["port"].append({
                    "name": f"p{port}", "driver": "ethdev", "ip": [own[0]], "udp_port": UDP_PORT,
                    "device": f"net_af_packet{port},iface={name}"})
                tables[one]["peer"].append({
                    "name": f"n{other}", "address": their[1], "port": f"p{port}",
                    "secret": secret(t, f"link{number}")})
        for index, node in enumerate(self.nodes):
            node.configure({**tables[index], "node": settings or {}, "stream": [
                {"name": "s", "secret": secret(t, "s"), "publish": index == 0, **(stream or {})}]})

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            wait_for_links(node)
        return self


def wait_for_links(node, seconds=30):
    wanted = {peer["name"] for peer in node.tables["peer"]}
    until(lambda: {name for name, state in node.peers().items() if state == "up"} >= wanted,
          seconds, f"{node.name}: links up", [node.process])


def peer(node, name):
    return next(row for row in node.control("show", "peers")["peers"] if row["name"] == name)


def lost_at_the_start(nodes):
    """Datagrams that came before their link was known at that end: {(from, to): count}."""
    return {(row["name"], node.name): row["rx_lost"] for node in nodes
            for row in node.control("show", "peers")["peers"]}


def received_what_was_sent(a, b, early):
    """Every datagram that a counts as sent to b, b counts as received. Links are never silent, so
    b's count has to lie between two readings of a's."""
    before = peer(a, b.name)["tx_datagrams"]
    there = peer(b, a.name)
    after = peer(a, b.name)["tx_datagrams"]
    lost = early[a.name, b.name]
    assert there["rx_lost"] == lost, f"{b.name} misses {there['rx_lost'] - lost} of {a.name}"
    return 0 < before <= there["rx_datagrams"] + lost <= after


def both_ends_agree(a, b, early):
    for one, other in ((a, b), (b, a)):
        until(lambda: received_what_was_sent(one, other, early), 20,
              f"{other.name} to have what {one.name} sent")


TRIANGLE = [(0, 1), (0, 2), (1, 2)]


def triangle_delivers(t, is_ipv6):
    lab = Appliances(t, TRIANGLE, is_ipv6).start()
    files = [t.dir / f"{interface}.pcap" for interface in ("v20", "v21")]
    captures = [lab.places[2].capture(file.stem, file) for file in files]
    tail = lab.nodes[2]
    reader = Subscriber(tail, "s")
    data = content(t, "data", 500_000)
    early = lost_at_the_start(lab.nodes)
    publish_file(lab.nodes[0], "s", data)
    reader.wait_bytes(500_000)
    assert reader.stop() == data.read_bytes()
    assert reader.lost_frames() == 0
    frames = lab.nodes[0].stream("s")["verified_frames"]
    until(lambda: tail.drops().get("duplicate", 0) > frames // 2, 15,
          "the tail to count what both neighbours sent")
    dedup = tail.control("show", "dedup")
    assert dedup["received_frames"] == dedup["unique_frames"] + dedup["duplicate_frames"], dedup
    assert dedup["unique_frames"] == frames, dedup
    for a, b in TRIANGLE:
        both_ends_agree(lab.nodes[a], lab.nodes[b], early)
    for capture in captures:
        capture.stop()
    checksums_are_right(files, is_ipv6, frames)


def checksums_are_right(files, is_ipv6, frames):
    for file in files:
        half_made, count = half_made_checksums(file)
        assert half_made == 0, f"{file.name}: {half_made} of {count} datagrams"
    good = "1"  # tshark's word for it
    rows = [row for file in files for row in net.read_capture(
        file, ["ip.checksum.status", "udp.checksum.status", "ip.id", "ip.flags.df"], "udp")]
    assert len(rows) > frames, f"{len(rows)} datagrams captured, {frames} frames sent"
    bad = [row for row in rows if row["udp.checksum.status"] != good]
    assert not bad, f"{len(bad)} of {len(rows)}: {bad[:3]}"
    if not is_ipv6:
        bad = [row for row in rows if row["ip.checksum.status"] != good]
        assert not bad, f"{len(bad)} of {len(rows)}: {bad[:3]}"


@needs("programs", "netns", "tshark")
@limits(seconds=110)
def test_triangle_over_veth_delivers_once(t):
    triangle_delivers(t, is_ipv6=False)


@needs("programs", "netns", "tshark")
@limits(seconds=110)
def test_triangle_over_veth_delivers_once_ipv6(t):
    triangle_delivers(t, is_ipv6=True)


def losses_of(origin, name):
    """What n0 knows to have lost for one peer."""
    return peer(origin, name)["tx_dropped_copies"]


def stop_costs_the_others_nothing(t, origin, stopped, other):
    """SIGSTOP to a neighbour of n0 while n0 publishes. The other one gets everything; what the
    stopped one did not get is a gap in its link's sequence numbers, or counted at n0."""
    reader = Subscriber(other, "s")
    sessions = peer(origin, stopped.name)["sessions"]
    data = content(t, "data", 3_000_000)
    stopped.process.signal(signal.SIGSTOP)
    try:
        publish_file(origin, "s", data)
        reader.wait_bytes(3_000_000, 30)
    finally:
        stopped.process.signal(signal.SIGCONT)
    assert reader.stop() == data.read_bytes()
    assert reader.lost_frames() == 0, "the other neighbour paid for it"
    if peer(origin, stopped.name)["sessions"] != sessions:
        raise Skip("the machine was too slow: the link went down meanwhile")

    def adds_up():
        before = peer(origin, stopped.name)["tx_datagrams"]
        there = peer(stopped, origin.name)
        after = peer(origin, stopped.name)["tx_datagrams"]
        return before <= there["rx_datagrams"] + there["rx_lost"] <= after
    until(adds_up, 20, "what was sent to equal what came and what is missing")
    missing = peer(stopped, origin.name)["rx_lost"] + losses_of(origin, stopped.name)
    assert missing > 0, "nothing was lost: it was not stopped long enough to show anything"


@needs("programs", "netns")
@limits(seconds=110)
def test_stopped_neighbour_over_veth(t):
    lab = Appliances(t, [(0, 1), (0, 2)], stream={"rate": 5000}).start()
    stop_costs_the_others_nothing(t, lab.nodes[0], lab.nodes[1], lab.nodes[2])


# --- vhost and virtio_user ----------------------------------------------------------------------

PAGES_PER_NODE = 160
MEBIBYTES_PER_NODE = 256


def shared_memory_pair(t, guests=1, settings=None, stream=None, **port):
    """n0 is the vhost end of one device per guest; n1.. are at the virtio_user ends. settings,
    stream and port: more keys of every `node`, `stream` and `port` table."""
    hugepages.reserve(t, PAGES_PER_NODE * (1 + guests))
    eal = ["--in-memory", "--single-file-segments", "--no-pci", "--no-telemetry", "-m",
           str(MEBIBYTES_PER_NODE), "--log-level", "error"]
    nodes = [Node(t, f"n{index}") for index in range(1 + guests)]
    tables = [{"node": {"eal": eal, **(settings or {})}, "port": [], "peer": []} for _ in nodes]
    for guest in range(1, 1 + guests):
        path = t.dir / f"vhost{guest}"
        ends = addresses_of(guest, False)
        devices = f"net_vhost{guest},iface={path},queues=1", \
            f"net_virtio_user0,path={path},queues=1"
        for one, other, device, own, their in ((0, guest, devices[0], ends[0], ends[1]),
                                               (guest, 0, devices[1], ends[1], ends[0])):
            tables[one]["port"].append({"name": f"p{other}", "driver": "ethdev", "device": device,
                                        "ip": [own[0]], "udp_port": UDP_PORT, **port})
            tables[one]["peer"].append({"name": f"n{other}", "address": their[1],
                                        "port": f"p{other}", "secret": secret(t, f"link{guest}")})
    for index, node in enumerate(nodes):
        node.configure({**tables[index], "stream": [
            {"name": "s", "secret": secret(t, "s"), "publish": index == 0, "rate": 5000,
             **(stream or {})}]})
        node.start()
    for node in nodes:
        wait_for_links(node)
    return nodes


def shared_memory_delivers(t, **port):
    host, guest = shared_memory_pair(t, **port)
    reader = Subscriber(guest, "s")
    data = content(t, "data", 1_000_000)
    early = lost_at_the_start([host, guest])
    publish_file(host, "s", data)
    reader.wait_bytes(1_000_000)
    assert reader.stop() == data.read_bytes()
    assert reader.lost_frames() == 0
    both_ends_agree(host, guest, early)
    assert not guest.drops().get("rx_udp_checksum"), guest.drops()
    info = host.control("show", "port", "info", "all")["ports"][0]
    assert host.stop() == 0 and guest.stop() == 0
    return info


@needs("programs", "root")
@limits(seconds=110, alone=True)
def test_shared_memory_segments_and_offload(t):
    assert shared_memory_delivers(t)["copy"] == "shared"


@needs("programs", "root")
@limits(seconds=110, alone=True)
def test_shared_memory_segments_without_offload(t):
    info = shared_memory_delivers(t, checksum="software", copy="shared")
    assert (info["copy"], info["udp_checksum"]) == ("shared", "software"), info


@needs("programs", "root")
@limits(seconds=110, alone=True)
def test_shared_memory_linear_without_offload(t):
    info = shared_memory_delivers(t, checksum="software", copy="linear")
    assert (info["copy"], info["udp_checksum"]) == ("linear", "software"), info


@needs("programs", "root")
@limits(seconds=110, alone=True)
def test_stopped_neighbour_over_shared_memory(t):
    host, stopped, other = shared_memory_pair(t, guests=2)
    stop_costs_the_others_nothing(t, host, stopped, other)
