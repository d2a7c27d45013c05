# SPDX-License-Identifier: BSD-3-Clause
"""A relay under load, one trial at a time: what perf/load/bench_load measures, searches over it,
and the cables between tester and relay."""

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys

from bench import links, run

FRAMES_MAX = 120_000  # of one trial: they are made beforehand
CABLES = ("ring", "af_packet")


class Bench:
    """One process of bench_load. Tester and relay have a processor each."""

    def __init__(self, cable, duration_ms):
        self.cable, self.duration_ms = cable, duration_ms
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            run.fail("tester and relay need a processor each")
        head = {"cpu": cpus[-1], "tester_cpu": cpus[0]}
        words = [run.program("perf/load/bench_load")]
        if self.cable == "ring":
            if os.geteuid() == 0:
                words = [sys.executable, "-B", str(run.ROOT / "tests/scenario/hugepages.py"),
                         str(run.HUGEPAGES), *words]
                head["has_hugepages"] = True
        else:
            pair = self.stack.enter_context(links.Pair(is_one=True))
            head["near"] = f"net_{self.cable}0,iface={pair.near}"
            head["far"] = f"net_{self.cable}1,iface={pair.far}"
            words = pair.inside(words)
        self.child = self.stack.enter_context(subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        self.said = self.ask(head)
        return self

    def __exit__(self, *caught):
        self.child.stdin.close()
        return self.stack.__exit__(*caught)

    def ask(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()
        text = self.child.stdout.readline()
        if not text:
            run.fail(f"bench_load ended in {message}")
        return json.loads(text)

    def trial(self, rate, fanout=8, payload=1400, suite="gmac", system="chaincast", attempts=None,
              **more):
        """One trial of the usual duration, or of so many attempts, or as long as frames suffice."""
        attempts = attempts or int(max(rate * self.duration_ms / 1e3, 200))
        found = self.ask({"system": system, "suite": suite, "payload": payload, "fanout": fanout,
                          "rate": rate, "attempts": attempts, "frames": min(attempts, FRAMES_MAX),
                          **more})
        copies = 1 if system == "forwarder" else fanout
        found["loss"] = 1 - found["delivered"] / (found["offered"] * copies)
        found["copies_per_s"] = found["delivered"] * 1e9 / max(found["deliver_ns"], 1)
        # What the tester did not offer in time is no rate that the relay had to bear.
        found["offered_per_s"] = (found["offered"] - 1) * 1e9 / max(found["offer_ns"], 1)
        return found

    def peak(self, **cell):
        """Frames a second that the relay passes on when it is offered far more: where searches
        start."""
        found = self.trial(20e6, **cell)
        return found["copies_per_s"] / cell.get("fanout", 8)

    def throughput(self, resolution=0.03, **cell):
        """RFC 2544 26.1, RFC 3918 4.3: the highest rate at which no copy is lost, found by halving,
        and confirmed once; a loss counts when it comes twice (RFC 9004: loss verification)."""
        high = self.peak(**cell) * 1.3
        low, best = 0.0, None
        while high - low > resolution * high:
            rate = (low + high) / 2
            found = self.trial(rate, **cell)
            if found["loss"] > 0:
                found = self.trial(rate, **cell)
            if found["loss"] > 0:
                high = rate
            else:
                low, best = rate, found
        return low, best


def medians(trials, *keys):
    """{key: median}; a key with a dot looks into a distribution."""
    out = {}
    for key in keys:
        head, _, rest = key.partition(".")
        values = [one[head][rest] if rest else one[head] for one in trials]
        out[key.replace("_ns.", "_").replace(".", "_")] = round(statistics.median(values), 1)
    return out


TICKS_HZ = (100, 250, 300, 1000)  # that Linux is built with
TICK_NS = 40_000  # a frame sent so shortly before or within a tick waits for its end


def by_ticks(trials):
    """{hz, share, chance}: which share of the slowest thousandth of all trials was sent around the
    ticks of two processors, relay's and tester's, of so many Hz, whichever fits best, whatever
    their phases; and what share of as many random moments is found so."""
    best = {"hz": 0, "share": 0.0, "chance": 0.0}
    moments = [trial["slow_at_ns"] for trial in trials]
    total = sum(map(len, moments))
    seeded = random.Random(1)
    for hz in TICKS_HZ if total else ():
        period = 1e9 / hz
        share = sum(around_ticks(one, period) for one in moments) / total
        drawn = [[seeded.uniform(0, period) for _ in one] for one in moments for _ in range(20)]
        chance = sum(around_ticks(one, period) for one in drawn) / (20 * total)
        if share - chance > best["share"] - best["chance"]:
            best = {"hz": hz, "share": round(share, 3), "chance": round(chance, 3)}
    return best


def around_ticks(moments, period):
    """How many lie around the two phases that fit most of them."""
    left, found = list(moments), 0
    for _ in range(2):
        around = max(([one for one in left if (one - at) % period < TICK_NS] for at in left),
                     key=len, default=[])
        found += len(around)
        left = [one for one in left if one not in around]
    return found


def is_disturbed(trials):
    """The tester itself could not keep time: at a load that it easily bears, more than one frame of
    a hundred left late."""
    return statistics.median(one["late"] / max(one["offered"], 1) for one in trials) > 0.01


def machine(said):
    """As run.machine has it; trials with two processors have no sentinels."""
    return run.machine(said, run.sentinels())
