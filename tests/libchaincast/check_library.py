# SPDX-License-Identifier: BSD-3-Clause
"""libchaincast as it is built: what it exports is what its header declares, its symbol list
promises and its manual describes; nothing else is seen, and nothing of the data plane is needed."""

import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import unittest_main  # noqa: E402

HOME = ROOT / "apps/libchaincast"
LIBRARY = Path(os.environ.get("LIBCHAINCAST", ""))
PAGES = sorted((HOME / "man").glob("*.3"))


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Library(unittest.TestCase):
    def declared(self):
        header = (HOME / "chaincast.h").read_text()
        return set(re.findall(r"^CHAINCAST_API[^;]*?\b(chaincast_\w+)\(", header, re.MULTILINE))

    @staticmethod
    def versions():
        """{symbol version: its functions}, of the symbol list."""
        text = (HOME / "chaincast.map").read_text()
        return {version: re.findall(r"(chaincast_\w+);", body)
                for version, body in re.findall(r"^(CHAINCAST_\S+) \{(.*?)^\}", text,
                                                re.MULTILINE | re.DOTALL)}

    def test_exports_are_the_header(self):
        symbols = re.findall(r" T (\S+)", output("nm", "-D", "--defined-only", str(LIBRARY)))
        self.assertEqual({symbol.split("@@")[0] for symbol in symbols}, self.declared())
        self.assertEqual(set(symbols), {f"{name}@@{version}"
                                        for version, names in self.versions().items()
                                        for name in names})

    def test_what_was_there_first_keeps_its_version(self):
        self.assertEqual(set(self.versions()), {"CHAINCAST_0", "CHAINCAST_0.2"})
        self.assertEqual(self.versions()["CHAINCAST_0.2"], ["chaincast_watch_origins"])

    def test_the_symbol_list_is_the_header(self):
        listed = re.findall(r"^\s+(chaincast_\w+);", (HOME / "chaincast.map").read_text(),
                            re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(self.declared()))

    def test_every_function_has_a_page(self):
        described = [name for page in PAGES
                     for name in re.findall(r"^\.Fn (\w+)", page.read_text(), re.MULTILINE)]
        self.assertEqual(self.declared() - set(described), set())
        named = {name for page in PAGES
                 for name in re.findall(r"^\.Nm (chaincast_\w+)", page.read_text(), re.MULTILINE)}
        build = (HOME / "meson.build").read_text()
        for name in self.declared():
            self.assertIn(f"'{name}'", build, "no page of that name is installed")
        self.assertLessEqual(named, self.declared())

    def test_soname_and_what_it_needs(self):
        dynamic = output("readelf", "-d", str(LIBRARY))
        self.assertIn("Library soname: [libchaincast.so.0]", dynamic)
        needed = re.findall(r"NEEDED.*\[(.*?)\]", dynamic)
        strangers = [name for name in needed
                     if re.match(r"lib(rte_|IPSec|crypto|urcu|spdlog|numa|chaincast)", name)]
        self.assertEqual(strangers, [])

    @unittest.skipUnless(shutil.which("groff"), "needs groff")
    def test_pages_are_formatted_without_a_warning(self):
        self.assertGreater(len(PAGES), 3)
        for page in PAGES:
            done = subprocess.run(["groff", "-mdoc", "-Tascii", "-ww", str(page)],
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), page.name)


if __name__ == "__main__":
    unittest_main.main()
