# SPDX-License-Identifier: BSD-3-Clause
"""A pair of interfaces between two network namespaces of one's own, gone with the object."""

import os
import re
import subprocess
import time

from bench import example, run


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        run.fail(f"ip {' '.join(words)}: {done.stderr.strip()}; this needs root")


class Alone:
    """A namespace with nothing but its loopback: what others send on this host does not come in."""

    def __init__(self):
        self.name = f"ccbench{os.getpid()}"

    def __enter__(self):
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL)

    def inside(self, words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]


class Pair:
    """`near` is in the namespace that run() enters, and its other end in another, where the kernel
    drops what comes: nobody listens."""
    near, far = "ccnear", "ccfar"
    SECONDS = 1

    def __init__(self, mtu=1500, is_one=False):
        """is_one: both ends in the same namespace, for a program that has both."""
        ends = ("near",) if is_one else ("near", "far")
        self.names = [f"ccbench{os.getpid()}-{end}" for end in ends]
        self.mtu = mtu

    def __enter__(self):
        for name in self.names:
            ip("netns", "add", name)
        near, far = self.names[0], self.names[-1]
        ip("-n", near, "link", "add", self.near, "mtu", str(self.mtu), "type", "veth", "peer",
           "name", self.far, "mtu", str(self.mtu), "netns", far)
        for name, link in ((near, self.near), (far, self.far)):
            # Neither end shall say anything by itself.
            subprocess.run(["ip", "netns", "exec", name, "sysctl", "-q", "-w",
                            f"net.ipv6.conf.{link}.disable_ipv6=1"], stderr=subprocess.DEVNULL)
            ip("-n", name, "link", "set", link, "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)

    def inside(self, words):
        return ["ip", "netns", "exec", self.names[0], *map(str, words)]

    def run(self, words, timeout=60):
        done = subprocess.run(self.inside(words), capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            run.fail(f"{words[0]} failed: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def received(self):
        """Packets that have come to the far end."""
        done = subprocess.run(["ip", "netns", "exec", self.names[1], "cat",
                               "/sys/class/net/ccfar/statistics/rx_packets"],
                              capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip():
            return int(done.stdout)
        done = subprocess.run(["ip", "-n", self.names[1], "-s", "link", "show", "ccfar"],
                              capture_output=True, text=True)
        found = re.search(r"RX:.*\n\s+\d+\s+(\d+)", done.stdout)
        return int(found[1])

    def rate_of(self, words):
        """Packets at the far end for each second of the processor's time that a program has which
        never ends."""
        with subprocess.Popen(self.inside(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.PIPE, text=True) as child:
            try:
                deadline = time.monotonic() + 60
                before = self.received()
                while self.received() < before + 1000:
                    if child.poll() is not None or time.monotonic() > deadline:
                        child.kill()
                        run.fail(f"{words[0]} sends nothing: {child.stdout.read()[-1500:]}")
                    time.sleep(0.05)
                time.sleep(0.3)
                start, first = example.cpu_seconds(child.pid), self.received()
                while example.cpu_seconds(child.pid) < start + self.SECONDS:
                    time.sleep(0.02)
                last, end = self.received(), example.cpu_seconds(child.pid)
            finally:
                child.kill()
        return (last - first) / (end - start)
