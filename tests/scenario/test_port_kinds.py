# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of device relays: n0 publishes, n1 passes on, n2 compares. Large frames, tags, and
what happens to ports while they run."""

import net
from harness import Failure, limits, must, needs, until
from lab import Node, publish_file
from subscriber import Subscriber
from test_network import content
from test_ports import (NO_OFFLOADS, UDP_PORT, addresses_of, checksums_are_right, peer, secret,
                        shared_memory_delivers, wait_for_links)

JUMBO, JUMBO_FRAME_MIN = 9000, 7000  # an object of the publisher ends with a shorter frame
BYTES = 500_000


def on_interfaces(driver, **more):
    """Ports of a driver that takes iface=, for Chain."""
    return lambda number, index, names: {"device": f"{driver}{index},iface={names[0]}", **more}


def bonded(mode):
    """Two veth pairs per link, one device at each end."""
    return lambda number, index, names: {
        "device": f"net_bonding{index},mode={mode}",
        "members": [f"net_af_packet{index}{place},iface={name}"
                    for place, name in enumerate(names)]}


class Chain:
    """Nodes in a row, with one ethdev port at each end of a link. n0 publishes stream `s`."""

    def __init__(self, t, make, count=3, cables=1, mtu=None, port=None, stream=None, settings=None):
        """make(link number, port's number in its node, interface names) gives the keys of a port.
        cables: veth pairs per link, 0 for devices that need none. mtu: of veth and ports.
        port, stream, settings: more keys of the tables `port`, `stream` and `node`."""
        self.t = t
        self.places = [net.Namespace(t, f"n{index}") if cables else None for index in range(count)]
        self.nodes = [Node(t, f"n{index}", place) for index, place in enumerate(self.places)]
        tables = [{"port": [], "peer": []} for _ in range(count)]
        self.interfaces = {}  # (node, its neighbour): names
        for number in range(count - 1):
            self.lay(number, cables, mtu)
            ends = addresses_of(number, False)
            for end in (0, 1):
                node, other = number + end, number + 1 - end
                index = len(tables[node]["port"])
                tables[node]["port"].append({
                    "name": f"p{index}", "driver": "ethdev", "ip": [ends[end][0]],
                    "udp_port": UDP_PORT, "mtu": mtu, **(port or {}),
                    **make(number, index, self.interfaces[node, other])})
                tables[node]["peer"].append({
                    "name": f"n{other}", "address": ends[1 - end][1], "port": f"p{index}",
                    "secret": secret(t, f"link{number}")})
        for index, node in enumerate(self.nodes):
            node.configure({**tables[index], "node": settings or {}, "stream": [
                {"name": "s", "secret": secret(t, "s"), "publish": index == 0, "rate": 1000,
                 "gap_deadline_ms": 60_000, **(stream or {})}]})

    def lay(self, number, cables, mtu):
        names = [[f"v{number}{end}{cable}" for cable in range(cables)] for end in (0, 1)]
        self.interfaces[number, number + 1], self.interfaces[number + 1, number] = names
        for pair in zip(*names):
            net.connect(self.places[number], pair[0], self.places[number + 1], pair[1], mtu)
            for place, name in zip(self.places[number:number + 2], pair):
                place.run("ethtool", "-K", name, *NO_OFFLOADS)

    def start(self, mtu=None):
        """Until all links are up, and proven for packets of `mtu` bytes."""
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            wait_for_links(node, 60)
        for node in self.nodes if mtu else []:
            wait_for_mtu(node, mtu)
        return self

    def relays(self, size=BYTES, name="data", counters=True):
        """n2 gets what n0 publishes, and the counters of both ends of each link agree."""
        tail = self.nodes[-1]
        until(lambda: tail.stream("s"), 60, "the stream to be known at the tail", [tail.process])
        reader = Subscriber(tail, "s")
        data = content(self.t, name, size)
        publish_file(self.nodes[0], "s", data)
        reader.wait_bytes(size, 60)
        assert reader.stop() == data.read_bytes(), "the objects differ"
        assert reader.lost_frames() == 0
        for left, right in zip(self.nodes, self.nodes[1:]) if counters else []:
            for one, other in ((left, right), (right, left)):
                until(lambda a=one, b=other: adds_up(a, b), 30,
                      f"{other.name} to count what {one.name} sent")
        return tail.stream("s")["verified_frames"]

    def info(self, node=0):
        return self.nodes[node].control("show", "port", "info", "all")["ports"][0]

    def stop(self):
        codes = [node.stop(30) for node in self.nodes]
        assert codes == [0] * len(self.nodes), f"nodes ended with {codes}"


def adds_up(one, other):
    """What one sent, the other received or missed. A busy machine loses some; repair has them."""
    before = peer(one, other.name)["tx_datagrams"]
    there = peer(other, one.name)
    after = peer(one, other.name)["tx_datagrams"]
    return 0 < before <= there["rx_datagrams"] + there["rx_lost"] <= after


def wait_for_mtu(node, mtu, seconds=60):
    until(lambda: all(row["mtu_bytes"] == mtu
                      for row in node.control("show", "peers")["peers"]), seconds,
          f"{node.name}: {mtu} bytes to be proven on its links", [node.process])


def captured(chain, node=1, only="udp"):
    """Captures on all interfaces of a node."""
    names = [name for (one, _), names in chain.interfaces.items() if one == node for name in names]
    return [chain.places[node].capture(name, chain.t.dir / f"{name}.pcap", only)
            for name in names]


def relays_with_right_checksums(chain, **options):
    captures = captured(chain)
    frames = chain.relays(**options)
    for capture in captures:
        capture.stop()
    files = [capture.file for capture in captures]
    checksums_are_right(files, False, frames // 2)
    return files, frames


def large_frames_pass(chain, size=2_000_000):
    frames = chain.relays(size)
    assert frames < size / JUMBO_FRAME_MIN + 10, f"{frames} frames for {size} bytes: they are small"


@needs("programs", "netns", "tshark")
@limits(seconds=170)
def test_pcap_relays(t):
    chain = Chain(t, on_interfaces("net_pcap")).start()
    assert chain.info()["driver"] == "net_pcap"
    relays_with_right_checksums(chain)
    chain.stop()


@needs("programs", "netns")
@limits(seconds=170)
def test_jumbo_over_pcap(t):
    chain = Chain(t, on_interfaces("net_pcap"), mtu=JUMBO, stream={"payload": "jumbo"})
    large_frames_pass(chain.start(JUMBO))


@needs("programs", "netns", "tshark")
@limits(seconds=170)
def test_jumbo_over_af_packet(t):
    chain = Chain(t, on_interfaces("net_af_packet"), mtu=JUMBO, stream={"payload": "jumbo"})
    chain.start(JUMBO)
    captures = captured(chain)
    large_frames_pass(chain)
    longest = 0
    for capture in captures:
        capture.stop()
        rows = net.read_capture(capture.file, ["ip.len", "udp.checksum.status"], "udp")
        assert all(row["udp.checksum.status"] == "1" for row in rows), capture.file
        longest = max([longest, *(int(row["ip.len"]) for row in rows)])
    assert longest > JUMBO - 64, longest
    chain.stop()


# --- queues ---------------------------------------------------------------------------------------

def is_control(payload):
    return payload[4:6] == "00"  # docs/wire.md, 1.1: no frames


@needs("programs", "netns", "tshark")
@limits(seconds=170)
def test_control_has_a_udp_port_of_its_own(t):
    """What is resent goes by lane 0 too, so a few frames may come to its port."""
    chain = Chain(t, on_interfaces("net_af_packet")).start()
    assert chain.info()["control_queue"] == "shared", chain.info()
    captures = captured(chain)
    frames = chain.relays()
    rows = []
    for capture in captures:
        capture.stop()
        rows += net.read_capture(capture.file, ["udp.dstport", "udp.payload"], "udp")
    ports = {"control": [], "bulk": []}
    for row in rows:
        ports["control" if is_control(row["udp.payload"]) else "bulk"].append(
            int(row["udp.dstport"]))
    assert set(ports["control"]) == {UDP_PORT}, set(ports["control"])
    assert set(ports["bulk"]) <= {UDP_PORT, UDP_PORT + 1}, set(ports["bulk"])
    assert ports["bulk"].count(UDP_PORT + 1) > frames // 2, (len(ports["bulk"]), frames)


@needs("programs", "netns")
@limits(seconds=170)
def test_af_packet_spreads_over_queues(t):
    """The kernel spreads by a hash: any lane may come by any queue; each worker gets its own."""
    chain = Chain(t, lambda number, index, names: {
        "device": f"net_af_packet{index},iface={names[0]},qpairs=2"}, settings={"workers": 2})
    chain.start()
    info = chain.info(1)
    assert (info["control_queue"], info["rx_queues"], info["steers_ports"]) == \
        ("hashed", 2, False), info
    chain.relays()
    relay = chain.nodes[1]
    lane = 1 + int(relay.stream("s")["id"], 16) % 2
    assert peer(relay, "n0")["rx_lanes"][lane] > BYTES // 1400, peer(relay, "n0")
    busy = [row["datagrams"] for row in relay.control("show", "workers")["workers"]]
    assert busy[lane - 1] > BYTES // 1400, busy
    chain.stop()


# --- 802.1Q ---------------------------------------------------------------------------------------

@needs("programs", "netns", "tshark")
@limits(seconds=170)
def test_peers_in_a_vlan(t):
    chain = Chain(t, on_interfaces("net_af_packet"), port={"vlan": 77}).start()
    assert chain.info()["vlan"] == 77
    # Received ones only: what net_af_packet sends passes no tap. Filters know too little of tags.
    captures = captured(chain, only="")
    frames = chain.relays()
    rows = []
    for capture in captures:
        capture.stop()
        rows += net.read_capture(capture.file, ["vlan.id", "ip.checksum.status",
                                                "udp.checksum.status"], "udp")
    assert len(rows) > frames // 2, f"{len(rows)} datagrams, {frames} frames"
    assert {tuple(row.values()) for row in rows} == {("77", "1", "1")}, rows[:3]


@needs("programs", "netns")
@limits(seconds=110)
def test_peers_in_two_vlans_do_not_meet(t):
    chain = Chain(t, lambda number, index, names: {
        "device": f"net_af_packet0,iface={names[0]}", "vlan": 10 + names[0].count("010")}, count=2)
    for node in chain.nodes:
        node.start()
    one = chain.nodes[0]
    until(lambda: one.drops().get("rx_not_ours", 0) > 3, 60, "foreign tags to be counted",
          [one.process])
    assert peer(one, "n1")["state"] != "up"


# --- several devices as one -----------------------------------------------------------------------

@needs("programs", "netns", "tshark")
@limits(seconds=170)
def test_bond_with_a_standby_relays(t):
    chain = Chain(t, bonded(1), cables=2).start()
    assert chain.info()["driver"] == "net_bonding"
    relays_with_right_checksums(chain)
    chain.stop()


@needs("programs", "netns")
@limits(seconds=170)
def test_bond_that_balances_relays(t):
    chain = Chain(t, bonded(2), cables=2).start()
    chain.relays()
    chain.stop()


def lacp_partners(capture):
    """(who, with whom) of those that say in this capture that they distribute over its cable."""
    capture.stop()
    rows = net.read_capture(capture.file, ["lacp.actor.sysid", "lacp.partner.sysid"],
                            "lacp.actor.state.distributing == 1")
    return {(row["lacp.actor.sysid"], row["lacp.partner.sysid"]) for row in rows}


@needs("programs", "netns", "tshark")
@limits(seconds=170)
def test_bond_by_lacp_relays(t):
    """Packet sockets know no multicast mode: the bond is promiscuous instead, also when told not
    to be."""
    chain = Chain(t, bonded(4), cables=2, count=2)
    captures = [captured(chain, node, "ether proto 0x8809") for node in (0, 1)]
    chain.start()
    chain.nodes[0].control("set", "promisc", "p0", "off")
    assert chain.info()["promisc"] is True
    chain.relays()
    first, second = ([lacp_partners(cable) for cable in cables] for cables in captures)
    assert len(first[0]) == 1 and first == [first[0]] * 2, first
    assert second == [{(own, other) for other, own in first[0]}] * 2, (first, second)
    chain.stop()


# --- XDP sockets ----------------------------------------------------------------------------------

XDP_MTU = 3400
XDP_LIMIT = range(3400, 3600)


@needs("programs", "netns", "xdp")
@limits(seconds=170)
def test_af_xdp_relays_up_to_its_limit(t):
    chain = Chain(t, on_interfaces("net_af_xdp"), mtu=XDP_MTU, stream={"payload": 3200})
    chain.start(XDP_MTU)
    info = chain.info()
    assert info["mtu_max_bytes"] in XDP_LIMIT, info
    assert info["pool_mbufs"] >= 8192, info
    size = 1_000_000
    frames = chain.relays(size)
    assert frames < size / 3000, f"{frames} frames for {size} bytes: they are small"
    chain.stop()


@needs("programs", "netns", "xdp")
@limits(seconds=110)
def test_af_xdp_refuses_larger_streams(t):
    chain = Chain(t, on_interfaces("net_af_xdp"), count=2, mtu=XDP_MTU)
    tables = chain.nodes[0].tables
    tables["port"].append({"name": "wide", "driver": "udp", "address": "127.0.0.1:9000",
                           "mtu": JUMBO})
    tables["stream"][0]["payload"] = "jumbo"
    chain.nodes[0].configure(tables)
    chain.start()
    words = ("frames of 8916 bytes do not fit", "bytes that the path carries")
    origin = chain.nodes[0]
    until(lambda: all(word in str(origin.control("show", "streams")) for word in words), 60,
          "the stream to be refused with both numbers", [origin.process])


@needs("programs", "netns", "xdp")
@limits(seconds=60)
def test_af_xdp_refuses_a_larger_mtu(t):
    chain = Chain(t, on_interfaces("net_af_xdp"), count=2, mtu=JUMBO)
    try:
        chain.nodes[0].start()
    except Failure:
        pass
    assert chain.nodes[0].process.log_has("MTU 9000 exceeds what the device takes (35"), t.logs()


# --- shared memory --------------------------------------------------------------------------------

def memif_ends(t):
    """The lower node of a link is its server."""
    seen = set()

    def make(number, index, names):
        role = "client" if number in seen else "server"
        seen.add(number)
        return {"device": f"net_memif{index},role={role},id={number},"
                          f"socket={t.dir}/memif{number}.sock,socket-abstract=no"}
    return make


@needs("programs")
@limits(seconds=170)
def test_memif_relays(t):
    chain = Chain(t, memif_ends(t), cables=0).start()
    assert chain.info()["driver"] == "net_memif"
    chain.relays()
    chain.stop()


@needs("programs")
@limits(seconds=170)
def test_jumbo_over_memif(t):
    chain = Chain(t, memif_ends(t), cables=0, mtu=JUMBO, stream={"payload": "jumbo"})
    large_frames_pass(chain.start(JUMBO))


@needs("programs", "root")
@limits(seconds=170, alone=True)
def test_jumbo_over_vhost(t):
    info = shared_memory_delivers(t, stream={"payload": "jumbo"}, mtu=JUMBO, checksum="hardware")
    assert (info["mtu_bytes"], info["udp_checksum"]) == (JUMBO, "hardware"), info


@needs("programs", "root")
@limits(seconds=170, alone=True)
def test_jumbo_over_vhost_without_offload(t):
    info = shared_memory_delivers(t, stream={"payload": "jumbo"}, mtu=JUMBO, checksum="software",
                                  copy="linear")
    assert (info["udp_checksum"], info["copy"]) == ("software", "linear"), info


# --- while they run -------------------------------------------------------------------------------

@needs("programs", "netns")
@limits(seconds=170)
def test_link_down_and_up(t):
    chain = Chain(t, on_interfaces("net_af_packet"), count=2).start()
    origin, other = chain.nodes
    origin.control("set", "link-down", "port", "p0")
    for node in chain.nodes:
        until(lambda: node.process.log_has("port p0: link down"), 60, "the link to be seen down",
              [node.process])
        until(lambda: node.peers()["n0" if node is other else "n1"] != "up", 60,
              "the peer to be lost", [node.process])
        assert node.control("show", "port", "summary", "p0")["ports"][0]["state"] == "link down"
    assert other.process.log_has("down: port p0: link down"), other.process.log_text()
    origin.control("set", "link-up", "port", "p0")
    for node in chain.nodes:
        until(lambda: node.process.log_has("port p0: link up"), 60, "the link to be seen up",
              [node.process])
        wait_for_links(node, 60)
    chain.relays(counters=False)
    chain.stop()


@needs("programs", "netns")
@limits(seconds=170)
def test_device_gone_and_back(t):
    chain = Chain(t, on_interfaces("net_af_packet"), count=2).start()
    chain.places[0].run("ip", "link", "del", chain.interfaces[0, 1][0])
    for node in chain.nodes:
        until(lambda: node.process.log_has("port p0: its device is gone"), 60,
              "the device to be missed", [node.process])
        assert node.control("show", "port", "summary", "p0")["ports"][0]["state"] == "gone"
    chain.lay(0, 1, None)
    for node in chain.nodes:
        node.control("port", "reset", "p0")
    for node in chain.nodes:
        wait_for_links(node, 60)
    chain.relays(counters=False)
    chain.stop()


@needs("programs", "netns")
@limits(seconds=170)
def test_ports_come_and_go_under_traffic(t):
    chain = Chain(t, on_interfaces("net_af_packet"), count=2, stream={"rate": 300}).start()
    origin, other = chain.nodes
    reader = Subscriber(other, "s")
    data = content(t, "data", BYTES)
    publisher = origin.launch(origin.control_command("publish", "s", data), "publisher")
    rounds = 0
    while publisher.is_running() or rounds < 3:
        origin.control("port", "attach", f"extra{rounds}", "net_null7,no-rx=1", "ip",
                       "192.0.2.1/24")
        origin.control("port", "detach", f"extra{rounds}")
        rounds += 1
    assert publisher.wait(60) == 0
    reader.wait_bytes(BYTES, 60)
    assert reader.stop() == data.read_bytes()
    assert reader.lost_frames() == 0
    chain.stop()


@needs("programs", "netns")
@limits(seconds=170)
def test_mtu_changes_while_it_runs(t):
    chain = Chain(t, on_interfaces("net_af_packet"), count=2, mtu=JUMBO).start(JUMBO)
    for mtu in (1500, JUMBO):
        for node in chain.nodes:
            node.control("port", "config", "p0", "mtu", str(mtu))
        for node in chain.nodes:
            wait_for_links(node, 60)
            wait_for_mtu(node, mtu)
            assert node.control("show", "config")["ports"][0]["mtu"] == mtu
    try:
        chain.nodes[0].control("port", "config", "p0", "mtu", "20000")
    except Failure as refusal:
        assert "20000 exceeds" in str(refusal), refusal
    else:
        raise AssertionError("20000 bytes fit no buffer")
    wait_for_links(chain.nodes[0], 60)
    chain.relays(counters=False)
    chain.stop()


@needs("programs", "netns")
@limits(seconds=110)
def test_promiscuous_mode_by_command(t):
    chain = Chain(t, on_interfaces("net_af_packet"), count=2)
    node = chain.nodes[0].start()
    for word, state in (("on", True), ("off", False)):
        node.control("set", "promisc", "p0", word)
        assert node.control("show", "port", "info", "p0")["ports"][0]["promisc"] is state
        flags = must(["ip", "-n", chain.places[0].name, "-d", "link", "show",
                      chain.interfaces[0, 1][0]])
        assert ("promiscuity 0" not in flags) is state, flags
        assert node.control("show", "config")["ports"][0]["promisc"] is state
    node.control("commit", "confirm", "3600")
    node.control("set", "promisc", "p0", "on")
    assert node.control("rollback")["last"] == "rolled back"
    assert node.control("show", "port", "info", "p0")["ports"][0]["promisc"] is False
    assert node.control("show", "port", "xstats", "p0")["ports"][0]["xstats"]


@needs("programs")
@limits(seconds=170)
def test_memif_ends_come_back(t):
    """A client that starts again finds its server; one whose server did so connects to it anew."""
    chain = Chain(t, memif_ends(t), count=2, cables=0).start()
    server, client = chain.nodes
    client.stop(30)
    until(lambda: server.process.log_has("port p0: link down"), 60, "the client to be missed",
          [server.process])
    client.start()
    for node in chain.nodes:
        wait_for_links(node, 60)
    server.stop(30)
    until(lambda: client.process.log_has("port p0: link down"), 60, "the server to be missed",
          [client.process])
    server.start()
    for node in chain.nodes:
        wait_for_links(node, 60)
    chain.relays(counters=False)
    chain.stop()
