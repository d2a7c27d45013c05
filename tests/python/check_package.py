# SPDX-License-Identifier: BSD-3-Clause
"""The Python package: calls and their values, objects in order through its one socket, errors that
name the remedy, the client of /v1, and the wheel that its own backend makes."""

import ast
import hashlib
import http.server
import json
import os
import random
import sys
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "apps/python"
FAKE = Path(__file__).resolve().parent / "fake_process.py"
sys.path[:0] = [str(ROOT / "tests/support"), str(HOME)]
import build_wheel  # noqa: E402
import chaincast  # noqa: E402
import unittest_main  # noqa: E402
from chaincast import datagram  # noqa: E402

SECONDS = 60


class Collector:
    """A callback; `wait` returns what has come once it is `count` objects."""

    def __init__(self):
        self.objects = []
        self.changed = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, data):
        self.gate.wait(SECONDS)
        with self.changed:
            self.objects.append(data)
            self.changed.notify_all()

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.objects) >= count, SECONDS), \
                f"{len(self.objects)} of {count} objects"
            return self.objects[:]


class WithSession(unittest.TestCase):
    def setUp(self):
        self.session = chaincast.Session(FAKE)
        self.addCleanup(self.session.close)

    def tearDown(self):
        if self.session._process.poll() is None:
            self.assertEqual(self.session.instances()["faults"], [])

    def host(self, resource="r", size=65507):
        return self.session.host([resource], size).instance_id


class Calls(WithSession):
    def test_each_returns_its_values(self):
        self.assertEqual(self.session.host_super(), (True, "super", 4000))
        hosted = self.session.host(["r"], 1316)
        self.assertEqual(hosted[:3] + hosted[4:], (True, "i1", 4001, "r", 1316))
        self.assertGreater(hosted.udp_port, 0)
        joined = self.session.join(["192.0.2.9:1"], "r", print)
        self.assertEqual(joined[:3] + joined[4:], (True, "i2", 4002, "r", 65507))
        for instance in ("i1", "i2", "super"):
            self.assertIs(self.session.stop(instance), True)
        self.assertIs(self.session.stop("i1"), False)

    def test_what_does_not_succeed_is_no_instance(self):
        self.assertEqual(self.session.join(["192.0.2.1:1"], "r", print),
                         (False, "", 0, 0, "", 0))

    def test_bad_arguments_name_the_remedy(self):
        with self.assertRaisesRegex(chaincast.BadCall, "whole number above 0"):
            self.session.host([], 0)
        with self.assertRaisesRegex(TypeError, "a list of IP:PORT"):
            self.session.host("127.0.0.1:1", 1)
        with self.assertRaisesRegex(TypeError, "callable"):
            self.session.join([], "r", None)
        with self.assertRaisesRegex(chaincast.BadCall, r"host\(\) returns its id"):
            self.session.feed_data("i9", b"x")

    def test_functions_work_on_the_session_of_init(self):
        with self.assertRaisesRegex(chaincast.NotRunning, r"init\(\) first"):
            chaincast.host_super()
        chaincast.init(FAKE)
        try:
            with self.assertRaisesRegex(chaincast.ChaincastError, "deinit"):
                chaincast.init(FAKE)
            got = Collector()
            instance = chaincast.host(["r"], 10)[1]
            chaincast.join([], "r", got)
            chaincast.feed_data(instance, b"one")
            self.assertEqual(got.wait(1), [b"one"])
            self.assertTrue(chaincast.stop(instance))
        finally:
            chaincast.deinit()
        chaincast.deinit()
        with self.assertRaises(chaincast.NotRunning):
            chaincast.stop(instance)


