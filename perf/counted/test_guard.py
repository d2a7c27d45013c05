#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The guard of instruction counts: this tree is within its baseline, counts are the same twice, and
one more probe a frame is noticed. Skipped, with the reason, where valgrind is missing or the
toolchain is not the baseline's."""

import os
import shutil
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts/support"), str(ROOT / "tests/support")]
import unittest_main  # noqa: E402
from bench import counts  # noqa: E402

BUILD = Path(os.environ.get("CHAINCAST_BUILD", ROOT / "build"))
PROGRAM = str(BUILD / "perf/counted/bench_counted")


@unittest.skipUnless(shutil.which("valgrind"), "needs valgrind")
class Guard(unittest.TestCase):
    def setUp(self):
        reason = counts.foreign({"toolchain": counts.toolchain()}, counts.baseline())
        if reason:
            self.skipTest(f"the baseline was counted elsewhere: {reason}")

    def test_nothing_costs_more_than_the_baseline(self):
        wrong = counts.complaints(counts.measure(PROGRAM), counts.baseline())
        self.assertEqual(wrong, [], "scripts/bench guard says more")

    def test_counts_are_the_same_twice(self):
        plan = counts.CELLS["single"][1]
        self.assertEqual(counts.count(PROGRAM, plan), counts.count(PROGRAM, plan))

    def test_one_more_probe_a_frame_is_noticed(self):
        honest, planted = counts.measure(PROGRAM), counts.measure(PROGRAM + "_planted")
        wrong = counts.complaints(planted, honest)
        for name in counts.CELLS:
            self.assertTrue([text for text in wrong if text.startswith(f"{name}, probe:")], wrong)


if __name__ == "__main__":
    unittest_main.main()
