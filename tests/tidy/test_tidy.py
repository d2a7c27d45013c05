# SPDX-License-Identifier: BSD-3-Clause
"""Each rule of scripts/tidy refuses a bad tree and accepts the good one beside it."""

import importlib.machinery
import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "scripts/support"), str(ROOT / "tests/support")]
import unittest_main  # noqa: E402
from tidy import shape  # noqa: E402
from tidy.source import Source, Tree  # noqa: E402

loader = importlib.machinery.SourceFileLoader("tidy_program", str(ROOT / "scripts/tidy"))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy_program", loader))
loader.exec_module(tidy)

SPDX = "// SPDX-License-Identifier: BSD-3-Clause\n"
BUILD = "# SPDX-License-Identifier: BSD-3-Clause\n"
CONTRACT = "// What it is, who owns it, which thread calls it, and what it costs.\n"
LIBRARY = BUILD + """modules = [
  # level 0: data
  'base', 'wire',
  # level 1: mechanisms
  'rcu', 'stage',
  # level 2: features
  'hop', 'fanout',
  # level 4: the whole
  'node',
]
"""
SKELETON = {
    "lib/meson.build": LIBRARY,
    "lib/base/meson.build": BUILD + "sources = files()\ndeps = []\n",
    "lib/wire/meson.build": BUILD + "sources = files()\ndeps = ['base']\n",
    "lib/rcu/meson.build": BUILD + "sources = files()\ndeps = ['base']\n",
    "lib/stage/meson.build": BUILD + "sources = files()\ndeps = ['wire']\n",
    "lib/hop/meson.build": BUILD + "sources = files('stage.cpp', 'x.cpp')\ndeps = ['stage']\n",
    "lib/fanout/meson.build": BUILD + "sources = files('x.cpp')\ndeps = ['hop']\n",
    "lib/node/meson.build": BUILD + "sources = files('x.cpp')\ndeps = ['fanout', 'rcu']\n",
    "drivers/meson.build": BUILD + "implementations = ['port/udp', 'port/link']\n",
    "drivers/port/udp/meson.build": BUILD + "sources = files('x.cpp')\ndeps = ['stage']\n",
    "tests/hop/meson.build": BUILD + "sources = files('test_x.cpp')\n",
    "tests/hop/test_x.cpp": SPDX,
    "tests/fanout/test_x.cpp": SPDX,
    "tests/fanout/meson.build": BUILD + "sources = files('test_x.cpp')\n",
    "tests/node/test_x.cpp": SPDX,
    "tests/node/meson.build": BUILD + "sources = files('test_x.cpp')\n",
    "tests/drivers/port/udp/test_x.cpp": SPDX,
    "tests/drivers/port/udp/meson.build": BUILD + "sources = files('test_x.cpp')\n",
}


def body(lines):
    return SPDX + "int work() {\n" + "  step();\n" * (lines - 2) + "}\n"


