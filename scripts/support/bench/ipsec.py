# SPDX-License-Identifier: BSD-3-Clause
"""The comparison with IPsec: which cells are measured, and what comes of them."""

import statistics
from dataclasses import dataclass

from bench.goals import (BASELINE, ETHERNET_BYTES, FANOUTS, FRAME_BYTES, HOP_BYTES, ROWS, STRICT,
                         SUITES, TUNNELS, Row, Shape)

ESP_BYTES = 20 + 8 + 8 + 16  # outer IPv4, ESP header, IV, ICV
SIZES = (64, 128, 256, 512, 1024, 1400)
ALL_FANOUTS = (1, 2, 4, 8, 16, 32, 64)


def esp_wire_bytes(inner):
    return ETHERNET_BYTES + ESP_BYTES + (inner + 2 + 3) // 4 * 4


@dataclass(frozen=True)
class Cell:
    """One thing that is measured."""
    system: str
    suite: str
    unit: int
    bundle: int
    datagram: int
    mtu: int
    fanout: int
    sink: str
    offered: int = 1
    is_warm: bool = False

    def plan(self):
        row = {"system": self.system, "unit_bytes": self.unit, "bundle": self.bundle,
               "datagram_bytes": self.datagram, "mtu_bytes": self.mtu, "fanout": self.fanout,
               "sink": self.sink, "offered": self.offered, "is_warm": self.is_warm}
        if self.suite:
            row["suite"] = self.suite
        return row


def ours(suite, shape, fanout, sink, **more):
    return Cell("chaincast", suite, shape.size, shape.bundle, shape.datagram, shape.mtu, fanout,
                sink, **more)


def tunnel(system, inner, fanout, sink, **more):
    return Cell(system, "", inner, 1, 0, 1500, fanout, sink, **more)


def jobs(fanouts, sinks, rows, **more):
    """Every cell that the rows need, those that are compared next to each other."""
    found = {}
    for sink in sinks:
        for fanout in fanouts:
            for row in rows:
                is_warm = more.get("is_warm", False)
                for system in TUNNELS:
                    if system == BASELINE or (sink == "null" and not is_warm):
                        found[tunnel(system, row.inner, fanout, sink, is_warm=is_warm)] = None
                for suite in SUITES:
                    found[ours(suite, row.shape, fanout, sink, **more)] = None
    return list(found)


def size_rows():
    """The sizes between, one frame a datagram; no goal is set for them."""
    return [Row(f"s{size}", f"{size} B frames, one a datagram",
                Shape(size, 1, datagram=HOP_BYTES + FRAME_BYTES + size), size, 1, 1, (), ())
            for size in SIZES[1:-1]]


def quick_cells():
    return (jobs(FANOUTS, ("null", "ring"), ROWS)
            + jobs(FANOUTS, ("null",), ROWS, is_warm=True))


def full_cells():
    cells = jobs(ALL_FANOUTS, ("null", "ring"), [*ROWS, *size_rows()])
    cells += jobs(FANOUTS, ("null",), ROWS, is_warm=True)
    cells += jobs((8, 64), ("null",), ROWS, offered=3)
    return list(dict.fromkeys(cells))


class Measured:
    """Medians by cell. Disturbed repetitions count only where there is nothing else."""

    def __init__(self, cells, lines):
        self.lines = {cell: [] for cell in cells}
        for line in lines:
            self.lines[cells[line["cell"]]].append(line)

    def __contains__(self, cell):
        return bool(self.lines.get(cell))

    def quiet(self, cell):
        return [line for line in self.lines[cell] if not line["is_disturbed"]]

    def is_disturbed(self, cell):
        """Fewer than three good repetitions of five: no goal is judged by it."""
        return len(self.quiet(cell)) * 2 <= len(self.lines[cell])

    def summary(self, cell):
        lines = self.quiet(cell) or self.lines[cell]
        times = sorted(line["ns_per_unit"] for line in lines)
        middle = statistics.median(times)
        return {
            "ns": middle, "cycles": statistics.median(line["cycles_per_unit"] for line in lines),
            "spread": (times[-1] - times[0]) / middle, "repeats": len(self.lines[cell]),
            "disturbed": len(self.lines[cell]) - len(self.quiet(cell)),
            "bundle_out": round(statistics.median(
                line["copies"] / line["sent"] for line in lines), 2),
            "set_bytes": lines[0]["set_bytes"],
            "samples": min(line["samples"] for line in lines),
            "steal_ticks": sum(line["steal_ticks"] for line in self.lines[cell]),
            "sha_ns": statistics.median(
                (line["before"]["sha_ns"] + line["after"]["sha_ns"]) / 2 for line in lines),
            "gcm_ns": statistics.median(
                (line["before"]["gcm_ns"] + line["after"]["gcm_ns"]) / 2 for line in lines)}


