# SPDX-License-Identifier: BSD-3-Clause
"""Changes of a running node as a whole: reload, SIGHUP, and confirmed changes."""

import os
import signal
import subprocess

from harness import PROGRAMS, Failure, die_with_parent, limits, must, needs, output_of, until
from lab import Lab, publish_file
from subscriber import Subscriber
from test_network import content

SECONDS = 60  # how long anything may take on a loaded machine


def effects(reply):
    """{item: effect} of what a plan does not leave alone."""
    return {row["item"]: row["effect"] for row in reply["changes"]
            if row["effect"] != "unchanged"}


def link_of(node, peer):
    return next(row for row in node.control("show", "peers")["peers"] if row["name"] == peer)


def star(t, **options):
    """n0 in the middle of n1 and n2."""
    lab = Lab(t, 3, {"s": 0, "u": 0}, edges=[(0, 1), (0, 2)], **options).start()
    lab.wait_for_links(SECONDS)
    return lab


def rewrite(node, change):
    """Another configuration file, of the same node."""
    change(node.tables)
    node.configure(node.tables)


@needs("programs")
@limits(seconds=240)
def test_reload_leaves_alone_what_does_not_differ(t):
    lab = star(t, stream=lambda name: {"rate": 2000})
    middle, reader_node, other = lab.nodes
    reader = Subscriber(reader_node, "s")
    big = content(t, "big", 6_000_000)
    publishing = middle.launch(middle.control_command("publish", "s", big), "publish")
    until(lambda: reader.received_bytes() > 200_000, SECONDS, "traffic")
    before = link_of(middle, "n1")
    secret = lab.secret("stream-extra")

    def change(tables):
        next(peer for peer in tables["peer"] if peer["name"] == "n2")["queue"] = 64
        tables["stream"] = [row for row in tables["stream"] if row["name"] != "u"]
        tables["stream"].append({"name": "extra", "secret": secret})
        tables["node"].update(workers=2, drain_timeout_s=7)
        tables["repair"] = {"retry_max_ms": 500}
    rewrite(middle, change)
    expected = {"peer n2": "replaced", "stream u": "removed", "stream extra": "added",
                "node workers": "needs a restart", "node drain_timeout_s": "changed",
                "repair": "changed"}
    running = middle.control("show", "config")
    checked = middle.control("reload", "check")
    assert effects(checked) == expected and not checked["applied"], checked
    assert middle.control("show", "config") == running
    reloaded = middle.control("reload")
    assert effects(reloaded) == expected and reloaded["applied"], reloaded
    rows = {row["item"]: row for row in reloaded["changes"]}
    assert rows["peer n1"]["effect"] == rows["stream s"]["effect"] == "unchanged", rows
    assert "queue: 1024 -> 64" in rows["peer n2"]["detail"], rows

    after = middle.control("show", "config")
    assert after["node"]["workers"] == 1 and after["node"]["drain_timeout_s"] == 7, after["node"]
    assert {row["name"] for row in after["streams"]} == {"s", "extra"}
    assert effects(middle.control("reload")) == {"node workers": "needs a restart"}
    until(lambda: middle.peers().get("n2") == "up", SECONDS, "the replaced link to be up")
    # The stream went on all the while.
    reader.wait_bytes(6_000_000, 120)
    assert publishing.wait(SECONDS) == 0
    assert reader.stop() == big.read_bytes()
    now = link_of(middle, "n1")
    assert now["sessions"] == before["sessions"], (before, now)
    assert now["tx_datagrams"] > before["tx_datagrams"], "counters began anew"
    assert not middle.process.log_has("peer n1: down"), middle.process.log_text()


def replace_secret(path, t):
    """Another secret in a file of the same name; what it held before."""
    before = open(path).read()
    fresh = t.dir / "fresh.secret"
    must([PROGRAMS["chaincast"], "keygen", "secret", fresh])
    os.replace(fresh, path)
    return before