class Objects(WithSession):
    def check(self, resource, objects, members=1):
        got = [Collector() for _ in range(members)]
        for one in got:
            self.session.join([], resource, one)
        instance = self.host(resource)
        for data in objects:
            self.session.feed_data(instance, data)
        for one in got:
            self.assertEqual(one.wait(len(objects)), objects)

    def test_every_byte_arrives_in_order(self):
        chance = random.Random(1)
        sizes = [1, 65507, 1316, 188] + [chance.randint(1, 65507) for _ in range(300)]
        self.check("r", [chance.randbytes(size) for size in sizes], members=3)

    def test_small_objects_by_the_thousand(self):
        self.check("r", [b"%d" % index for index in range(5000)], members=2)

    # More than the socket has room for at once: they take turns.
    def test_many_members(self):
        self.check("r", [bytes([index]) * 65507 for index in range(8)], members=12)

    def test_a_host_that_takes_its_time(self):
        self.check("slow", [b"%d" % index * 100 for index in range(60)])

    def test_ends_that_get_lost_are_asked_for(self):
        self.check("forgetful", [b"a", b"b", b"c"])

    def test_any_bytes_are_an_object(self):
        self.check("r", [datagram.Request(1, 1, 1, 1, 1).pack(),
                         datagram.pack_answer(datagram.Answer(9, 9, "stream")), b"\0"])

    def test_a_slow_callback_holds_its_own_instance_back(self):
        slow, quick = Collector(), Collector()
        slow.gate.clear()
        self.session.join([], "r", slow)
        self.session.join([], "r", quick)
        instance = self.host()
        objects = [bytes([index]) * 20_000 for index in range(60)]
        for data in objects:
            self.session.feed_data(instance, data)
        self.assertEqual(quick.wait(len(objects)), objects)
        slow.gate.set()
        self.assertEqual(slow.wait(len(objects)), objects)

    def test_a_callback_may_fail_feed_and_stop(self):
        got = Collector()
        self.session.join([], "r", got)
        second = self.host("r")
        done = threading.Event()

        def callback(data):
            if data == b"bad":
                raise RuntimeError("on purpose")
            self.session.feed_data(second, b"from a callback")
            self.session.stop(joined.instance_id)
            done.set()
        joined = self.session.join([], "first", callback)
        first = self.host("first")
        with self.assertLogs("chaincast", "ERROR") as logged:
            self.session.feed_data(first, b"bad")
            self.session.feed_data(first, b"good")
            self.assertTrue(done.wait(SECONDS))
        self.assertIn("on purpose", logged.output[0])
        self.assertEqual(got.wait(1), [b"from a callback"])

    def test_stopping_a_host_waits_for_what_was_fed(self):
        got = Collector()
        self.session.join([], "slow", got)
        instance = self.host("slow")
        for index in range(20):
            self.session.feed_data(instance, b"%d" % index)
        self.session.stop(instance)
        self.assertEqual(len(got.wait(20)), 20)
        with self.assertRaises(chaincast.BadCall):
            self.session.feed_data(instance, b"late")

    def test_objects_that_cannot_be_are_refused(self):
        instance = self.host("small")
        for data in (b"", bytes(65508)):
            with self.assertRaisesRegex(ValueError, "Unix socket"):
                self.session.feed_data(instance, data)
        with self.assertRaisesRegex(ValueError, "takes 1 to 10 "):
            self.session.feed_data(self.host("r", 10), bytes(11))
        self.session.feed_data(instance, bytes(101))
        with self.assertRaisesRegex(chaincast.Refused, "1 objects were refused: .*cut them"):
            self.session.stop(instance)
        self.session.feed_data(instance, bytes(100))

    def test_one_that_never_answers(self):
        instance = self.host("deaf")
        with self.assertRaisesRegex(chaincast.Stalled, "/v1/instances"):
            self.session.feed_data(instance, b"x", timeout=0.2)


class Starting(unittest.TestCase):
    def test_an_executable_that_is_not_there(self):
        with self.assertRaisesRegex(chaincast.NotRunning, "give the path"):
            chaincast.Session("/nowhere/chaincast")

    def test_one_that_ends_says_why(self):
        with self.assertRaisesRegex(chaincast.NotRunning, "ended with 3: no memory here"):
            chaincast.Session(FAKE, options=["--fail"])

    def test_somebody_else_at_that_address(self):
        with chaincast.Session(FAKE) as first:
            with self.assertRaisesRegex(chaincast.NotRunning, "in use|ended with"):
                chaincast.Session(FAKE, address=first.address)

    def test_the_token_is_shown(self):
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
            file.write("0123456789abcdef\n")
            file.flush()
            with chaincast.Session(FAKE, token_file=file.name) as session:
                self.assertTrue(session.host_super().success)
                session._connection._token = None
                with self.assertRaisesRegex(chaincast.Refused, "token_file"):
                    session.host_super()

    def test_nothing_is_left_behind(self):
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        session = chaincast.Session(FAKE)
        session.join([], "r", print)
        pid = session.pid
        session.close()
        self.assertFalse(Path(f"/proc/{pid}").exists())
        self.assertEqual((threading.active_count(), len(os.listdir("/proc/self/fd"))), before)