# rule, path, refused text, accepted text. Texts of C++ files get the licence line in front.
CASES = [
    ("file-size", "lib/hop/x.cpp", "\n" * 600, "\n" * 599),
    ("file-size", "lib/hop/x.hpp", "#pragma once\n" + CONTRACT + "\n" * 398,
     "#pragma once\n" + CONTRACT + "\n" * 397),
    ("file-size", "lib/hop/stage.cpp", "\n" * 300, "\n" * 299),
    ("file-size", "lib/hop/meson.build", BUILD + "#\n" * 30,
     BUILD + "sources = files('x.cpp')\n" + "#\n" * 28),
    ("function-size", "lib/hop/x.cpp", body(71), body(70)),
    ("function-size", "lib/hop/x.cpp", "class A {\n" + body(71) + "};", "class A {\n" + body(70) +
     "};"),
    ("function-size", "lib/hop/x.cpp", "A::A(int b) : b_{b},\n c_(1) {\n" + "  f();\n" * 70 + "}",
     "A::A(int b) : b_{b},\n c_(1) {\n" + "  f();\n" * 67 + "}"),
    ("line-length", "lib/hop/x.cpp", "//" + "x" * 99, "//" + "x" * 98),
    ("global-state", "lib/hop/x.cpp", "namespace a {\nint count = 0;\n}",
     "namespace a {\nconstexpr int count = 0;\nint f();\nstruct S {\n int member = 0;\n};\n}"),
    ("global-state", "lib/hop/x.cpp", "static std::array<int, 3> seen{1, 2};",
     "void f() { int here = 0; }\nusing A = int;\nextern const int x;\nenum class E { a, b };"),
    ("global-state", "drivers/port/udp/x.cpp", "thread_local std::vector<int> v;",
     "template <typename T>\nvoid f(T t) {}\nvoid g(int a);"),
    ("startup-constructor", "lib/hop/x.cpp", 'const std::string name = "a";',
     'constexpr std::string_view name = "a";\nconst std::string& f();'),
    ("startup-constructor", "lib/hop/x.cpp", "RTE_INIT(start) {}", "void start() {}"),
    ("function-static", "lib/hop/x.cpp", "int f() {\n  static int calls = 0;\n  return calls;\n}",
     "static int g() {\n  static constexpr int a = 0;\n  static const int b = 1;\n  return a;\n}"),
    ("include-direction", "lib/wire/x.hpp", '#pragma once\n#include "hop/x.hpp"\n' + CONTRACT,
     '#pragma once\n#include "base/x.hpp"\n' + CONTRACT),
    ("include-direction", "lib/hop/x.cpp", '#include "rcu/x.hpp"', '#include "wire/x.hpp"'),
    ("include-direction", "lib/hop/x.cpp", '#include "x.hpp"', '#include "hop/x.hpp"'),
    ("include-direction", "lib/node/x.cpp", '#include "port/udp/x.hpp"', '#include "hop/x.hpp"'),
    ("include-direction", "drivers/port/udp/x.cpp", '#include "port/link/x.hpp"',
     '#include "port/udp/x.hpp"'),
    ("include-direction", "drivers/port/udp/x.cpp", '#include "hop/x.hpp"',
     '#include "stage/x.hpp"'),
    ("include-direction", "lib/fanout/x.cpp", '#include "hop/stage.hpp"',
     '#include "hop/snapshot.hpp"'),
    ("include-direction", "lib/hop/x.cpp", '#include "support/eal.hpp"',
     '// #include "support/eal.hpp"'),
    ("include-direction", "lib/lost/x.cpp", "", None),
    ("vendor-header", "lib/hop/x.cpp", "#include <rte_mbuf.h>", "#include <cstdint>"),
    ("vendor-header", "lib/hop/x.hpp", "#pragma once\n#include <rte_mbuf.h>\n" + CONTRACT, None),
    ("vendor-header", "lib/hop/x.cpp", "#include <urcu/urcu-qsbr.h>", None),
    ("vendor-header", "lib/hop/x.cpp", "#include <openssl/evp.h>", None),
    ("vendor-header", "lib/node/x.cpp", "#include <intel-ipsec-mb.h>", "#include <toml++/toml.h>"),
    ("vendor-header", "lib/hop/x.cpp", "#include <sys/socket.h>", None),
    ("banned", "lib/hop/x.cpp", "int f() { return rand(); }", "int f() { return operand(); }"),
    ("banned", "tests/hop/test_x.cpp", "std::random_device d;", "Random random(seed);"),
    ("banned", "lib/hop/x.cpp", "std::mt19937_64 g(1);", "Random g(1);"),
    ("banned", "tests/hop/test_x.cpp", "std::this_thread::sleep_for(x);", "clock.advance(x);"),
    ("banned", "tests/hop/test_x.cpp", "usleep(10);", "// usleep(10) would wait blindly"),
    ("banned", "tests/hop/test_x.cpp", "TEST(A, DISABLED_B) {}", "TEST(A, B) {}"),
    ("banned", "tests/scenario/test_x.py", BUILD + "time.sle" + "ep(1)\n",
     BUILD + "until(ready)\n"),
    ("banned", "lib/hop/x.cpp", "std::chrono::steady_clock::now();", "f(now_ns);"),
    ("banned", "lib/hop/x.cpp", "std::thread t(f);", "std::thread::id id;"),
    ("words", "lib/hop/x.cpp", "// TO" + "DO: later", "// TO" + "DO(#12): later"),
    ("words", "lib/hop/x.cpp", "// FIX" + "ME", "// fixed"),
    ("words", "docs/x.md", "made in this ses" + "sion", "the session of two nodes"),
    ("words", "docs/x.md", "see the protocol br" + "ief", "a brief look at the protocol"),
    ("words", "docs/x.md", "cd /wo" + "rk/there", "cd somewhere"),
    ("spdx", "scripts/run", "#!/bin/sh\necho\n", "#!/bin/sh\n" + BUILD + "echo\n"),
    ("pragma-once", "lib/hop/x.hpp", CONTRACT, "#pragma once\n" + CONTRACT),
    ("contract", "lib/hop/x.hpp",
     "#pragma once\nnamespace a {\nint f();\n// Late words do not count as a contract.\n}",
     "#pragma once\nnamespace a {\n" + CONTRACT + "int f();\n}"),
    ("not-built", "lib/hop/forgotten.cpp", "", None),
]

