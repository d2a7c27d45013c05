# SPDX-License-Identifier: BSD-3-Clause
"""The streaming interface of `chaincast --rest`: every field and every error, held against its
published description; and a host's feed, from a plain UDP socket to subscribers."""

import os
import re
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import PROGRAMS, limits, must, needs, output_of
from streaming import FAILED, Rest

HOST = {"Trackers": [], "MaxResourceSize": 65507}  # the first of a network
JOIN = {"Trackers": ["127.0.0.1:1"], "ResourceID": "0" * 24 + "0000ffe3"}
BAD_BODIES = {
    "/host-super": ["[]", "1", '{"Trackers": []}', "{"],
    "/host": ["", "{}", "[]", '"x"', '{"Trackers": []}', '{"MaxResourceSize": 1}',
              '{"Trackers": [], "MaxResourceSize": 0}', '{"Trackers": [], "MaxResourceSize": -1}',
              '{"Trackers": [], "MaxResourceSize": 1.5}',
              '{"Trackers": [], "MaxResourceSize": "1"}',
              '{"Trackers": [], "MaxResourceSize": null}',
              '{"Trackers": "127.0.0.1:1", "MaxResourceSize": 1}',
              '{"Trackers": [1], "MaxResourceSize": 1}',
              '{"Trackers": ["127.0.0.1"], "MaxResourceSize": 1}',
              '{"Trackers": ["localhost:1"], "MaxResourceSize": 1}',
              '{"Trackers": [], "MaxResourceSize": 1, "ResourceID": "x"}',
              '{"Trackers": [], "MaxResourceSize": 1, "Colour": "red"}',
              '{"trackers": [], "MaxResourceSize": 1}',
              '{"Trackers": [], "MaxResourceSize": 1, "MaxResourceSize": 1}'],
    "/join": ["", "{}", "[]", '{"Trackers": []}', '{"ResourceID": "x"}',
              '{"Trackers": [], "ResourceID": ""}', '{"Trackers": [], "ResourceID": 1}',
              '{"Trackers": [], "ResourceID": ["x"]}', '{"Trackers": {}, "ResourceID": "x"}',
              '{"Trackers": [], "ResourceID": "x", "MaxResourceSize": 1}'],
    "/stop": ["", "{}", "1", "null", '["x"]', '""', "x", '"x" "y"', '{"InstanceID": "x"}'],
}
METHODS = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]


