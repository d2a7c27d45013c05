# SPDX-License-Identifier: BSD-3-Clause
"""Runs a module's unittest cases and prints the project's closing line."""

import sys
import unittest


class Counting(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    program = unittest.main(module="__main__", exit=False, verbosity=1,
                            testRunner=unittest.TextTestRunner(sys.stdout, resultclass=Counting))
    result = program.result
    failures = result.failures + result.errors + [(test, "") for test in
                                                  result.unexpectedSuccesses]
    for test, text in failures:
        print(f"FAIL {test.id()}: {(text.strip().splitlines() or ['no text'])[-1]}")
    for test, reason in result.skipped:
        print(f"SKIP {test.id()}: {reason}")
    line = f"{result.passed} passed, {len(failures)} failed"
    print(line + (f", {len(result.skipped)} skipped" if result.skipped else ""))
    sys.exit(1 if failures else 0)