def row_of(name, cell, found, divisor, wire, baseline_ns):
    ns = found["ns"] / divisor
    units_per_s = 1e9 / found["ns"]
    return {
        "row": name, "system": cell.system, "suite": cell.suite, "size": cell.unit,
        "bundle_in": cell.bundle, "bundle_out": found["bundle_out"], "fanout": cell.fanout,
        "offered": cell.offered, "ns_per_frame": round(ns, 2),
        "cycles_per_frame": round(found["cycles"] / divisor, 1),
        "frames_per_s": round(1e9 / ns), "copies_per_s": round(1e9 / ns * cell.fanout),
        "gbps_out": round(units_per_s * cell.fanout / found["bundle_out"] * wire * 8 / 1e9, 3),
        "ratio": round(baseline_ns / ns, 3) if baseline_ns else None,
        "sink": cell.sink, "is_warm": cell.is_warm, "set_bytes": found["set_bytes"],
        "spread": round(found["spread"], 3), "repeats": found["repeats"],
        "disturbed": found["disturbed"], "samples": found["samples"],
        "steal_ticks": found["steal_ticks"], "sha_ns": round(found["sha_ns"], 1),
        "gcm_ns": round(found["gcm_ns"], 1)}


def baseline_of(row, fanout, sink, is_warm, measured, extra):
    """(nanoseconds per unit of the cheapest IPsec with AES-256, whether it was disturbed).
    `extra`: what else was measured, {(inner, fanout): ns}."""
    cell = tunnel(BASELINE, row.inner, fanout, sink, is_warm=is_warm)
    if cell not in measured:
        return None, False
    ns = measured.summary(cell)["ns"]
    ns = min([ns, *(other for key, other in extra.items() if key == (row.inner, fanout))])
    return ns / row.per_packet, measured.is_disturbed(cell)


def rows(cells, lines, extra=None):
    """The result rows, in the order of the goals."""
    measured = Measured(cells, lines)
    out = []
    kinds = sorted({(cell.sink, cell.is_warm, cell.offered) for cell in cells
                    if cell.system == "chaincast"}, key=str)
    for row in [*ROWS, *size_rows()]:
        for sink, is_warm, offered in kinds:
            for fanout in ALL_FANOUTS:
                base, base_disturbed = baseline_of(row, fanout, sink, is_warm, measured,
                                                   extra or {})
                for cell in [tunnel(system, row.inner, fanout, sink, is_warm=is_warm)
                             for system in TUNNELS if offered == 1] + \
                        [ours(suite, row.shape, fanout, sink, offered=offered, is_warm=is_warm)
                         for suite in SUITES]:
                    if cell not in measured:
                        continue
                    found = measured.summary(cell)
                    is_ours = cell.system == "chaincast"
                    divisor = row.per_frame if is_ours else row.per_packet
                    wire = (row.shape.wire_bytes(found["bundle_out"]) if is_ours else
                            esp_wire_bytes(row.inner))
                    one = row_of(row.name, cell, found, divisor, wire, base)
                    one["is_disturbed"] = measured.is_disturbed(cell) or base_disturbed
                    out.append(one)
    return out


def judge(rows_, is_warm=False):
    """Goals and what was reached: for each the lowest ratio over its suites and the sinks that were
    measured, frames offered once. What counts are arrivals from memory that the caches do not
    hold."""
    out = []
    for row in ROWS:
        for kind, goals in (("strict", row.strict), ("ct, gmac", row.cut_through)):
            for fanout, goal in zip(FANOUTS, goals):
                rows_here = [one for one in rows_ if one["row"] == row.name
                             and one["system"] == "chaincast" and one["fanout"] == fanout
                             and (one["suite"] in STRICT) == (kind == "strict")
                             and one["is_warm"] == is_warm and one["offered"] == 1]
                if not rows_here:
                    continue
                least = min(rows_here, key=lambda one: one["ratio"])
                disturbed = any(one["is_disturbed"] for one in rows_here)
                out.append({"row": row.name, "text": row.text, "suites": kind, "fanout": fanout,
                            "goal": goal, "ratio": least["ratio"], "suite": least["suite"],
                            "sink": least["sink"], "is_disturbed": disturbed,
                            "is_reached": least["ratio"] >= goal and not disturbed})
    return out


def goal_table(judged):
    """Lines of text: one per row and kind, goal and reached side by side."""
    lines = [f"{'row':4}{'suites':10}" + "".join(f"{f'N={fanout}':>16}" for fanout in FANOUTS)]
    for row in ROWS:
        for kind in ("strict", "ct, gmac"):
            cells = [one for one in judged if one["row"] == row.name and one["suites"] == kind]
            text = ""
            for one in cells:
                mark = "~" if one["is_disturbed"] else "+" if one["is_reached"] else "-"
                text += f"{one['ratio']:>8.2f} / {one['goal']:<4}{mark}"
            lines.append(f"{row.name:4}{kind:10}{text}")
    return lines + ["ratio / goal; + reached, - not reached, ~ disturbed: counted for no goal"]
