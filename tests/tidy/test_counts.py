#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the guard makes of counts: it reads callgrind's files right and lets nothing dear pass."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts/support"), str(ROOT / "tests/support")]
import unittest_main  # noqa: E402
from bench import counts  # noqa: E402

# As callgrind writes: names once, costs of a call on the line behind `calls=`.
FILE = """version: 1
events: Ir Ge
ob=(1) /b/bench_counted
fl=(1) ???
fn=(1) chaincast::node::Line::run_stages(int)
0 100 1
cfn=(2) chaincast::stream::probe(int)
calls=4 0
0 40
cob=(2) /lib/pmd.so
cfn=(3) chaincast::port::X::receive(int)
calls=1 0
0 30 2

fn=(2)
0 40

ob=(2)
fn=(3)
0 30 2
"""


def cell(**instructions):
    return {"arrived": 10, "kept": 10, "instructions": instructions, "atomics": {"ours": 1.0}}


def complaints(found, base):
    return counts.complaints({"cells": {"single": found}}, {"cells": {"single": base}})


class Reading(unittest.TestCase):
    def test_costs_go_to_their_stages(self):
        found = counts.sum_up(counts.Profile(FILE), 10, "/b/bench_counted")
        self.assertEqual(found["instructions"]["probe"], 4)
        self.assertEqual(found["instructions"]["rx"], 3)
        self.assertEqual(found["instructions"]["line"], 10)
        self.assertEqual(found["instructions"]["whole"], 17)
        self.assertEqual(found["atomics"], {"ours": 0.1, "whole": 0.3})


class Judging(unittest.TestCase):
    def test_three_percent_pass_and_more_does_not(self):
        self.assertEqual(complaints(cell(probe=103), cell(probe=100)), [])
        self.assertEqual(len(complaints(cell(probe=104), cell(probe=100))), 1)

    def test_less_is_no_complaint(self):
        self.assertEqual(complaints(cell(probe=10), cell(probe=100)), [])

    def test_atomics_are_apart(self):
        more = {**cell(probe=100), "atomics": {"ours": 1.2}}
        self.assertEqual(len(complaints(more, cell(probe=100))), 1)

    def test_stages_that_come_or_go_are_named(self):
        self.assertEqual(complaints(cell(), cell(probe=1)), ["single, probe: gone"])
        self.assertEqual(complaints(cell(probe=1), cell()), ["single, probe: new"])

    def test_other_frames_are_another_measurement(self):
        self.assertEqual(len(complaints({**cell(), "kept": 9}, cell())), 1)


if __name__ == "__main__":
    unittest_main.main()
