# SPDX-License-Identifier: BSD-3-Clause
"""The commands of a running node: from outside, at its own prompt, saved and loaded, and while
traffic runs."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from harness import (PROGRAMS, ROOT, Failure, die_with_parent, limits, must, needs, output_of,
                     until)
from lab import Lab, free_port_block, publish_file
from subscriber import Subscriber
from test_network import content


def pair(t, **options):
    lab = Lab(t, 2, {"s": 0}, **options).start()
    lab.wait_for_links()
    return lab


def commands(node):
    """The fixed words of each command, and its arguments, as `help all` has them."""
    out = []
    for row in node.control("help", "all")["commands"]:
        words = row["command"].split()
        fixed = [word for word in words if re.fullmatch(r"[a-z0-9]+", word)]
        out.append((fixed[:next((i for i, word in enumerate(words) if word not in fixed),
                                len(words))], row["command"], row["help"]))
    return out


@needs("programs")
def test_every_show_is_one_json_document(t):
    lab = pair(t, membership=True)
    node = lab.nodes[0]
    shows = [words for words, usage, _ in commands(node) if words[0] == "show"]
    assert len(shows) >= 12, shows
    for words in shows:
        if words[:2] == ["show", "port"]:
            words = [*words, "all"]
        if words == ["show", "peer", "drops"]:
            words = [*words, "n1"]
        if words == ["show", "node"]:
            words = [*words, node.control("show", "status")["node"]]
        if words == ["show", "members"]:
            words = [*words, "s"]
        if words == ["show", "schema"]:
            words = [*words, "show", "status"]
        code, out, err = output_of(node.control_command("--json", *words))
        assert code == 0, f"{words}: exit code {code}: {err or out}"
        json.loads(out)
        code, text, _ = output_of(node.control_command(*words))
        assert code == 0 and text.strip(), words
        assert json.loads(output_of(node.control_command(*words, "--json"))[1]) is not None


@needs("programs")
def test_help_names_every_command(t):
    lab = Lab(t, 2, {"s": 0})
    node = lab.nodes[0].start()
    reference = must([PROGRAMS["chaincast"], "--print-commands"])
    listed = commands(node)
    assert len(listed) > 25 and all(text for _, _, text in listed), listed
    for words, _, _ in listed:
        assert " ".join(words) in reference, f"{words}: not in the command reference"
        code, out, err = output_of(node.control_command("help", *words))
        assert code == 0 and " ".join(words) in out, f"help {words}: {err or out}"


@needs("programs")
def test_saved_configuration_starts_the_same_node(t):
    lab = Lab(t, 2, {"s": 0}, link={"loss": 0.01, "delay_ms": 2},
              stream=lambda name: {"suite": "sha256-gcm", "gap_deadline_ms": 900})
    node = lab.nodes[0].start()
    node.control("set", "peer", "rate", "n1", "100Mbit")
    node.control("set", "repair", "off")
    before = node.control("show", "config")
    saved = node.dir / "saved.toml"
    node.control("save", str(saved))
    assert node.stop() == 0
    node.config_path = saved
    node.start()
    assert node.control("show", "config") == before
    again = node.dir / "again.toml"
    node.control("save", str(again))
    assert again.read_text() == saved.read_text()


@needs("programs")
def test_exit_codes_of_chaincastctl(t):
    lab = pair(t)
    node = lab.nodes[1]
    file = content(t, "f", 10)

    def code(*words, command=None):
        return output_of([*node.control_command(*words)])[0]

    assert code("status") == 0
    assert code("show", "peers") == 0
    assert code("show", "nonsense") == 1
    assert code("remove", "peer", "nobody") == 1
    assert code("publish", "s", str(file)) == 1, "n1 is no origin of s"
    assert code("publish", "unknown", str(file)) == 1
    assert code("publish", "s") == 2
    assert code("--nonsense") == 2
    assert code("subscribe", "s", "--count", "1", "--timeout", "1") == 1
    assert output_of([PROGRAMS["chaincastctl"], "--socket", t.dir / "absent", "status"])[0] == 2
    _, out, err = output_of(node.control_command("show", "peerz"))
    assert "did you mean" in out + err, out + err


@needs("programs")
@limits(seconds=100)
def test_peers_come_and_go_while_traffic_runs(t):
    lab = Lab(t, 3, {"s": 0}, edges=[(0, 1), (0, 2), (1, 2)],
              stream=lambda name: {"rate": 2000}).start()
    lab.wait_for_links()
    origin, receiver = lab.nodes[0], lab.nodes[2]
    reader = Subscriber(receiver, "s")
    big = content(t, "big", 8_000_000)
    publishing = origin.launch(origin.control_command("publish", "s", big), "publish")
    until(lambda: reader.received_bytes() > 500_000, 30, "traffic")
    pools = [row["in_use"] for row in origin.control("show", "pools")["pools"]]
    peer = next(table for table in origin.tables["peer"] if table["name"] == "n1")
    for _ in range(10):
        origin.control("remove", "peer", "n1")
        assert "n1" not in origin.peers()
        assert output_of(origin.control_command("ping", "n1"))[0] == 1
        origin.control("add", "peer", "n1", peer["address"], "secret", peer["secret"])
        until(lambda: origin.peers().get("n1") == "up", 15, "n1 to be up again")
    reader.wait_bytes(8_000_000)
    assert publishing.wait(20) == 0
    assert reader.stop() == big.read_bytes()
    assert [row["name"] for row in origin.control("show", "config")["peers"]].count("n1") == 1

    def settled():
        reply = origin.control("show", "pools")
        return reply["control"]["retired_waiting"] == 0 and \
            all(row["in_use"] <= before + 600 for row, before in zip(reply["pools"], pools))
    until(settled, 20, "buffers of removed peers to come back")


@needs("programs")
def test_streams_come_and_go(t):
    lab = pair(t)
    origin, receiver = lab.nodes
    secret = lab.secret("stream-extra")
    for seed in range(3):
        origin.control("add", "stream", "extra", "secret", secret, "publish", "on")
        receiver.control("add", "stream", "extra", "secret", secret)
        until(lambda: receiver.stream("extra").get("anchor", "none") != "none", 15,
              "n1 to learn the stream")
        reader = Subscriber(receiver, "extra")
        file = content(t, f"extra{seed}", 100_000, seed)
        publish_file(origin, "extra", file)
        reader.wait_bytes(100_000)
        assert reader.stop() == file.read_bytes()
        for node in lab.nodes:
            node.control("remove", "stream", "extra")
            assert "extra" not in node.streams()
            assert output_of(node.control_command("publish", "extra", file))[0] == 1
            assert output_of(node.control_command("subscribe", "extra"))[0] == 1
    assert all(row["stream"] != "extra" for row in origin.control("show", "dedup")["streams"])


@needs("programs")
def test_ports_come_and_go(t):
    lab = pair(t)
    node = lab.nodes[0]
    base = free_port_block(16)
    for _ in range(3):
        node.control("port", "attach", "p1", f"udp:127.0.0.1:{base}")
        assert len(node.control("show", "port", "summary", "all")["ports"]) == 2
        node.control("port", "detach", "p1")
        ports = node.control("show", "port", "summary", "all")["ports"]
        assert [port["name"] for port in ports] == ["p0"], ports
    code, out, err = output_of(node.control_command("port", "detach", "p0"))
    assert code == 1 and "peers use it" in out + err, out + err
    node.control("port", "stop", "p0")
    until(lambda: lab.nodes[1].peers()["n0"] == "down", 20, "the far end to see it")
    node.control("port", "start", "p0")
    lab.wait_for_links()


class Prompt:
    """chaincast -i, or another command of a node, at a terminal."""

    def __init__(self, t, node, command=None, size=None):
        self.text = ""
        words = [str(word) for word in
                 command or [PROGRAMS["chaincast"], "-i", "--config", node.config_path]]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            die_with_parent()
            if size:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.environ.update(TERM="vt100", HOME=str(node.dir))
            os.environ.pop("XDG_STATE_HOME", None)
            os.execv(words[0], words)
        t.defer(self.close)

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)

    def read(self):
        ready, _, _ = select.select([self.fd], [], [], 0.05)
        try:
            self.text += os.read(self.fd, 65536).decode(errors="replace") if ready else ""
        except OSError:  # the other end is closed
            pass

    def expect(self, pattern, seconds=20):
        """Waits for a pattern in what has come since the last one that was expected."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.text)):
            if time.monotonic() > deadline:
                raise Failure(f"no {pattern!r} at the prompt: {self.text[-1500:]!r}")
            self.read()
        before, self.text = self.text[:match.end()], self.text[match.end():]
        return before

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def wait(self, seconds=15):
        deadline = time.monotonic() + seconds
        while True:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                raise Failure(f"chaincast -i still runs: {self.text[-1500:]!r}")


