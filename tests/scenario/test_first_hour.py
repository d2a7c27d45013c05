# SPDX-License-Identifier: BSD-3-Clause
"""The first hour with chaincast: two nodes by hand, how they end, and what they say when something
is wrong. Every refusal names the thing, the place and the remedy."""

import json
import random
import re
import signal
import socket

import net
from harness import PROGRAMS, ROOT, must, needs, output_of
from lab import Lab, Node, free_port_block

README = (ROOT / "README.md").read_text()


def readme_file(publishes):
    """The configuration of the one or the other node in README.md, as a newcomer copies it."""
    files = re.findall(r"```toml\n(.*?)```", README, re.S)
    return next(text for text in files if ("publish = true" in text) == publishes)


class ByHand:
    """Two nodes as README.md says: keygen, two short files, two commands."""

    def __init__(self, t):
        self.t = t
        base = free_port_block(32)
        self.ports = {"a": base, "b": base + 16}
        for name in "ab":
            must([PROGRAMS["chaincast"], "keygen", t.dir / f"{name}.key"])
        for name in ("a-b", "news"):
            must([PROGRAMS["chaincast"], "keygen", "secret", t.dir / f"{name}.secret"])
        self.processes = {}
        for name in "ab":
            text = readme_file(publishes=name == "a")
            assert len(text.splitlines()) <= 15, text
            for one, port in (("7001", self.ports["a"]), ("7101", self.ports["b"])):
                assert text.count(f":{one}") == 1, text
                text = text.replace(f":{one}", f":{port}")
            t.write(f"{name}.toml", text)

    def socket(self, name):
        return self.t.dir / f"{name}.sock"

    def start(self, name):
        process = self.t.start([PROGRAMS["chaincast"], "--config", self.t.dir / f"{name}.toml"],
                               f"node-{name}-{len(self.t.processes)}")
        self.processes[name] = process
        self.t.until(lambda: self.ctl(name, "status")[0] == 0, 30, f"{name} to answer", [process])
        return process

    def ctl(self, name, *words):
        return output_of([PROGRAMS["chaincastctl"], "--socket", self.socket(name), *words])

    def peer_state(self, name):
        """How `show peers` calls the only link of this node."""
        code, out, _ = self.ctl(name, "--json", "show", "peers")
        return json.loads(out)["peers"][0]["state"] if code == 0 else None

    def wait_up(self, name="a"):
        self.t.until(lambda: self.peer_state(name) == "up", 20, f"{name}: the link to be up")

    def carry(self, data, count):
        """Publishes at a, and returns what a subscriber at b wrote."""
        source = self.t.dir / "sent"
        source.write_bytes(data)
        received = self.t.dir / f"received-{len(self.t.processes)}"
        reader = self.t.start([PROGRAMS["chaincastctl"], "--socket", self.socket("b"), "subscribe",
                               "news", "--output", received, "--bytes", str(len(data)),
                               "--timeout", "20"], f"subscriber-{len(self.t.processes)}")
        self.t.until(lambda: reader.log_has("subscribed"), 10, "the subscription", [reader])
        code, _, err = self.ctl("a", "publish", "news", str(source))
        assert code == 0, err
        code = reader.wait(30)
        assert code == 0, f"subscriber: exit code {code}: {reader.log_text()}"
        return received.read_bytes()


@needs("programs")
def test_two_nodes_by_hand(t):
    pair = ByHand(t)
    pair.start("a")
    pair.start("b")
    pair.wait_up("a")
    pair.wait_up("b")
    data = random.Random(1).randbytes(300_000)
    assert pair.carry(data, 1) == data


@needs("programs")
def test_a_text_from_stdin_arrives(t):
    pair = ByHand(t)
    pair.start("a")
    pair.start("b")
    pair.wait_up("b")
    reader = t.start([PROGRAMS["chaincastctl"], "--socket", pair.socket("b"), "subscribe", "news",
                      "--raw", "--count", "1", "--timeout", "20"], "raw-subscriber")
    t.until(lambda: reader.log_has("subscribed"), 10, "the subscription", [reader])
    must(["sh", "-c", f"echo hello | {PROGRAMS['chaincastctl']} --socket {pair.socket('a')} "
          "publish news -"])
    assert reader.wait(20) == 0
    assert reader.log_has("hello\n"), reader.log_text()


