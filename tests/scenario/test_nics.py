# SPDX-License-Identifier: BSD-3-Clause
"""The poll-mode drivers of NICs: a node in a guest relays between the four that QEMU emulates,
each with a node of the host behind it. host-setup hands the NICs over and takes them back.

        n0 --- tap --- e1000 ----+        +-- vmxnet3 --------- tap --- n2
        |                        | relay  |
        n1 --- tap --- e1000e ---+        +-- virtio-net-pci -- tap --- n3
"""

import difflib
import hashlib

import net
from guest import Guest, Nic
from guest_node import MACHINE, SECONDS, GuestNode, host_setup, node_archive
from harness import PROGRAMS, limits, must, needs, until
from lab import Node, publish_file
from subscriber import Subscriber
from test_host_setup import commands
from test_network import content
from test_ports import wait_for_links

UDP_PORT = 7000
STANDARD_MTU, JUMBO_MTU = 1500, 9000
NICS = (Nic("e1000", 16), Nic("e1000e", 17, JUMBO_MTU), Nic("vmxnet3", 18, JUMBO_MTU),
        Nic("virtio-net-pci", 19))
DRIVERS = {"e1000": "net_e1000_em", "e1000e": "net_e1000_em", "vmxnet3": "net_vmxnet3",
           "virtio-net-pci": "net_virtio"}
# stream: (number of its origin, more keys)
STREAMS = {"a": (0, {}), "b": (3, {}), "jumbo-a": (1, {"payload": "jumbo"}),
           "jumbo-b": (2, {"payload": "jumbo"})}
JUMBO_NODES = (1, 2)
# What has to leave the relay by each NIC. n0 and n1 may have had each other's from their own link.
LEAVES_BY = (("b",), ("b", "jumbo-b"), ("a", "b", "jumbo-a"), ("a",))
PMDS = ("bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_vmxnet3", "net_virtio")
HUGEPAGE_MEBIBYTES = 512


def address(number, end):
    return f"10.77.{number}.{end}"


class Star:
    """The relay in the guest, and a node behind each of its NICs. n0 and n1 have a link of their
    own as well, so that the relay gets what either publishes twice."""

    def __init__(self, t):
        self.t = t
        self.place = net.Namespace(t, "outside")
        self.relay = GuestNode(t, "relay")
        self.nodes = [Node(t, f"n{number}", self.place) for number in range(len(NICS))]
        for number, node in enumerate(self.nodes):
            self.configure_outside(number, node)
        self.configure_relay()

    def secret(self, name):
        path = self.t.dir / "secrets" / f"{name}.secret"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            must([PROGRAMS["chaincast"], "keygen", "secret", path])
        return str(path)

    def streams(self, number=None):
        return [{"name": name, "secret": self.secret(f"stream-{name}"), "publish": origin == number,
                 "rate": 500, **keys} for name, (origin, keys) in STREAMS.items()]

    def configure_outside(self, number, node):
        ports = [{"name": "nic", "driver": "udp", "address": f"{address(number, 2)}:{UDP_PORT}",
                  "mtu": NICS[number].mtu}]
        peers = [{"name": "relay", "port": "nic", "address": f"{address(number, 1)}:{UDP_PORT}",
                  "secret": self.secret(f"link-{number}")}]
        if number < 2:
            base, other = UDP_PORT + 100, 1 - number
            ports.append({"name": "aside", "driver": "udp", "mtu": JUMBO_MTU,
                          "address": f"127.0.0.1:{base + 100 * number}"})
            peers.append({"name": f"n{other}", "port": "aside",
                          "address": f"127.0.0.1:{base + 100 * other}",
                          "secret": self.secret("link-aside")})
        node.configure({"port": ports, "peer": peers, "stream": self.streams(number)})

    def configure_relay(self):
        self.relay.configure({
            "node": {"worker_cpus": [1],
                     "eal": [word for nic in NICS for word in ("-a", nic.address)]},
            "port": [{"name": f"p{number}", "driver": "ethdev", "device": nic.address,
                      "ip": [f"{address(number, 1)}/24"], "udp_port": UDP_PORT, "mtu": nic.mtu}
                     for number, nic in enumerate(NICS)],
            "peer": [{"name": node.name, "port": f"p{number}",
                      "address": f"{address(number, 2)}:{UDP_PORT}",
                      "secret": self.secret(f"link-{number}")}
                     for number, node in enumerate(self.nodes)],
            "stream": self.streams()})

    def boot(self):
        archive = node_archive(self.t, [self.relay], PMDS)
        guest = Guest(self.t, self.place, NICS, archive)
        for number, nic in enumerate(NICS):
            self.place.add_address(nic.tap, f"{address(number, 2)}/24")
        self.relay.guest = guest
        return guest


OPTIONS = ["--memory", HUGEPAGE_MEBIBYTES,
           *(word for nic in NICS for word in ("--nic", nic.address))]


def nics_in_use_are_refused(guest):
    """vmxnet3 with the kernel's driver, an address and the default route."""
    interface = guest.run(f"ls /sys/bus/pci/devices/{NICS[2].address}/net").strip()
    guest.run(f"ip address add 192.0.2.1/24 dev {interface}; ip link set {interface} up; "
              f"ip route add default via 192.0.2.2")
    before = guest.run(MACHINE)
    code, out = host_setup(guest, "init", *OPTIONS)
    assert code == 1, out
    assert f"{interface} carries the default route, {interface} has 192.0.2.1/24" in out, out
    assert guest.run(MACHINE) == before
    guest.run(f"ip link set {interface} down; ip address flush dev {interface}")


