# SPDX-License-Identifier: BSD-3-Clause
"""Networks that form by themselves, as processes: a supernode, a host, and members that know the
supernode's address alone. What is killed, cut off and started again, and what that costs."""

import json

import net
from harness import limits, must, needs
from lab import publish_file
from network import Network
from subscriber import Subscriber
from test_ports import NO_OFFLOADS

STREAM = "news"
OBJECT = bytes(range(256)) * 3


def network(t, members, **options):
    made = Network(t, members, [STREAM], **options).start()
    made.wait_until_joined()
    made.wait_for_one_graph()
    return made


def publish(t, made, name, count):
    """Publishes a file of `count` objects' worth of bytes; what was in it."""
    data = b"".join(name.encode() + bytes([i]) + OBJECT for i in range(count))
    file = t.dir / name
    file.write_bytes(data)
    publish_file(made.nodes[0], STREAM, file)
    return data


def subscribe(t, nodes):
    files = {node.name: node.dir / "received" for node in nodes}
    for node in nodes:
        node.subscribe(STREAM, files[node.name])
    return files


def wait_for(t, files, data):
    t.until(lambda: all(file.stat().st_size >= len(data) for file in files.values()), 30,
            "every member to have everything")
    for name, file in files.items():
        assert file.read_bytes() == data, f"{name} received something else"


def states(node):
    """Of the streams of all its origins, in order of the words."""
    return sorted(row["state"] for row in node.control("show", "streams")["streams"])


class TwoHosts(Network):
    """The first two nodes publish the same resource."""

    def tables(self, index):
        tables = super().tables(index)
        if index == 2:
            tables["stream"] = [self.stream(name, True) for name in self.streams]
        return tables


@limits(120)
def test_members_that_know_a_tracker_get_the_stream(t):
    made = network(t, 3)
    files = subscribe(t, made.nodes[1:])
    wait_for(t, files, publish(t, made, "first", 20))
    for node in made.nodes:
        shown = node.control("show", "membership")
        assert shown["state"] == "joined" and shown["messages_malformed"] == 0, shown
    graph = made.supernode.control("show", "graph")
    assert graph["components"] == 1 and len(graph["nodes"]) == 5, graph
    assert sorted(row["role"] for row in graph["nodes"]) == ["node"] * 4 + ["supernode"], graph
    assert made.supernode.peers() == {}, "a supernode carries no stream"
    dot = made.supernode.control("show", "graph", "dot")
    assert dot.startswith("graph network {") and dot.count(" -- ") == graph["links"], dot
    members = made.supernode.control("show", "members", STREAM)["members"]
    assert sorted(row["role"] for row in members) == ["host", "member", "member", "member"]


@limits(120)
def test_whoever_is_killed_is_forgotten_and_comes_back(t):
    made = network(t, 3)
    staying = made.nodes[1:3]
    files = subscribe(t, staying)
    sent = publish(t, made, "before", 5)
    wait_for(t, files, sent)
    state = made.nodes[3].dir / "members.json"
    t.until(lambda: state.exists() and json.loads(state.read_text())["members"], 20,
            "the member to remember somebody")
    # The tracker and a member at once: nobody needs the tracker any more.
    made.supernode.kill()
    made.nodes[3].kill()
    made.wait_for_one_graph()
    sent += publish(t, made, "without", 5)
    wait_for(t, files, sent)
    # The member comes back by those whom it remembers, since its tracker is still down.
    made.nodes[3].start()
    made.wait_until_joined(nodes=[made.nodes[3]])
    assert made.nodes[3].control("show", "membership")["grants_taken"] > 0
    made.supernode.start()
    made.wait_for_one_graph()
    late = subscribe(t, [made.nodes[3]])
    more = publish(t, made, "after", 5)
    wait_for(t, files, sent + more)
    wait_for(t, late, more)


@limits(120)
def test_goodbye_is_heard_at_once(t):
    made = network(t, 2)
    assert made.nodes[2].stop() == 0
    made.wait_for_one_graph(seconds=3)  # less than anyone is missed in
    assert made.nodes[1].control("show", "suspicion")["suspects"] == []


@limits(120)
def test_a_killed_host_is_back_with_its_stream(t):
    made = network(t, 2)
    files = subscribe(t, made.nodes[1:])
    sent = publish(t, made, "before", 5)
    wait_for(t, files, sent)
    watching = Subscriber(made.nodes[1], STREAM)
    made.nodes[0].kill()
    t.until(lambda: all(states(node) == ["origin lost"] for node in made.nodes[1:]), 30,
            "the members to say that the origin is lost",
            [node.process for node in made.nodes[1:]])
    stream = made.nodes[1].control("show", "streams")["streams"][0]["id"]
    for told in (watching, Subscriber(made.nodes[1], STREAM)):  # and one that comes late
        t.until(lambda: {"event": "origin_lost", "stream": stream} in told.events(), 10,
                "a subscriber to be told that the origin is lost", [told.process])
    made.wait_for_one_graph()
    made.nodes[0].start()
    made.wait_until_joined()
    made.wait_for_one_graph()
    t.until(lambda: all("live" in states(node) for node in made.nodes[1:]), 30,
            "the members to have the stream again")
    wait_for(t, files, sent + publish(t, made, "after", 5))


