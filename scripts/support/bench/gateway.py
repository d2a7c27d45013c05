# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own IPsec gateway, built from the sources in dpdk-doc, changed in one place: it asks for
receive checksums, which virtual devices do not offer. It sends a replayed capture to net_null on
one lcore: protected, AES-256-GCM in tunnel mode, looked up by policy among several associations,
or let through by policy."""

import os
import re
import shutil
import struct
import subprocess
import time

from bench import example, run
from bench.example import SOURCES

DRIVERS = ("crypto_aesni_gcm", "crypto_aesni_mb")
MODES = {"lookaside": "", "cpu-crypto": " type cpu-crypto"}  # and "bypass"
SECONDS = 2
ASSOCIATIONS = 8
KEY = ":".join(f"{byte:02x}" for byte in [*range(16), *range(16), 0xde, 0xad, 0xbe, 0xef])


def build():
    if not (SOURCES / "ipsec-secgw").exists():
        run.fail("ipsec-secgw's sources are not here: install the package dpdk-doc")
    place = run.STORE / "secgw"
    shutil.rmtree(place, ignore_errors=True)
    for name in ("ipsec-secgw", "common"):
        shutil.copytree(SOURCES / name, place / name)
    main = place / "ipsec-secgw/ipsec-secgw.c"
    text = main.read_text()
    wanted = ".offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM"
    if text.count(wanted) != 1:
        run.fail(f"{main} is not the one that is known: '{wanted}' is not in it once")
    main.write_text(text.replace(wanted, ".offloads = 0"))
    subprocess.run(["make", "-C", place / "ipsec-secgw", "shared"], check=True,
                   stdout=subprocess.DEVNULL)
    return place / "ipsec-secgw/build/ipsec-secgw"


def write_capture(path, size):
    """256 packets of `size` bytes, in turns to networks with associations of their own."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number in range(256):
            udp = struct.pack("!HHHH", 1000 + number, 2000, size - 20, 0) + bytes(size - 28)
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0,
                             bytes((192, 168, 105, 10)),
                             bytes((192, 168, 115 + number % ASSOCIATIONS, 10)))
            ip = ip[:10] + struct.pack("!H", example.checksum(ip)) + ip[12:]
            packet = bytes.fromhex("00163e7e949a001122334455") + b"\x08\x00" + ip + udp
            file.write(struct.pack("<IIII", 0, number, len(packet), len(packet)) + packet)


def configuration(mode):
    lines = []
    for number in range(ASSOCIATIONS):
        if mode == "bypass":
            lines += [f"sp ipv4 out esp bypass pri 1 dst 192.168.{115 + number}.0/24 "
                      "sport 0:65535 dport 0:65535",
                      f"rt ipv4 dst 192.168.{115 + number}.0/24 port 1"]
            continue
        lines += [f"sp ipv4 out esp protect {5 + number} pri 1 dst 192.168.{115 + number}.0/24 "
                  "sport 0:65535 dport 0:65535",
                  f"sa out {5 + number} aead_algo aes-256-gcm aead_key {KEY} mode ipv4-tunnel "
                  f"src 172.16.1.{5 + number} dst 172.16.2.{5 + number}{MODES[mode]}",
                  f"rt ipv4 dst 172.16.2.{5 + number}/32 port 1"]
    # It does not start without an inbound one.
    lines += ["sp ipv4 in esp protect 105 pri 1 dst 192.168.105.0/24 sport 0:65535 dport 0:65535",
              f"sa in 105 aead_algo aes-256-gcm aead_key {KEY} mode ipv4-tunnel src 172.16.2.5 "
              f"dst 172.16.1.5{MODES.get(mode, '')}", "rt ipv4 dst 192.168.105.0/24 port 0",
              "neigh port 0 00:16:3e:7e:94:9a", "neigh port 1 00:16:3e:22:a1:d9"]
    return "\n".join(lines) + "\n"


def eal(directory, capture):
    return ["-l", str(max(os.sched_getaffinity(0))), "--no-huge", "--no-shconf", "-m", "1024",
            "--no-pci", "--no-telemetry", "--file-prefix", f"ccsecgw{os.getpid()}",
            "--vdev", f"net_pcap0,rx_pcap={capture},infinite_rx=1", "--vdev", "net_null1,no-rx=1"]


def counted(words, pattern):
    """ns a packet, by what the program says it has sent over the middle of its run, and by the
    processor's time."""
    with subprocess.Popen(["stdbuf", "-oL", *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, stdin=subprocess.PIPE,
                          env={**os.environ, "TERM": "dumb"}) as child:
        seen = []
        deadline = time.monotonic() + SECONDS + 25
        try:
            for text in child.stdout:
                found = re.search(pattern, text)
                if found and int(found[1]) > 0:
                    seen.append((example.cpu_seconds(child.pid), int(found[1])))
                if len(seen) > 2 and seen[-1][0] - seen[1][0] > SECONDS:
                    break
                if time.monotonic() > deadline:
                    break
        finally:
            child.kill()
    if len(seen) < 3 or seen[-1][1] == seen[1][1]:
        run.fail(f"nothing was sent by: {' '.join(map(str, words))}")
    return (seen[-1][0] - seen[1][0]) * 1e9 / (seen[-1][1] - seen[1][1])


def gateway(binary, directory, capture, driver, mode):
    file = directory / f"{mode}.cfg"
    file.write_text(configuration(mode))
    lcore = max(os.sched_getaffinity(0))
    return counted([binary, *eal(directory, capture), "--vdev", driver, "--", "-p", "0x3", "-P",
                    "-u", "0x2", f"--config=(0,0,{lcore}),(1,0,{lcore})", "-l", "-t", "1",
                    "-f", file],
                   r"Total packets sent:\s+(\d+)")


def source(directory, capture):
    cpus = sorted(os.sched_getaffinity(0))
    words = ["dpdk-testpmd", *eal(directory, capture)]
    words[2] = f"{cpus[0]},{cpus[-1]}"
    return counted([*words, "--", "--forward-mode=io", "--stats-period=1", "--no-flush-rx",
                    "--nb-cores=1", "--portlist=0,1"], r"^\s*TX-packets: (\d+)")
