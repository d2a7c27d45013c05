# SPDX-License-Identifier: BSD-3-Clause
"""A `chaincast --rest` process and plain HTTP to it."""

import http.client
import json
import os
import socket

from harness import PROGRAMS, must
from test_metrics import free_tcp_port

KEYS = {"Success": bool, "InstanceID": str, "TCPServerPort": int, "UDPServerPort": int,
        "ResourceID": str, "MaxResourceSize": int}
FAILED = {"Success": False, "InstanceID": "", "TCPServerPort": 0, "UDPServerPort": 0,
          "ResourceID": "", "MaxResourceSize": 0}


class Rest:
    """Starts it, and waits until /ping says 200."""

    def __init__(self, t, *options, token=None):
        self.t, self.token = t, token
        self.address = f"127.0.0.1:{free_tcp_port()}"
        words = [PROGRAMS["chaincast"], "--rest", self.address, *options]
        # Where what a killed process leaves behind goes with the test.
        self.process = t.start(words, f"rest-{self.address.split(':')[1]}",
                               {**os.environ, "TMPDIR": str(t.dir)})
        t.until(self.is_up, 60, "/ping to say 200", [self.process])

    def is_up(self):
        try:
            return self.ask("GET", "/ping")[0] == 200
        except OSError:
            return False

    def ask(self, method, path, body=None, **headers):
        """(status, body)"""
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body,
                               {name.replace("_", "-"): value for name, value in headers.items()})
            reply = connection.getresponse()
            text = reply.read()
            assert text or reply.headers["Content-Type"] is None, reply.headers
            return reply.status, text.decode()
        finally:
            connection.close()

    def raw(self, data):
        """What comes back for these bytes, until the server ends the connection."""
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), 60) as one:
            one.sendall(data)
            return b"".join(iter(lambda: one.recv(65536), b""))

    def call(self, path, body=None):
        """A good call's outcome; every key is there, with its type, and no other."""
        status, text = self.ask("POST", path, json.dumps(body) if body is not None else None,
                                Content_Type="application/json")
        assert status == 200, (path, body, status, text)
        outcome = json.loads(text)
        assert {name: type(value) for name, value in outcome.items()} == KEYS, outcome
        assert list(outcome) == list(KEYS), outcome
        return outcome

    def instances(self):
        return json.loads(self.ask("GET", "/v1/instances")[1])["instances"]

    def instance(self, name):
        return next(one for one in self.instances() if one["instance"] == name)

    def control(self, name, *words):
        """A command at an instance's own socket, as JSON."""
        out = must([PROGRAMS["chaincastctl"], "--json", "--socket", self.instance(name)["socket"],
                    *words])
        return json.loads(out) if out.strip() else {}