def half_done_is_undone(guest):
    """The module is listed, and cannot be loaded: hugepages and their mount were made by then."""
    hide = "mv /lib/modules/*/kernel/uio.ko /tmp/uio.ko"
    before = guest.run(hide + MACHINE)
    code, out = host_setup(guest, "init", *OPTIONS)
    assert code == 1 and "undoing what was done" in out, out
    assert guest.run(MACHINE) == before, out
    guest.run("mv /tmp/uio.ko /lib/modules/*/kernel/")


def take_nics(guest):
    """check, init, check: what check says is what init does."""
    code, plan = host_setup(guest, "check", *OPTIONS)
    assert code == 1, plan
    code, done = host_setup(guest, "init", *OPTIONS)
    assert code == 0, done
    assert commands(done) == commands(plan)
    code, out = host_setup(guest, "check", *OPTIONS)
    assert code == 0 and not commands(out), out
    for nic in NICS:
        assert f"NIC {nic.address}: bound to uio_pci_generic" in out, out


def names_its_drivers(relay):
    for number, nic in enumerate(NICS):
        info = relay.control("show", "port", "info", f"p{number}")["ports"][0]
        assert info["driver"] == DRIVERS[nic.model], info
        assert (info["device"], info["mtu_bytes"]) == (nic.address, nic.mtu), info
        # None of them takes flow rules, or spreads UDP by a hash.
        assert info["control_queue"] == "shared", info


def everything_arrives_once(t, star):
    """Each stream at every node whose path takes its frames, byte for byte; and each frame counted
    once, also where it came by two NICs."""
    readers, files = {}, {}
    for name, (origin, keys) in STREAMS.items():
        files[name] = content(t, name, 400_000 if keys else 200_000, len(name) + origin)
        for number, node in enumerate(star.nodes):
            if number != origin and (not keys or number in JUMBO_NODES):
                readers[name, number] = Subscriber(node, name)
    for name, (origin, _) in STREAMS.items():
        publish_file(star.nodes[origin], name, files[name], SECONDS)
    for (name, number), reader in readers.items():
        reader.wait_bytes(files[name].stat().st_size, SECONDS)
    for (name, number), reader in readers.items():
        got, sent = (hashlib.sha256(data).hexdigest()
                     for data in (reader.stop(), files[name].read_bytes()))
        assert got == sent, f"n{number}: {name} differs"
        assert reader.lost_frames() == 0, f"n{number} lost frames of {name}"
    return frames_are_counted_once(star)


def frames_are_counted_once(star):
    """How many frames each stream had, by name."""
    def counts():
        sent = {name: star.nodes[origin].stream(name)["verified_frames"]
                for name, (origin, _) in STREAMS.items()}
        streams = star.relay.streams()
        relayed = {name: streams[name]["verified_frames"] for name in STREAMS}
        return sent if sent == relayed else None  # the last statements may be on their way
    sent = until(counts, SECONDS, "the relay to have each frame of its neighbours once")
    dedup = star.relay.control("show", "dedup")
    assert dedup["unique_frames"] >= sum(sent.values()), (dedup, sent)
    assert dedup["received_frames"] == dedup["unique_frames"] + dedup["duplicate_frames"], dedup
    # n0 and n1 hand each other's frames on, so these came twice.
    assert dedup["duplicate_frames"] >= sent["a"] // 2, (dedup, sent)
    return sent


def every_nic_carried_its_share(relay, sent):
    """A frame is a datagram, but for the last of an object and the statements."""
    enters_by = {origin: sent[name] for name, (origin, _) in STREAMS.items()}
    for number, names in enumerate(LEAVES_BY):
        stats = relay.control("show", "port", "stats", f"p{number}")["ports"][0]
        assert stats["rx_packets"] >= enters_by[number] // 2, (number, stats, sent)
        assert stats["tx_packets"] >= sum(sent[name] for name in names) // 2, (number, stats, sent)


def jumbo_frames_left(captures, sent):
    """Whole datagrams of the jumbo MTU left the guest by e1000e and by vmxnet3."""
    for number, name in ((1, "jumbo-b"), (2, "jumbo-a")):
        captures[number].stop()
        rows = net.read_capture(captures[number].file, ["ip.len"],
                                f"ip.src == {address(number, 1)} && ip.len > {JUMBO_MTU - 100}")
        assert len(rows) >= sent[name] // 2, f"{NICS[number].model}: {len(rows)} of {sent[name]}"


@needs("programs", "netns", "tshark", "guest")
@limits(seconds=900, alone=True)
def test_relay_between_real_drivers(t):
    star = Star(t)
    guest = star.boot()
    guest.run("modprobe vmxnet3 && modprobe virtio_net && modprobe virtio_pci")
    before = guest.run(MACHINE)
    nics_in_use_are_refused(guest)
    half_done_is_undone(guest)
    take_nics(guest)
    star.relay.start(seconds=SECONDS)
    for node in star.nodes:
        node.start()
    for node in star.nodes:
        wait_for_links(node, SECONDS)
    names_its_drivers(star.relay)
    assert "dpdk-proc-info may attach" in star.relay.log_text(), star.relay.log_text()
    captures = {number: star.place.capture(NICS[number].tap, t.dir / f"{NICS[number].tap}.pcap")
                for number in JUMBO_NODES}
    sent = everything_arrives_once(t, star)
    every_nic_carried_its_share(star.relay, sent)
    jumbo_frames_left(captures, sent)
    code, out = host_setup(guest, "fini")
    assert code == 2 and "in use by process" in out, out
    assert star.relay.stop() == 0, star.relay.log_text()
    code, out = host_setup(guest, "fini")
    assert code == 0, out
    after = guest.run(MACHINE)
    assert after == before, list(difflib.ndiff(before.splitlines(), after.splitlines()))