def ends_cleanly(t, pair, name, how):
    process = pair.processes[name]
    how(process)
    code = process.wait(15)
    assert code == 0, f"exit code {code}"
    assert not pair.socket(name).exists(), "the control socket is left behind"
    assert process.log_has("drained, bye"), process.log_text()


@needs("programs")
def test_sigterm_drains_and_removes_the_socket(t):
    pair = ByHand(t)
    pair.start("a")
    pair.start("b")
    pair.wait_up("b")
    ends_cleanly(t, pair, "a", lambda process: process.signal(signal.SIGTERM))
    # The goodbye says at once what a silence would show only later.
    t.until(lambda: pair.peer_state("b") == "down", 2, "b to see a gone")


@needs("programs")
def test_quit_drains_what_was_published(t):
    pair = ByHand(t)
    pair.start("a")
    pair.start("b")
    pair.wait_up("b")
    data = random.Random(2).randbytes(2_000_000)
    (t.dir / "sent").write_bytes(data)
    received = t.dir / "received"
    reader = t.start([PROGRAMS["chaincastctl"], "--socket", pair.socket("b"), "subscribe", "news",
                      "--output", received, "--bytes", str(len(data)), "--timeout", "20"],
                     "subscriber")
    t.until(lambda: reader.log_has("subscribed"), 10, "the subscription", [reader])
    code, _, err = pair.ctl("a", "publish", "news", str(t.dir / "sent"))
    assert code == 0, err
    ends_cleanly(t, pair, "a", lambda process: pair.ctl("a", "quit"))
    assert reader.wait(25) == 0, reader.log_text()
    assert received.read_bytes() == data


@needs("programs")
def test_start_after_kill_needs_no_cleaning(t):
    pair = ByHand(t)
    pair.start("a")
    pair.start("b")
    pair.wait_up("a")
    pair.processes["a"].kill()
    assert pair.socket("a").exists(), "nothing stale: this proves nothing"
    pair.start("a")
    pair.wait_up("a")
    pair.wait_up("b")
    data = b"again" * 1000
    assert pair.carry(data, 1) == data


# --- refusals at the start --------------------------------------------------------------------

def refuses(t, *words, config="a", seconds=20):
    """The node ends with 1; its message holds all these words."""
    code, out, err = output_of([PROGRAMS["chaincast"], "--config", t.dir / f"{config}.toml"],
                               seconds)
    assert code == 1, f"exit code {code}: {err}"
    missing = [word for word in words if str(word) not in err]
    assert not missing, f"no {missing} in: {err}"
    return err


def edit(t, old, new, config="a"):
    path = t.dir / f"{config}.toml"
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new))


@needs("programs")
def test_refuses_a_port_in_use(t):
    pair = ByHand(t)
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    t.defer(taken.close)
    taken.bind(("127.0.0.1", pair.ports["a"]))
    refuses(t, f"127.0.0.1:{pair.ports['a']}", "in use", "'lo'")


@needs("programs")
def test_refuses_a_second_node_on_one_socket(t):
    pair = ByHand(t)
    pair.start("a")
    edit(t, f":{pair.ports['a']}", f":{free_port_block(16)}")
    refuses(t, pair.socket("a"), "another")


@needs("programs")
def test_refuses_an_unknown_key_with_its_line(t):
    ByHand(t)
    edit(t, 'network = "my first network"', 'netwrok = "my first network"')
    refuses(t, "a.toml:5", "netwrok", "network")


@needs("programs")
def test_refuses_a_bad_value_with_its_line(t):
    ByHand(t)
    edit(t, 'driver = "udp"', 'driver = "upd"')
    refuses(t, "a.toml:1", "upd", "udp", "ethdev")


@needs("programs")
def test_names_every_problem_at_once(t):
    ByHand(t)
    edit(t, 'driver = "udp"', 'driver = "upd"')
    edit(t, 'network = "my first network"', 'netwrok = "my first network"')
    refuses(t, "a.toml:5", "a.toml:1")


@needs("programs")
def test_refuses_a_missing_key_file(t):
    ByHand(t)
    (t.dir / "a.key").unlink()
    refuses(t, t.dir / "a.key", "keygen")


@needs("programs")
def test_refuses_a_missing_secret_file(t):
    ByHand(t)
    (t.dir / "news.secret").unlink()
    refuses(t, t.dir / "news.secret", "stream news", "keygen")


@needs("programs")
def test_refuses_a_secret_others_can_read(t):
    ByHand(t)
    (t.dir / "a-b.secret").chmod(0o644)
    refuses(t, t.dir / "a-b.secret", "peer b", "chmod")