@needs("programs")
def test_prompt_completes_remembers_and_quits(t):
    lab = Lab(t, 2, {"s": 0})
    prompt = Prompt(t, lab.nodes[0])
    prompt.expect(r"> ", 40)
    prompt.type("show ver\t")
    prompt.expect("sion ")  # only what is new is drawn
    prompt.type("\n")
    prompt.expect(r"protocol\W+1")
    prompt.expect(r"> ")
    prompt.type("show peers n\t")
    prompt.expect("show peers n.*1")
    prompt.type("\n")
    prompt.expect("never heard")
    prompt.expect(r"> ")
    prompt.type("\x1b[A")  # the line before
    prompt.expect("how peers n1")
    prompt.type("\n")
    prompt.expect("never heard")
    prompt.type("nonsense\n")
    prompt.expect("error: ")
    prompt.expect(r"> ")
    prompt.type("quit\n")
    assert prompt.wait() == 0
    assert not lab.nodes[0].socket.exists()


@needs("programs")
@limits(seconds=150)
def test_prompts_remember_lines_of_earlier_ones(t):
    lab = Lab(t, 2, {"s": 0})
    node = lab.nodes[0].start()
    past = node.dir / ".local" / "state" / "chaincast" / "history"
    # Two lines up: the newest is the one that left the prompt before.
    for keys in ("show status\n", "\x1b[A\x1b[A\n", "\x1b[A\x1b[A\n"):
        prompt = Prompt(t, node, node.control_command("-i"))
        prompt.expect(r"> ", 60)
        prompt.type(keys)
        prompt.expect(r"uptime", 60)
        prompt.expect(r"> ", 60)
        prompt.type("exit\n")
        assert prompt.wait(60) == 0
        assert past.stat().st_mode & 0o777 == 0o600, oct(past.stat().st_mode)
        assert "status" in past.read_text()
    assert node.process.is_running(), "exit leaves the prompt, not the node"


