# SPDX-License-Identifier: BSD-3-Clause
"""Receive queues that drivers fill: a node with two workers in a guest whose NICs are behind an
IOMMU and bound to vfio-pci. Control and the bulk of each worker come to queues of their own, by the
key of the NIC's hash; where that cannot be, a plain hash spreads.

        n0 --- tap --- virtio-net-pci: hash key --- relay
        n1 --- tap --- virtio-net-pci: plain hash --- relay
"""

import difflib
import hashlib
import re

import net
from guest import Guest, Nic
from guest_node import MACHINE, SECONDS, GuestNode, host_setup, node_archive
from harness import PROGRAMS, limits, must, needs
from lab import Node, publish_file
from subscriber import Subscriber
from test_host_setup import commands
from test_network import content
from test_ports import wait_for_links

UDP_PORT = 7000
WORKERS = 2
QUEUES = WORKERS + 1
# vfio wants the virtio of the standard's version 1, with addresses that the IOMMU translates.
VIRTIO = ",mq=on,vectors=8,rss=on,disable-legacy=on,iommu_platform=on"
NICS = tuple(Nic("virtio-net-pci", slot, options=VIRTIO, queues=QUEUES) for slot in (16, 17))
PMDS = ("bus_pci", "bus_vdev", "mempool_ring", "net_virtio")
HUGEPAGE_MEBIBYTES = 400
OPTIONS = ["--memory", HUGEPAGE_MEBIBYTES,
           *(word for nic in NICS for word in ("--nic", nic.address))]
# Each stream's bulk has the lane that its id, made anew in each run, gives it.
STREAMS = 4
BYTES = 60_000
FRAMES = BYTES // 1500  # at least
# Queue of each lane of n1 by the plain hash: Toeplitz's, with the key that net_virtio sets.
HASHED = (1, 2, 0)
# What each port of the relay has: steering, control_queue.
EXPECTED = (("hash key", "own"), ("none", "hashed"))


def address(number, end):
    """Of the relay (1) and of node `number` (2)."""
    return f"10.79.{number}.{end}"


class Network:
    def __init__(self, t):
        self.t = t
        self.place = net.Namespace(t, "outside")
        self.file = content(t, "file", BYTES, 1)
        self.relay = GuestNode(t, "relay")
        self.nodes = [Node(t, f"n{number}", self.place) for number in range(len(EXPECTED))]
        for number, node in enumerate(self.nodes):
            node.configure({
                "node": {"workers": WORKERS},
                "port": [{"name": "nic", "driver": "udp",
                          "address": f"{address(number, 2)}:{UDP_PORT}"}],
                "peer": [{"name": "relay", "port": "nic", "secret": self.secret(f"link{number}"),
                          "address": f"{address(number, 1)}:{UDP_PORT}"}],
                "stream": self.streams(number)})
        # With addresses of both families no key shows the ports of both.
        more = ([], ["fd78::1/64"])
        self.relay.configure({
            "node": {"workers": WORKERS, "worker_cpus": [1, 2],
                     "eal": [word for nic in NICS for word in ("-a", nic.address)]},
            "port": [{"name": f"p{number}", "driver": "ethdev", "device": nic.address,
                      "ip": [f"{address(number, 1)}/24", *more[number]], "udp_port": UDP_PORT}
                     for number, nic in enumerate(NICS)],
            "peer": [{"name": node.name, "port": f"p{number}",
                      "secret": self.secret(f"link{number}"),
                      "address": f"{address(number, 2)}:{UDP_PORT}"}
                     for number, node in enumerate(self.nodes)],
            "stream": self.streams()})

    def secret(self, name):
        path = self.t.dir / "secrets" / f"{name}.secret"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            must([PROGRAMS["chaincast"], "keygen", "secret", path])
        return str(path)

    def streams(self, number=None):
        return [{"name": f"s{origin}-{i}", "secret": self.secret(f"stream{origin}-{i}"),
                 "publish": origin == number, "rate": 20}
                for origin in range(len(EXPECTED)) for i in range(STREAMS)]

    def boot(self):
        archive = node_archive(self.t, [self.relay], PMDS)
        guest = Guest(self.t, self.place, NICS, archive, iommu=True, cpus=3, memory=2048)
        for number, nic in enumerate(NICS):
            self.place.add_address(nic.tap, f"{address(number, 2)}/24")
        self.relay.guest = guest
        return guest

    def start(self):
        self.relay.start()
        for node in self.nodes:
            node.start(seconds=SECONDS)
        for node in self.nodes:
            wait_for_links(node, SECONDS)

    def streams_by_lane(self, origin):
        """How many streams of a node have their bulk in each lane; 0 is control's."""
        lanes = [0] * QUEUES
        for name, row in self.relay.streams().items():
            if name.startswith(f"s{origin}-"):
                lanes[1 + int(row["id"], 16) % WORKERS] += 1
        return lanes

    def handed_over(self):
        return sum(row["handed_over"] for row in self.relay.control("show", "workers")["workers"])

    def queues(self, number):
        """Packets of each receive queue, as the driver counts them."""
        row = self.relay.control("show", "port", "xstats", f"p{number}")["ports"][0]["xstats"]
        return [row[f"rx_q{queue}_good_packets"] for queue in range(QUEUES)]

    def publish(self, origin):
        """A file on each stream of a node, which everybody else gets whole."""
        names = [f"s{origin}-{i}" for i in range(STREAMS)]
        readers = [Subscriber(node, name) for number, node in enumerate(self.nodes)
                   if number != origin for name in names]
        for name in names:
            publish_file(self.nodes[origin], name, self.file, SECONDS)
        for reader in readers:
            reader.wait_bytes(BYTES, SECONDS)
            assert hashlib.sha256(reader.stop()).hexdigest() == \
                hashlib.sha256(self.file.read_bytes()).hexdigest(), reader.name


