# SPDX-License-Identifier: BSD-3-Clause
"""The Python package: installed offline in a new environment, and used from there with the real
process and with a node's commands."""

import json
import os
import sys

from harness import PROGRAMS, ROOT, limits, needs, output_of
from lab import Lab
from subscriber import Subscriber
from test_metrics import free_tcp_port

PACKAGE = ROOT / "apps/python"
PACKET_BYTES, PACKETS_PER_OBJECT = 188, 7
# Packages are looked for nowhere, and nothing is written beside the sources.
OFFLINE = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull,
           "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}

# Hosts a resource, feeds it a file in objects of seven packets, and prints what it saw.
FEED = """
import json, select, subprocess, sys
import chaincast

executable, control, path, out = sys.argv[1:]
chaincast.init(executable)
supernode = chaincast.host_super()
hosted = chaincast.host([], 1316)
socket = next(one["socket"] for one in chaincast._session().instances()["instances"]
              if one["instance"] == hosted.instance_id)
reader = subprocess.Popen([control, "--socket", socket, "subscribe", hosted.resource_id,
                           "--output", out, "--bytes", sys.argv[3].split(":")[1]],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
assert b"subscribed" in reader.stderr.readline()
data = open(path.split(":")[0], "rb").read()
for at in range(0, len(data), 1316):
    chaincast.feed_data(hosted.instance_id, data[at:at + 1316])
code = reader.wait(60)
stopped = [chaincast.stop(one) for one in (hosted.instance_id, supernode.instance_id)]
chaincast.deinit()
print(json.dumps({"super": supernode, "host": hosted, "stopped": stopped, "code": code}))
"""


# The whole way with the package alone: two members of one resource, one of them in a process of
# its own, get every byte in order.
STREAM = """
import hashlib, json, sys, threading
import chaincast

executable, path = sys.argv[1:]
data = open(path, "rb").read()
objects = [data[at:at + 1316] for at in range(0, len(data), 1316)]

class Reader:
    def __init__(self):
        self.objects, self.done = [], threading.Event()
    def __call__(self, one):
        self.objects.append(one)
        if len(self.objects) == len(objects):
            self.done.set()

chaincast.init(executable)
supernode = chaincast.host_super()
trackers = [f"127.0.0.1:{supernode.tcp_port}"]
hosted = chaincast.host(trackers, 1316)
readers = [Reader(), Reader()]
other = chaincast.Session(executable)  # the second member is another process's
joined = [chaincast.join(trackers, hosted.resource_id, readers[0]),
          other.join(trackers, hosted.resource_id, readers[1])]
assert all(one.success for one in joined), joined
for one in objects:
    chaincast.feed_data(hosted.instance_id, one)
assert all(one.done.wait(90) for one in readers), [len(one.objects) for one in readers]
stopped = [other.stop(joined[1].instance_id)]
stopped += [chaincast.stop(one.instance_id) for one in (joined[0], hosted, supernode)]
other.close()
chaincast.deinit()
print(json.dumps({"super": supernode, "host": hosted, "joined": joined, "stopped": stopped,
                  "same": [one.objects == objects for one in readers]}))
"""


def install(t, *options):
    """A Python with the package, and nothing else that has to be fetched."""
    place = t.dir / f"venv{len(options)}"
    for command in ([sys.executable, "-m", "venv", place],
                    [place / "bin/python", "-m", "pip", "install", *options, PACKAGE]):
        code, out, err = output_of(command, 120, env=OFFLINE)
        assert code == 0, out + err
    return place / "bin/python"


def run(python, script, *words, seconds=120):
    """The JSON that a script prints."""
    code, out, err = output_of([python, "-I", "-c", script, *words], seconds)
    assert code == 0, err
    return json.loads(out)


def transport_stream(packets):
    """MPEG-TS in form: a sync byte, a packet identifier, a continuity counter, a payload."""
    return b"".join(bytes([0x47, 0x41, index >> 8 & 0xff, 0x10 | index & 15]) +
                    index.to_bytes(4, "big") * 46 for index in range(packets))


@needs("programs", "venv")
@limits(seconds=300)
def test_installed_offline_and_fed(t):
    python = install(t)
    data = transport_stream(PACKETS_PER_OBJECT * 3000 + 3)
    assert len(data) % PACKET_BYTES == 0 and data[::PACKET_BYTES].strip(b"\x47") == b""
    stream, out = t.dir / "stream.ts", t.dir / "out.ts"
    stream.write_bytes(data)
    seen = run(python, FEED, PROGRAMS["chaincast"], PROGRAMS["chaincastctl"],
               f"{stream}:{len(data)}", out)
    assert seen["super"][0] is True and len(seen["super"]) == 3, seen
    assert seen["host"][0] is True and len(seen["host"]) == 6, seen
    assert seen["stopped"] == [True, True] and seen["code"] == 0, seen
    assert out.read_bytes() == data


@needs("programs", "venv")
@limits(seconds=300)
def test_commands_of_a_node(t):
    python = install(t, "--no-build-isolation", "--no-index")
    lab = Lab(t, 1, {"news": 0}, edges=[])
    node = lab.nodes[0]
    address = f"127.0.0.1:{free_tcp_port()}"
    node.configure({**node.tables, "rest": {"address": address}})
    lab.start()
    reader = Subscriber(node, "news")
    seen = run(python, """
import json, sys
from chaincast import Client, Refused
with Client(sys.argv[1]) as client:
    found = {"operations": client.operations(), "version": client.run("show version"),
             "set": client.run("set repair", state="off"),
             "published": client.publish("news", bytes(range(256)) * 300)}
    try:
        client.run("remove peer", peer="nobody")
    except Refused as refused:
        found["refused"] = [refused.code, refused.status, str(refused)]
print(json.dumps(found))
""", address)
    assert {"show peers", "add peer", "quit"} <= set(seen["operations"])
    assert seen["version"] == node.control("show", "version")
    assert seen["published"]["bytes"] == 76800
    assert seen["refused"][:2] == ["not_found", 404] and "nobody" in seen["refused"][2]
    assert node.control("show", "config")["repair"]["enabled"] is False
    reader.wait_bytes(76800)
    assert reader.stop() == bytes(range(256)) * 300


@needs("programs", "venv")
@limits(seconds=300)
def test_supernode_host_and_two_members(t):
    python = install(t)
    stream = t.dir / "stream.ts"
    stream.write_bytes(transport_stream(PACKETS_PER_OBJECT * 2000 + 3))
    seen = run(python, STREAM, PROGRAMS["chaincast"], stream, seconds=200)
    ports = [seen["super"][2], seen["host"][2], *(one[2] for one in seen["joined"])]
    assert all(ports) and len(set(ports)) == 4, seen
    for one in seen["joined"]:
        assert one[4:] == seen["host"][4:], seen  # the resource and its size
    assert seen["stopped"] == [True] * 4 and seen["same"] == [True] * 2, seen
