# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test programs that meson knows, two at a time, each with a deadline of its own."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as xml
from pathlib import Path

from results import Results, from_closing_line, from_gtest_output, from_gtest_xml, one_failure

PARALLEL = 2
SKIPPED = 77  # exit code of a plain program that could not run here
# How much slower a sanitized program may be than its timeout in meson says.
PATIENCE = {"release": 1, "asan": 4, "tsan": 10, "fuzz": 4}
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1:halt_on_error=0",
}


class Children:
    """The process groups we started, so that an interrupted run leaves none behind."""

    def __init__(self):
        self.lock = threading.Lock()
        self.groups = set()

    def run(self, command, timeout_s, environment, directory):
        """Returns (exit code or None at the deadline, output)."""
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, env=environment, cwd=directory,
                                 start_new_session=True)
        with self.lock:
            self.groups.add(child.pid)
        try:
            output, _ = child.communicate(timeout=timeout_s)
            return child.returncode, output.decode(errors="replace")
        except subprocess.TimeoutExpired:
            kill_group(child.pid)
            output, _ = child.communicate()
            return None, output.decode(errors="replace")
        finally:
            kill_group(child.pid)  # what the program itself left behind
            with self.lock:
                self.groups.discard(child.pid)

    def kill_all(self):
        with self.lock:
            for group in self.groups:
                kill_group(group)


def kill_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Programs:
    """The tests of one build directory."""

    def __init__(self, root, flavour, directory, children, environment):
        self.root = Path(root)
        self.flavour = flavour
        self.directory = self.root / directory
        self.children = children
        self.environment = dict(environment)
        if flavour != "release":
            self.environment.update(SANITIZER_ENVIRONMENT)

    def select(self, suites):
        """The tests of any of these meson suites, as meson's introspection describes them."""
        wanted = set(suites)
        chosen = [test for test in self.introspect("--tests")
                  if wanted & {suite.split(":")[-1] for suite in test["suite"]}]
        # Instrumentation says nothing about a test that is a script.
        return [test for test in chosen if self.flavour == "release" or self.targets([test])]

    def introspect(self, what):
        text = subprocess.run(["meson", "introspect", what, str(self.directory)], check=True,
                              capture_output=True, text=True).stdout
        return json.loads(text)

    def targets(self, tests):
        """What ninja has to make for these tests: their programs that lie in the build, and those
        that these start."""
        files = {target["id"]: target["filename"] for target in self.introspect("--targets")}
        words = [word for test in tests
                 for word in [*test["cmd"], *sum((files[name] for name in test["depends"]), [])]
                 if word.startswith("/") and not os.path.isdir(word)]
        paths = {os.path.relpath(word, self.directory) for word in words}
        return sorted(path for path in paths if not path.startswith(".."))

    def run(self, tests, pattern=None, case_filter=None):
        """Runs tests and returns Results. pattern: regular expression on program:Suite.Case."""
        parallel = [test for test in tests if test.get("is_parallel", True)]
        serial = [test for test in tests if not test.get("is_parallel", True)]
        results = Results()
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            for one in pool.map(lambda test: self.run_one(test, pattern, case_filter), parallel):
                results.add(one)
        for test in serial:
            results.add(self.run_one(test, pattern, case_filter))
        return results

    def run_one(self, test, pattern, case_filter):
        prefix = f"{self.flavour}:{test['name']}:"
        environment = {**self.environment, **test.get("env", {})}
        command = list(test["cmd"])
        if not os.path.exists(command[0]):
            return one_failure(prefix + "build", "the program was not built: " + command[0])
        if test["protocol"] == "gtest":
            chosen = self.choose_cases(command, test["name"], pattern, case_filter, environment)
            if chosen is None:
                return Results()
            command += chosen
        elif pattern and not re.search(pattern, test["name"]):
            return Results()
        return self.execute(test, command, prefix, environment)

    def choose_cases(self, command, name, pattern, case_filter, environment):
        """Extra arguments that choose the cases; None if none match."""
        if not pattern and not case_filter:
            return []
        code, text = self.children.run(command + ["--gtest_list_tests"], 60, environment,
                                       self.directory)
        if code != 0:
            return []
        cases = list_cases(text)
        preferred = [case for case in cases if case_filter and re.search(case_filter, case)]
        cases = preferred or cases
        if pattern:
            cases = [case for case in cases if re.search(pattern, f"{name}:{case}")]
        return ["--gtest_filter=" + ":".join(cases)] if cases else None

    def execute(self, test, command, prefix, environment):
        logs = self.directory / "test-logs"
        logs.mkdir(exist_ok=True)
        stem = re.sub(r"[^\w.-]", "_", test["name"])
        report = logs / (stem + ".xml")
        report.unlink(missing_ok=True)
        if test["protocol"] == "gtest":
            command = command + [f"--gtest_output=xml:{report}", "--gtest_color=no"]
        if self.flavour != "release" and can_fix_addresses():
            command = ["setarch", "-R"] + command  # sanitizers reserve fixed address ranges
        timeout_s = (test.get("timeout") or 30) * PATIENCE[self.flavour]
        started = time.monotonic()
        code, output = self.children.run(command, timeout_s, environment,
                                         test.get("workdir") or self.directory)
        took = time.monotonic() - started
        (logs / (stem + ".log")).write_text(output)
        results = judge(test, code, output, report, prefix, timeout_s)
        self.tell(test, results, took, output)
        return results

    def tell(self, test, results, took, output):
        line = f"  {self.flavour}: {test['name']}: {results.closing_line()} in {took:.1f} s"
        if results.failures:
            tail = "\n".join("    " + text for text in output.splitlines()[-60:])
            line += "\n" + tail
        print(line, flush=True)


def judge(test, code, output, report, prefix, timeout_s):
    """Results of one finished program."""
    reason = f"not done after {timeout_s} s" if code is None else f"exit code {code}"
    if test["protocol"] == "gtest":
        try:
            results = from_gtest_xml(report, prefix)
        except (OSError, xml.ParseError):
            results = from_gtest_output(output, prefix)
            results.failures.append((prefix + "program", reason))
            return results
    else:
        results = from_closing_line(output, prefix)
        if results is None:
            if code == 0:
                return Results(passed=1)
            if code == SKIPPED:
                return Results(skips=[(prefix + "program", (output.strip() or "no reason given")
                                       .splitlines()[-1])])
            return one_failure(prefix + "program", reason)
    if code != 0 and not results.failures:
        results.failures.append((prefix + "program", reason + " after its tests had passed"))
    return results


def list_cases(text):
    """Suite.Case names from --gtest_list_tests."""
    cases, suite = [], ""
    for line in text.splitlines():
        name = line.split("#")[0].rstrip()
        if re.match(r"^\S+\.$", name):
            suite = name
        elif suite and re.match(r"^  \S+$", name):
            cases.append(suite + name.strip())
    return cases


def can_fix_addresses():
    return subprocess.run(["setarch", "-R", "true"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0
