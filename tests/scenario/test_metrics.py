# SPDX-License-Identifier: BSD-3-Clause
"""/metrics of running nodes: OpenMetrics by a reader of its own and by that of Prometheus, the same
numbers as `show`, and a dashboard that asks for nothing else."""

import json
import re
import socket
import subprocess
import urllib.request

import openmetrics
from harness import PROGRAMS, ROOT, Failure, Skip, limits, needs
from lab import Lab, publish_file
from test_network import content

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
DASHBOARD = ROOT / "docs" / "grafana" / "chaincast.json"
# Of `show`, what is no metric: names and settings, and what stands in another row already.
NOT_METRICS = {
    "workers": {"worker", "thread", "cpu", "crossover_frames"},
    "windows": {"floor", "next", "highest", "final", "committed"},
    "ports": {"port"},
    "xstats": {"port"},
    "peers": {"version", "rate_bits_per_s", "receive_rate_bits_per_s", "check"},
    "streams": {"payload_bytes_max", "verified_frames", "own"},
}
SCALES = {"us": 1e-6, "ms": 1e-3, "percent": 1e-2, "s": 1}


def free_tcp_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def scrape(address, path="/metrics"):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


def families_of(address):
    kind, text = scrape(address)
    assert kind == CONTENT_TYPE, kind
    return openmetrics.parse(text)


# Key of `show nat` of each metric that is not called chaincast_nat_KEY.
NAT_KEYS = {"behind_nat": "behind_nat", "nat_mapping_dependent": "mapping", "nat_relay": "relays",
            "nat_answers": "answers_taken", "nat_forwarded_datagrams": "datagrams_forwarded",
            "nat_forwarded_bytes": "bytes_forwarded",
            "nat_unproven_datagrams": "datagrams_unproven",
            "nat_over_rate_datagrams": "datagrams_over_rate",
            "nat_unsent_datagrams": "datagrams_not_sent"}


def nat_samples(families):
    """{key of `show nat`: value}, of all metrics of that command."""
    found = {}
    for family, content in families.items():
        name = family.removeprefix("chaincast_")
        if name != "behind_nat" and not name.startswith("nat_"):
            continue
        found[NAT_KEYS.get(name, name.removeprefix("nat_"))], = content.samples.values()
    return found


class Measured:
    """Two nodes, the first with metrics; one stream from it to the other."""

    def __init__(self, t):
        self.t = t
        self.address = f"127.0.0.1:{free_tcp_port()}"
        self.lab = Lab(t, 2, {"news": 0})
        self.node = self.lab.nodes[0]
        # A device beside the sockets, which has counters of its own.
        device = {"name": "idle", "driver": "ethdev", "role": "edge", "device": "net_null0,no-rx=1"}
        self.node.configure({**self.node.tables, "metrics": {"address": self.address},
                             "port": [*self.node.tables["port"], device]})
        self.lab.start()
        self.lab.wait_for_links(60)
        publish_file(self.node, "news", content(t, "news", 100_000))

    def families(self):
        return families_of(self.address)


def expanded(shown):
    """What `show` has as lists and maps, a row for each number."""
    for port in shown["show port xstats all"]["ports"]:
        yield "xstats", {"port": port["name"]}, {"count": port["count"]}
        for name, value in port["xstats"].items():
            yield "xstats", {"port": port["name"], "xstat": name}, {name: value}
    for peer in shown["show peers"]["peers"]:
        for lane, value in enumerate(peer["rx_lanes"]):
            yield "lanes", {"peer": peer["name"], "lane": str(lane)}, {"datagrams": value}
    for row in shown["show peer drops all"]["drops"]:
        labels = {"peer": row["peer"], "reason": row["reason"]}
        yield "peer drops", labels, {"copies": row["copies"]}


def rows_of(node):
    """{what: (labels of a row, keys of `show`)} of all that `show` counts."""
    shown = {words: node.control(*words.split()) for words in (
        "show status", "show drops", "show workers", "show dedup", "show pools",
        "show port stats all", "show port xstats all", "show peers", "show peer drops all",
        "show links", "show streams", "show capture")}

    def rows(what, command, labels):
        return [(what, {label: str(row[key]) for label, key in labels.items()}, row)
                for row in shown[command][what]]
    pools = shown["show pools"]
    return [("status", {}, shown["show status"]), ("links", {}, shown["show links"]),
            ("dedup", {}, shown["show dedup"]), ("control", {}, pools["control"]),
            ("capture", {}, shown["show capture"]), *expanded(shown),
            *rows("drops", "show drops", {"reason": "reason", "unit": "unit"}),
            *rows("workers", "show workers", {"worker": "worker"}),
            *rows("pools", "show pools", {"pool": "pool"}),
            *rows("ports", "show port stats all", {"port": "name"}),
            *rows("peers", "show peers", {"peer": "name"}),
            *rows("streams", "show streams", {"stream": "name", "id": "id"}),
            *(("windows", {"stream": row["stream"], "id": row["id"]}, row)
              for row in shown["show dedup"]["streams"])]


