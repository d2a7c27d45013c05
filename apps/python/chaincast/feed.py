# SPDX-License-Identifier: BSD-3-Clause
"""The one UDP socket of a session, and what goes through it: objects to hosts, requests to
members, and their answers.

Nothing is lost on the way, though UDP would: what is on its way to a host is bounded by what its
answers confirm, and members send only what this socket's buffer has room for.
"""

import collections
import logging
import secrets
import select
import socket
import threading
import time
from typing import Callable, Deque, Dict, List, Optional, Tuple

from .datagram import OBJECT_BYTES_MAX, Answer, Request, parse_answer, weight
from .errors import NotRunning, Refused, Stalled

Callback = Callable[[bytes], None]

_LOG = logging.getLogger("chaincast")
_HOST = "127.0.0.1"
_BUFFER_BYTES = 4 << 20  # asked for; the kernel grants less
_WINDOW = 128 << 10      # on its way to one host, by weight: less than any socket's buffer
_AGAIN_S = 0.5           # without an answer for so long: ask
_HOLD_MS = 1000          # how long a member waits for a first object
_SHORT_HOLD_MS = 20      # where members take turns
_LOST_S = 2.0            # a request without an end for so long is sent again
_STALE_S = 30.0          # the instance may have forgotten this socket's counts by then


class Host:
    """Objects to one host instance. Any thread."""

    def __init__(self, feed: "Feed", port: int, size_max: int) -> None:
        self._feed = feed
        self._port = port
        self._size_max = min(size_max, OBJECT_BYTES_MAX)
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._base: Optional[Answer] = None  # what the instance said before the first object
        self._answer: Optional[Answer] = None
        self._heard_s = 0.0
        self._sent: Deque[int] = collections.deque()  # weights of what is not answered yet
        self._outstanding = 0
        self._seen = 0  # objects, since the base
        self._refused = 0
        self._is_closed = False

    def put(self, data: bytes, timeout: float) -> None:
        """Sends one object once there is room for it."""
        if not 0 < len(data) <= self._size_max:
            raise ValueError(
                f"an object of {len(data)} bytes: this resource takes 1 to {self._size_max} over "
                "UDP; cut it, or publish it through the instance's Unix socket")
        with self._sending:
            self._greet(timeout)
            load = weight(len(data))
            self._wait(lambda: not self._sent or self._outstanding + load <= _WINDOW, timeout)
            with self._changed:
                self._sent.append(load)
                self._outstanding += load
            self._feed.send(data, self._port, timeout)

    def flush(self, timeout: float) -> None:
        """Returns when the instance has taken all objects."""
        with self._sending:
            if self._base is not None:
                self._wait(lambda: not self._sent, timeout)

    def close(self) -> None:
        """Whoever waits is told."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def on_datagram(self, datagram: bytes) -> None:
        """From the receiving thread."""
        answer = parse_answer(datagram)
        if answer is None:
            return
        with self._changed:
            self._heard_s = time.monotonic()
            self._answer = answer
            if self._base is None:
                self._base = answer
                self._seen = 0
            while self._sent and self._seen < answer.seen - self._base.seen:
                self._outstanding -= self._sent.popleft()
                self._seen += 1
            self._changed.notify_all()

    def _greet(self, timeout: float) -> None:
        """Learns the counts to begin with: of this address there may be old ones."""
        with self._changed:
            self._check()
            is_stale = time.monotonic() - self._heard_s > _STALE_S
            if self._base is not None and (self._sent or not is_stale):
                return
            self._base = None
            self._refused = 0
        self._feed.send(b"", self._port, timeout)
        self._wait(lambda: self._base is not None, timeout)

    def _wait(self, is_done: Callable[[], bool], timeout: float) -> None:
        """Until is_done(). Fails where an object was refused, or nothing moved."""
        with self._changed:
            last, moved_s = self._answer, time.monotonic()
            while True:
                self._check()
                if is_done():
                    return
                if not self._changed.wait(min(_AGAIN_S, timeout)):
                    self._feed.send(b"", self._port, timeout)
                if self._answer != last:
                    last, moved_s = self._answer, time.monotonic()
                elif time.monotonic() - moved_s > timeout:
                    raise Stalled(f"the instance took nothing for {timeout} s: look at its stream "
                                  "with GET /v1/instances, or raise the timeout")

    def _check(self) -> None:
        if self._is_closed:
            raise NotRunning("this instance was stopped: host again")
        if self._base is None or self._answer is None:
            return
        refused = self._answer.refused - self._base.refused
        if refused > self._refused:
            count, self._refused = refused - self._refused, refused
            why = ("longer than the resource's objects may be: cut them"
                   if self._answer.newest == "too_long" else
                   "the stream takes no more: stop the instance and host again")
            raise Refused(f"{count} objects were refused: {why}", self._answer.newest)


class Member:
    """Objects from one member instance, to a callback, in order, on a thread of its own."""

    def __init__(self, feed: "Feed", port: int, size_max: int, callback: Callback) -> None:
        self.port = port
        self.need = weight(min(size_max, OBJECT_BYTES_MAX))
        self._feed = feed
        self._callback = callback
        self._reader = secrets.randbits(64)
        self._number = 0
        self._objects: Deque[bytes] = collections.deque()
        self._taken = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self.is_open = False  # a request is out
        self.room = 0         # that it granted
        self.hold_ms = 0
        self.sent_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"chaincast-{port}", daemon=True)
        self._thread.start()

    def request(self, room: int, hold_ms: int, now_s: float) -> bytes:
        """The next request's bytes."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        self.is_open, self.room, self.hold_ms = True, room, hold_ms
        return self.again(now_s)

    def again(self, now_s: float) -> bytes:
        """The same request's bytes once more."""
        self.sent_s = now_s
        return Request(self._reader, self._number, self._taken, self.room, self.hold_ms).pack()

    def on_datagram(self, datagram: bytes) -> None:
        """From the receiving thread: an object, or the end of an answer."""
        if not datagram:
            self.is_open, self.room = False, 0
            return
        self._taken += 1
        with self._changed:
            self._objects.append(datagram)
            self._changed.notify_all()

    def is_hungry(self) -> bool:
        """The callback has had all that came: what is on its way stays bounded by a request."""
        with self._changed:
            return not self._objects and not self._is_closed

    def close(self) -> None:
        """The callback is not called any more once this returns, unless it is the caller."""
        with self._changed:
            self._is_closed = True
            self._objects.clear()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._objects or self._is_closed)
                if self._is_closed:
                    return
                data = self._objects[0]
            try:
                self._callback(data)
            except Exception:  # noqa: BLE001: the caller's code; the next object is still wanted
                _LOG.exception("the callback of port %d failed", self.port)
            with self._changed:
                if self._objects:
                    self._objects.popleft()
                is_empty = not self._objects
            if is_empty:
                self._feed.wake()