@needs("programs")
@limits(seconds=240)
def test_reload_sees_another_secret_in_the_same_file(t):
    lab = star(t)
    middle, other = lab.nodes[0], lab.nodes[2]
    assert effects(middle.control("reload", "check")) == {}
    old = replace_secret(lab.secret("link-0-2"), t)
    expected = {"peer n2": "replaced"}
    checked = middle.control("reload", "check")
    assert effects(checked) == expected, checked
    row = next(row for row in checked["changes"] if row["item"] == "peer n2")
    assert "secret: " in row["detail"] and "holds another one" in row["detail"], row
    # The other end has the old one still: taken back, the link comes up again without the file.
    assert effects(middle.control("reload", "confirm", "3600")) == expected
    until(lambda: middle.peers()["n2"] == "wrong key", SECONDS, "the secrets to differ")
    middle.control("rollback")
    until(lambda: middle.peers()["n2"] == "up", SECONDS, "the old secret to be back")
    assert effects(middle.control("reload")) == expected, "the file holds the new one"
    assert effects(other.control("reload")) == {"peer n0": "replaced"}
    lab.wait_for_links(SECONDS)

    # A stream under another secret is another one for all who hold the old one.
    replace_secret(lab.secret("stream-s"), t)
    for node in lab.nodes:
        assert effects(node.control("reload")) == {"stream s": "replaced"}
    until(lambda: other.stream("s").get("id") == middle.stream("s")["id"], SECONDS,
          "the new stream to be known")
    reader = Subscriber(other, "s")
    data = content(t, "data", 20_000)
    publish_file(middle, "s", data)
    reader.wait_bytes(20_000)
    assert reader.stop() == data.read_bytes()

    key = middle.tables["node"]["key"]
    must([PROGRAMS["chaincast"], "keygen", t.dir / "fresh.key"])
    os.replace(t.dir / "fresh.key", key)
    assert effects(middle.control("reload")) == {"node key": "needs a restart"}
    os.chmod(lab.secret("link-0-1"), 0o644)
    code, _, err = output_of(middle.control_command("reload"))
    assert code == 1 and "peer n1" in err and "nothing was changed" in err, err
    assert old not in middle.process.log_text() and middle.peers()["n1"] == "up"


@needs("programs")
@limits(seconds=180)
def test_a_bad_file_changes_nothing(t):
    lab = star(t)
    node = lab.nodes[0]
    before = node.control("show", "config")
    good = node.config_path.read_text()

    def refused(text, *expected):
        node.config_path.write_text(text)
        for words in (["reload", "check"], ["reload"]):
            code, out, err = output_of(node.control_command(*words))
            assert code == 1 and all(part in err for part in expected), (words, out, err)
        assert node.control("show", "config") == before
        assert node.peers() == {"n1": "up", "n2": "up"}

    lines = good.count("\n")
    refused(good + '\n[[peer]]\nname = "x"\naddress = "nowhere"\nsecret = "x"\n',
            f"node.toml:{lines + 4}:", "nowhere")
    refused(good + "\n[[", "node.toml:", "not TOML")
    refused(good + '\n[[peer]]\nname = "x"\naddress = "127.0.0.1:9"\nsecret = "absent"\n',
            "absent", "nothing was changed")
    # A step that fails in the middle: what was done before it is taken back.
    node.config_path.write_text(good.replace("[[stream]]", """[[port]]
name = "p9"
driver = "ethdev"
role = "edge"
device = "net_nonsense9"

[[stream]]""", 1).replace('name = "u"', 'name = "v"'))
    code, out, err = output_of(node.control_command("reload"))
    assert code == 1 and "taken back" in err, (out, err)

    def same():
        now = node.control("show", "config")
        return all(sorted(now[kind], key=str) == sorted(before[kind], key=str)
                   for kind in ("ports", "peers", "streams"))
    assert same(), node.control("show", "config")
    node.config_path.write_text(good)
    assert effects(node.control("reload")) == {}
    lab.wait_for_links(SECONDS)


@needs("programs")
@limits(seconds=120)
def test_sighup_reloads_and_logs(t):
    lab = star(t)
    node = lab.nodes[0]

    def slower(tables):
        tables["peer"][0]["rate"] = "50Mbit"
    rewrite(node, slower)
    node.process.signal(signal.SIGHUP)
    until(lambda: link_of(node, "n1")["rate_bits_per_s"] == 50_000_000, SECONDS, "the new rate")
    assert node.process.log_has("reload: peer n1: changed: rate: unlimited -> 50Mbit")
    node.config_path.write_text("nonsense")
    node.process.signal(signal.SIGHUP)
    until(lambda: node.process.log_has("error reload: "), SECONDS, "the refusal in the log")
    assert node.process.log_has("node.toml:1:")
    assert node.peers()["n1"] == "up"
    assert node.stop(SECONDS) == 0


