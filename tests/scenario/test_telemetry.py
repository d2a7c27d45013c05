# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own telemetry client at a running node."""

import json
import os
import shutil
import subprocess

from harness import Failure, Skip, limits, needs
from lab import Lab, publish_file
from test_network import content

CLIENT = "dpdk-telemetry.py"
MEBIBYTES = 256


def prefix(name):
    return f"ccs{os.getpid()}-{name}"


def asked(file_prefix, *commands):
    """The client's replies, one for each command: what stands under the command."""
    done = subprocess.run([CLIENT, "-f", file_prefix], input="\n".join([*commands, "quit"]) + "\n",
                          capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if len(lines) != len(commands):
        raise Failure(f"{CLIENT}: {done.stdout} {done.stderr}")
    return [reply[command.split(",")[0]] for command, reply in zip(commands, lines)]


def measured_lab(t):
    if not shutil.which(CLIENT):
        raise Skip(f"needs {CLIENT}: scripts/setup")
    lab = Lab(t, 2, {"news": 0}, node=lambda index: {} if index else {
        "eal": ["--no-huge", "--no-shconf", "--no-pci", "-m", str(MEBIBYTES), "--file-prefix",
                prefix("n0"), "--telemetry"]})
    place = f"/var/run/dpdk/{prefix('n0')}"
    t.defer(lambda: shutil.rmtree(place, ignore_errors=True))
    lab.start()
    lab.wait_for_links(60)
    publish_file(lab.nodes[0], "news", content(t, "news", 100_000))
    return lab


@needs("programs", "root")
@limits(seconds=240)
def test_dpdk_telemetry_shows_our_counters(t):
    lab = measured_lab(t)
    node = lab.nodes[0]
    names = asked(prefix("n0"), "/", "/chaincast/peers", "/chaincast/streams", "/chaincast/ports",
                  "/chaincast/drops", "/chaincast/nothing")
    assert {f"/chaincast/{what}" for what in (
        "status", "drops", "workers", "dedup", "pools", "ports", "peers", "links", "streams",
        "capture", "latency", "copies")} < set(names[0]), names[0]
    assert names[1:4] == [["n1"], ["news"], ["p0"]], names
    assert len(names[4]) == len(node.control("show", "drops")["drops"])
    assert names[5] is None

    def agree():
        """What grows lies between two readings of `show`."""
        before = node.control("show", "peers")["peers"][0]
        peer, = asked(prefix("n0"), "/chaincast/peers,n1")
        after = node.control("show", "peers")["peers"][0]
        assert peer["name"] == "n1" and peer["state"] == "up", peer
        return all(before[key] <= peer[key] <= after[key] for key in (
            "tx_datagrams", "tx_frames", "tx_bytes", "rx_datagrams", "rx_bytes", "sessions"))
    t.until(agree, 60, "telemetry and `show peers` to agree")
    stream, unknown = asked(prefix("n0"), "/chaincast/streams,news", "/chaincast/streams,none")
    shown = node.stream("news")
    assert stream["id"] == shown["id"] and unknown is None, (stream, unknown)
    assert stream["delivered_objects"] <= shown["delivered_objects"]
    assert stream["unique_frames"] == shown["unique_frames"] > 0
    node.control("set", "latency", "on")
    publish_file(node, "news", content(t, "more", 100_000))
    node.control("set", "latency", "off")
    stages, commit, copies, capture = asked(
        prefix("n0"), "/chaincast/latency", "/chaincast/latency,commit", "/chaincast/copies,n1",
        "/chaincast/capture")
    shown = node.control("show", "latency")
    assert stages == [row["stage"] for row in shown["stages"]], stages
    assert commit == next(row for row in shown["stages"] if row["stage"] == "commit"), commit
    assert copies == shown["peers"][0] and copies["direct_copies"] > 0, copies
    assert capture == {"state": "none"}, capture
    assert node.stop() == 0
