# SPDX-License-Identifier: BSD-3-Clause
"""Nodes behind NATs: a supernode on a public network, and behind one router each a host and members
that reach it by their router's address alone. Routers are namespaces with nftables; what they let
in is what was sent out before (RFC 4787: address and port-dependent filtering)."""

import net
from harness import PROGRAMS, must
from lab import Node

STREAM = "news"
SUPERNODE = "203.0.113.1"
PORT, RELAY_PORT = 7000, 7100


class Router:
    """A NAT between the public network and a host of its own."""

    def __init__(self, t, public, number, how):
        """how: what follows `masquerade` in its rule: "", "random" or "fully-random"."""
        self.address = f"203.0.113.{10 + number}"
        self.inside = f"10.0.{number}.2"
        self.namespace = net.Namespace(t, f"r{number}")
        self.host = net.Namespace(t, f"h{number}")
        self.public, self.port = public, f"r{number}"
        net.connect(public, self.port, self.namespace, "wan")
        public.run("ip", "link", "set", self.port, "master", "br0")
        net.connect(self.namespace, "lan", self.host, "eth0")
        self.namespace.add_address("wan", f"{self.address}/24")
        self.namespace.add_address("lan", f"10.0.{number}.1/24")
        self.host.add_address("eth0", f"{self.inside}/24")
        self.host.run("ip", "route", "add", "default", "via", f"10.0.{number}.1")
        self.namespace.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        self.namespace.run("nft", "add table ip nat; add chain ip nat out "
                           "{ type nat hook postrouting priority srcnat; }; "
                           "add table ip gate; add chain ip gate in "
                           "{ type filter hook input priority 0; }; "
                           "add rule ip gate in iifname wan ct state new drop; "
                           "add chain ip gate through { type filter hook forward priority 0; }; "
                           "add rule ip gate through iifname wan ct state new drop")
        self.masquerade(how)

    def masquerade(self, udp, tcp=None):
        """From now on, for what has no mapping yet; TCP as UDP unless said."""
        self.namespace.run("nft", "flush chain ip nat out; "
                           f"add rule ip nat out oifname wan meta l4proto udp masquerade {udp}; "
                           "add rule ip nat out oifname wan meta l4proto tcp masquerade "
                           f"{udp if tcp is None else tcp}")

    def watch(self, file):
        """A capture of what passes outside. Neither end of the cable hands over several datagrams
        as one packet, as nodes that send many at once leave them to be cut."""
        for end, interface in ((self.namespace, "wan"), (self.public, self.port)):
            end.run("ethtool", "-K", interface, "tx-udp-segmentation", "off")
        return self.namespace.capture("wan", file)

    def forget(self):
        """Every mapping is gone, as after a restart: masquerading forgets those of an interface
        that goes down."""
        self.namespace.run("ip", "link", "set", "wan", "down")
        self.namespace.run("ip", "link", "set", "wan", "up")


class Beside:
    """A second network behind a router that is there already."""

    def __init__(self, t, router, number):
        self.namespace, self.address = router.namespace, router.address
        self.inside = f"10.0.{number}.2"
        self.host = net.Namespace(t, f"h{number}")
        net.connect(self.namespace, f"lan{number}", self.host, "eth0")
        self.namespace.add_address(f"lan{number}", f"10.0.{number}.1/24")
        self.host.add_address("eth0", f"{self.inside}/24")
        self.host.run("ip", "route", "add", "default", "via", f"10.0.{number}.1")


class Open:
    """In place of a router: the host is on the public network itself."""

    def __init__(self, public, number):
        self.inside = self.address = f"203.0.113.{10 + number}"
        self.host = public
        public.add_address("br0", f"{self.address}/24")


class Crossed:
    """The supernode, a host that publishes STREAM, and members, each of them behind a router of its
    own; or none, where its NAT is None; or the host's, where it is "beside"."""

    def __init__(self, t, host_nat, *member_nats, watch=None, workers=1):
        """watch: file of a capture of what passes the host's router outside, as `watched`."""
        self.t = t
        self.workers = workers
        self.public = net.Namespace(t, "pub")
        self.public.run("ip", "link", "add", "br0", "type", "bridge")
        self.public.run("ip", "link", "set", "br0", "up")
        self.public.add_address("br0", f"{SUPERNODE}/24")
        self.routers = []
        for number, how in enumerate((host_nat, *member_nats), 1):
            self.routers.append(Open(self.public, number) if how is None else
                                Beside(t, self.routers[0], number) if how == "beside" else
                                Router(t, self.public, number, how))
        self.watched = watch and self.routers[0].watch(watch)
        self.supernode = Node(t, "supernode", self.public)
        self.supernode.configure(self.tables(SUPERNODE, {"supernode": True,
                                                         "relay": f"{SUPERNODE}:{RELAY_PORT}"}))
        self.nodes = [self.behind(router, number, how)
                      for number, (router, how)
                      in enumerate(zip(self.routers, (host_nat, *member_nats)))]
        self.host, *self.members = self.nodes
        self.member = self.members[0]
        for node in (self.supernode, *self.nodes):
            node.start()

    def behind(self, router, number, how):
        node = Node(self.t, f"member{number}" if number else "host", router.host)
        stream = {"name": STREAM}
        if not number:
            secret = self.t.dir / "stream.secret"
            must([PROGRAMS["chaincast"], "keygen", "secret", secret])
            stream.update({"publish": True, "secret": str(secret)})
        membership = {"behind_nat": how is not None, "trackers": [f"{SUPERNODE}:{PORT}"],
                      "state": str(node.dir / "members.json")}
        node.configure({**self.tables(router.inside, membership), "stream": [stream]})
        return node

    def tables(self, address, membership):
        place = f"{address}:{PORT}"
        return {"node": {"workers": self.workers},
                "port": [{"name": "p0", "address": place}],
                "membership": {"address": place, **membership}}

    @staticmethod
    def paths_of(node):
        """{peer: how it is reached}, of those that are."""
        rows = (node.try_control("show", "peers") or {}).get("peers", [])
        return {row["name"]: row["path"] for row in rows if row["state"] == "up"}

    def paths(self):
        """How host and member reach each other, as each of them shows; "" while they do not."""
        return [next(iter(self.paths_of(node).values()), "") for node in (self.host, self.member)]

    def wait_for(self, path, seconds):
        self.t.until(lambda: self.paths() == [path, path], seconds, f"the link to be {path}",
                     [self.host.process, self.member.process])

    @staticmethod
    def nat_of(node):
        return node.control("show", "nat")