def in_base_units(key, value):
    unit = key.rsplit("_", 1)[-1]
    return value * SCALES[unit] if unit in SCALES else value


def is_between(value, low, high):
    """Rounding apart, whichever way it moves."""
    return min(low, high) * (1 - 1e-9) <= value <= max(low, high) * (1 + 1e-9)


def unmatched(node, families):
    """Numbers of `show` that no sample of the same labels has. What moves lies between two readings
    around the page."""
    before = rows_of(node)
    page = families()
    after = {(what, tuple(sorted(labels.items()))): row for what, labels, row in rows_of(node)}
    samples = {}
    for family in page.values():
        for (_, labels), value in family.samples.items():
            samples.setdefault(labels, []).append(value)
    missing = []
    for what, labels, row in before:
        key = tuple(sorted(labels.items()))
        later = after.get((what, key), row)
        for name, low in row.items():
            if not isinstance(low, (bool, int, float)) or name in NOT_METRICS.get(what, ()):
                continue
            high = later[name] if isinstance(later[name], (bool, int, float)) else low
            ends = in_base_units(name, low), in_base_units(name, high)
            if not any(is_between(value, *ends) for value in samples.get(key, [])):
                missing.append(f"{what} {labels} {name}: {ends}")
    return missing


@needs("programs")
@limits(seconds=240)
def test_metrics_are_what_show_says(t):
    lab = Measured(t)
    families = lab.families()
    assert families["chaincast_peer_tx_bytes"].unit == "bytes"
    assert families["chaincast_peer_tx_bytes"].type == "counter"
    xstats = families["chaincast_port_xstat"].samples
    assert ("", (("port", "idle"), ("xstat", "rx_good_packets"))) in xstats, xstats
    info = families["chaincast_node"].samples
    assert [dict(labels)["name"] for _, labels in info] == ["n0"], info
    # Gauges such as a round trip go up and down: one page of several has them all in between.
    found = {}

    def all_match():
        found["missing"] = unmatched(lab.node, lab.families)
        return not found["missing"]
    try:
        t.until(all_match, 120, "a page with every number of `show`")
    except Failure as problem:
        raise Failure(f"{problem}: {found['missing'][:5]}") from None


def histograms(node):
    """{(family, label, value of the label): what `show latency buckets` has}, and the bounds."""
    reply = node.control("show", "latency", "buckets")
    found = {}
    for row in reply["stages"]:
        for what in ("burst", "item"):
            found[f"chaincast_stage_{what}_seconds", "stage", row["stage"]] = row[what]
    for row in reply["peers"]:
        for what in ("direct", "queued"):
            found[f"chaincast_peer_{what}_copy_seconds", "peer", row["peer"]] = row[what]
    return reply["bounds_ns"], found


def numbers(histogram):
    return [*histogram["buckets"], histogram["count"], histogram["sum"]]


@needs("programs")
@limits(seconds=120)
def test_histograms_are_those_of_show_while_it_measures(t):
    lab = Measured(t)
    families = lab.families()
    kinds = {name for name, family in families.items() if family.type == "histogram"}
    assert len(kinds) == 4 and not any(families[name].samples for name in kinds), kinds
    lab.node.control("set", "latency", "on")
    publish_file(lab.node, "news", content(t, "news", 100_000))
    key = "chaincast_stage_burst_seconds", "stage", "tx"
    t.until(lambda: histograms(lab.node)[1][key]["count"] > 0, 60, "frames to be sent")
    bounds, before = histograms(lab.node)
    families = lab.families()
    _, after = histograms(lab.node)
    assert {name for name, _, _ in before} == kinds
    for (name, label, value), low in before.items():
        samples = families[name].samples
        pair = (label, value)
        page = [samples["_bucket", (("le", repr(bound * 1e-9)), pair)] for bound in bounds]
        page += [samples["_count", (pair,)], samples["_sum", (pair,)] * 1e9]
        for mine, least, most in zip(page, numbers(low), numbers(after[name, label, value])):
            assert least * (1 - 1e-9) <= mine <= most * (1 + 1e-9), (name, value, page, low)
    lab.node.control("set", "latency", "off")
    assert not any(lab.families()[name].samples for name in kinds)