def feed(udp_port, objects):
    """As a program that knows of no answers: datagrams, sent and forgotten."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        for data in objects:
            plain.sendto(data, ("127.0.0.1", udp_port))


@needs("programs")
@limits(seconds=120)
def test_every_field(t):
    rest = Rest(t)
    supernode = rest.call("/host-super")
    trackers = [f"127.0.0.1:{supernode['TCPServerPort']}"]
    host = rest.call("/host", {**HOST, "Trackers": trackers})
    member = rest.call("/join", {"Trackers": trackers, "ResourceID": host["ResourceID"]})
    started = (supernode, host, member)
    for one in started:
        assert one["Success"] and one["InstanceID"] and one["TCPServerPort"], one
    for name in ("InstanceID", "TCPServerPort", "UDPServerPort"):
        assert len({one[name] for one in started}) == 3, name
    assert member["ResourceID"] == host["ResourceID"] and member["MaxResourceSize"] == 65507
    assert rest.instance(member["InstanceID"])["role"] == "member"
    assert supernode["UDPServerPort"] == 0 and supernode["ResourceID"] == ""
    assert supernode["MaxResourceSize"] == 0 and supernode["InstanceID"] != host["InstanceID"]
    assert 1024 <= host["UDPServerPort"] < 65536 and host["MaxResourceSize"] == 65507
    assert re.fullmatch("[0-9a-f]{32}", host["ResourceID"]), host
    shown = rest.instance(host["InstanceID"])
    assert shown["role"] == "host" and shown["resource"] == host["ResourceID"], shown
    assert shown["feed"]["udp_port"] == host["UDPServerPort"], shown
    # A second resource is another one, with a port of its own.
    other = rest.call("/host", {**HOST, "MaxResourceSize": 1})
    assert other["ResourceID"] != host["ResourceID"] and other["MaxResourceSize"] == 1
    assert other["UDPServerPort"] != host["UDPServerPort"]
    stopped = {**FAILED, "Success": True}
    assert rest.call("/stop", host["InstanceID"]) == stopped
    assert rest.call("/stop", host["InstanceID"]) == FAILED
    assert rest.call("/stop", "nobody") == FAILED
    assert {one["instance"] for one in rest.instances()} == {
        one["InstanceID"] for one in (supernode, member, other)}
    place = Path(rest.instances()[0]["socket"]).parent.parent
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert rest.process.stop(30) == 0
    assert not place.exists()


@needs("programs")
@limits(seconds=120)
def test_every_error(t):
    rest = Rest(t)
    for method in ["POST", "HEAD", *METHODS]:
        assert rest.ask(method, "/ping", "whatever" if method == "POST" else None) == (200, "")
    for path, bodies in BAD_BODIES.items():
        for body in bodies:
            assert rest.ask("POST", path, body) == (400, ""), (path, body)
        for method in METHODS:
            assert rest.ask(method, path) == (400, ""), (path, method)
        assert rest.ask("HEAD", path)[0] == 400
        assert rest.ask("POST", path, '"' + "x" * 70_000 + '"') == (400, ""), path
        assert rest.ask("POST", path, '"x"', Origin="https://evil.example") == (403, "")
        assert rest.ask("POST", path, '"x"', Host="evil.example")[0] == 403
    for junk in (b"nonsense\r\n\r\n", b"POST /stop HTTP/9.9\r\n\r\n"):
        reply = rest.raw(junk)
        assert reply.startswith(b"HTTP/1.1 400") and reply.endswith(b"\r\n\r\n"), reply
    assert rest.ask("POST", "/nothing", "{}")[0] == 404
    # Good calls whose action fails: above what any stream carries; nobody to join, or to ask.
    assert rest.call("/host", {**HOST, "MaxResourceSize": (16 << 20) + 1}) == FAILED
    assert rest.call("/join", {**JOIN, "Trackers": []}) == FAILED
    assert rest.process.log_has("join: no tracker")
    assert rest.call("/join", JOIN) == FAILED
    assert rest.instances() == []


@needs("programs")
@limits(seconds=300)
def test_instances_are_bounded(t):
    rest = Rest(t)
    limit = 16
    # At once: no call waits for another's node.
    with ThreadPoolExecutor(8) as callers:
        hosts = list(callers.map(lambda _: rest.call("/host", HOST), range(limit)))
    assert all(one["Success"] for one in hosts)
    assert len({one["UDPServerPort"] for one in hosts}) == limit
    assert rest.call("/host-super") == FAILED
    assert rest.process.log_has("16 instances are here already")
    assert rest.call("/stop", hosts[0]["InstanceID"])["Success"]
    # As many times as there are places: what an instance had is given back.
    for index in range(limit):
        again = rest.call("/host", HOST)
        assert again["Success"], index
        assert rest.call("/stop", again["InstanceID"])["Success"]


@needs("programs")
@limits(seconds=120)
def test_a_plain_feeder_reaches_subscribers(t):
    rest = Rest(t)
    host = rest.call("/host", {**HOST, "MaxResourceSize": 200_000})
    name = host["InstanceID"]
    out = t.dir / "out"
    reader = t.start([PROGRAMS["chaincastctl"], "--socket", rest.instance(name)["socket"],
                      "subscribe", host["ResourceID"], "--output", out], "reader")
    t.until(lambda: reader.log_has("subscribed"), 30, "the reader", [reader])
    objects = [bytes([index]) * 1316 for index in range(40)]
    feed(host["UDPServerPort"], [*objects, b"", bytes(65507)])
    wanted = b"".join(objects) + bytes(65507)
    t.until(lambda: out.exists() and out.stat().st_size >= len(wanted), 30, "all objects")
    assert out.read_bytes() == wanted
    counts = rest.instance(name)["feed"]
    assert (counts["objects"], counts["bytes"], counts["asked"], counts["overrun"]) == (
        41, len(wanted), 1, 0), counts
    # What no datagram holds goes over the instance's Unix socket.
    large = t.dir / "large"
    large.write_bytes(os.urandom(150_000))
    rest.control(name, "publish", host["ResourceID"], "--object-bytes", "200000", large)
    t.until(lambda: out.stat().st_size >= len(wanted) + 150_000, 30, "the large object")
    assert out.read_bytes()[len(wanted):] == large.read_bytes()
    # Longer than the host said: refused and counted.
    small = rest.call("/host", {**HOST, "MaxResourceSize": 10})
    feed(small["UDPServerPort"], [bytes(11), bytes(10)])
    t.until(lambda: rest.instance(small["InstanceID"])["feed"]["objects"] == 1, 30, "one object")
    assert rest.instance(small["InstanceID"])["feed"]["too_long"] == 1


@needs("programs")
@limits(seconds=120)
def test_the_token(t):
    token_file = t.dir / "rest.token"
    must([PROGRAMS["chaincast"], "keygen", "token", token_file])
    rest = Rest(t, "--rest-token", token_file)
    assert rest.ask("POST", "/host-super") == (401, "")
    assert rest.ask("POST", "/stop", "nonsense") == (401, "")
    rest.token = token_file.read_text().strip()
    assert rest.call("/host-super")["Success"]


@needs("programs")
def test_wrong_command_lines(t):
    def says(*words):
        code, _, err = output_of([PROGRAMS["chaincast"], *words])
        return code, err
    cases = [
        (("--rest", "0.0.0.0:8080"), 1, "--rest-token"),
        (("--rest", "localhost:8080"), 1, "IP:PORT"),
        (("--rest", "127.0.0.1:8080", "--rest-address", "here"), 1, "--rest-address here"),
        (("--rest", "127.0.0.1:8080", "--rest-token", "/nowhere"), 1, "/nowhere"),
        (("--rest", "127.0.0.1:8080", "--config", "x"), 2, "--config"),
        (("--rest-token", "x"), 2, "--rest"),
    ]
    for words, wanted, text in cases:
        code, err = says(*words)
        assert code == wanted and text in err, (words, code, err)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, err = says("--rest", f"127.0.0.1:{taken.getsockname()[1]}")
        assert code == 1 and "free port" in err, err
