# SPDX-License-Identifier: BSD-3-Clause
"""A hostile or broken piece of wire between two nodes on loopback, independent of the product: it
stands at one address for each of them and passes datagrams on, or does what a rule says instead.

    def rule(data, forward): return [data]     # the datagrams to pass on, in order

`forward` is true from the first node to the second. A rule sees every datagram of every lane; the
offset of a source port is kept, so that lanes stay apart."""

import random
import selectors
import socket
import threading

BUFFER_BYTES = 8 << 20
SO_RCVBUFFORCE = 33


def parse(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


class Side:
    """The sockets that stand for one node: one for each of its lanes' ports."""

    def __init__(self, base, lanes, node):
        self.base = base
        self.node = node  # the real base address of the node that this side talks to
        self.sockets = []
        for lane in range(lanes):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            except PermissionError:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            one.setblocking(False)
            one.bind(("127.0.0.1", base + lane))
            self.sockets.append(one)


class Wire:
    """Between nodes at addresses a and b. Node a is told to find b at `as_b`, and b to find a at
    `as_a`; both are bases of `lanes` free ports."""

    def __init__(self, scenario, a, b, as_a, as_b, lanes, rule):
        self.rule = rule
        self.forwarded = 0
        self.altered = 0
        self.facing_a = Side(parse(as_b)[1], lanes, parse(a))
        self.facing_b = Side(parse(as_a)[1], lanes, parse(b))
        self.selector = selectors.DefaultSelector()
        for side, other in ((self.facing_a, self.facing_b), (self.facing_b, self.facing_a)):
            for lane, one in enumerate(side.sockets):
                self.selector.register(one, selectors.EVENT_READ, (side, other, lane))
        self.waker, self.stopper = socket.socketpair()
        self.selector.register(self.stopper, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self.run, name="wire", daemon=True)
        self.thread.start()
        scenario.defer(self.close)

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                self.drain(key.fileobj, *key.data)

    def drain(self, one, side, other, lane):
        for _ in range(256):  # then the other sockets have their turn
            try:
                data, (_, port) = one.recvfrom(65535)
            except (BlockingIOError, ConnectionRefusedError):
                return
            passed = self.rule(data, side is self.facing_a)
            self.altered += passed != [data]
            offset = port - side.node[1]
            for datagram in passed:
                self.send(other, offset if 0 <= offset < len(other.sockets) else 0, lane, datagram)

    def send(self, side, source_lane, lane, datagram):
        try:
            side.sockets[source_lane].sendto(datagram, (side.node[0], side.node[1] + lane))
            self.forwarded += 1
        except (BlockingIOError, ConnectionRefusedError):
            pass  # as on any wire: the far end may be down

    def inject(self, datagram):
        """To the second node, as if the first had sent it from and to its base port."""
        self.send(self.facing_b, 0, 0, datagram)

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        for one in [*self.facing_a.sockets, *self.facing_b.sockets, self.waker, self.stopper]:
            one.close()
        self.selector.close()


def flip(probability, seed, smallest=200):
    """A rule: flips one bit behind the headers of some datagrams that carry frames. Short ones,
    control messages mostly, pass, so that the link itself stays up."""
    chooser = random.Random(seed)

    def rule(data, forward):
        if len(data) < smallest or chooser.random() >= probability:
            return [data]
        bad = bytearray(data)
        bad[chooser.randrange(100, len(bad))] ^= 1 << chooser.randrange(8)
        return [bytes(bad)]
    return rule


def drop(probability, seed, smallest=200):
    """A rule: loses some datagrams, short ones excepted."""
    chooser = random.Random(seed)
    return lambda data, forward: ([] if len(data) >= smallest and chooser.random() < probability
                                  else [data])
