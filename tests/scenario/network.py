# SPDX-License-Identifier: BSD-3-Clause
"""Networks of nodes that find each other: a supernode, a host, and members that know the
supernode's address and nothing else. Used by scenarios and by scripts/demo."""

from harness import PROGRAMS, must
from lab import PORTS_PER_NODE, Node, free_port_block


class Network:
    """`nodes` are the host, then the members; on loopback `udp` ports, or where `address` says."""

    def __init__(self, scenario, members, streams, stream=None, namespaces=None, address=None,
                 port=None):
        """streams: names of what the host publishes and everyone takes. stream: a function of the
        name that returns more keys of the host's [[stream]] table. namespaces, address: functions
        of the index (0 the supernode, 1 the host) that return a net.Namespace, and its IP.
        port: one that returns the [[port]] table, where that is no `udp` port of that IP."""
        self.scenario = scenario
        self.streams = streams
        self.extra_stream = stream or (lambda name: {})
        self.address_of = address or (lambda index: "127.0.0.1")
        self.port_of = port or (lambda index: {"name": "p0", "address": self.places[index]})
        base = free_port_block((members + 2) * PORTS_PER_NODE)
        # As a TCP port of sessions, and as the UDP port of frames.
        self.places = [f"{self.address_of(index)}:{base + index * PORTS_PER_NODE}"
                       for index in range(members + 2)]
        names = ["supernode", "host"] + [f"member{index}" for index in range(1, members + 1)]
        self.all = [Node(scenario, name, namespaces and namespaces(index))
                    for index, name in enumerate(names)]
        self.supernode, *self.nodes = self.all
        for index, node in enumerate(self.all):
            node.configure(self.tables(index))

    def tables(self, index):
        place = self.places[index]
        membership = {"address": place, "state": str(self.all[index].dir / "members.json")}
        membership.update({"supernode": True} if index == 0 else {"trackers": [self.places[0]]})
        tables = {"port": [self.port_of(index)], "membership": membership}
        if index > 0:
            tables["stream"] = [self.stream(name, index == 1) for name in self.streams]
        return tables

    def stream(self, name, is_host):
        if not is_host:
            return {"name": name}
        secret = self.scenario.dir / f"stream-{name}.secret"
        if not secret.exists():
            must([PROGRAMS["chaincast"], "keygen", "secret", secret])
        return {"name": name, "secret": str(secret), "publish": True, **self.extra_stream(name)}

    def start(self):
        for node in self.all:
            node.start()
        return self

    def running(self):
        return [node for node in self.all if node.process and node.process.is_running()]

    def wait_until_joined(self, seconds=30, nodes=None):
        """Until these nodes (default: host and members) know every stream and have a peer up."""
        for node in nodes or self.nodes:
            self.scenario.until(lambda: is_in(node, self.streams), seconds,
                                f"{node.name} to be in the network", [node.process])

    def digests(self):
        """Of the graph, at each node that runs; None where it does not answer."""
        return [(node.try_control("show", "membership") or {}).get("digest")
                for node in self.running()]

    def wait_for_one_graph(self, seconds=60):
        """Until all nodes that run, and no others, are in the graph of each, which is the same and
        in one piece: everyone has stated its links."""
        def is_one():
            shown = [node.try_control("show", "membership") or {} for node in self.running()]
            if len({reply.get("digest") for reply in shown}) != 1 or any(
                    reply.get("nodes") != len(shown) for reply in shown):
                return False
            return self.running()[0].control("show", "graph")["components"] == 1

        self.scenario.until(is_one, seconds, "one graph at all nodes",
                            [node.process for node in self.running()])


def is_in(node, streams):
    if "up" not in node.peers().values():
        return False
    known = node.streams()
    return all(known.get(name, {}).get("state", "not heard of") != "not heard of"
               for name in streams)
