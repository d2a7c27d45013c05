# SPDX-License-Identifier: BSD-3-Clause
"""What a test run found: one entry per test case, and the closing line made from them."""

import re
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


@dataclass
class Results:
    passed: int = 0
    failures: list = field(default_factory=list)  # (name, reason)
    skips: list = field(default_factory=list)  # (name, reason)
    unsteady: list = field(default_factory=list)  # (name, reason): failed, and passed by itself

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips
        self.unsteady += other.unsteady

    def closing_line(self):
        line = f"{self.passed} passed, {len(self.failures)} failed"
        return line + (f", {len(self.skips)} skipped" if self.skips else "")

    def skips_to_failures(self):
        self.failures += [(name, "skipped: " + reason) for name, reason in self.skips]
        self.skips = []


def one_failure(name, reason):
    return Results(failures=[(name, reason)])


def from_gtest_xml(path, prefix):
    """Counts of a GoogleTest XML report. Raises OSError or xml.ParseError if it is not whole."""
    results = Results()
    for case in xml.parse(path).getroot().iter("testcase"):
        name = f"{prefix}{case.get('classname')}.{case.get('name')}"
        failure = case.find("failure")
        skipped = case.find("skipped")
        if failure is not None:
            results.failures.append((name, first_lines(failure.get("message") or "")))
        elif skipped is not None:
            results.skips.append((name, skip_reason(skipped.get("message") or "")))
        elif case.get("status") == "notrun":
            results.skips.append((name, "disabled in its source"))
        else:
            results.passed += 1
    return results


def from_gtest_output(text, prefix):
    """Counts from what a GoogleTest program printed before it died."""
    results = Results()
    done = set(re.findall(r"\[(?:       OK |  FAILED  |  SKIPPED )\] (\S+?)(?:,| \()", text))
    results.passed = len(re.findall(r"\[       OK \] \S+ \(", text))
    for name in re.findall(r"\[  FAILED  \] (\S+?)(?:,.*)? \(\d+ ms\)", text):
        results.failures.append((prefix + name, "failed"))
    for name in re.findall(r"\[  SKIPPED \] (\S+) \(", text):
        results.skips.append((prefix + name, "skipped before the program died"))
    for name in re.findall(r"\[ RUN      \] (\S+)", text):
        if name not in done:
            results.failures.append((prefix + name, "the program died in this test"))
    return results


def from_closing_line(text, prefix):
    """Counts of a program that follows our own convention, or None if it does not: lines
    `FAIL name: reason`, `SKIP` and `UNSTEADY` alike, and the closing line as the last one."""
    lines = text.strip().splitlines()
    closing = CLOSING.match(lines[-1]) if lines else None
    if not closing:
        return None
    results = Results(passed=int(closing[1]))
    for line in lines[:-1]:
        entry = re.match(r"^(FAIL|SKIP|UNSTEADY) (\S+?):? (.*)$", line)
        if entry:
            where = {"FAIL": results.failures, "SKIP": results.skips,
                     "UNSTEADY": results.unsteady}[entry[1]]
            where.append((prefix + entry[2], entry[3]))
    counted = (len(results.failures), len(results.skips))
    claimed = (int(closing[2]), int(closing[3] or 0))
    if counted != claimed:
        results.failures.append((prefix + "closing-line",
                                 f"claims {claimed} failed and skipped, lists {counted}"))
    return results


def first_lines(text):
    return " | ".join(line.strip() for line in text.strip().splitlines()[:4])


def skip_reason(text):
    """GoogleTest puts `file:line` on the first line; the reason follows."""
    lines = text.strip().splitlines()
    reason = " ".join(line.strip() for line in lines[1:])
    return reason or (lines[0] if lines else "no reason given")
