# SPDX-License-Identifier: BSD-3-Clause
"""The harness of the scenarios: verdicts and counts, deadlines, clean-up after SIGTERM and SIGKILL,
namespaces, captures, and the labs that it lays out."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests/support"), str(HERE)]
import capture  # noqa: E402
import harness  # noqa: E402
import hugepages  # noqa: E402
import lab  # noqa: E402
import net  # noqa: E402
import tamper  # noqa: E402
import unittest_main  # noqa: E402

TESTS = '''
import os, signal
from harness import *
REQUIREMENTS["hopeless"] = lambda: "needs hope"

def test_good(t):
    sleeper = t.start(["tail", "-f", "/dev/null"], "sleeper")
    t.until(sleeper.is_running, 5, "the sleeper")

def test_bad(t):
    shell = t.start(["sh", "-c", "echo a last word"], "talker")
    shell.wait(5)
    assert 1 == 2, "one is not two"

def test_moody(t):
    marker = os.environ["PID_FILE"] + ".moody"
    if not os.path.exists(marker):
        open(marker, "w").close()
        raise Failure("not yet")

@needs("hopeless")
def test_skipped(t):
    raise AssertionError("must not run")

def test_skips_itself(t):
    raise Skip("no such file in the data set")

@limits(seconds=1)
def test_late(t):
    t.start(["tail", "-f", "/dev/null"], "sleeper")
    t.until(lambda: False, 100, "nothing")

@limits(seconds=5)
def test_deaf(t):
    deaf(t)

@limits(seconds=600)
def test_long(t):
    deaf(t)

def deaf(t):
    child = t.start(["tail", "-f", "/dev/null"], "sleeper")
    open(os.environ["PID_FILE"], "w").write(f"{child.pid} {t.dir}")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    t.until(lambda: False, 100, "nothing")
'''


def is_alive(pid):
    """A zombie does not count: whoever inherits it has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Runner(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        (self.place / "test_x.py").write_text(TESTS)
        self.environment = {**os.environ, "PID_FILE": str(self.place / "pid")}

    def runner(self, *words):
        return subprocess.run([str(HERE / "run"), "--directory", str(self.place), "--grace", "1",
                               *words],
                              capture_output=True, text=True, timeout=120, env=self.environment,
                              stdin=subprocess.DEVNULL)

    def test_verdicts_and_closing_line(self):
        done = self.runner("--filter", "good|bad|skip")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^ok test_x.test_good \d")
        self.assertIn("FAIL test_x.test_bad: AssertionError: one is not two", done.stdout)
        self.assertIn("    a last word", done.stdout)  # the log of its process
        self.assertIn("SKIP test_x.test_skipped: needs hope", done.stdout)
        self.assertIn("SKIP test_x.test_skips_itself: no such file", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "1 passed, 1 failed, 2 skipped")

    def test_good_run(self):
        done = self.runner("--filter", "good")
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, "1 passed, 0 failed"))

    def test_what_failed_runs_again_by_itself(self):
        done = self.runner("--filter", "moody|bad", "--again", "2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("UNSTEADY test_x.test_moody: Failure: not yet", done.stdout)
        self.assertEqual(done.stdout.count("FAIL test_x.test_bad: AssertionError"), 1)
        self.assertEqual(done.stdout.splitlines()[-1], "1 passed, 1 failed")

    def test_too_many_failures_are_failures(self):
        done = self.runner("--filter", "moody|bad", "--again", "1")
        self.assertIn("FAIL test_x.test_moody: Failure: not yet", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "0 passed, 2 failed")

    def test_list(self):
        self.assertEqual(self.runner("--list", "--filter", "bad").stdout, "test_x.test_bad\n")

    def test_deadline(self):
        done = self.runner("--filter", "late")
        self.assertIn("FAIL test_x.test_late: not done after 1 s", done.stdout)

    def test_children_die_with_a_test_that_had_to_be_killed(self):
        done = self.runner("--filter", "deaf")
        self.assertIn("FAIL test_x.test_deaf: not done after 5 s", done.stdout)
        pid, directory = (self.place / "pid").read_text().split()
        harness.until(lambda: not is_alive(pid), 30, "the orphan to be gone")
        self.assertFalse(Path(directory).exists())

    def test_sigterm_to_the_runner_cleans_up(self):
        child = subprocess.Popen([str(HERE / "run"), "--directory", str(self.place), "--grace",
                                  "1", "--filter", "long"],
                                 stdout=subprocess.DEVNULL, env=self.environment)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        file = self.place / "pid"
        harness.until(lambda: file.exists() and file.read_text(), 60, "the test to start")
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        pid = file.read_text().split()[0]
        harness.until(lambda: not is_alive(pid), 30, "the orphan to be gone")


class Means(unittest.TestCase):
    def setUp(self):
        self.scenario = harness.Scenario("means")
        self.addCleanup(self.scenario.close)

    def test_until_names_what_it_waited_for(self):
        with self.assertRaisesRegex(harness.Failure, "for the moon"):
            harness.until(lambda: False, 0.1, "the moon")

    def test_until_notices_that_a_process_ended(self):
        process = self.scenario.start(["sh", "-c", "exit 3"], "short")
        with self.assertRaisesRegex(harness.Failure, "short ended with exit code 3"):
            harness.until(lambda: False, 20, "it", [process])

    def test_nothing_outlives_a_short_command(self):
        code, out, _ = harness.output_of(["sh", "-c", "tail -f /dev/null >&- 2>&- & echo $!"])
        self.assertEqual(code, 0)
        harness.until(lambda: not is_alive(out.strip()), 30, "its child to be gone")

    def test_stop_is_sigterm_and_gives_the_exit_code(self):
        process = self.scenario.start(
            [sys.executable, "-c", "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: "
             "sys.exit(7))\nprint('up', flush=True)\nsignal.pause()"], "trapper")
        self.scenario.until(lambda: process.log_has("up"), 10, "the trap")
        self.assertEqual(process.stop(), 7)

    def test_stopped_processes_are_killed_too(self):
        process = self.scenario.start(["tail", "-f", "/dev/null"], "frozen")
        process.signal(signal.SIGSTOP)
        self.assertEqual(self.scenario.close(), [])
        self.assertFalse(is_alive(process.pid))
        self.assertFalse(self.scenario.dir.exists())

    def test_clean_up_goes_on_after_a_problem(self):
        self.scenario.defer(lambda: self.scenario.write("late", ""))
        self.scenario.defer(lambda: 1 // 0)
        self.assertEqual(len(self.scenario.close()), 1)

    def test_unknown_requirement(self):
        with self.assertRaises(ValueError):
            harness.needs("luck")


class Namespaces(unittest.TestCase):
    def setUp(self):
        lack = harness.lacks_netns()
        if lack:
            self.skipTest(lack)
        self.scenario = harness.Scenario("net")
        self.addCleanup(self.scenario.close)

    def names(self):
        return harness.must(["ip", "netns", "list"])

    def test_veth_carries_datagrams_and_a_capture_sees_them(self):
        lack = harness.lacks_tshark()
        if lack:
            self.skipTest(lack)
        a, b = net.Namespace(self.scenario, "a"), net.Namespace(self.scenario, "b")
        net.connect(a, "veth0", b, "veth0", mtu=9000)
        here, there = net.addresses_of_link(0)
        a.add_address("veth0", here)
        b.add_address("veth0", there)
        file = self.scenario.dir / "x.pcap"
        recording = b.capture("veth0", file)
        with a.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for count, offload in enumerate(("on", "off"), 1):
                a.run("ethtool", "-K", "veth0", "tx", offload)
                sender.sendto(b"hello", (there.split("/")[0], 7777))
                self.scenario.until(lambda: len(net.read_capture(file, ["udp.length"])) == count,
                                    10, "the datagram")
        self.assertEqual(recording.stop(), 2)
        rows = net.read_capture(file, ["udp.dstport", "udp.length", "ip.checksum.status"])
        self.assertEqual(rows, [{"udp.dstport": "7777", "udp.length": "13",
                                 "ip.checksum.status": "1"}] * 2)
        self.assertEqual(capture.half_made_checksums(file), (1, 2))

    def test_a_stopped_capture_of_loopback_is_whole(self):
        lack = harness.lacks_tshark()
        if lack:
            self.skipTest(lack)
        place = net.Namespace(self.scenario, "lo")
        file = self.scenario.dir / "x.pcap"
        recording = place.capture("lo", file)
        with place.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(1000):
                sender.sendto(b"%d" % number, ("127.0.0.1", 7777))
        recording.stop()
        self.assertEqual([bytes(payload) for _, _, payload in capture.datagrams(file)],
                         [b"%d" % number for number in range(1000)])

    def test_closing_removes_them(self):
        name = net.Namespace(self.scenario, "gone").name
        self.assertIn(name, self.names())
        self.scenario.close()
        self.assertNotIn(name, self.names())

    def test_sweep_removes_only_those_of_one_pid(self):
        mine = net.Namespace(self.scenario, "mine").name
        harness.must(["ip", "netns", "add", "cc999999999-left"])
        self.assertEqual(net.sweep(999999999), ["cc999999999-left"])
        self.assertIn(mine, self.names())


class Hugepages(unittest.TestCase):
    """The ledger, on a file that stands for the kernel's number."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.pages = Path(directory.name) / "nr_hugepages"
        self.pages.write_text("7\n")
        self.lock = Path(directory.name) / "lock"
        self.ledger = hugepages.Ledger(self.lock, self.pages)

    def count(self):
        return int(self.pages.read_text())

    def test_reservations_overlap_and_leave_what_was_found(self):
        self.ledger.reserve(10)
        hugepages.Ledger(self.lock, self.pages).reserve(5)
        self.assertEqual(self.count(), 22)
        self.ledger.give_back(10)
        self.assertEqual(self.count(), 12)
        self.ledger.give_back(5)
        self.assertEqual((self.count(), self.lock.read_text()), (7, ""))

    def test_what_a_dead_process_held_is_given_back(self):
        self.lock.write_text("999999999 4\n")
        self.ledger.reserve(1)
        self.assertEqual((self.count(), self.lock.read_text()), (4, f"{os.getpid()} 1\n"))

    def test_a_shortage_leaves_the_number_alone(self):
        class Stingy(type(self.pages)):
            def write_text(self, text):
                return super().write_text(str(min(8, int(text))))
        ledger = hugepages.Ledger(self.lock, Stingy(self.pages))
        with self.assertRaises(hugepages.Shortage):
            ledger.reserve(10)
        self.assertEqual((self.count(), self.lock.read_text()), (7, ""))


class Wires(unittest.TestCase):
    """A wire between two sockets that stand for nodes with two lanes each."""

    def setUp(self):
        self.scenario = harness.Scenario("wire")
        self.addCleanup(self.scenario.close)
        base = lab.free_port_block(8)
        self.address = {name: f"127.0.0.1:{base + 2 * index}"
                        for index, name in enumerate(["a", "b", "as_a", "as_b"])}
        self.sockets = {}
        for name in ("a", "b"):
            host, port = tamper.parse(self.address[name])
            for lane in (0, 1):
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.bind((host, port + lane))
                one.settimeout(60)
                self.addCleanup(one.close)
                self.sockets[name, lane] = one

    def wire(self, rule):
        return tamper.Wire(self.scenario, *(self.address[name] for name in
                                            ("a", "b", "as_a", "as_b")), 2, rule)

    def send(self, data, source="a", lane=0, to="as_b"):
        host, port = tamper.parse(self.address[to])
        self.sockets[source, lane].sendto(data, (host, port + lane))

    def test_lanes_and_apparent_addresses_are_kept(self):
        self.wire(lambda data, forward: [data])
        self.send(b"there", "a", 1, "as_b")
        data, seen = self.sockets["b", 1].recvfrom(100)
        self.assertEqual(data, b"there")
        self.assertEqual(seen[1], tamper.parse(self.address["as_a"])[1] + 1)
        self.sockets["b", 1].sendto(b"back", seen)
        self.assertEqual(self.sockets["a", 1].recvfrom(100),
                         (b"back", (seen[0], tamper.parse(self.address["as_b"])[1] + 1)))

    def test_rule_sees_the_direction_and_may_add(self):
        self.wire(lambda data, forward: [data, data] if forward else [b"changed"])
        self.send(b"one")
        self.assertEqual([self.sockets["b", 0].recv(9) for _ in range(2)], [b"one"] * 2)
        self.send(b"two", "b", 0, "as_a")
        self.assertEqual(self.sockets["a", 0].recv(9), b"changed")

    def test_flip_changes_one_bit_behind_the_headers(self):
        wire = self.wire(tamper.flip(1, seed=7))
        self.send(bytes(1000))
        data = self.sockets["b", 0].recv(2000)
        self.assertEqual(sum(byte.bit_count() for byte in data), 1)
        self.assertEqual(data[:100], bytes(100))
        self.assertEqual(wire.altered, 1)

    def test_drop_spares_short_datagrams(self):
        self.wire(tamper.drop(1, seed=7))
        self.send(bytes(1000))
        self.send(b"short")
        self.assertEqual(self.sockets["b", 0].recv(2000), b"short")


class Labs(unittest.TestCase):
    def test_ring_lattice_degrees(self):
        for count in range(2, 41):
            edges = lab.ring_lattice(count)
            self.assertEqual(len(edges), len(set(edges)))
            degree = [sum(node in edge for edge in edges) for node in range(count)]
            self.assertGreaterEqual(min(degree), min(3, count - 1), count)
            self.assertLessEqual(max(degree) - min(degree), 1, count)
            self.assertTrue(all(a < b for a, b in edges))

    def test_ring_lattice_is_connected(self):
        for count in range(2, 41):
            reached, edges = {0}, lab.ring_lattice(count)
            for _ in range(count):
                reached |= {node for edge in edges if reached & set(edge) for node in edge}
            self.assertEqual(len(reached), count)

    def test_toml_is_read_back(self):
        tables = {"node": {"name": 'a "quoted" one', "workers": 2, "idle": True},
                  "port": [{"ip": ["10.0.0.1/24"], "link": {"loss": 0.05, "seed": 1}},
                           {"name": "p1", "absent": None}]}
        read = tomllib.loads(lab.toml(tables))
        del tables["port"][1]["absent"]
        self.assertEqual(read, tables)

    def test_port_blocks_are_free(self):
        base = lab.free_port_block(32)
        self.assertTrue(lab.LOWEST_PORT <= base <= lab.HIGHEST_PORT - 32)

    def test_prefix_changes_are_counted(self):
        ipv6 = bytes([1, 0, 0, 8, 1, 0, 0, 4, 6, 16, 32, 1])
        two = bytes([2, 0, 0, 19, 9, 0, 0, 1, 0, 1, 0, 0, 10, 4, 8, 10, 24, 10, 0, 0, 0, 16, 1])
        unknown = bytes([7, 0, 0, 8, 1, 0, 0, 4, 6, 16, 32, 1])
        self.assertEqual(lab.count_prefix_changes(ipv6 + unknown + ipv6), 2)
        self.assertEqual(lab.count_prefix_changes(two), 4)
        self.assertEqual(lab.count_prefix_changes(b""), 0)

    def test_lab_configuration(self):
        scenario = harness.Scenario("lab")
        self.addCleanup(scenario.close)
        original = dict(lab.PROGRAMS)
        self.addCleanup(lab.PROGRAMS.update, original)
        lab.PROGRAMS["chaincast"] = HERE / "fakes/program"
        link = scenario.dir / "chaincast"
        link.symlink_to(HERE / "fakes/program")
        lab.PROGRAMS["chaincast"] = link
        made = lab.Lab(scenario, 5, {"routes": 0}, link={"loss": 0.05})
        tables = [tomllib.loads(node.config_path.read_text()) for node in made.nodes]
        self.assertEqual([table["stream"][0]["publish"] for table in tables], [True] + [False] * 4)
        secrets = {}
        for table in tables:
            for peer in table["peer"]:
                secrets.setdefault(peer["secret"], []).append((table["node"]["name"],
                                                               peer["name"]))
        for ends in secrets.values():
            self.assertEqual(len(ends), 2)
            self.assertEqual(set(ends[0]), set(ends[1]))
        mode = os.stat(tables[0]["stream"][0]["secret"]).st_mode
        self.assertEqual(mode & 0o077, 0)
        self.assertTrue(re.match(r"127\.0\.0\.1:\d+$", tables[0]["port"][0]["address"]))
        self.assertEqual(len({table["port"][0]["link"]["seed"] for table in tables}), 5)


if __name__ == "__main__":
    unittest_main.main()
