# SPDX-License-Identifier: BSD-3-Clause
"""Instructions of the worker line, by stage, as callgrind counts them; the baseline they are held
against. What is counted depends on code and toolchain, not on the machine."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import run

BASELINE = run.ROOT / "perf/counted/baseline.json"
TOLERANCE = 0.03
SLACK = 0.5  # instructions a frame that are below notice, whatever the stage
ATOMIC_SLACK = 0.01

# name: (what a frame is, plan of bench_counted)
CELLS = {
    "single": ("1400 B frames, one a datagram, N=8",
               {"unit_bytes": 1400, "bundle": 1, "datagram_bytes": 1472, "fanout": 8,
                "offered": 1, "warm": 1024, "datagrams": 2048}),
    "small": ("64 B frames, twelve a datagram, N=8",
              {"unit_bytes": 64, "bundle": 12, "datagram_bytes": 1472, "fanout": 8,
               "offered": 1, "warm": 128, "datagrams": 256}),
    "thrice": ("64 B frames, one a datagram, each offered three times, N=1",
               {"unit_bytes": 64, "bundle": 1, "datagram_bytes": 136, "fanout": 1,
                "offered": 3, "warm": 512, "datagrams": 1024}),
}

# What the line calls, by the names of its functions: the first that fits.
STAGES = (("rx", r"chaincast::port::.*::receive\("), ("hop", r"chaincast::hop::"),
          ("classify", r"chaincast::classify::"),
          ("probe", r"^chaincast::stream::probe|__wrap_.*probe"),
          ("verify", r"chaincast::verify::"), ("commit", r"chaincast::stream::commit"),
          ("tx", r"chaincast::fanout::.*::transmit\("), ("fanout", r"chaincast::fanout::"))
LINE = re.compile(r"chaincast::(node::Line|worker::Worker)::")


def toolchain():
    """What the counts depend on besides the code."""
    def first(*words):
        return subprocess.run(words, capture_output=True, text=True).stdout.split("\n")[0].strip()
    return {"compiler": first("c++", "--version"),
            "dpdk": first("pkg-config", "--modversion", "libdpdk"),
            "libc": first("ldd", "--version"), "valgrind": first("valgrind", "--version")}


class Profile:
    """A callgrind.out: self costs by (object, function), and inclusive costs of calls by (caller,
    callee)."""

    def __init__(self, text):
        self.own, self.calls = {}, {}
        self.names, self.events = {}, []
        place = {"ob": "", "fn": ""}
        callee = {"cob": None, "cfn": ""}
        is_call = False
        for line in text.splitlines():
            if line.startswith("events:"):
                self.events = line.split()[1:]
            elif line.startswith("calls="):
                is_call = True
            elif (match := re.match(r"(c?)(fn|ob)=(.*)", line)):
                name = self.resolve(match[2], match[3])
                if match[1]:
                    callee["c" + match[2]] = name
                else:
                    place[match[2]] = name
            elif re.match(r"[\d+*-]", line):
                costs = [int(word) for word in line.split()[1:]]
                costs += [0] * (len(self.events) - len(costs))
                if is_call:
                    self.add(self.calls, (place["fn"], callee["cfn"]), costs)
                    is_call, callee = False, {"cob": None, "cfn": ""}
                else:
                    self.add(self.own, (place["ob"], place["fn"]), costs)

    def resolve(self, kind, text):
        match = re.match(r"\((\d+)\)(?: (.*))?$", text)
        if not match:
            return text
        if match[2] is not None:
            self.names[kind, match[1]] = match[2]
        return self.names[kind, match[1]]

    @staticmethod
    def add(table, key, costs):
        old = table.setdefault(key, [0] * len(costs))
        table[key] = [a + b for a, b in zip(old, costs)]


def stage_of(function):
    return next((name for name, pattern in STAGES if re.search(pattern, function)), None)


def sum_up(profile, frames, program):
    """Instructions and atomic instructions a frame, by stage. `rig` is what the benchmark's device
    and DPDK's drivers take, wherever it is called from; `line` is the rest of the line itself."""
    ir, atomic = profile.events.index("Ir"), profile.events.index("Ge")
    stages = {name: [0, 0] for name, _ in STAGES} | {"line": [0, 0]}
    for (caller, callee), costs in profile.calls.items():
        if LINE.search(caller) and not LINE.search(callee):
            into = stages[stage_of(callee) or "line"]
            into[0] += costs[ir]
            into[1] += costs[atomic]
    for (_, function), costs in profile.own.items():
        if LINE.search(function):
            stages["line"][0] += costs[ir]
            stages["line"][1] += costs[atomic]
    ours = [(function, costs) for (place, function), costs in profile.own.items()
            if place.endswith(Path(program).name) and "chaincast::bench::" not in function]
    out = {name: round(both[0] / frames, 2) for name, both in stages.items()}
    out["whole"] = round(sum(costs[ir] for costs in profile.own.values()) / frames, 2)
    return {"instructions": out,
            "atomics": {"ours": round(sum(costs[atomic] for _, costs in ours) / frames, 4),
                        "whole": round(sum(costs[atomic] for costs in profile.own.values())
                                       / frames, 4)}}


