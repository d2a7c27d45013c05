# SPDX-License-Identifier: BSD-3-Clause
"""The REST interface of running nodes: the same replies as the control socket, the description held
against the replies, errors, the token, objects, and what keeps strangers out."""

import http.client
import json
import os
import sys
import urllib.parse

import jsonschema

from harness import PROGRAMS, ROOT, limits, must, needs, output_of
from lab import Lab, free_port_block
from network import Network
from subscriber import Subscriber
from test_metrics import families_of, free_tcp_port, nat_samples

JSON = "application/json"
# What changes from one moment to the next is left out of comparisons.
STEADY = ["/v1/show/config", "/v1/show/version", "/v1/show/port/summary?port=all"]


class Client:
    """One connection, kept alive."""

    def __init__(self, address, token=None):
        self.address = address
        self.token = token
        self.connection = http.client.HTTPConnection(address, timeout=30)

    def ask(self, method, path, body=None, **headers):
        """(status, headers, JSON document)"""
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        text = reply.read()
        assert reply.headers["Content-Type"] == JSON, reply.headers
        return reply.status, reply.headers, json.loads(text)

    def get(self, path):
        status, _, document = self.ask("GET", path)
        assert status == 200, (path, status, document)
        return document

    def post(self, path, arguments):
        return self.ask("POST", path, json.dumps(arguments), Content_Type=JSON)

    def publish(self, stream, data):
        return self.ask("POST", f"/v1/streams/{stream}/objects", data,
                        Content_Type="application/octet-stream")


def served(t, **rest):
    """Two nodes, the first with REST; one stream from it to the other."""
    lab = Lab(t, 2, {"news": 0})
    node = lab.nodes[0]
    address = f"127.0.0.1:{free_tcp_port()}"
    node.configure({**node.tables, "rest": {"address": address, **rest}})
    lab.start()
    lab.wait_for_links(60)
    return lab, address


@needs("programs")
@limits(seconds=120)
def test_what_the_socket_says(t):
    lab, address = served(t)
    node, client = lab.nodes[0], Client(address)
    for path in STEADY:
        words = urllib.parse.urlsplit(path)
        line = words.path.removeprefix("/v1/").split("/")
        line += [value for _, value in urllib.parse.parse_qsl(words.query)]
        assert client.get(path) == node.control(*line), path
    # A write is there at once, for both.
    status, _, done = client.post("/v1/set/repair", {"state": "off"})
    assert status == 200, done
    shown = client.get("/v1/show/config")
    assert shown == node.control("show", "config")
    assert shown["repair"]["enabled"] is False, shown["repair"]