STAGE_REFUSED = [
    "void* p = malloc(4);", "auto* p = new Frame;", "delete p;", "auto p = std::make_unique<A>();",
    "list.push_back(1);", "std::map<int, int> m;", "std::mutex m;", "std::lock_guard g(m);",
    "rte_spinlock_lock(&l);", 'std::printf("x");', 'fmt::print("x");', 'spdlog::info("x");',
    "clock_gettime(CLOCK_MONOTONIC, &t);", "auto t = std::chrono::steady_clock::now();",
    "usleep(1);", "rte_delay_us(1);", "throw 1;", "try {", "std::function<void()> f;",
    "std::string s;", "auto s = std::to_string(1);", "::read(fd, b, 1);", "sendmsg(fd, &m, 0);",
    "rte_malloc(nullptr, 1, 0);",
]
STAGE_ACCEPTED = [
    "counter.read();", "std::string_view s;", "new (place) Frame;", "burst.free(frame);",
    "// malloc is not for here", "renew(frame);", "A& operator=(const A&) = delete;",
    "queue->close();", "std::array<int, 4> a;", "stats::time_spent(now_ns);",
]


class Fixture(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.root = Path(self.place.name)
        self.addCleanup(self.place.cleanup)

    def findings(self, files, exceptions=(), since=None):
        for path, text in {**SKELETON, **files}.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tidy.findings(Tree(self.root, since), list(exceptions))

    def rules(self, files):
        return [finding.rule for finding in self.findings(files)]


def licensed(path, text):
    return text if not path.endswith(("pp",)) or text.startswith(SPDX) else SPDX + text


class RuleTest(Fixture):
    def test_the_skeleton_is_clean(self):
        self.assertEqual(self.findings({}), [])

    def test_a_header_without_a_test_is_no_module_without_one(self):
        self.assertEqual(self.rules({"lib/wire/x.cpp": SPDX}).count("test-mirror"), 1)
        self.assertNotIn("test-mirror", self.rules({"tests/wire/test_x.cpp": SPDX}))

    def test_rte_headers_are_allowed_in_stages(self):
        self.assertNotIn("vendor-header",
                         self.rules({"lib/hop/stage.cpp": SPDX + "#include <rte_mbuf.h>\n"}))

    def test_an_exception_excuses_and_a_stale_one_is_reported(self):
        files = {"lib/hop/x.cpp": SPDX + "#include <urcu/urcu-qsbr.h>\n"}
        excuse = ("vendor-header", "lib/hop/*", "urcu", "a reason")
        self.assertEqual(self.findings(files, [excuse]), [])
        other = ("vendor-header", "lib/hop/*", "openssl", "a reason")
        self.assertEqual(len(self.findings(files, [other])), 2)
        stale = self.findings({"lib/hop/x.cpp": SPDX}, [excuse])
        self.assertEqual([finding.rule for finding in stale], ["exception"])

    def test_findings_name_the_line(self):
        found = self.findings({"lib/hop/x.cpp": SPDX + "int a();\n\nint n = rand();\n"})
        self.assertEqual([finding.line for finding in found if finding.rule == "banned"], [4])

    def test_function_static_names_its_line(self):
        found = self.findings({"lib/hop/x.cpp": SPDX + "int f() {\n  g();\n  static int n;\n}\n"})
        self.assertEqual([finding.line for finding in found], [4])


class StageTest(Fixture):
    def in_stage(self, line):
        return self.rules({"lib/hop/stage.cpp": SPDX + "void f() {\n  " + line + "\n}\n"})


class TitleTest(Fixture):
    def setUp(self):
        super().setUp()
        self.git("init", "-q")
        self.git("checkout", "-q", "-b", "main")
        self.commit("anything goes for the ROOT.")
        self.git("checkout", "-q", "-b", "work")

    def git(self, *words):
        subprocess.run(["git", "-C", str(self.root), "-c", "user.name=n", "-c", "user.email=e",
                        "-c", "commit.gpgsign=false", *words], check=True, capture_output=True)

    def commit(self, title):
        self.git("commit", "-q", "--allow-empty", "-m", title)

    def titles(self, since=None):
        rules = [finding.rule for finding in self.findings({}, since=since)]
        return [rule for rule in rules if rule == "commit-title"]

    def test_good_titles(self):
        for title in ("hop: answer a hello", "tests/sim: add a seed", "wire, hop: count trailing"):
            self.commit(title)
        self.assertEqual(self.titles(), [])

    def test_bad_titles(self):
        for title in ("Add a thing", "hop: Answer", "hop: answer.", "hop: " + "a" * 56):
            self.commit(title)
        self.assertEqual(len(self.titles()), 4)

    def test_commits_on_main_are_judged_on_demand_only(self):
        self.git("checkout", "-q", "main")
        self.commit("Add a thing")
        self.assertEqual(len(self.titles()), 0)
        self.assertEqual(len(self.titles(since="HEAD~1")), 1)

    def test_a_new_baseline_needs_a_reason(self):
        file = self.root / "perf/counted/baseline.json"
        file.parent.mkdir(parents=True)
        reason = "\n\neach frame costs one more probe, because it is judged twice"
        for text, body in (("1", ""), ("2", reason)):
            file.write_text(text)
            self.git("add", str(file))
            self.commit("perf: count anew" + body)
        found = [finding.rule for finding in self.findings({})]
        self.assertEqual(found.count("baseline-reason"), 1)

    def test_published_commits_are_left_alone(self):
        self.commit("Add a thing")
        self.git("update-ref", "refs/remotes/origin/main", "HEAD")
        self.assertEqual(self.titles(), [])

    def test_ignored_files_are_not_read(self):
        self.assertEqual(self.findings({".gitignore": "/build/\n",
                                        "build/x.hpp": "no licence, no guard\n"}), [])


class SourceTest(unittest.TestCase):
    def test_code_blanks_comments_and_strings(self):
        source = Source("x.cpp", 'int a = 1\'000; // rand()\nauto b = "rand()"; /* rand() */ '
                                 "char c = '\"'; auto d = R\"(rand())\"; int rand;")
        self.assertEqual(source.code.count("rand"), 1)
        self.assertEqual(len(source.code), len(source.text))
        self.assertIn("1'000", source.code)

    def test_functions_are_found_in_classes_and_not_in_initializers(self):
        text = ("namespace n {\nstruct S {\n  int f() const { return 1; }\n  int m{2};\n};\n"
                "const int a[] = {1, 2};\nS::S(int x) : a_{x}, b_(y) {\n}\n"
                "TEST(A, B) {\n  auto l = [&] { return 1; };\n}\nenum class E { a };\n}\n")
        heads = [block.head.split("(")[0] for block in shape.functions(Source("x.cpp", text))]
        self.assertEqual(heads, ["int f", "S::S", "TEST"])


def add_cases():
    """One test for each example, so that the counts say how many there are."""
    for number, (rule, path, refused, accepted) in enumerate(CASES):
        def refuses(self, rule=rule, path=path, text=refused):
            self.assertIn(rule, self.rules({path: licensed(path, text)}))

        def accepts(self, rule=rule, path=path, text=accepted):
            self.assertNotIn(rule, self.rules({path: licensed(path, text)}))

        name = f"{number:02}_{rule.replace('-', '_')}"
        setattr(RuleTest, f"test_refuses_{name}", refuses)
        if accepted is not None:
            setattr(RuleTest, f"test_accepts_{name}", accepts)
    for number, line in enumerate(STAGE_REFUSED):
        setattr(StageTest, f"test_refuses_{number:02}",
                lambda self, line=line: self.assertIn("stage-banned", self.in_stage(line)))
    for number, line in enumerate(STAGE_ACCEPTED):
        setattr(StageTest, f"test_accepts_{number:02}",
                lambda self, line=line: self.assertNotIn("stage-banned", self.in_stage(line)))


add_cases()
if __name__ == "__main__":
    unittest_main.main()
