# SPDX-License-Identifier: BSD-3-Clause
"""Runs a plan of trials: hugepages, the processor, sentinels kept from run to run, the load that
the machine had besides."""

import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("CHAINCAST_BUILD", ROOT / "build"))
STORE = BUILD / "bench"
RESULTS = ROOT / "perf/results"
HUGEPAGES = 600
NO_HUGEPAGES = 77  # exit code of tests/scenario/hugepages.py


def fail(text):
    raise SystemExit(f"bench: {text}")


def program(path):
    found = BUILD / path
    if not found.exists():
        fail(f"{found} is not built: scripts/build")
    return str(found)


def build(target):
    """What is not built by default."""
    if subprocess.run([ROOT / "scripts/build", "release", target]).returncode != 0:
        fail(f"{target} cannot be built")


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def sentinels():
    """The best that this kind of processor has shown, or nothing."""
    try:
        return json.loads((STORE / "sentinels.json").read_text())
    except (OSError, ValueError):
        return None


def keep_sentinels(model, lines):
    """Each the lowest seen."""
    readings = [line[when] for line in lines for when in ("before", "after")]
    old = sentinels()
    if old and old.get("cpu_model") == model:
        readings.append(old)
    best = {name: min(reading[name] for reading in readings) for name in ("sha_ns", "gcm_ns")}
    STORE.mkdir(parents=True, exist_ok=True)
    (STORE / "sentinels.json").write_text(json.dumps({"cpu_model": model, **best}))
    return best


def run_plan(path, plan, progress=lambda line: None):
    """(what the program says of the machine, its result lines). With hugepages where root may
    reserve some, as a node on a NIC has them; else in ordinary memory."""
    binary = program(path)
    best = sentinels()
    plan = {"cpu": max(os.sched_getaffinity(0)), "memory_mb": 1600, **plan}
    if best:
        plan["best"] = {name: best[name] for name in ("sha_ns", "gcm_ns")}
    if os.geteuid() == 0:
        wrapper = [sys.executable, "-B", str(ROOT / "tests/scenario/hugepages.py"),
                   str(HUGEPAGES), binary]
        code, lines = converse(wrapper, {**plan, "has_hugepages": True}, progress)
        if code == 0:
            return lines[0], lines[1:]
        if code != NO_HUGEPAGES:
            fail(f"{path} failed with exit code {code}")
    code, lines = converse([binary], {**plan, "has_hugepages": False}, progress)
    if code != 0:
        fail(f"{path} failed with exit code {code}")
    return lines[0], lines[1:]


def converse(words, plan, progress):
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        try:
            child.stdin.write(json.dumps(plan))
            child.stdin.close()
        except BrokenPipeError:
            pass
        lines = []
        for text in child.stdout:
            lines.append(json.loads(text))
            progress(lines[-1])
    return child.returncode, lines


def lib_tree():
    """Git's name for the content of lib/: the same after a rebase, which renames the commit."""
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD:lib"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def machine(said, best):
    """What every result says of where it was made."""
    kernel = ".".join(os.uname().release.split(".")[:2])
    return {**said, "cpus": os.cpu_count(), "kernel": kernel, "sentinels": best,
            "load": os.getloadavg()[0], "commit": commit(), "lib_tree": lib_tree(),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")}


def summary(values, name):
    """Median and spread of repeats: {name, "spread", "repeats"}."""
    values = sorted(values)
    middle = statistics.median(values)
    return {name: float(f"{middle:.4g}"), "repeats": len(values),
            "spread": round((values[-1] - values[0]) / middle, 3) if middle else 0}


def quiet_summary(lines, name):
    """The same of repetitions, disturbed ones only where there is nothing else."""
    quiet = [line for line in lines if not line["is_disturbed"]]
    return {**summary([line[name] for line in quiet or lines], name), "repeats": len(lines),
            "disturbed": len(lines) - len(quiet), "is_disturbed": len(quiet) * 2 <= len(lines)}


def line_of(row):
    return "  ".join(f"{key}={value}" for key, value in row.items())


def goal_line(one):
    word = ("disturbed" if one.get("is_disturbed") else
            "reached" if one["is_reached"] else "not reached")
    return f"{one['text']}: {one['value']} (goal {one['goal']}): {word}"


def write(document, path):
    """One row a line, so that differences can be read."""
    text = ("{\n" + ",\n".join(f"{json.dumps(key)}: " + (
        "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]" if isinstance(value, list)
        else json.dumps(value)) for key, value in document.items()) + "\n}\n")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def store(name, document, path=None):
    """Where `report` looks, and where the caller wants it as well."""
    for place in (STORE / f"{name}.json", path):
        if place:
            write(document, place)
