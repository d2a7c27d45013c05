# SPDX-License-Identifier: BSD-3-Clause
"""scripts/demo compares honestly: with stand-in programs, a lab that copies well makes it exit 0,
and one altered or missing byte at one node makes it exit 1."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / "tests/support"), str(HERE)]
import unittest_main  # noqa: E402


def build_of_fakes(place):
    """A build directory whose programs are all the stand-in."""
    for name in ("chaincast", "chaincastctl", "chaincast-gen"):
        folder = Path(place) / "apps" / name
        folder.mkdir(parents=True)
        (folder / name).symlink_to(HERE / "fakes/program")
    return str(place)


class Demo(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.environment = {**os.environ, "CHAINCAST_BUILD": build_of_fakes(self.place / "build")}

    def demo(self, *words):
        return subprocess.run([sys.executable, "-B", str(ROOT / "scripts/support/demo.py"), *words],
                              env=self.environment, capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, cwd=self.place)

    def test_json_and_digests(self):
        done = self.demo("--nodes", "3", "--json", "--keep", "kept")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertTrue(result["ok"])
        self.assertEqual([node["name"] for node in result["nodes"]], ["member1", "member2"])
        self.assertEqual(result["published"]["objects"], 2)
        self.assertEqual(result["published"]["prefix_changes"], 7)
        digests = [hashlib.sha256((self.place / "kept/member2" / f"received-{name}").read_bytes())
                   .hexdigest() for name in ("file", "routes")]
        self.assertEqual(result["nodes"][1]["sha256"],
                         hashlib.sha256("".join(digests).encode()).hexdigest())
        self.assertEqual(result["nodes"][0]["drops"], {"duplicate": 2})
        for node in result["nodes"]:
            self.assertEqual((node["latency_p50_ns"], node["latency_p99_ns"]), (123_000, 4_567_000))

    def test_table(self):
        done = self.demo("--nodes", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("every node received exactly that", done.stdout)
        self.assertRegex(done.stdout, r"\nmember1 .* 123 us +4567 us  yes")

    def test_payload_is_what_is_published(self):
        (self.place / "payload").write_bytes(b"some bytes")
        done = self.demo("--nodes", "2", "--payload", "payload", "--json")
        self.assertEqual(json.loads(done.stdout)["published"]["bytes"], 10 + 7 * 13)

    def test_an_altered_byte_fails(self):
        done = self.demo("--nodes", "3", "--break", "flip", "--patience", "1", "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        result = json.loads(done.stdout)
        self.assertFalse(result["ok"])
        # Only what arrived can be measured.
        self.assertEqual([node["latency_p50_ns"] for node in result["nodes"]], [123_000, None])

    def test_a_missing_byte_fails(self):
        done = self.demo("--nodes", "2", "--break", "drop", "--patience", "1")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("NOT the same", done.stdout)
        self.assertRegex(done.stdout, r"\nn1 .* -  +-  +NO")

    def test_bad_options(self):
        for words in (["--nodes", "1"], ["--nodes", "21"], ["--payload", "none"],
                      ["--break", "bend"]):
            self.assertEqual(self.demo(*words).returncode, 2, words)


if __name__ == "__main__":
    unittest_main.main()
