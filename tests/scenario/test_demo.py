# SPDX-License-Identifier: BSD-3-Clause
"""scripts/demo with the real programs, as a newcomer runs it."""

import hashlib
import json
import os
from pathlib import Path

from harness import BUILD, ROOT, data_file, limits, needs, output_of

ROUTES = "bgp/bgpdump.updates.20070211.0141.gz"
PREFIX_CHANGES = 53_657  # as the data set's own expectation counts them


def demo(*words, seconds=80):
    """(exit code, result) of scripts/demo --json."""
    environment = {**os.environ, "CHAINCAST_BUILD": str(BUILD)}
    code, out, err = output_of([ROOT / "scripts/demo", "--json", *words], seconds, env=environment)
    assert out, f"exit code {code}: {err}"
    return code, json.loads(out)


@needs("programs", "data")
@limits(seconds=90, alone=True)
def test_five_nodes_receive_routes_and_a_file(t):
    code, result = demo("--routes", data_file(ROUTES), "--payload",
                        data_file("payload/intel.car-detection.mp4"), "--keep", t.dir / "kept")
    assert (code, result["ok"]) == (0, True), result
    assert [node["name"] for node in result["nodes"]] == [f"member{i}" for i in range(1, 5)]
    for node in result["nodes"]:
        assert node["prefix_changes"] == PREFIX_CHANGES, node
        assert node["sha256"] == result["published"]["sha256"], node
        assert node["delivered_bytes"] == result["published"]["bytes"], node
        assert node["delivered_objects"] == result["published"]["objects"], node
        assert 0 < node["latency_p50_ns"] <= node["latency_p99_ns"], node
    payload = Path(data_file("payload/intel.car-detection.mp4")).read_bytes()
    kept = (t.dir / "kept/member4/received-file").read_bytes()
    assert hashlib.sha256(kept).digest() == hashlib.sha256(payload).digest()


@needs("programs")
@limits(seconds=90, alone=True)
def test_two_nodes(t):
    code, result = demo("--nodes", "2")
    assert (code, result["ok"], len(result["nodes"])) == (0, True, 1), result


@needs("programs")
@limits(seconds=120, alone=True)
def test_ten_nodes(t):
    code, result = demo("--nodes", "10", seconds=110)
    assert (code, result["ok"], len(result["nodes"])) == (0, True, 9), result


@needs("programs")
@limits(seconds=120, alone=True)
def test_ten_nodes_with_configured_links(t):
    code, result = demo("--nodes", "10", "--configured", seconds=110)
    assert (code, result["ok"], len(result["nodes"])) == (0, True, 9), result
    assert [node["name"] for node in result["nodes"]][:2] == ["n1", "n2"], result


@needs("programs")
@limits(seconds=90, alone=True)
def test_flipped_bits_are_noticed(t):
    code, result = demo("--nodes", "3", "--break", "flip")
    assert (code, result["ok"]) == (1, False), result


@needs("programs")
@limits(seconds=90, alone=True)
def test_lost_datagrams_are_noticed(t):
    code, result = demo("--nodes", "3", "--break", "drop")
    assert (code, result["ok"]) == (1, False), result