@needs("programs")
@limits(seconds=120)
def test_replies_are_as_described(t):
    lab, address = served(t)
    client = Client(address)
    document = client.get("/v1/openapi.json")
    assert document["openapi"].startswith("3.1"), document["openapi"]
    asked = 0
    for path, item in document["paths"].items():
        jsonschema.Draft202012Validator.check_schema(
            next(iter(item.values()))["responses"].get("200", {}).get("content", {})
            .get(JSON, {}).get("schema", {}))
        if "get" not in item:
            continue
        required = [one for one in item["get"]["parameters"] if one["required"]]
        query = {one["name"]: value_of(one) for one in required}
        status, _, reply = client.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")
        schema = item["get"]["responses"]["200" if status == 200 else "default"]
        body = schema["content"][JSON]["schema"]
        if "$ref" in body:
            body = document["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]
        jsonschema.validate(reply, body, jsonschema.Draft202012Validator)
        asked += status == 200
    assert asked >= 15, asked


def value_of(parameter):
    schema = parameter["schema"]
    if "enum" in schema:
        return schema["enum"][0]
    if "or `all`" in schema["description"]:
        return "all"
    return schema.get("minimum", "n1")


@needs("programs")
@limits(seconds=120)
def test_errors_name_what_and_where(t):
    lab, address = served(t)
    client = Client(address)
    cases = [
        ("GET", "/", None, {}, 404, "/v1/openapi.json"),
        ("GET", "/v1/show/peer", None, {}, 404, "/v1/show/peer"),
        ("PUT", "/v1/show/peers", "{}", {}, 405, "GET"),
        ("DELETE", "/v1/add/peer", None, {}, 405, "POST"),
        ("GET", "/v1/show/streams?stream=nothing", None, {}, 404, "nothing"),
        ("GET", "/v1/show/streams?colour=red", None, {}, 400, "colour"),
        ("POST", "/v1/set/repair", '{"state": "of"}', {"Content_Type": JSON}, 400, "on|off"),
        ("POST", "/v1/set/repair", '{"state"', {"Content_Type": JSON}, 400, "JSON"),
        ("POST", "/v1/set/repair", "state=off",
         {"Content_Type": "application/x-www-form-urlencoded"}, 415, JSON),
        ("POST", "/v1/remove/peer", '{"peer": "nobody"}', {"Content_Type": JSON}, 404, "nobody"),
    ]
    for method, path, body, headers, wanted, names in cases:
        status, _, reply = client.ask(method, path, body, **headers)
        assert status == wanted, (method, path, status, reply)
        assert names in reply["error"]["message"], (path, reply)
    # A page of another name that has its own resolve to this address.
    status, _, reply = Client(address).ask("GET", "/v1/show/peers", Host="evil.example")
    assert status == 403 and reply["error"]["code"] == "host", reply


@needs("programs")
@limits(seconds=120)
def test_objects_arrive_and_writes_need_the_token(t):
    token_file = t.dir / "rest.token"
    must([PROGRAMS["chaincast"], "keygen", "token", token_file])
    assert os.stat(token_file).st_mode & 0o777 == 0o600
    lab, address = served(t, token=str(token_file))
    reader = Subscriber(lab.nodes[1], "news")
    stranger, client = Client(address), Client(address, token_file.read_text().strip())
    data = bytes(range(256)) * 400
    assert stranger.get("/v1/show/peers")
    assert stranger.publish("news", data)[0] == 401
    assert stranger.post("/v1/quit", {})[0] == 401
    status, _, done = client.publish("news", data)
    assert status == 202 and done["bytes"] == len(data), (status, done)
    reader.wait_bytes(len(data))
    assert reader.stop() == data
    # Longer than any object: refused by its length, and nothing else is harmed.
    status, _, reply = Client(address, client.token).publish("news", bytes(17 << 20))
    assert status == 413, (status, reply)
    # `quit` is answered, and ends the node as SIGTERM does.
    status, _, done = client.post("/v1/quit", {})
    assert status == 200, done
    assert lab.nodes[0].process.wait(30) == 0


@needs("programs")
def test_an_open_address_without_a_token_is_refused(t):
    lab = Lab(t, 1, {"news": 0})
    node = lab.nodes[0]
    node.configure({**node.tables, "rest": {"address": "0.0.0.0:8080"}})
    code, _, err = output_of([PROGRAMS["chaincast"], "--check-config", "--config",
                              node.config_path])
    assert code == 1 and "0.0.0.0:8080" in err and "token" in err, err


PYTHON = """
import json, sys
from chaincast import Client
with Client(sys.argv[1]) as client:
    print(json.dumps([client.run("show nat"), client.run("show graph"), client.run("show peers")]))
"""


@needs("programs")
@limits(seconds=150)
def test_who_is_behind_a_nat_and_who_relays_is_seen(t):
    """On loopback, without a NAT: host and member say that they are behind one. By REST, by the
    Python client and on the page of metrics it is what the control socket says."""
    relay_pairs = 2
    made = Network(t, 1, ["news"])
    relay = f"127.0.0.1:{free_port_block(2 + relay_pairs)}"
    rest = {node: f"127.0.0.1:{free_tcp_port()}" for node in made.all}
    metrics = {node: f"127.0.0.1:{free_tcp_port()}" for node in made.all}
    for node in made.all:
        more = ({"relay": relay, "relay_pairs": relay_pairs} if node is made.supernode
                else {"behind_nat": True})
        node.configure({**node.tables, "membership": {**node.tables["membership"], **more},
                        "rest": {"address": rest[node]}, "metrics": {"address": metrics[node]}})
    made.start()
    made.wait_until_joined(60)
    made.wait_for_one_graph()
    t.until(lambda: all(node.control("show", "nat")["seen"] for node in made.nodes), 30,
            "the relay to have told what it sees")
    behind = {node.control("show", "membership")["node"] for node in made.nodes}
    for node in made.all:
        nat, graph, peers = json.loads(must([
            "env", f"PYTHONPATH={ROOT / 'apps' / 'python'}", sys.executable, "-B", "-c", PYTHON,
            rest[node]]))
        is_relay = node is made.supernode
        assert (nat["relays"], nat["behind_nat"]) == (is_relay, not is_relay), nat
        assert {row["node"] for row in graph["nodes"] if row["behind_nat"]} == behind, graph
        assert len(graph["nodes"]) == 3, graph
        shown = node.control("show", "peers")["peers"]
        assert [row["path"] for row in peers["peers"]] == [row["path"] for row in shown], peers
        assert is_relay or shown[0]["path"] in ("direct", "punched"), shown
        steady = ("behind_nat", "mapping", "seen", "relays")
        asked = Client(rest[node]).get("/v1/show/nat")
        assert {key: asked[key] for key in steady} == {key: nat[key] for key in steady}, asked
        before = node.control("show", "nat")
        samples = nat_samples(families_of(metrics[node]))
        after = node.control("show", "nat")
        numbers = {key for key, value in before.items() if isinstance(value, (bool, int))}
        assert set(samples) == numbers | {"mapping"}, set(samples) ^ numbers
        for key in numbers:
            assert before[key] <= samples[key] <= after[key], (key, before, samples, after)
        assert samples["mapping"] == (before["mapping"] == "dependent"), samples
        counted = "questions_answered" if is_relay else "answers_taken"
        assert samples[counted] > 0, samples
