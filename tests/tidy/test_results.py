# SPDX-License-Identifier: BSD-3-Clause
"""The counts of scripts/test are exact, also where a program dies."""

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "scripts/support"), str(ROOT / "tests/support")]
import unittest_main  # noqa: E402
from programs import Children, Programs, list_cases  # noqa: E402
from results import Results, from_closing_line, from_gtest_output  # noqa: E402

REPORT = """<testsuites tests="4"><testsuite name="A">
<testcase name="good" status="run" result="completed" classname="A"/>
<testcase name="bad" status="run" result="completed" classname="A">
  <failure message="x.cpp:1&#10;Expected: 1"/></testcase>
<testcase name="away" status="run" result="skipped" classname="A">
  <skipped message="x.cpp:2&#10;needs root"/></testcase>
<testcase name="off" status="notrun" result="suppressed" classname="A"/>
</testsuite></testsuites>"""


class Run(unittest.TestCase):
    """Programs.run_one over small shell programs."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.directory = Path(place.name)
        self.children = Children()

    def run_program(self, script, protocol="exitcode", timeout=20):
        program = self.directory / "program"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        programs = Programs(self.directory, "release", ".", self.children, {"PATH": "/bin"})
        programs.tell = lambda *_: None
        return programs.run_one({"name": "p", "cmd": [str(program)], "protocol": protocol,
                                 "suite": ["unit"], "timeout": timeout}, None, None)

    def test_gtest_report(self):
        results = self.run_program(
            f"cat > test-logs/p.xml <<'END'\n{REPORT}\nEND\nexit 1\n", "gtest")
        self.assertEqual(results.closing_line(), "1 passed, 1 failed, 2 skipped")
        self.assertEqual(results.skips[0], ("release:p:A.away", "needs root"))
        self.assertIn("Expected: 1", results.failures[0][1])

    def test_gtest_program_that_dies(self):
        results = self.run_program(
            "echo '[ RUN      ] A.one'\necho '[       OK ] A.one (0 ms)'\n"
            "echo '[ RUN      ] A.two'\nkill -SEGV $$\n", "gtest")
        self.assertEqual(results.passed, 1)
        self.assertEqual([name for name, _ in results.failures],
                         ["release:p:A.two", "release:p:program"])

    def test_gtest_program_that_fails_after_its_tests(self):
        good = REPORT.replace('<failure message="x.cpp:1&#10;Expected: 1"/>', "")
        results = self.run_program(f"cat > test-logs/p.xml <<'END'\n{good}\nEND\nexit 23\n",
                                   "gtest")
        self.assertEqual(len(results.failures), 1)
        self.assertIn("exit code 23", results.failures[0][1])

    def test_a_stale_report_is_not_counted(self):
        (self.directory / "test-logs").mkdir()
        (self.directory / "test-logs/p.xml").write_text(REPORT)
        self.assertEqual(self.run_program("exit 1\n", "gtest").closing_line(),
                         "0 passed, 1 failed")

    def test_plain_programs(self):
        self.assertEqual(self.run_program("exit 0\n").closing_line(), "1 passed, 0 failed")
        self.assertEqual(self.run_program("exit 3\n").closing_line(), "0 passed, 1 failed")
        skipped = self.run_program("echo needs hugepages\nexit 77\n")
        self.assertEqual(skipped.skips, [("release:p:program", "needs hugepages")])

    def test_deadline(self):
        results = self.run_program("exec tail -f /dev/null\n", timeout=1)
        self.assertIn("not done after 1 s", results.failures[0][1])

    def test_missing_program(self):
        programs = Programs(self.directory, "release", ".", self.children, {})
        results = programs.run_one({"name": "p", "cmd": [str(self.directory / "none")],
                                    "protocol": "gtest", "suite": ["unit"]}, None, None)
        self.assertEqual(len(results.failures), 1)


class Texts(unittest.TestCase):
    def test_closing_line(self):
        results = from_closing_line("FAIL a: why\nSKIP b: no root\n3 passed, 1 failed, 1 skipped",
                                    "s:")
        self.assertEqual(results.closing_line(), "3 passed, 1 failed, 1 skipped")
        self.assertEqual(results.failures, [("s:a", "why")])
        self.assertIsNone(from_closing_line("all is well", ""))

    def test_closing_line_that_disagrees_with_its_list_is_a_failure(self):
        self.assertEqual(len(from_closing_line("3 passed, 1 failed", "").failures), 1)

    def test_gtest_output_counts_each_case_once(self):
        text = ("[ RUN      ] A.a\n[  FAILED  ] A.a (1 ms)\n[ RUN      ] A.b\n"
                "[  SKIPPED ] A.b (0 ms)\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.a\n")
        self.assertEqual(from_gtest_output(text, "").closing_line(),
                         "0 passed, 1 failed, 1 skipped")

    def test_required_skips_are_failures(self):
        results = Results(passed=1, skips=[("a", "no root")])
        results.skips_to_failures()
        self.assertEqual(results.closing_line(), "1 passed, 1 failed")

    def test_list_of_cases(self):
        text = "Running main()\nA.\n  one\n  two  # GetParam() = 2\nB/C.\n  x/0\n"
        self.assertEqual(list_cases(text), ["A.one", "A.two", "B/C.x/0"])


if __name__ == "__main__":
    unittest_main.main()