class Feed:
    """The socket and the thread that receives from it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.socket.bind((_HOST, 0))
        self.socket.setblocking(False)
        granted = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._budget = granted - granted // 4  # the rest is for hosts' answers
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._lock = threading.Lock()
        self._hosts: Dict[int, Host] = {}
        self._members: Dict[int, Member] = {}
        self._turns: List[Member] = []  # who asks next comes first
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="chaincast-feed", daemon=True)
        self._thread.start()

    def add_host(self, port: int, size_max: int) -> Host:
        """Objects to this port from now on."""
        host = Host(self, port, size_max)
        with self._lock:
            self._hosts[port] = host
        return host

    def add_member(self, port: int, size_max: int, callback: Callback) -> Member:
        """Objects from this port from now on."""
        member = Member(self, port, size_max, callback)
        with self._lock:
            self._members[port] = member
            self._turns.append(member)
        self.wake()
        return member

    def remove(self, port: int) -> None:
        """Nothing more to or from this port."""
        with self._lock:
            host = self._hosts.pop(port, None)
            member = self._members.pop(port, None)
            if member is not None:
                self._turns.remove(member)
        if host is not None:
            host.close()
        if member is not None:
            member.close()

    def send(self, datagram: bytes, port: int, timeout: float) -> None:
        """Waits until the socket takes it."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.socket.sendto(datagram, (_HOST, port))
                return
            except BlockingIOError:
                pass
            except OSError as problem:
                if self._is_closed:
                    raise NotRunning("the session has ended: call init() again") from problem
                raise
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [self.socket], [], left)[1]:
                raise Stalled(f"the socket takes nothing for {timeout} s: is the host overloaded?")

    def wake(self) -> None:
        """The receiving thread looks at who may ask."""
        try:
            self._waker.send(b"\0")
        except OSError:
            pass  # full: it will look anyway; closed: nobody is there

    def close(self) -> None:
        """Ends the thread, the callbacks and the socket."""
        self._is_closed = True
        self.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        for port in [*self._hosts, *self._members]:
            self.remove(port)
        for one in (self.socket, self._awake, self._waker):
            one.close()

    def _run(self) -> None:
        while not self._is_closed:
            ready = select.select([self.socket, self._awake], [], [], self._ask())[0]
            if self._awake in ready:
                self._drain(self._awake)
            if self.socket in ready:
                self._receive()

    @staticmethod
    def _drain(end: socket.socket) -> None:
        try:
            while end.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _receive(self) -> None:
        for _ in range(1024):
            try:
                datagram, sender = self.socket.recvfrom(65_536)
            except BlockingIOError:
                return
            except OSError:
                continue  # an instance that has gone says so
            if sender[0] != _HOST:
                continue
            with self._lock:
                receiver = self._hosts.get(sender[1]) or self._members.get(sender[1])
            if receiver is not None:
                receiver.on_datagram(datagram)

    def _ask(self) -> Optional[float]:
        """Sends the requests that there is room for. Returns when to look again, in seconds."""
        now_s = time.monotonic()
        requests: List[Tuple[bytes, int]] = []
        with self._lock:
            needs = sum(member.need for member in self._turns)
            taken = sum(member.room for member in self._turns)
            for member in list(self._turns):
                if member.is_open:
                    if now_s - member.sent_s > _LOST_S + member.hold_ms / 1000:
                        requests.append((member.again(now_s), member.port))
                    continue
                if not member.is_hungry():
                    continue
                room = self._room(member, needs, taken)
                if room == 0:
                    break  # whose turn it is waits for others to end, and nobody passes it
                hold_ms = _HOLD_MS if needs <= self._budget else _SHORT_HOLD_MS
                requests.append((member.request(room, hold_ms, now_s), member.port))
                taken += room
                self._turns.remove(member)
                self._turns.append(member)
            is_waiting = any(member.is_open for member in self._turns)
        for datagram, port in requests:
            try:
                self.socket.sendto(datagram, (_HOST, port))
            except OSError:
                pass  # sent again when no end has come
        return _AGAIN_S if is_waiting else None

    def _room(self, member: Member, needs: int, taken: int) -> int:
        """What a member may send now: its share, at least one object; 0: not yet."""
        share = max(self._budget * member.need // max(needs, 1), member.need)
        if taken + share <= self._budget:
            return share
        return member.need if taken == 0 else 0
