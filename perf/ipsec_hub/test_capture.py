#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the IPsec hub of the benchmarks sends is ESP: tshark decrypts all of it, and nothing with
another key. A baseline that left out a part of the work would be no baseline. ESP null with GMAC
is judged by libcrypto alone, in every run: tshark does not know that transform."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/support"))
import unittest_main  # noqa: E402

PROGRAM = os.environ.get("CAPTURE_HUB", "")
AEAD = "AES-GCM with 16 octet ICV [RFC4106]"


def decrypt(capture, associations):
    """Each packet as tshark sees it: SPI, sequence, and of the innermost IPv4 header destination,
    state of the checksum, length."""
    words = ["tshark", "-n", "-r", capture, "-o", "esp.enable_encryption_decode:TRUE",
             "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "occurrence=l"]
    for spi, key in associations:
        words += ["-o", f'uat:esp_sa:"IPv4","*","*","{spi}","{AEAD}","{key}","NULL",""']
    for field in ("esp.spi", "esp.sequence", "ip.dst", "ip.checksum.status", "ip.len"):
        words += ["-e", field]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@unittest.skipUnless(shutil.which("tshark"), "needs tshark")
@unittest.skipUnless(PROGRAM, "needs CAPTURE_HUB, the program")
class Capture(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.capture = str(Path(directory.name) / "hub.pcap")

    def associations(self, kind, inner_bytes):
        done = subprocess.run([PROGRAM, self.capture, kind, str(inner_bytes)],
                              capture_output=True, text=True, timeout=60, check=True)
        return [(spi, "0x" + key) for spi, key in map(str.split, done.stdout.splitlines())]

    def check(self, kind, inner_bytes):
        associations = self.associations(kind, inner_bytes)
        rows = decrypt(self.capture, associations)
        self.assertEqual(len(rows), 16)
        for spi, sequence, destination, status, length in rows:
            self.assertEqual(destination, "192.168.0.2")
            self.assertEqual(status, "1", "the inner IPv4 header's checksum")
            self.assertEqual(int(length), inner_bytes)
            self.assertIn(int(spi, 16), [int(one, 16) for one, _ in associations])
        for spi in {row[0] for row in rows}:
            numbers = [int(row[1]) for row in rows if row[0] == spi]
            wanted = list(range(1, 9)) * (16 // len({row[0] for row in rows}) // 8)
            self.assertEqual(sorted(numbers), sorted(wanted))

    def test_aes256_opens(self):
        self.check("gcm256", 1400)

    def test_short_packets_open(self):
        self.check("gcm256", 65)

    def test_aes128_opens(self):
        self.check("gcm128", 200)

    def test_group_opens(self):
        self.check("group", 200)

    def test_another_key_opens_nothing(self):
        associations = [(spi, "0x" + "11" * (len(key) // 2 - 1))
                        for spi, key in self.associations("gcm256", 200)]
        rows = decrypt(self.capture, associations)
        self.assertNotIn("192.168.0.2", [row[2] for row in rows])


if __name__ == "__main__":
    unittest_main.main()
