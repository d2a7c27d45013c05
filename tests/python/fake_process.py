#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A made-up `chaincast --rest IP:PORT`, of Python's own servers: whatever a host is fed comes out
at every member that has joined its resource. Written from docs/rest.md, not from the package:
formats stand here once more.

Resources whose names begin so behave badly: `deaf` answers nothing, `small` refuses what is above
100 bytes, `slow` takes an object per 20 ms, `forgetful` loses every second end of an answer.
"""

import collections
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER, REQUEST = struct.Struct(">4sIQQ"), struct.Struct(">4sIQQIHH")


def weight(data):
    return 2 * len(data) + 1024


class Instance:
    def __init__(self, name, resource, process):
        self.name, self.resource, self.process = name, resource, process
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.01)
        self.port = self.socket.getsockname()[1]
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            try:
                data, sender = self.socket.recvfrom(65536)
            except socket.timeout:
                data, sender = None, None
            self.turn(data, sender)

    def stop(self):
        self.is_over = True
        self.thread.join()
        self.socket.close()


class Host(Instance):
    def __init__(self, *arguments):
        self.counts = {}
        super().__init__(*arguments)

    def turn(self, data, sender):
        if data is None or self.resource.startswith("deaf"):
            return
        taken, refused, why = self.counts.get(sender, (7, 0, 0))  # 7: of someone before
        if data and self.resource.startswith("small") and len(data) > 100:
            refused, why = refused + 1, 1
        elif data:
            if self.resource.startswith("slow"):
                select.select([], [], [], 0.02)
            taken += 1
            for member in self.process.members(self.resource):
                member.objects.append(data)
        self.counts[sender] = taken, refused, why
        self.socket.sendto(ANSWER.pack(b"cca1", why, taken, refused), sender)


class Member(Instance):
    def __init__(self, *arguments):
        self.objects = collections.deque()
        self.reader = self.open = None
        self.number = self.sent = self.ends = 0
        super().__init__(*arguments)

    def turn(self, data, sender):
        if data is not None:
            self.take(data, sender)
        if not self.open:
            return
        room, until, some = self.open
        while self.objects and (weight(self.objects[0]) <= room or (not some and room > 0)):
            one = self.objects.popleft()
            room, some = max(0, room - weight(one)), True
            self.socket.sendto(one, self.reader[0])
            self.sent += 1
        self.open = room, until, some
        if some or time.monotonic() >= until:
            self.open = None
            self.ends += 1
            if not (self.resource.startswith("forgetful") and self.ends % 2):
                self.socket.sendto(b"", self.reader[0])

    def take(self, data, sender):
        magic, number, reader, taken, room, hold_ms, zero = REQUEST.unpack(data)
        assert magic == b"ccr1" and zero == 0 and hold_ms <= 10000, data
        if self.reader != (sender, reader):
            self.reader, self.number, self.sent = (sender, reader), number - 1, 0
        if number == self.number:
            if not self.open:
                self.socket.sendto(b"", sender)
            return
        assert number == self.number + 1, (number, self.number)
        if taken != self.sent:
            self.process.faults.append(f"had {taken} of {self.sent}")
        self.number, self.open = number, (room, time.monotonic() + hold_ms / 1000, False)


class Process:
    def __init__(self):
        self.instances, self.count, self.faults = {}, 0, []
        self.lock = threading.Lock()

    def members(self, resource):
        return [one for one in list(self.instances.values())
                if isinstance(one, Member) and one.resource == resource]

    def start(self, kind, resource, size):
        with self.lock:
            self.count += 1
            name = f"i{self.count}"
            instance = kind(name, resource, self)
            self.instances[name] = instance
        return {"Success": True, "InstanceID": name, "TCPServerPort": 4000 + self.count,
                "UDPServerPort": instance.port, "ResourceID": resource, "MaxResourceSize": size}

    def call(self, path, body):
        """A reply, or None for a bad call."""
        nothing = {"Success": False, "InstanceID": "", "TCPServerPort": 0, "UDPServerPort": 0,
                   "ResourceID": "", "MaxResourceSize": 0}
        if path == "/host-super":
            return {**nothing, "Success": True, "InstanceID": "super", "TCPServerPort": 4000}
        if path == "/stop":
            instance = self.instances.pop(body, None)
            if instance:
                instance.stop()
            return {**nothing, "Success": body == "super" or instance is not None}
        if not isinstance(body.get("Trackers"), list):
            return None
        if "MaxResourceSize" in body:
            size = body["MaxResourceSize"]
            if not isinstance(size, int) or size < 1:
                return None
            # The first tracker's name decides what the resource is called here.
            return self.start(Host, (body["Trackers"] or ["r"])[0], size)
        if body["Trackers"] == ["192.0.2.1:1"]:
            return nothing
        return self.start(Member, body["ResourceID"], 65507)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        process = self.server.process
        if self.path == "/ping":
            return self.reply(200)
        return self.reply(200, json.dumps({"pid": os.getpid(), "faults": process.faults}).encode())

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.token and self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self.reply(401)
        done = self.server.process.call(self.path, json.loads(text or "{}"))
        return self.reply(400) if done is None else self.reply(200, json.dumps(done).encode())


def main(words):
    host, port = words[words.index("--rest") + 1].split(":")
    if "--fail" in words:
        print("no memory here", file=sys.stderr)
        return 3
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    server.process = Process()
    server.token = None
    if "--rest-token" in words:
        with open(words[words.index("--rest-token") + 1], encoding="ascii") as file:
            server.token = file.read().strip()
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
