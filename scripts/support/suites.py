# SPDX-License-Identifier: BSD-3-Clause
"""The body of scripts/test: builds and runs suites, and ends with one closing line."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from programs import Children, Programs  # noqa: E402
from results import CLOSING, Results, from_closing_line, one_failure  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
DIRECTORIES = {"release": "build", "asan": "build-asan", "tsan": "build-tsan",
               "fuzz": "build-fuzz"}

# name: (flavour, meson suites, seeds of a simulation, help)
MESON_SUITES = {
    "unit": ("release", ["unit"], None, "each module against something independent"),
    "sim": ("release", ["sim"], None, "protocol machines on virtual time, many seeds"),
    "guard": ("release", ["guard"], None, "instructions a frame against a baseline (valgrind)"),
    "asan": ("asan", ["unit", "sim"], 1000, "unit and sim under address and undefined sanitizers"),
    "race": ("tsan", ["race"], 1000, "lock-free structures under the thread sanitizer"),
    "fuzz": ("fuzz", ["fuzz"], None, "every fuzz target over its corpus (clang)"),
}
PROGRAM_SUITES = {
    "scenario": "real processes on loopback and in namespaces",
    "mutants": "planted defects, each of which a named test must catch",
}
SCENARIOS_AGAIN = 3  # that may fail once, where every test need not run
ALL = ["unit", "guard", "mutants", "sim", "scenario", "asan", "race", "fuzz"]


def parse(arguments):
    suites = "\n".join([f"  {name:9} {what[3]}" for name, what in MESON_SUITES.items()] +
                       [f"  {name:9} {what}" for name, what in PROGRAM_SUITES.items()])
    parser = argparse.ArgumentParser(
        prog="scripts/test", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Build and run the tests.",
        epilog=f"suites:\n{suites}\n  all       every one of them (the default)")
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument("--require-all", action="store_true",
                        help="a test that cannot run here is a failure")
    parser.add_argument("--filter", metavar="RE",
                        help="only cases whose program:Suite.Case matches")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="the seed of simulations and scenarios ($CHAINCAST_SEED)")
    options = parser.parse_args(arguments)
    options.suites = options.suites or ["all"]
    known = list(MESON_SUITES) + list(PROGRAM_SUITES) + ["all"]
    for suite in options.suites:
        if suite not in known:
            parser.error(f"no suite '{suite}': choose from {', '.join(known)}")
    if "all" in options.suites:
        options.suites = ALL
    if options.filter:
        re.compile(options.filter)
    return options


def build(flavour, targets=()):
    """True if everything was built."""
    command = [str(ROOT / "scripts" / "build"), flavour, *targets]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode == 0


def run_meson_suite(name, options, children, environment):
    flavour, suites, seeds, _ = MESON_SUITES[name]
    if seeds is not None:
        environment = {"CHAINCAST_SEEDS": str(seeds), **environment}
    # build.ninja first, so that what meson is asked about is what the files say now.
    if not build(flavour, ["build.ninja"]):
        return one_failure(f"{flavour}:build", "meson could not configure it")
    programs = Programs(ROOT, flavour, DIRECTORIES[flavour], children, environment)
    tests = programs.select(suites)
    targets = programs.targets(tests)
    # The release build is made whole: programs and benchmarks have to compile as well.
    wanted = [] if flavour == "release" else targets
    if (targets or flavour == "release") and not build(flavour, wanted):
        return one_failure(f"{flavour}:build", "does not compile")
    case_filter = r"Race" if name == "race" else None
    return programs.run(tests, options.filter, case_filter)


def run_program_suite(name, options, environment):
    """A program of our own that follows the closing-line convention; its output is passed on."""
    program = ROOT / ("tests/scenario/run" if name == "scenario" else "scripts/mutants")
    if not program.exists():
        return Results()
    if not build("release"):
        return one_failure("release:build", "does not compile")
    command = [str(program)]
    if name == "scenario" and not options.require_all:
        command += ["--again", str(SCENARIOS_AGAIN)]
    if options.filter:
        command += ["--filter", options.filter]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                             env=environment, cwd=ROOT, errors="replace")
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    lines = []
    for line in child.stdout:
        lines.append(line.rstrip("\n"))
        if not CLOSING.match(lines[-1]):  # the only closing line is our own
            print("  " + lines[-1], flush=True)
    code = child.wait()
    signal.signal(signal.SIGTERM, previous)
    results = from_closing_line("\n".join(lines), f"{name}:")
    if results is None:
        return one_failure(f"{name}:program", f"exit code {code} and no closing line")
    if code != 0 and not results.failures:
        results.failures.append((f"{name}:program", f"exit code {code} though nothing failed"))
    return results


def run(options, children):
    environment = dict(os.environ)
    environment.setdefault("CHAINCAST_BUILD", str(ROOT / "build"))
    if options.seed is not None:
        environment["CHAINCAST_SEED"] = str(options.seed)
    if options.require_all:
        environment["CHAINCAST_BARE"] = environment["CHAINCAST_PACKAGE"] = "1"
    total = Results()
    for name in options.suites:
        started = time.monotonic()
        print(f"{name}:", flush=True)
        if name in MESON_SUITES:
            results = run_meson_suite(name, options, children, environment)
        else:
            results = run_program_suite(name, options, environment)
        total.add(results)
        print(f"{name} done: {results.closing_line()} in {time.monotonic() - started:.0f} s",
              flush=True)
    return total


def main(arguments):
    options = parse(arguments)
    children = Children()

    def stop(*_):
        children.kill_all()
        sys.exit(130)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    total = run(options, children)
    if options.require_all:
        total.skips_to_failures()
    if total.skips:
        print("skipped:")
        for name, reason in total.skips:
            print(f"  {name}: {reason}")
    if total.unsteady:
        print("unsteady (failed, and passed when run again by itself):")
        for name, reason in total.unsteady:
            print(f"  {name}: {reason}")
    if total.failures:
        print("failed:")
        for name, reason in total.failures:
            print(f"  {name}: {reason}")
    print(total.closing_line(), flush=True)
    return 1 if total.failures or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
