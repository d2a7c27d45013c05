# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own example programs as contestants: built from the sources in dpdk-doc, fed from a
replayed capture, counted from outside."""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

from bench import run

SOURCES = Path("/usr/share/dpdk/examples")
SECONDS = 2
GROUP = bytes((224, 0, 0, 101))


def eal(cpus, more):
    return ["-l", ",".join(map(str, dict.fromkeys((cpus[0], cpus[-1])))), "--no-huge",
            "--no-shconf", "-m", "1024", "--no-pci", "--no-telemetry", "--file-prefix",
            f"ccbench{os.getpid()}", *more]


def cpu_seconds(pid):
    """That a process has had: what others do on its core meanwhile is not in it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def build_multicast(fanout):
    """ipv4_multicast whose first group leads to ports 1 to `fanout` (it knows four at most), and
    which asks for no offload that virtual devices do not advertise."""
    if not (SOURCES / "ipv4_multicast").exists():
        run.fail("ipv4_multicast's sources are not here: install the package dpdk-doc")
    place = run.STORE / "ipv4_multicast"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(SOURCES / "ipv4_multicast", place)
    text = (place / "main.c").read_text()
    group = "{RTE_IPV4(224,0,0,101), 0x1}"
    edits = {group: group.replace("0x1", hex((1 << fanout) - 1 << 1)),
             ".offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS": ".offloads = 0"}
    for old, new in edits.items():
        if text.count(old) != 1:
            run.fail(f"{place}/main.c is not the one that is known: '{old}' is not in it once")
        text = text.replace(old, new)
    (place / "main.c").write_text(text)
    subprocess.run(["make", "-C", place, "shared"], check=True, stdout=subprocess.DEVNULL)
    return place / "build/ipv4_multicast"


def write_multicast(path, size):
    """256 packets of `size` bytes to the group."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number in range(256):
            udp = struct.pack("!HHHH", 1000 + number, 2000, size - 20, 0) + bytes(size - 28)
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0,
                             bytes((10, 0, 0, 2)), GROUP)
            ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
            packet = bytes.fromhex("01005e000065001122334455") + b"\x08\x00" + ip + udp
            file.write(struct.pack("<IIII", 0, number, len(packet), len(packet)) + packet)


class Telemetry:
    """What a DPDK process says of its ports."""

    def __init__(self, prefix):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(f"/run/dpdk/{prefix}/dpdk_telemetry.v2")
        self.socket.recv(1 << 14)

    def sent(self, port):
        self.socket.send(f"/ethdev/stats,{port}".encode())
        return json.loads(self.socket.recv(1 << 16))["/ethdev/stats"]["opackets"]


def multicast_ns(binary, capture, fanout):
    """ns of the processor's time a packet that was taken in, its `fanout` copies included."""
    prefix = f"ccmulticast{os.getpid()}"
    words = [binary, "-l", str(max(os.sched_getaffinity(0))), "--no-huge", "-m", "1024", "--no-pci",
             "--file-prefix", prefix, "--vdev", f"net_pcap0,rx_pcap={capture},infinite_rx=1"]
    for port in range(1, fanout + 1):
        words += ["--vdev", f"net_null{port},no-rx=1"]
    words += ["--", "-p", hex((1 << fanout + 1) - 1), "-q", "15"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as child:
        try:
            deadline = time.monotonic() + 30
            telemetry, first = None, 0
            while first == 0:
                if child.poll() is not None or time.monotonic() > deadline:
                    child.kill()
                    run.fail(f"ipv4_multicast sends nothing: {child.stdout.read()[-1500:]}")
                time.sleep(0.1)
                try:
                    telemetry = telemetry or Telemetry(prefix)
                    first = telemetry.sent(fanout)
                except (OSError, KeyError, TypeError, ValueError):
                    continue
            start, first = cpu_seconds(child.pid), telemetry.sent(fanout)
            while cpu_seconds(child.pid) < start + SECONDS:
                time.sleep(0.02)
            end, last = cpu_seconds(child.pid), telemetry.sent(fanout)
        finally:
            child.kill()
    return (end - start) * 1e9 / (last - first)


def source_ns(capture):
    """ns a packet of the replay alone: testpmd from it to net_null."""
    words = ["stdbuf", "-oL", "dpdk-testpmd",
             *eal(sorted(os.sched_getaffinity(0)),
                  ["--vdev", f"net_pcap0,rx_pcap={capture},infinite_rx=1", "--vdev",
                   "net_null1,no-rx=1"]),
             "--", "--forward-mode=io", "--stats-period=1", "--no-flush-rx", "--nb-cores=1",
             "--portlist=0,1"]
    seen = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.PIPE, env={**os.environ, "TERM": "dumb"}) as child:
        try:
            for text in child.stdout:
                found = re.search(r"^\s*TX-packets: (\d+)", text)
                if found and int(found[1]) > 0:
                    seen.append((cpu_seconds(child.pid), int(found[1])))
                if len(seen) > 2 and seen[-1][0] - seen[1][0] > SECONDS:
                    break
        finally:
            child.kill()
    return (seen[-1][0] - seen[1][0]) * 1e9 / (seen[-1][1] - seen[1][1])
