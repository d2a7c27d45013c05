# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces, veth pairs between them, and captures inside them. Names carry the pid of
the test, so that tests never meet and `sweep` can remove what a killed one left."""

import contextlib
import ctypes
import ipaddress
import os
import re
import socket

from harness import Failure, must, output_of

NAME = re.compile(r"^cc(\d+)-\w+$")
CLONE_NEWNET = 0x40000000
DISCARD_PORT, MARKER = 9, b"no datagram of a node"


def move_to(network):
    """This thread's network namespace becomes that of an open file below /proc/PID/ns."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network.fileno(), CLONE_NEWNET) != 0:
        raise Failure(f"{network.name}: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """One network namespace with loopback up. scenario.defer removes it, and its veth with it."""

    def __init__(self, scenario, label):
        self.scenario = scenario
        self.label = label
        self.name = f"cc{os.getpid()}-{label}"
        must(["ip", "netns", "add", self.name])
        scenario.defer(self.remove)
        # Duplicate address detection would hold IPv6 back for a second or two.
        self.run("sysctl", "-q", "-w", "net.ipv6.conf.default.accept_dad=0")
        self.run("ip", "link", "set", "lo", "up")

    def remove(self):
        output_of(["ip", "netns", "del", self.name])

    def inside(self, *command):
        """A command line that runs in this namespace (ip replaces itself: the pid is its own)."""
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, *command):
        return must(self.inside(*command))

    def start(self, command, name, **options):
        return self.scenario.start(self.inside(*command), name, **options)

    def add_address(self, interface, address):
        self.run("ip", "address", "add", address, "dev", interface,
                 *(["nodad"] if ":" in address else []))

    @contextlib.contextmanager
    def entered(self):
        """Sockets and processes that this thread makes meanwhile belong to this namespace."""
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self.name}") as there:
            move_to(there)
            try:
                yield
            finally:
                move_to(here)

    def capture(self, interface, file, only="udp"):
        return Capture(self, interface, file, only)


class Capture:
    """A pcap file of the packets that pass an interface and the filter `only` (UDP datagrams unless
    said), from when this returns until stop()."""

    BUFFER_MEBIBYTES = 64
    SUMMARY = re.compile(r"Packets received/dropped on interface '.*': (\d+)/(\d+) ")

    def __init__(self, namespace, interface, file, only):
        self.namespace = namespace
        self.interface = interface
        self.file = file
        self.process = namespace.start(
            ["dumpcap", "-q", "-P", "-i", interface, "-B", self.BUFFER_MEBIBYTES, "-f", only, "-w",
             file], f"dumpcap-{namespace.label}-{interface}")
        self.wait(lambda: self.process.log_has("File: ") and os.path.exists(file) and
                  os.path.getsize(file) > 0)

    def wait(self, condition):
        self.namespace.scenario.until(condition, 20, f"dumpcap on {self.interface} of "
                                      f"{self.namespace.name}", [self.process])

    def drain(self):
        """Returns when the file has all that passed loopback until now: dumpcap ends without
        reading what the kernel still holds for it."""
        written = os.path.getsize(self.file)
        with self.namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(MARKER, ("127.0.0.1", DISCARD_PORT))

        def has_marker():
            with open(self.file, "rb") as file:
                file.seek(max(0, written - len(MARKER)))
                return MARKER in file.read()
        self.wait(has_marker)

    def stop(self):
        """Ends it; how many packets it has. Fails if the kernel's packet socket lost one: what is
        said of the rest would not hold for the whole."""
        if self.interface == "lo":
            self.drain()
        self.process.stop()
        summary = self.SUMMARY.search(self.process.log_text())
        if not summary:
            raise Failure(f"dumpcap did not count: {self.process.log_text()}")
        received, dropped = map(int, summary.groups())
        if dropped:
            raise Failure(f"the capture lacks {dropped} of {received + dropped} packets")
        return received


def connect(a, a_interface, b, b_interface, mtu=None):
    """A veth pair between two namespaces, up at both ends, without addresses."""
    must(["ip", "link", "add", a_interface, "netns", a.name, "type", "veth",
          "peer", "name", b_interface, "netns", b.name])
    for namespace, interface in ((a, a_interface), (b, b_interface)):
        if mtu:
            namespace.run("ip", "link", "set", interface, "mtu", mtu)
        namespace.run("ip", "link", "set", interface, "up")


class Segment:
    """An Ethernet segment: a bridge in a namespace of its own, for any number of interfaces."""

    def __init__(self, scenario, label):
        self.place = Namespace(scenario, label)
        # Nothing is learned from multicast, and no port waits before it forwards.
        self.place.run("ip", "link", "add", "bridge", "type", "bridge", "forward_delay", 0,
                       "mcast_snooping", 0)
        self.place.run("ip", "link", "set", "bridge", "up")
        self.count = 0

    def attach(self, namespace, interface):
        """A new interface in `namespace`, up, without an address."""
        port = f"port{self.count}"
        self.count += 1
        connect(self.place, port, namespace, interface)
        self.place.run("ip", "link", "set", port, "master", "bridge")


def addresses_of_link(number, prefix="10.77.0.0/16"):
    """The two addresses of the number-th point-to-point network, with their prefix length."""
    network = list(ipaddress.ip_network(prefix).subnets(new_prefix=30))[number]
    first, second = list(network.hosts())
    return f"{first}/30", f"{second}/30"


def read_capture(file, fields, display_filter=""):
    """Rows of a capture: a list of dicts, one per packet. Repeated fields are joined by commas.
    Checksums are validated, so that fields such as ip.checksum.status mean something."""
    command = ["tshark", "-n", "-r", file, "-o", "ip.check_checksum:TRUE", "-o",
               "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=/t"]
    if display_filter:
        command += ["-Y", display_filter]
    for field in fields:
        command += ["-e", field]
    code, out, err = output_of(command, 120)
    if code != 0:
        raise Failure(f"tshark cannot read {file}: {err.strip()}")
    return [dict(zip(fields, line.split("\t"))) for line in out.splitlines()]


def sweep(pid):
    """Removes the namespaces of a test that was killed. Returns their names."""
    code, out, _ = output_of(["ip", "netns", "list"]) if os.geteuid() == 0 else (1, "", "")
    names = [line.split()[0] for line in out.splitlines() if line.split()]
    left = [name for name in names if (match := NAME.match(name)) and int(match[1]) == pid]
    for name in left:
        output_of(["ip", "netns", "del", name])
    return left