class Fabric:
    """Places with two interfaces each: one of the kernel's for sessions, with an address, and one
    that a port of the node has for itself, on another segment."""

    def __init__(self, t, count):
        self.t = t
        sessions, frames = net.Segment(t, "sessions"), net.Segment(t, "frames")
        self.places = [net.Namespace(t, f"place{index}") for index in range(count)]
        for index, place in enumerate(self.places):
            sessions.attach(place, "session")
            place.add_address("session", f"{self.address(index)}/24")
            frames.attach(place, "frame")
            place.run("ethtool", "-K", "frame", *NO_OFFLOADS)

    def address(self, index):
        return f"10.78.1.{index + 1}"

    def port(self, index):
        return {"name": "p0", "driver": "ethdev", "device": "net_af_packet0,iface=frame",
                "ip": [f"10.78.2.{index + 1}/24"], "udp_port": 7000}

    def network(self, members):
        return network(self.t, members, namespaces=lambda index: self.places[index],
                       address=self.address, port=self.port)


@needs("root")
@limits(150)
def test_members_on_ports_of_their_own_form_a_network_and_mend_it(t):
    fabric = Fabric(t, 5)
    made = fabric.network(3)
    staying = made.nodes[1:3]
    files = subscribe(t, staying)
    sent = publish(t, made, "before", 10)
    wait_for(t, files, sent)
    for node in made.nodes:
        port = node.control("show", "port", "info", "p0")["ports"][0]
        assert port["driver"] == "net_af_packet", port
        assert node.peers(), f"{node.name} has no data link"
    # One ends without a word; another loses its cable, and is reached again when it is back.
    made.nodes[3].kill()
    made.wait_for_one_graph()
    sent += publish(t, made, "without", 5)
    wait_for(t, files, sent)
    cut = staying[1].namespace
    cut.run("ip", "link", "set", "frame", "down")
    t.until(lambda: "up" not in staying[1].peers().values(), 30, "its links to be down")
    sent += publish(t, made, "meanwhile", 5)
    wait_for(t, {staying[0].name: files[staying[0].name]}, sent)
    cut.run("ip", "link", "set", "frame", "up")
    wait_for(t, files, sent)


@limits(120)
def test_with_two_hosts_a_killed_one_stops_nothing(t):
    made = TwoHosts(t, 3, [STREAM]).start()
    made.wait_until_joined()
    made.wait_for_one_graph()
    staying, members = made.nodes[1], made.nodes[2:]
    t.until(lambda: all(states(node) == ["live", "live"] for node in members), 30,
            "every member to know both origins")
    files = subscribe(t, members)
    made.nodes[0].kill()
    sent = b""
    while not all("origin lost" in states(node) for node in members):
        file = t.dir / "meanwhile"
        file.write_bytes(OBJECT)
        publish_file(staying, STREAM, file)
        sent += OBJECT
    wait_for(t, files, sent)
    for node in members:
        assert states(node) == ["live", "origin lost"], states(node)


@needs("root")
@limits(180)
def test_two_halves_go_on_and_find_each_other(t):
    inside = net.Namespace(t, "halves")
    for index in range(6):
        inside.add_address("lo", f"10.9.{index % 2}.{index + 1}/32")
    made = network(t, 4, namespaces=lambda index: inside,
                   address=lambda index: f"10.9.{index % 2}.{index + 1}")
    host_half = [node for index, node in enumerate(made.all) if index % 2 == 1]
    far_half = [node for index, node in enumerate(made.all) if index % 2 == 0]
    near = subscribe(t, host_half[1:])
    far = subscribe(t, far_half[1:])
    sent = publish(t, made, "before", 5)
    wait_for(t, {**near, **far}, sent)
    must(inside.inside("nft", "add table inet cut; add chain inet cut in "
                       "{ type filter hook input priority 0; }; "
                       "add rule inet cut in ip saddr 10.9.0.0/24 ip daddr 10.9.1.0/24 drop; "
                       "add rule inet cut in ip saddr 10.9.1.0/24 ip daddr 10.9.0.0/24 drop"))

    def nodes_seen(node):
        return node.control("show", "membership")["nodes"]

    t.until(lambda: all(nodes_seen(node) == 3 for node in made.all), 90,
            "each half to be a graph of its own")
    during = publish(t, made, "during", 5)
    wait_for(t, near, sent + during)
    must(inside.inside("nft", "delete table inet cut"))
    made.wait_for_one_graph(seconds=90)
    after = publish(t, made, "after", 5)
    wait_for(t, near, sent + during + after)
    # What was missed in the other half is repaired.
    wait_for(t, far, sent + during + after)