@needs("programs")
@limits(seconds=150)
def test_a_terminal_is_watched_and_never_overrun(t):
    lab = Lab(t, 2, {"s": 0})
    node = lab.nodes[0].start()
    width = 72
    prompt = Prompt(t, node, node.control_command("-i"), size=(50, width))
    prompt.expect(r"> ", 60)
    for command in ("show drops", "help peers", "show peers"):
        prompt.type(command + "\n")
        text = prompt.expect(r"\nchaincast> $", 60)
        lines = [line.rstrip("\r") for line in text.split("\n")[1:-1]]
        assert len(lines) > 5 and max(map(len, lines)) <= width, (command, lines)
    # Without a terminal nothing is wrapped.
    piped = output_of(node.control_command("show", "drops"))[1]
    assert max(map(len, piped.splitlines())) > width, piped
    prompt.type("watch 1 show status\n")
    for _ in range(2):
        prompt.expect(r"every 1 s: show status", 60)
        prompt.expect(r"uptime", 60)
    prompt.type("\x03")  # a key here, no signal
    prompt.expect(r"chaincast> ", 60)
    prompt.type("exit\n")
    assert prompt.wait(60) == 0


@needs("programs")
@limits(seconds=120)
def test_watching_and_periodic_statistics(t):
    lab = Lab(t, 2, {"s": 0})
    node = lab.nodes[0].start("--stats-period", "1")
    until(lambda: node.process.log_text().count("rx packets") >= 2, 60, "two printed statistics")
    with open(t.dir / "watched", "wb") as sink:
        watching = t.start(node.control_command("--json", "watch", "1", "show", "status"), "watch",
                           stdout=sink)
    watched = t.dir / "watched"
    until(lambda: watched.read_text().count("\n") >= 2, 60, "two runs", [watching])
    watching.signal(signal.SIGINT)
    assert watching.wait(60) == 0
    first, second = [json.loads(line) for line in watched.read_text().splitlines()[:2]]
    assert first["name"] == second["name"] == "n0"
    code, _, err = output_of(node.control_command("watch", "0", "show", "status"))
    assert code == 1 and "1..3600" in err, err


@needs("programs")
@limits(seconds=120)
def test_the_shell_completes_what_the_node_knows(t):
    lab = Lab(t, 2, {"s": 0, "sports": None})
    node = lab.nodes[0].start()
    script = ROOT / "apps" / "chaincastctl" / "completion.bash"

    def completed(*words):
        typed = " ".join(f"'{word}'" for word in (*node.control_command(), *words))
        return must(["bash", "-c", f"source {script}; COMP_WORDS=({typed}); "
                     "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _chaincastctl; "
                     "printf '%s\\n' \"${COMPREPLY[@]}\""]).split()

    assert {"publish", "show", "reload", "subscribe"} <= set(completed(""))
    assert completed("show", "pee") == ["peer", "peers"]
    assert completed("show", "peers", "n") == ["n1"]
    assert completed("port", "stop", "") == ["all", "p0"]
    assert completed("set", "idle", "") == ["poll", "sleep"]
    assert completed("publish", "s") == ["s", "sports"]
    assert completed("watch", "1", "show", "vers") == ["version"]
    assert completed("help", "pee") == ["peers"]
    assert completed("load", f"{node.dir}/node.t") == [f"{node.dir}/node.toml"]
    assert completed("publish", "s", f"{node.dir}/node.t") == [f"{node.dir}/node.toml"]
    assert node.stop() == 0
    assert completed("show", "") == []


@needs("programs")
def test_commands_from_a_file(t):
    lab = Lab(t, 2, {"s": 0})
    node = lab.nodes[0]
    file = t.write("start.cmd", "# at the start\nset repair off\nset idle poll\n")
    node.start("--cmdline-file", file)
    until(lambda: node.control("show", "config")["repair"]["enabled"] is False, 10, "the file")
    bad = t.write("bad.cmd", "set repair on\nset nonsense on\n")
    code, out, err = output_of(node.control_command("load", bad))
    assert code == 1 and f"{bad}:2" in out + err, out + err