@needs("programs", "root")
def test_refuses_without_the_hugepages_asked_for(t):
    ByHand(t)
    edit(t, 'name = "a"', 'name = "a"\neal = ["--in-memory", "-m", "1048576"]')
    refuses(t, "no usable hugepages", "nr_hugepages")


def make_ethdev(t, device):
    """Node a gets this device in place of its udp port."""
    lines = (t.dir / "a.toml").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("port = "))
    lines[at] = f'port = [{{ name = "lo", driver = "ethdev", device = "{device}", ' \
                'ip = ["127.0.0.9/8"] }]'
    (t.dir / "a.toml").write_text("\n".join(lines) + "\n")


@needs("programs", "root")
def test_refuses_a_device_that_is_not_there(t):
    ByHand(t)
    make_ethdev(t, "0000:7f:1f.7")
    refuses(t, "'lo'", "0000:7f:1f.7")


@needs("programs", "root")
def test_refuses_an_interface_that_is_not_there(t):
    ByHand(t)
    make_ethdev(t, "net_af_packet0,iface=ccnone0")
    refuses(t, "'lo'", "ccnone0")


# --- what `show peers` says of a link that does not come up ------------------------------------

def detail(node, peer):
    rows = (node.try_control("show", "peers") or {}).get("peers", [])
    return next(((row["state"], row["detail"]) for row in rows if row["name"] == peer), ("", ""))


@needs("programs")
def test_never_heard(t):
    lab = Lab(t, 2, {"s": 0})
    lab.nodes[0].start()
    assert detail(lab.nodes[0], "n1")[0] == "never heard"


@needs("programs")
def test_duplicate_node_id(t):
    lab = Lab(t, 2, {"s": 0})
    key = lab.nodes[0].dir / "node.key"
    (lab.nodes[1].dir / "node.key").write_bytes(key.read_bytes())
    lab.start()
    t.until(lambda: detail(lab.nodes[0], "n1")[0] == "duplicate id", 15, "n0 to see its own id",
            [lab.nodes[0].process])
    state, text = detail(lab.nodes[0], "n1")
    assert "keygen" in text, text


@needs("programs")
def test_wrong_key(t):
    lab = Lab(t, 2, {"s": 0})
    other = t.dir / "other.secret"
    must([PROGRAMS["chaincast"], "keygen", "secret", other])
    tables = lab.nodes[1].tables
    tables["peer"][0]["secret"] = str(other)
    lab.nodes[1].configure(tables)
    lab.start()
    t.until(lambda: detail(lab.nodes[0], "n1")[0] == "wrong key", 15, "n0 to see the wrong key",
            [lab.nodes[0].process])
    state, text = detail(lab.nodes[0], "n1")
    assert "secret" in text, text


@needs("programs")
def test_stream_larger_than_the_path(t):
    """A link of 1280-byte packets leaves 1236 for a frame; those of the stream have 56 + 1400."""
    lab = Lab(t, 3, {"s": 0}, edges=[(0, 1), (1, 2)], stream=lambda name: {"payload": "lan"},
              port=lambda index: {"mtu": 1280} if index == 2 else {})
    lab.start()
    lab.wait_for_links()
    relay = lab.nodes[1]
    refused = t.until(lambda: relay.stream("s").get("refused_by", {}).get("n2"), 20,
                      "n1 to refuse the stream for n2", [relay.process])
    assert "1456" in refused and "1236" in refused, refused


@needs("programs", "netns", "root")
def test_next_hop_unresolved(t):
    """An ethdev peer whose address nobody answers for."""
    here, there = net.Namespace(t, "a"), net.Namespace(t, "b")
    net.connect(here, "v0", there, "v1")
    node = Node(t, "n0", here)
    secret = t.dir / "link.secret"
    must([PROGRAMS["chaincast"], "keygen", "secret", secret])
    node.configure({
        "node": {},
        "port": [{"name": "p0", "driver": "ethdev", "device": "net_af_packet0,iface=v0",
                  "ip": ["10.9.9.1/24"]}],
        "peer": [{"name": "n1", "address": "10.9.9.2:7000", "secret": str(secret)}]})
    node.start()
    t.until(lambda: detail(node, "n1")[0] == "unresolved", 15, "show peers to say so",
            [node.process])
    text = detail(node, "n1")[1]
    assert "next hop 10.9.9.2" in text and "ARP" in text and "p0" in text, text