def take_nics(guest):
    """The kernel's own driver has the first one, with the default route: only by force."""
    # The last is a soft dependency of vfio, of which busybox's modprobe knows nothing.
    guest.run("modprobe virtio_net; modprobe virtio_pci; modprobe vfio_iommu_type1")
    before = guest.run(MACHINE)
    interface = guest.run(f"ls /sys/bus/pci/devices/{NICS[0].address}/virtio*/net").strip()
    guest.run(f"ip address add 192.0.2.1/24 dev {interface}; ip link set {interface} up; "
              f"ip route add default via 192.0.2.2")
    used = f"{interface} carries the default route, {interface} has 192.0.2.1/24"
    code, out = host_setup(guest, "init", *OPTIONS)
    assert code == 1 and used in out and "nothing was changed" in out, out
    code, plan = host_setup(guest, "check", "--force", *OPTIONS)
    assert code == 1 and f"{used}; lost when it is taken" in plan, plan
    code, done = host_setup(guest, "init", "--force", *OPTIONS)
    assert code == 0 and commands(done) == commands(plan), done
    code, out = host_setup(guest, "check", *OPTIONS)
    assert code == 0 and "IOMMU: on" in out, out
    for nic in NICS:
        assert f"NIC {nic.address}: bound to vfio-pci" in out, out
    return before, interface


def give_back(guest, before, interface):
    """All is as before but for what --force takes: the interface is up, without its address."""
    code, out = host_setup(guest, "fini")
    assert code == 0, out
    assert "192.0.2.1" not in guest.run(f"ip address show dev {interface}")
    guest.run(f"ip link set {interface} down")
    # The kernel numbers virtio devices in the order in which their driver gets them.
    before, after = (re.sub(r"/virtio\d+/", "/virtio/", text)
                     for text in (before, guest.run(MACHINE)))
    assert after == before, list(difflib.ndiff(before.splitlines(), after.splitlines()))


def names_what_steers(relay):
    for number, (steering, control_queue) in enumerate(EXPECTED):
        info = relay.control("show", "port", "info", f"p{number}")["ports"][0]
        assert (info["steering"], info["control_queue"], info["rx_queues"]) == \
            (steering, control_queue, QUEUES), info
        # Neither promises that no other lane comes to a queue.
        assert not info["steers_ports"], info


def lanes_have_their_queues(network, number):
    """By the driver's count each lane's frames came to its queue, and by the node's own, which
    looks at UDP ports, none to another worker's. The first queue has lane 0, ARP and hellos."""
    queues, streams = network.queues(number), network.streams_by_lane(number)
    for queue in range(1, QUEUES):
        assert queues[queue] >= streams[queue] * FRAMES, (queues, streams)
        assert streams[queue] > 0 or queues[queue] < FRAMES, (queues, streams)
    assert queues[0] > 0, queues
    assert network.handed_over() == 0


def hash_spreads(network, number):
    """Lanes came to the queues that the hash of their addresses and ports says. Worker 0 has them
    all, and the other one gets its share."""
    queues, streams = network.queues(number), network.streams_by_lane(number)
    assert queues[HASHED[0]] > 0, queues
    for lane in range(1, QUEUES):
        assert queues[HASHED[lane]] >= streams[lane] * FRAMES, (queues, streams)
    assert network.handed_over() >= streams[2] * FRAMES, (network.handed_over(), streams)


@needs("programs", "netns", "guest")
@limits(seconds=900, alone=True)
def test_lanes_come_to_their_queues(t):
    network = Network(t)
    guest = network.boot()
    before, interface = take_nics(guest)
    network.start()
    names_what_steers(network.relay)
    network.publish(0)
    lanes_have_their_queues(network, 0)
    assert network.handed_over() == 0
    network.publish(1)
    hash_spreads(network, 1)
    code, out = host_setup(guest, "fini")
    assert code == 2 and "in use by process" in out, out
    assert network.relay.stop() == 0, network.relay.log_text()
    give_back(guest, before, interface)