class Node(http.server.BaseHTTPRequestHandler):
    """Two commands and one stream, as docs/rest.md says."""

    protocol_version = "HTTP/1.1"
    seen = []
    DESCRIPTION = {"paths": {
        "/v1/show/peers": {"get": {"parameters": [{"name": "peer-name"}]}},
        "/v1/set/repair": {"post": {"requestBody": {"content": {"application/json": {
            "schema": {"properties": {"state": {}}}}}}}},
        "/v1/streams/{stream}/objects": {"post": {}}}}

    def log_message(self, *_):
        pass

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = "gone" in self.path

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.reply(200, self.DESCRIPTION if self.path.endswith(".json") else {"peers": []})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers.get("Content-Type"), body))
        if b"of" in body:
            return self.reply(400, {"error": {"code": "invalid", "message": "state: on|off"}})
        return self.reply(202, {"bytes": len(body)})


class Commands(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
        self.server.daemon_threads = False  # server_close waits for them
        Node.seen = []
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.client = chaincast.Client(f"127.0.0.1:{self.server.server_port}", "tokentokentoken1")
        for undo in (thread.join, self.server.server_close, self.server.shutdown,
                     self.client.close):
            self.addCleanup(undo)

    def test_operations_come_from_the_description(self):
        self.assertEqual(self.client.operations(), ["set repair", "show peers"])
        self.assertEqual(self.client.run("show peers", peer_name="a b"), {"peers": []})
        self.assertEqual(self.client.run("set repair", state="on"), {"bytes": 15})
        bearer = "Bearer tokentokentoken1"
        self.assertEqual(Node.seen, [("/v1/openapi.json", bearer),
                                     ("/v1/show/peers?peer-name=a+b", bearer),
                                     ("/v1/set/repair", "application/json", b'{"state": "on"}')])

    def test_objects_are_sent_as_they_are(self):
        self.assertEqual(self.client.publish("a/b", b"\0\xff"), {"bytes": 2})
        self.assertEqual(Node.seen[-1], ("/v1/streams/a%2Fb/objects", "application/octet-stream",
                                         b"\0\xff"))

    def test_errors_are_the_nodes_words(self):
        with self.assertRaises(chaincast.Refused) as caught:
            self.client.run("set repair", state="of")
        self.assertEqual((str(caught.exception), caught.exception.code, caught.exception.status),
                         ("state: on|off", "invalid", 400))
        with self.assertRaisesRegex(chaincast.BadCall, "operations"):
            self.client.run("show nothing")

    def test_a_connection_that_was_ended_is_made_anew(self):
        self.client.publish("gone", b"1")
        self.assertEqual(self.client.publish("gone", b"22"), {"bytes": 2})
        self.assertEqual(len(Node.seen), 2)

    def test_nobody_there(self):
        with self.assertRaisesRegex(chaincast.NotRunning, "is it running"):
            chaincast.Client("127.0.0.1:1").operations()


class Package(unittest.TestCase):
    def test_the_wheel_has_the_package_and_its_record(self):
        with tempfile.TemporaryDirectory() as place:
            name = build_wheel.build_wheel(place)
            again = Path(place, name).read_bytes()
            self.assertEqual(name, build_wheel.build_wheel(place))
            self.assertEqual(Path(place, name).read_bytes(), again)
            with zipfile.ZipFile(Path(place, name)) as wheel:
                files = {one: wheel.read(one) for one in wheel.namelist()}
        record = files.pop(next(one for one in files if one.endswith("RECORD"))).decode()
        self.assertEqual(len(record.splitlines()), len(files) + 1)
        for path, content in files.items():
            self.assertIn(f"{path},sha256=", record)
            self.assertIn(f",{len(content)}\n", record)
        wanted = {f"chaincast/{path.name}" for path in (HOME / "chaincast").iterdir()
                  if path.is_file()}
        self.assertLessEqual(wanted, set(files))
        self.assertEqual(hashlib.sha256(files["chaincast/py.typed"]).hexdigest()[:8], "e3b0c442")

    def test_the_version_is_the_projects(self):
        build = (ROOT / "meson.build").read_text()
        self.assertIn(f"version: '{build_wheel._field('version')}'", build)

    def test_the_standard_library_alone(self):
        for path in (HOME / "chaincast").glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names.append(node.module)
                for name in names:
                    self.assertIn(name.split(".")[0], sys.stdlib_module_names, path)

    def test_every_function_is_typed_and_described(self):
        for path in (HOME / "chaincast").glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.FunctionDef):
                    continue
                where = f"{path.name}:{node.lineno}: {node.name}"
                self.assertIsNotNone(node.returns, where)
                for one in node.args.args + node.args.kwonlyargs:
                    if one.arg not in ("self", "cls"):
                        self.assertIsNotNone(one.annotation, where)
                if not node.name.startswith("_"):
                    self.assertTrue(ast.get_docstring(node), where)


if __name__ == "__main__":
    unittest_main.main()
