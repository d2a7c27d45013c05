# SPDX-License-Identifier: BSD-3-Clause
"""Labs of chaincast nodes: configuration files, processes, commands. Used by scenarios and by
scripts/demo."""

import json
import os
import random
import socket

import shows
import tamper
from harness import PROGRAMS, SEED, Failure, must, output_of

PORTS_PER_NODE = 16  # lanes use consecutive ports from the base
LOWEST_PORT, HIGHEST_PORT = 10000, 32000  # below the kernel's ephemeral range

# Hugepages that are free belong to the test that has reserved them (hugepages.py).
ORDINARY_MEMORY = ["--no-huge", "--no-pci"]


def ring_lattice(count):
    """Edges (a, b), a < b, of a connected graph whose degrees are at least min(3, count-1) and
    differ by at most one: a ring, and from each node a chord to the opposite one."""
    if count < 2:
        return []
    edges = {tuple(sorted((i, (i + 1) % count))) for i in range(count)}
    if count >= 4:
        # An odd ring has no exact opposite: its chords meet twice in one node.
        for i in range((count + 1) // 2):
            edges.add(tuple(sorted((i, (i + count // 2) % count))))
    return sorted(edges)


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(str(value))


def toml(tables):
    """TOML text of {table: {key: value}} and {table: [{key: value}, ...]}."""
    parts = []
    for name, body in tables.items():
        for table in body if isinstance(body, list) else [body]:
            parts.append(f"[[{name}]]" if isinstance(body, list) else f"[{name}]")
            parts += [f"{key} = {toml_value(value)}" for key, value in table.items()
                      if value is not None]
            parts.append("")
    return "\n".join(parts)


def free_port_block(count, chooser=random.Random(os.getpid())):
    """The first of `count` consecutive free UDP ports on loopback."""
    for _ in range(200):
        base = chooser.randrange(LOWEST_PORT, HIGHEST_PORT - count)
        try:
            for port in range(base, base + count):  # one open at a time, however many
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                    one.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise Failure(f"no {count} free UDP ports between {LOWEST_PORT} and {HIGHEST_PORT}")


class Node:
    """One chaincast process with its own directory, configuration and control socket."""

    def __init__(self, scenario, name, namespace=None):
        self.scenario = scenario
        self.name = name
        self.namespace = namespace
        self.dir = scenario.dir / name
        self.dir.mkdir()
        self.config_path = self.dir / "node.toml"
        self.socket = self.dir / "ctl.sock"
        self.process = None
        self.programs = PROGRAMS  # or those of another release
        self.tables = {}

    def configure(self, tables):
        """Writes the configuration; [node] gets its name, key and socket here."""
        key = self.dir / "node.key"
        if not key.exists():
            must([PROGRAMS["chaincast"], "keygen", key])
        self.tables = dict(tables)
        self.tables["node"] = {"name": self.name, "key": str(key), "socket": str(self.socket),
                               "network": "scenario", "workers": 1, "idle": "sleep",
                               "eal": ORDINARY_MEMORY,
                               **tables.get("node", {})}
        order = ["node"] + [name for name in self.tables if name != "node"]
        self.config_path.write_text(toml({name: self.tables[name] for name in order}))

    def start(self, *options, seconds=30):
        """Starts the process and waits until it answers on its socket."""
        self.process = self.launch([self.programs["chaincast"], *options, "--config",
                                    self.config_path], self.name)
        self.scenario.until(lambda: self.try_control("show", "version") is not None, seconds,
                            f"{self.name} to answer on {self.socket}", [self.process])
        return self

    def launch(self, command, name, **options):
        starter = self.namespace or self.scenario
        return starter.start(command, name, **options)

    def control_command(self, *words):
        return [self.programs["chaincastctl"], "--socket", self.socket, *words]

    def control(self, *words, seconds=30):
        """The reply to a command, as JSON. Fails with its error text."""
        out = must(self.control_command("--json", *words), seconds)
        return json.loads(out) if out.strip() else {}

    def try_control(self, *words):
        """As control, but None if the node does not answer (yet)."""
        code, out, _ = output_of(self.control_command("--json", *words))
        if code != 0:
            return None
        try:
            return json.loads(out)
        except ValueError:
            return None

    def peers(self):
        return shows.peers(self.try_control("show", "peers") or {})

    def streams(self):
        return shows.streams(self.try_control("show", "streams") or {})

    def stream(self, name):
        return self.streams().get(name, {})

    def drops(self):
        return shows.drops(self.control("show", "drops"))

    def delivered(self, stream):
        return shows.pick(self.stream(stream), "delivered_objects", 0)

    def subscribe(self, stream, file):
        """A subscriber process that appends each object's bytes to a file. Returns once it says
        that it is subscribed."""
        sink = open(file, "wb")
        self.scenario.defer(sink.close)
        name = f"{self.name}-subscribe-{stream}"
        process = self.launch(self.control_command("subscribe", stream, "--raw"), name,
                              stdout=sink)
        self.scenario.until(lambda: process.log_has("subscribed"), 20,
                            f"{name} to be subscribed", [process])
        return process

    def receive_stamped(self, stream, count):
        """A StampedReceiver. Returns once it is subscribed."""
        return StampedReceiver(self, stream, count)

    def stop(self, seconds=15):
        """SIGTERM; the exit code."""
        return self.process.stop(seconds)

    def kill(self):
        """SIGKILL, as a crash would."""
        self.process.kill()


class StampedReceiver:
    """chaincast-gen receive: ends by itself once `count` stamped objects have come."""

    def __init__(self, node, stream, count):
        name = f"{node.name}-stamps-{stream}"
        self.file = node.scenario.dir / f"{name}.json"
        with open(self.file, "wb") as sink:
            self.process = node.launch(generator(node, "receive", stream, "--stamped", "--count",
                                                 count), name, stdout=sink)
        node.scenario.until(lambda: self.process.log_has("subscribed"), 20,
                            f"{name} to be subscribed", [self.process])

    def is_running(self):
        return self.process.is_running()

    def result(self):
        """Its summary, of what has come so far."""
        self.process.stop()
        return json.loads(self.file.read_text())


class Lab:
    """N nodes on loopback `udp` ports, linked as a ring lattice (or as `edges` says)."""

    def __init__(self, scenario, count, streams, edges=None, link=None, node=None, port=None,
                 stream=None, peer=None, rules=None, namespace=None, membership=False):
        """streams: {name: index of its origin, or None}. link: the `link` table of every port.
        node, port: functions of the index, stream: one of the name, that return more keys for
        these tables. peer: more keys of every `peer` table. rules: {(a, b): rule of tamper.Wire}
        for edges with a wire that tampers. namespace: a net.Namespace that all nodes run in.
        membership: each node is the first of a network of its own, beside its links."""
        self.scenario = scenario
        self.streams = streams
        self.edges = ring_lattice(count) if edges is None else edges
        self.link = link
        self.extra_node = node or (lambda index: {})
        self.extra_port = port or (lambda index: {})
        self.extra_stream = stream or (lambda name: {})
        self.extra_peer = peer or {}
        self.membership = {"membership": {"address": "127.0.0.1:0"}} if membership else {}
        # One block for nodes and wires: nothing is bound yet that would keep two of them apart.
        base = free_port_block((count + 2 * len(rules or {})) * PORTS_PER_NODE)
        self.free_bases = iter(range(base, HIGHEST_PORT, PORTS_PER_NODE))
        self.addresses = [f"127.0.0.1:{next(self.free_bases)}" for _ in range(count)]
        self.wires = {}
        self.aliases = {}  # (who looks, whom at): the address of a wire's end instead
        for edge, rule in (rules or {}).items():
            self.add_wire(*edge, rule)
        self.nodes = [Node(scenario, f"n{index}", namespace) for index in range(count)]
        for index in range(count):
            self.configure(index)

    def secret(self, name):
        """A secret that two nodes, or all, share; made once."""
        path = self.scenario.dir / f"{name}.secret"
        if not path.exists():
            must([PROGRAMS["chaincast"], "keygen", "secret", path])
        return str(path)

    def add_wire(self, a, b, rule):
        as_a, as_b = (f"127.0.0.1:{next(self.free_bases)}" for _ in range(2))
        self.wires[a, b] = tamper.Wire(self.scenario, self.addresses[a], self.addresses[b],
                                       as_a, as_b, PORTS_PER_NODE, rule)
        self.aliases[a, b] = as_b
        self.aliases[b, a] = as_a

    def neighbours(self, index):
        return sorted({b if a == index else a for a, b in self.edges if index in (a, b)})

    def configure(self, index):
        link = {"seed": SEED * 1000 + index, **self.link} if self.link else None
        port = {"name": "p0", "driver": "udp", "address": self.addresses[index], "link": link,
                **self.extra_port(index)}
        peers = [{"name": self.nodes[other].name,
                  "address": self.aliases.get((index, other), self.addresses[other]),
                  "secret": self.secret("link-%d-%d" % tuple(sorted((index, other)))),
                  **self.extra_peer}
                 for other in self.neighbours(index)]
        streams = [{"name": name, "secret": self.secret(f"stream-{name}"),
                    "publish": origin == index, **self.extra_stream(name)}
                   for name, origin in self.streams.items()]
        self.nodes[index].configure({"node": self.extra_node(index), "port": [port],
                                     "peer": peers, "stream": streams, **self.membership})

    def start(self):
        for node in self.nodes:
            node.start()
        return self

    def wait_for_links(self, seconds=30, nodes=None):
        """Until every configured link of these nodes (default: all) is up."""
        for node in nodes or self.nodes:
            wanted = {peer["name"] for peer in node.tables["peer"]}
            self.scenario.until(
                lambda: {name for name, state in node.peers().items() if state == "up"} >= wanted,
                seconds, f"{node.name}: links to {', '.join(sorted(wanted))} up", [node.process])


def generator(node, *words):
    """The command line of chaincast-gen at a node."""
    return [PROGRAMS["chaincast-gen"], "--socket", node.socket, "--json", *words]


def send_stamped(node, stream, count, rate, sizes="64-1024", seconds=60):
    """Publishes made-up objects with stamps for StampedReceiver, `rate` a second."""
    return json.loads(must(generator(node, "send", stream, "--sizes", sizes, "--count", count,
                                     "--rate", rate, "--stamp"), seconds))


def publish_file(node, stream, file, seconds=60):
    """Publishes a file as objects of a stream; the reply says how many and how many bytes."""
    return node.control("publish", stream, file, seconds=seconds)


def publish_routes(node, stream, record, mrt=None, synthetic=None, seconds=60):
    """Publishes route updates, from an MRT file or made up, and leaves the published bytes in the
    file `record`. The reply says how many objects and bytes."""
    source = ["--mrt", mrt] if mrt else ["--synthetic", synthetic]
    out = must(generator(node, "send", stream, *source, "--record", record), seconds)
    return json.loads(out)


def count_prefix_changes(data):
    """Announced and withdrawn prefixes in route update objects that follow each other, read from
    the format in docs/wire.md: records of type (1 byte), length (3), fields of the same shape;
    field 1 is the family and, for each prefix, its bits and as many bytes as they need."""
    def entries(block):
        at = 0
        while at + 4 <= len(block):
            length = int.from_bytes(block[at + 1:at + 4], "big")
            yield block[at], block[at + 4:at + 4 + length]
            at += 4 + length

    count = 0
    for action, record in entries(memoryview(data)):
        for field, value in entries(record) if action in (1, 2) else ():
            at = 1
            while field == 1 and at < len(value):
                at += 1 + (value[at] + 7) // 8
                count += 1
    return count