def count(program, plan):
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        words = ["setarch", "-R", "valgrind", "--tool=callgrind", "--instr-atstart=no",
                 "--collect-bus=yes", "--dump-line=no", "--compress-pos=no",
                 f"--callgrind-out-file={out}", program,
                 json.dumps({"cpu": min(os.sched_getaffinity(0)), **plan})]
        done = subprocess.run(words, capture_output=True, text=True, timeout=200,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        if done.returncode != 0:
            run.fail(f"{program} under valgrind failed:\n{done.stderr[-2000:]}")
        said = json.loads(done.stdout.splitlines()[-1])
        return {"arrived": said["arrived"], "kept": said["kept"],
                **sum_up(Profile(out.read_text()), said["arrived"], program)}


def measure(program):
    if not shutil.which("valgrind"):
        run.fail("valgrind is not here: scripts/setup installs it")
    return {"toolchain": toolchain(),
            "cells": {name: count(program, plan) for name, (_, plan) in CELLS.items()}}


def baseline():
    try:
        return json.loads(BASELINE.read_text())
    except OSError:
        return None


def write_baseline(found, why):
    BASELINE.write_text(json.dumps({"why": why, **found}, indent=1) + "\n")


def foreign(found, base):
    """Why the two cannot be compared; empty where they can."""
    return "; ".join(f"{key}: '{found['toolchain'][key]}' here, baseline of '{value}'"
                     for key, value in base["toolchain"].items()
                     if found["toolchain"].get(key) != value)


def complaints(found, base):
    """What costs more than it did, beyond what is tolerated. Frames that are not accounted for as
    they were count as well: then something else was measured."""
    if base is None:
        return ["there is no baseline"]
    out = []
    for name, cell in found["cells"].items():
        old = base["cells"].get(name)
        if old is None:
            out.append(f"{name}: not in the baseline")
            continue
        if (cell["arrived"], cell["kept"]) != (old["arrived"], old["kept"]):
            out.append(f"{name}: {cell['kept']} of {cell['arrived']} frames kept, the baseline has "
                       f"{old['kept']} of {old['arrived']}")
        for kind, slack in (("instructions", SLACK), ("atomics", ATOMIC_SLACK)):
            for part in sorted({*cell[kind], *old[kind]}):
                now, then = cell[kind].get(part), old[kind].get(part)
                if now is None or then is None:
                    out.append(f"{name}, {part}: {'gone' if now is None else 'new'}")
                elif now > then * (1 + TOLERANCE) and now > then + slack:
                    out.append(f"{name}, {part}: {now} {kind} a frame, {then} in the baseline "
                               f"(+{(now / then - 1) * 100 if then else 100:.1f} %)")
    return out


def table(found, base):
    lines = []
    for name, cell in found["cells"].items():
        lines.append(f"{name}: {CELLS[name][0]}; {cell['kept']} of {cell['arrived']} frames kept")
        for kind in ("instructions", "atomics"):
            old = base["cells"].get(name, {}).get(kind, {}) if base else {}
            lines += [f"  {part:9} {value:>9} {kind} a frame"
                      + (f", baseline {old[part]}" if part in old else "")
                      for part, value in cell[kind].items()]
    return lines