class Connection:
    """chaincastctl -i, fed through a pipe."""

    def __init__(self, t, node):
        self.log = t.dir / "connection.out"
        with open(self.log, "wb") as sink:
            self.child = subprocess.Popen(
                [str(word) for word in node.control_command("-i")], stdin=subprocess.PIPE,
                stdout=sink, stderr=sink, preexec_fn=die_with_parent, start_new_session=True)
        t.defer(self.cut)

    def run(self, line, wanted):
        self.child.stdin.write(f"{line}\n".encode())
        self.child.stdin.flush()
        until(lambda: wanted in self.log.read_text(), SECONDS, f"{wanted!r} after {line!r}")

    def cut(self):
        """SIGKILL: the client can say nothing any more."""
        if self.child.poll() is None:
            os.kill(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.child.stdin.close()

    def leave(self):
        self.child.stdin.close()
        try:
            return self.child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure("chaincastctl -i does not end with its input") from None


@needs("programs")
@limits(seconds=180)
def test_a_cut_connection_takes_its_change_back(t):
    lab = star(t)
    node = lab.nodes[0]
    before = node.control("show", "config")
    connection = Connection(t, node)
    connection.run("commit confirm 3600", "open:")
    connection.run("set peer rate n1 10Mbit", "rate (bits/s)")
    connection.run("remove stream u", "removed:")
    connection.run("remove peer n2", "n2")
    until(lambda: "n2" not in node.peers(), SECONDS, "the change")
    changed = node.control("show", "commit")
    assert changed["open"] and changed["ends_with_connection"], changed
    assert effects(changed) == {"peer n1": "changed", "peer n2": "removed",
                                "stream u": "removed"}, changed
    session = link_of(node, "n1")["sessions"]

    connection.cut()
    until(lambda: not node.control("show", "commit")["open"], SECONDS, "the change to end")
    until(lambda: "n2" in node.peers(), SECONDS, "the change to be taken back")
    ended = node.control("show", "commit")
    assert ended["last"] == "reverted: connection cut" and not ended["problem"], ended
    after = node.control("show", "config")
    for kind in ("node", "ports", "repair"):
        assert after[kind] == before[kind]
    for kind in ("peers", "streams"):
        assert sorted(after[kind], key=str) == sorted(before[kind], key=str), (before, after)
    assert node.process.log_has("connection cut: reverted: peer n2: added")
    lab.wait_for_links(SECONDS)
    assert link_of(node, "n1")["sessions"] == session, "the link that only changed its rate"


@needs("programs")
@limits(seconds=180)
def test_time_takes_back_what_nobody_commits(t):
    lab = star(t)
    node = lab.nodes[0]

    def rate():
        return link_of(node, "n1")["rate_bits_per_s"]

    # A connection that leaves on purpose is no cut one: only the time counts.
    node.control("commit", "confirm", "2")
    node.control("set", "peer", "rate", "n1", "10Mbit")
    until(lambda: not node.control("show", "commit")["open"], SECONDS, "the time to be over")
    until(lambda: rate() == 0, SECONDS, "the old rate")
    assert node.control("show", "commit")["last"] == "reverted: no commit in time"
    assert output_of(node.control_command("commit"))[0] == 1, "there is nothing to commit"

    node.control("commit", "confirm", "3600")
    node.control("set", "peer", "rate", "n1", "20Mbit")
    assert node.control("commit")["last"] == "committed"
    assert rate() == 20_000_000
    assert output_of(node.control_command("rollback"))[0] == 1

    connection = Connection(t, node)
    connection.run("commit confirm 3600", "open:")
    connection.run("set peer rate n1 30Mbit", "30000000")
    connection.run("commit", "committed")
    assert connection.leave() == 0
    until(lambda: node.control("show", "commit")["last_ago_s"] >= 1, SECONDS, "a second")
    assert rate() == 30_000_000, "what was committed stays when the connection ends"


@needs("programs")
@limits(seconds=120)
def test_rollback_and_a_reload_on_trial(t):
    lab = star(t)
    node = lab.nodes[0]

    def slower(tables):
        tables["peer"][0]["rate"] = "50Mbit"
        tables["peer"].pop()
    rewrite(node, slower)
    assert effects(node.control("reload", "confirm", "3600")) == \
        {"peer n1": "changed", "peer n2": "removed"}
    assert set(node.peers()) == {"n1"}
    assert node.control("rollback")["last"] == "rolled back"
    assert set(node.peers()) == {"n1", "n2"}
    lab.wait_for_links(SECONDS)
    assert link_of(node, "n1")["rate_bits_per_s"] == 0