@needs("programs")
@limits(seconds=180)
def test_captures_and_drops_of_peers_are_counted(t):
    lab = Measured(t)
    families = lab.families()
    assert families["chaincast_capture_running"].samples == {("", ()): 0}
    assert not families["chaincast_capture_packets"].samples, "there was no capture"
    lab.node.control("capture", "start", t.dir / "run.pcapng")
    lab.node.control("set", "peer", "rate", "n1", "1Mbit")
    publish_file(lab.node, "news", content(t, "more", 400_000))
    t.until(lambda: lab.node.control("show", "peer", "drops", "n1")["drops"], 60, "drops by rate")
    assert lab.families()["chaincast_capture_running"].samples == {("", ()): 1}
    lab.node.control("capture", "stop")
    ended = lab.node.control("show", "capture")
    families = lab.families()
    assert ended["packets"] > 0
    for key, family in (("packets", "capture_packets"), ("missed", "capture_missed_packets"),
                        ("file_bytes", "capture_file_bytes")):
        assert families[f"chaincast_{family}"].samples == {("_total", ()): ended[key]}, family
    drops = families["chaincast_peer_dropped_copies"].samples
    key = "_total", (("peer", "n1"), ("reason", "rate"))
    rate, = [row["copies"] for row in lab.node.control("show", "peer", "drops", "all")["drops"]
             if row["reason"] == "rate"]
    assert 0 < drops[key] <= rate, (drops, rate)
    t.until(lambda: not unmatched(lab.node, lab.families), 60, "a page with every number of `show`")


@needs("programs")
@limits(seconds=120)
def test_prometheus_reads_the_metrics(t):
    lab = Measured(t)
    lab.node.control("set", "latency", "on")
    publish_file(lab.node, "news", content(t, "news", 100_000))
    program = ("import json, sys\n"
               "from prometheus_client.openmetrics.parser import text_string_to_metric_families\n"
               "text = sys.stdin.read()\n"
               "print(json.dumps(sorted({s.name for f in text_string_to_metric_families(text) "
               "for s in f.samples})))\n")
    python = "/usr/bin/python3"  # where Debian's packages are
    if subprocess.run([python, "-c", "import prometheus_client"], capture_output=True).returncode:
        raise Skip("needs python3-prometheus-client: scripts/setup")
    _, text = scrape(lab.address)
    done = subprocess.run([python, "-c", program], input=text, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    ours = {family.name + suffix for family in openmetrics.parse(text).values()
            for suffix, _ in family.samples}
    assert set(json.loads(done.stdout)) == ours


def queried(node):
    """The queries of a dashboard: values of `expr` and `query` keys, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                yield value
            else:
                yield from queried(value)
    elif isinstance(node, list):
        for value in node:
            yield from queried(value)


@needs("programs")
@limits(seconds=120)
def test_dashboard_asks_for_metrics_that_exist(t):
    lab = Measured(t)
    families = lab.families()
    suffixes = {"counter": "_total", "info": "_info", "gauge": "", "unknown": "",
                "histogram": "_bucket"}
    known = {family.name + suffixes[family.type] for family in families.values()}
    labels = {label for family in families.values() for _, pairs in family.samples
              for label, _ in pairs} | {"instance"}
    queries = list(queried(json.loads(DASHBOARD.read_text())))
    asked = {name for query in queries for name in re.findall(r"\bchaincast_\w+", query)}
    assert len(asked) > 20, asked
    assert asked <= known, asked - known
    for query in queries:
        for label in re.findall(r'(\w+)(?:=~|!~|!=|=)"', query):
            assert label in labels, (label, query)


def ask(address, request):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as one:
        one.sendall(request)
        reply = b""
        while part := one.recv(65536):
            reply += part
    return reply


@needs("programs")
@limits(seconds=120)
def test_metrics_server_refuses_the_rest(t):
    lab = Measured(t)
    for request, status in ((b"GET / HTTP/1.1\r\n\r\n", b"404"),
                            (b"DELETE /metrics HTTP/1.1\r\n\r\n", b"405"),
                            (b"\0\xff\r\n\r\n", b"400"), (b"GET /" + b"a" * 9000, b"431")):
        assert ask(lab.address, request).split()[1] == status, request[:30]
    # Clients that say nothing take places, not time.
    host, port = lab.address.split(":")
    for _ in range(12):
        one = socket.create_connection((host, int(port)), timeout=30)
        t.defer(one.close)
    assert "chaincast_peers_up" in lab.families()
    assert lab.node.stop() == 0


@needs("programs")
@limits(seconds=120)
def test_metrics_are_off_unless_configured(t):
    lab = Lab(t, 2, {"news": 0})
    for node in lab.nodes:
        node.start()
    for node in lab.nodes:
        assert not node.process.log_has("metrics:"), node.process.log_text()
    taken = socket.create_server(("127.0.0.1", 0))
    t.defer(taken.close)
    address = f"127.0.0.1:{taken.getsockname()[1]}"
    lab.nodes[0].stop()
    lab.nodes[0].configure({**lab.nodes[0].tables, "metrics": {"address": address}})
    process = lab.nodes[0].launch([PROGRAMS["chaincast"], "--config", lab.nodes[0].config_path],
                                  "n0-again")
    assert process.wait(60) == 1
    for word in (address, "bind", "free port"):
        assert process.log_has(word), process.log_text()
