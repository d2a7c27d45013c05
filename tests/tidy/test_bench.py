#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the comparison with IPsec makes of measurements: nothing flattering."""

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts/support"), str(ROOT / "tests/support")]
import unittest_main  # noqa: E402
from bench import goals, ipsec  # noqa: E402


def line(index, ns, disturbed=False):
    reading = {"sha_ns": 300, "gcm_ns": 120}
    return {"cell": index, "ns_per_unit": ns, "cycles_per_unit": 2 * ns, "copies": 64, "sent": 64,
            "is_disturbed": disturbed, "set_bytes": 1, "samples": 9, "steal_ticks": 0,
            "before": reading, "after": reading}


def measured(times, disturbed=()):
    """Rows of `times`, {cell: nanoseconds}, five repeats each."""
    cells = list(times)
    lines = [line(index, times[cell], cell in disturbed)
             for _ in range(5) for index, cell in enumerate(cells)]
    return ipsec.rows(cells, lines)


def all_cells(ours_ns, tunnel_ns):
    return {cell: ours_ns if cell.system == "chaincast" else tunnel_ns
            for cell in ipsec.quick_cells()}


class Judging(unittest.TestCase):
    def test_every_goal_has_a_row(self):
        judged = ipsec.judge(measured(all_cells(100, 1000)))
        self.assertEqual(judged, ipsec.judge(measured({
            cell: ns for cell, ns in all_cells(100, 1000).items() if not cell.is_warm})))
        self.assertEqual([one["row"] for one in judged],
                         [row.name for row in goals.ROWS for _ in range(8)])

    def test_the_slowest_suite_and_sink_count(self):
        times = all_cells(100, 1000)
        worst = ipsec.ours("sha256-gcm", goals.SINGLE, 8, "ring")
        times[worst] = 500
        found = [one for one in ipsec.judge(measured(times))
                 if (one["row"], one["suites"], one["fanout"]) == ("r1", "strict", 8)]
        self.assertEqual([(one["ratio"], one["suite"], one["sink"], one["is_reached"])
                          for one in found], [(2.0, "sha256-gcm", "ring", False)])

    def test_disturbed_cells_reach_nothing(self):
        times = all_cells(1, 1000)
        for disturbed in (ipsec.ours("gmac", goals.SINGLE, 1, "null"),
                          ipsec.tunnel("hub-aes256", 1400, 1, "null")):
            found = [one for one in ipsec.judge(measured(times, {disturbed}))
                     if (one["row"], one["suites"], one["fanout"]) == ("r1", "ct, gmac", 1)]
            self.assertEqual([one["is_reached"] for one in found], [False])

    def test_units_are_compared_with_units(self):
        rows = measured(all_cells(100, 1200))

        def ratio(name):
            return next(one["ratio"] for one in rows if one["row"] == name
                        and one["system"] == "chaincast")

        self.assertEqual(ratio("r1"), 12)
        self.assertEqual(ratio("r3"), 12)  # as many objects on both sides
        self.assertEqual(ratio("r4"), 1)   # a tunnel's packet carries twelve frames
        self.assertEqual(ratio("r5"), 12)

    def test_bytes_on_the_wire(self):
        # 14 Ethernet, 20 IPv4, 8 ESP, 8 IV, 1400 and 2 padded to 1404, 16 ICV.
        self.assertEqual(ipsec.esp_wire_bytes(1400), 1470)
        # 14 Ethernet, 20 IPv4, 8 UDP, 16 hop header, 56 frame header, 1400.
        self.assertEqual(goals.SINGLE.wire_bytes(1), 1514)


if __name__ == "__main__":
    unittest_main.main()
