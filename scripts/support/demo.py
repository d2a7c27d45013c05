# SPDX-License-Identifier: BSD-3-Clause
"""Start a supernode, a host and members that know the supernode's address alone, each a process of
its own; publish route updates and a file at the host, and compare what a subscriber at every member
received with what was published."""

import argparse
import hashlib
import json
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests/scenario"))
import shows  # noqa: E402
import tamper  # noqa: E402
from harness import Failure, Scenario, copy_files, must, until  # noqa: E402
from lab import (Lab, count_prefix_changes, publish_file, publish_routes,  # noqa: E402
                 ring_lattice, send_stamped)
from network import Network  # noqa: E402

STREAMS = ("file", "routes")  # published, and compared
PROBES = "latency"  # a stream of stamped objects that measure; never among what is compared
PROBE_COUNT, PROBE_RATE = 1000, 1000  # objects, and objects a second
ORIGIN = 0
BUILT_IN_ROUTES = 20_000  # prefix changes, without --routes
BUILT_IN_FILE_BYTES = 1 << 20  # without --payload
DAMAGE = 0.5  # of the frames on each link of the last node, with --break
DEADLINE_S = 55
EPILOG = """\
columns: received, unique, duplicates, verified and repaired count frames of the two streams;
delivered counts their objects, prefixes the announced and withdrawn prefixes in them; hops is the
longest way a frame came; p50 and p99 are latencies from the hand-over at the origin to the arrival
at a program at the node, of objects sent for that afterwards on a stream of their own; same says
whether the files are identical; drops are by reason (docs/commands.md has their meanings).

exit code: 0 every node received everything unchanged; 1 it did not; 2 the lab could not run
"""


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG)
    parser.add_argument("--nodes", type=int, default=5, metavar="N", help="2 to 20 (default 5)")
    parser.add_argument("--routes", type=Path, metavar="FILE",
                        help="route updates: MRT, plain, gzip or bzip2 (default: a built-in set)")
    parser.add_argument("--payload", type=Path, metavar="FILE",
                        help="the file to publish (default: a built-in mebibyte)")
    parser.add_argument("--keep", type=Path, metavar="DIR",
                        help="leave what each node received, configurations and logs there")
    parser.add_argument("--configured", action="store_true",
                        help="no supernode: nodes with configured links, of degree at least "
                             "min(3, N-1), differing by at most one")
    parser.add_argument("--break", dest="damage", choices=("flip", "drop"),
                        help="alter or lose datagrams to the last node, with repair off: the "
                             "comparison has to fail (implies --configured)")
    # The default is longer than a live stream waits for a gap: nothing more will come.
    parser.add_argument("--patience", type=float, default=8, metavar="S",
                        help="give up when nothing has come for so many seconds (default 8)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options = parser.parse_args(arguments)
    if not 2 <= options.nodes <= 20:
        parser.error(f"--nodes {options.nodes}: between 2 and 20")
    for name in ("routes", "payload"):
        path = getattr(options, name)
        if path and not path.is_file():
            parser.error(f"--{name} {path}: no such file")
    return options


def progress(text):
    print(f"demo: {text}", file=sys.stderr, flush=True)


def sha256_of(files):
    """{file: hex digest}, as sha256sum sees them."""
    lines = must(["sha256sum", *files]).splitlines()
    return {Path(line[66:]): line[:64] for line in lines}


def over_streams(digests):
    """One digest over the streams' hex digests in order of stream name."""
    return hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()


def keys_of(stream):
    return {"routes": True} if stream == "routes" else {}


class Demo:
    def __init__(self, options, scenario):
        self.options = options
        self.scenario = scenario
        self.published = scenario.dir / "published"
        self.published.mkdir()
        self.lab = self.configured_lab() if options.configured or options.damage else Network(
            scenario, options.nodes - 1, [*STREAMS, PROBES], stream=keys_of)
        self.origin = self.lab.nodes[ORIGIN]
        self.receivers = self.lab.nodes[1:]
        self.subscribers = []

    def configured_lab(self):
        last = self.options.nodes - 1
        damage = {"flip": tamper.flip, "drop": tamper.drop}.get(self.options.damage)
        rules = {edge: damage(DAMAGE, seed) for seed, edge in enumerate(ring_lattice(last + 1))
                 if last in edge} if damage else {}
        return Lab(self.scenario, self.options.nodes, {name: ORIGIN for name in (*STREAMS, PROBES)},
                   rules=rules, stream=keys_of)

    def start(self):
        lab = self.lab
        if isinstance(lab, Network):
            progress(f"starting a supernode, a host and {len(lab.nodes) - 1} members")
            lab.start().wait_until_joined()
            lab.wait_for_one_graph()
            graph = self.origin.control("show", "graph")
            progress(f"all are in one graph of {graph['links']} links")
            return
        progress(f"starting {len(lab.nodes)} nodes with {len(lab.edges)} links")
        lab.start().wait_for_links()
        if self.options.damage:
            for node in lab.nodes:
                node.control("set", "repair", "off")
            progress(f"{lab.nodes[-1].name} gets damaged datagrams, and repair is off")

    def run(self):
        """The result, as --json prints it."""
        self.start()
        for node in self.receivers:
            for stream in STREAMS:
                self.subscribers.append(node.subscribe(stream, self.received(node, stream)))
        objects = self.publish()
        expected = {name: (self.published / name).stat().st_size for name in STREAMS}
        self.wait(sum(expected.values()))
        result = self.compare(objects, expected)
        for subscriber in self.subscribers:
            subscriber.stop()
        for node, latency in zip(result["nodes"], self.measure()):
            node["latency_p50_ns"], node["latency_p99_ns"] = latency or (None, None)
        return result

    def received(self, node, stream):
        return node.dir / f"received-{stream}"

    def publish(self):
        """Publishes both streams; returns the number of objects."""
        payload = self.published / "file"
        if self.options.payload:
            payload.write_bytes(self.options.payload.read_bytes())
        else:
            payload.write_bytes(random.Random(1).randbytes(BUILT_IN_FILE_BYTES))
        progress(f"{self.origin.name} publishes {self.options.payload or 'a built-in file'} and "
                 f"{self.options.routes or 'a built-in set of routes'}")
        reply = publish_file(self.origin, "file", payload)
        routes = publish_routes(self.origin, "routes", self.published / "routes",
                                mrt=self.options.routes and self.options.routes.resolve(),
                                synthetic=BUILT_IN_ROUTES)
        return shows.pick(reply, "objects", 0) + shows.pick(routes, "objects", 0)

    def bytes_at(self, node):
        return sum(self.received(node, stream).stat().st_size for stream in STREAMS)

    def wait(self, expected):
        """Until every node has everything, or nothing has come for a while."""
        state = {"bytes": -1, "since": time.monotonic(), "told": 0.0}

        def done():
            counts = [self.bytes_at(node) for node in self.receivers]
            now = time.monotonic()
            if sum(counts) != state["bytes"]:
                state.update(bytes=sum(counts), since=now)
            if now - state["told"] > 1:
                state["told"] = now
                progress(f"received {min(counts)} to {max(counts)} of {expected} bytes")
            return min(counts) >= expected or now - state["since"] > self.options.patience

        try:
            until(done, DEADLINE_S, "every node to have everything", self.subscribers)
        except Failure as reason:
            progress(reason)

    def compare(self, objects, expected):
        """Digests at the origin and at each node; numbers from each node's own counters."""
        files = {name: self.published / name for name in STREAMS}
        digests = sha256_of(files.values())
        wanted = over_streams({name: digests[path] for name, path in files.items()})
        nodes = [self.describe(node) for node in self.receivers]
        return {
            "ok": all(node["sha256"] == wanted for node in nodes),
            "published": {"objects": objects, "bytes": sum(expected.values()), "sha256": wanted,
                          "prefix_changes": count_prefix_changes(files["routes"].read_bytes())},
            "nodes": nodes,
        }

    def describe(self, node):
        files = {name: self.received(node, name) for name in STREAMS}
        digests = sha256_of(files.values())
        records = [node.stream(name) for name in STREAMS]

        def total(meaning):
            return sum(shows.pick(record, meaning, 0) for record in records)

        return {
            "name": node.name,
            "delivered_objects": total("delivered_objects"),
            "delivered_bytes": self.bytes_at(node),
            "sha256": over_streams({name: digests[path] for name, path in files.items()}),
            "duplicates": total("duplicates"),
            "repaired": total("repaired"),
            "drops": node.drops(),
            "received": total("received"),
            "unique": total("unique"),
            "verified": total("verified"),
            "hops": max(shows.pick(record, "hops", 0) for record in records),
            "prefix_changes": count_prefix_changes(files["routes"].read_bytes()),
        }

    def measure(self):
        """For each receiver the (p50, p99) of the time from hand-over at the origin to arrival at
        a program there, in ns; None where nothing arrived. All nodes share this host's clock."""
        progress(f"{self.origin.name} sends {PROBE_COUNT} stamped objects at {PROBE_RATE} a second")
        receivers = [node.receive_stamped(PROBES, PROBE_COUNT) for node in self.receivers]
        send_stamped(self.origin, PROBES, PROBE_COUNT, PROBE_RATE)
        try:
            until(lambda: not any(receiver.is_running() for receiver in receivers),
                  self.options.patience, "the last stamped objects")
        except Failure as reason:
            progress(reason)
        return [shows.latency(receiver.result()) for receiver in receivers]

    def keep(self, place):
        copy_files(self.published, place / "published")
        for node in self.lab.nodes:
            target = place / node.name
            target.mkdir(parents=True, exist_ok=True)
            for path in [*node.dir.glob("received-*"), node.config_path]:
                if path.is_file():
                    (target / path.name).write_bytes(path.read_bytes())
        for log in self.scenario.dir.glob("*.log"):
            (place / log.name).write_bytes(log.read_bytes())
        progress(f"files are in {place}")


def microseconds(value_ns):
    return "-" if value_ns is None else f"{value_ns / 1000:.0f} us"


def table(result):
    heads = ["node", "received", "unique", "duplicates", "verified", "repaired", "delivered",
             "prefixes", "hops", "p50", "p99", "same", "drops"]
    lines = [heads]
    for node in result["nodes"]:
        drops = ", ".join(f"{reason} {count}" for reason, count in node["drops"].items())
        lines.append([node["name"]] + [str(node[key]) for key in (
            "received", "unique", "duplicates", "verified", "repaired", "delivered_objects",
            "prefix_changes", "hops")] + [microseconds(node["latency_p50_ns"]),
                                          microseconds(node["latency_p99_ns"]),
                                          "yes" if node["sha256"] == result["published"]["sha256"]
                                          else "NO", drops or "-"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    published = result["published"]
    rows = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
            for line in lines]
    return "\n".join(rows + [
        "", f"published: {published['objects']} objects, {published['bytes']} bytes, "
            f"{published['prefix_changes']} prefix changes, sha256 {published['sha256']}",
        "every node received exactly that" if result["ok"] else "NOT the same at every node"])


def main(arguments):
    options = parse(arguments)

    def stop(*_):
        raise Failure("interrupted")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    scenario = Scenario("demo")
    demo = None
    try:
        demo = Demo(options, scenario)
        result = demo.run()
        print(json.dumps(result) if options.json else table(result), flush=True)
        return 0 if result["ok"] else 1
    except Failure as reason:
        print(scenario.logs(), file=sys.stderr)
        progress(f"{reason}")
        return 2
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for node in getattr(demo.lab, "all", demo.lab.nodes) if demo else []:
            if node.process and node.process.is_running():
                node.process.signal(signal.SIGTERM)
        if demo and options.keep:
            demo.keep(options.keep)
        for problem in scenario.close():
            progress(problem)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
