# SPDX-License-Identifier: BSD-3-Clause
"""Calls that must not occur, each with what to use instead."""

import re

from tidy.source import Finding, in_lines

# A free function: no object, no namespace but the global one or std.
FREE = r"(?<![\w.:>])(?:::|std::)?"

# In lib/*/stage.*: the path of every frame.
STAGE = [
    (FREE + r"(?:malloc|calloc|realloc|free|strdup)\s*\(", "allocation", "a pool made at start"),
    (r"\brte_(?:zmalloc|malloc|calloc|free|mempool_create|pktmbuf_pool_create)\w*\s*\(",
     "allocation", "a pool made at start"),
    (r"(?<!\boperator )\bnew\b(?!\s*\()|\bdelete\b(?=\s+\w|\s*\[)", "allocation",
     "a pool made at start"),
    (r"\bstd::make_(?:unique|shared)\b", "allocation", "a pool made at start"),
    (r"\.(?:push_back|emplace_back)\s*\(", "allocation", "a fixed array and a count"),
    (r"\bstd::(?:map|unordered_map|set|unordered_set|list|deque|multimap)\b", "allocation",
     "a bounded table made at start"),
    (r"\bstd::(?:\w*mutex|lock_guard|unique_lock|scoped_lock|shared_lock|condition_variable)\b"
     r"|\bpthread_(?:mutex|cond|spin|rwlock)\w*|\brte_(?:spinlock|rwlock)\w*", "lock",
     "an atomic with one writer, or a snapshot"),
    (FREE + r"\w*printf\s*\(|\bfmt::|\bspdlog::|\bstd::(?:cout|cerr|clog)\b|\brte_log\b|"
     r"\bRTE_LOG\b|" + FREE + r"(?:puts|fputs)\s*\(", "log", "a counted drop reason"),
    (FREE + r"(?:clock_gettime|gettimeofday|time|clock)\s*\(|\bstd::chrono::", "clock",
     "the burst's now_ns"),
    (FREE + r"(?:sleep|usleep|nanosleep)\s*\(|\bsleep_(?:for|until)\b|\brte_delay\w*", "sleep",
     "return: the worker decides when to rest"),
    (r"\bthrow\b|\btry\b|\bcatch\b", "exception", "a counted drop reason"),
    (r"\bstd::function\b", "std::function", "a template argument or an interface"),
    (r"\bstd::(?:string|ostringstream|stringstream|to_string)\b", "std::string",
     "std::string_view or an enumerator"),
    (FREE + r"(?:open|close|read|write|send|recv|sendto|recvfrom|sendmsg|recvmsg|sendmmsg|"
     r"recvmmsg|poll|epoll_wait|ioctl|mmap|munmap|getenv|syscall)\s*\(", "system call",
     "hand it to a control thread"),
]

# (pattern, folders it applies to, paths that may, what to use instead)
EVERYWHERE = [
    (FREE + r"(?:rand|srand|drand48)\s*\(", ("lib", "drivers", "apps", "tests", "perf"), (),
     "chaincast::Random with a seed, or crypto::random_bytes"),
    (r"\bstd::random_device\b", ("lib", "drivers", "apps", "tests", "perf"), ("drivers/crypto/",),
     "crypto::random_bytes"),
    (r"\bstd::(?:mt19937\w*|default_random_engine|minstd_rand0?)\b",
     ("lib", "drivers", "apps", "tests", "perf"), (), "chaincast::Random with a seed"),
    (r"\bsleep_(?:for|until)\b|" + FREE + r"(?:sleep|usleep|nanosleep)\s*\(|\brte_delay_\w+\s*\(",
     ("tests",), (), "wait for the condition, or advance a ManualClock"),
    (r"\bsleep_(?:for|until)\b|" + FREE + r"(?:sleep|usleep|nanosleep)\s*\(",
     ("lib",), ("lib/worker/",), "a timer of the machine"),
    (FREE + r"(?:clock_gettime|gettimeofday)\s*\(|\bstd::chrono::\w*_clock\b", ("lib",),
     ("lib/base/clock.hpp", "lib/worker/", "lib/node/"), "a now_ns argument or base's Clock"),
    (FREE + r"(?:system|popen|gets|strcpy|strcat|sprintf|alloca)\s*\(", ("lib", "drivers", "apps"),
     (), "fmt, std::span or a library call"),
    (r"\bstd::thread\b(?!::)|\bstd::async\b|\bpthread_create\b", ("lib", "drivers", "apps"),
     ("lib/base/thread.",), "base::ThreadStarter, or the thread lands on a polling core"),
]
TEST_NAMES = r"\bDISABLED_\w+"


def check_stages(tree):
    for source in tree:
        if not source.is_stage:
            continue
        for pattern, what, remedy in STAGE:
            for line, match in in_lines(source, pattern):
                yield Finding(source.path, line, "stage-banned",
                              f"{what} ('{match.group().strip()}') in a stage: use {remedy}")


def check_everywhere(tree):
    for pattern, folders, allowed, remedy in EVERYWHERE:
        for source in tree.cxx(*folders):
            if source.path.startswith(allowed):
                continue
            for line, match in in_lines(source, pattern):
                yield Finding(source.path, line, "banned",
                              f"'{match.group().strip()}': use {remedy}")


def check_tests(tree):
    for source in tree.cxx("tests"):
        for line, match in in_lines(source, TEST_NAMES):
            yield Finding(source.path, line, "banned",
                          f"'{match.group()}': a test runs, or says why it cannot with GTEST_SKIP")
    for source in tree:
        if source.under("tests") and (source.path.endswith(".py") or source.name == "run"):
            for number, line in enumerate(source.lines, 1):
                if re.search(r"\btime\.sleep\s*\(", line.split("#")[0]):
                    yield Finding(source.path, number, "banned",
                                  "'time.sleep': wait for a condition with the harness's until()")


RULES = [check_stages, check_everywhere, check_tests]
