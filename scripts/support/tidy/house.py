# SPDX-License-Identifier: BSD-3-Clause
"""What every file owes the tree: licence line, contract, a test, a place in the build, plain
words, and commits with readable titles."""

import re

from tidy.source import TOKEN, Finding

SPDX = "SPDX-License-Identifier: BSD-3-Clause"
TITLE_COLUMNS_MAX = 60
BASELINE = "perf/counted/baseline.json"
REASON_WORDS_MIN = 8
TITLE = re.compile(r"^[a-z][a-z0-9_./-]*(?:, [a-z][a-z0-9_./-]*)*: [^A-Z\s](?:.*[^.\s])?$")

# The tree speaks of the project alone. Written in parts so that this file does not match itself.
WORDS = [
    "this " + "session", "as an " + "ai", "assis" + "tant", "sub" + "agents?",
    "language " + "model", "(?:protocol|architecture|style|common) " + "brief",
]
UNFINISHED = re.compile(r"\bTO" + r"DO\b(?!\(#\d+\))|\b(?:FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
PLACES = ["/wo" + "rk/", "/tmp/" + "(?:brief|issue)"]


def is_source(source):
    return (source.is_cxx or source.path.endswith((".py", ".sh", "meson.build"))
            or source.name == "meson_options.txt" or source.text.startswith("#!"))


def check_licence(tree):
    for source in tree:
        if is_source(source) and not any(SPDX in line for line in source.lines[:2]):
            yield Finding(source.path, 1, "spdx", f"the first line lacks '{SPDX}'")


def check_headers(tree):
    for source in tree:
        if not source.path.endswith(".hpp"):
            continue
        if not re.search(r"^#pragma once$", source.text, re.MULTILINE):
            yield Finding(source.path, 1, "pragma-once", "a header starts with #pragma once")
        if source.under("lib", "drivers") and not has_contract(source):
            yield Finding(source.path, 1, "contract",
                          "no comment above the first declaration says what this is, who owns "
                          "it, which thread, and what it costs")


def has_contract(source):
    """True if a comment of at least six words stands above the first declaration."""
    text = source.text
    first = re.search(r"^\s*(?!namespace\b|extern\b)[^\s#}].*$", source.statements, re.MULTILINE)
    above = text[:first.start()] if first else text
    # The blanked code skips comments, so those right above the declaration count as well.
    above += text[len(above):first.end()] if first else ""
    comments = [match.group() for match in TOKEN.finditer(above) if match.group()[0] == "/"]
    words = re.findall(r"\w+", " ".join(line for line in comments if SPDX not in line))
    return len(words) >= 6


def check_words(tree):
    for source in tree:
        for number, line in enumerate(source.lines, 1):
            if is_source(source) and UNFINISHED.search(line):
                yield Finding(source.path, number, "words",
                              "unfinished work names its issue, as in " + "TO" + "DO(#12)")
            for word in WORDS:
                match = re.search(rf"(?i)\b{word}\b", line)
                if match:
                    yield Finding(source.path, number, "words",
                                  f"'{match.group()}': the tree speaks of the project alone")
            for place in PLACES:
                if re.search(place, line):
                    yield Finding(source.path, number, "words",
                                  f"'{place}': a path of one machine")


def check_mirror(tree):
    """Every module with sources has tests, in the place that mirrors it."""
    homes = {}
    for source in tree.cxx("lib", "drivers"):
        match = re.match(r"^lib/(\w+)/|^drivers/(\w+/\w+)/", source.path)
        if match and source.path.endswith(".cpp"):
            home = f"tests/{match[1]}" if match[1] else f"tests/drivers/{match[2]}"
            homes.setdefault(home, source.path)
    for home, path in sorted(homes.items()):
        if not any(source.under(home) and source.path.endswith(".cpp") for source in tree):
            yield Finding(path, 1, "test-mirror", f"no test source in {home}/")


def check_listed(tree):
    """Every .cpp is named by a build file in its directory or above."""
    for source in tree.cxx("lib", "drivers", "apps", "tests", "perf"):
        if not source.path.endswith(".cpp"):
            continue
        parts = source.path.split("/")
        builds = [tree.get("/".join(parts[:depth] + ["meson.build"]))
                  for depth in range(1, len(parts))]
        stem = re.escape(source.name[:-len(".cpp")])
        pattern = rf"['/]{stem}(?:\.cpp)?'|'{re.sub('^(?:fuzz|bench|test)_', '', stem)}'"
        if not any(build and re.search(pattern, build.text) for build in builds):
            yield Finding(source.path, 1, "not-built", "no meson.build names this file")


def landed(tree):
    """The revision after which commits are judged, or None."""
    if tree.git("rev-parse", "--verify", "HEAD") is None:
        return None
    return next((name for name in (tree.since, "origin/main", "main")
                 if name and tree.git("rev-parse", "--verify", name) is not None), None)


def check_titles(tree):
    """Titles of commits that have not landed: those on main cannot be changed any more."""
    base = landed(tree)
    if base is None:
        return
    log = tree.git("log", "--no-merges", "--format=%h %s", f"{base}..HEAD") or ""
    for line in log.splitlines():
        commit, title = line.split(" ", 1)
        if not TITLE.match(title):
            yield Finding("commit " + commit, 1, "commit-title",
                          f"'{title}': write 'module: imperative, lower case'")
        elif len(title) > TITLE_COLUMNS_MAX:
            yield Finding("commit " + commit, 1, "commit-title",
                          f"{len(title)} characters, at most {TITLE_COLUMNS_MAX}: '{title}'")


def check_baseline(tree):
    """A commit that changes what instruction counts are held against says why."""
    base = landed(tree)
    if base is None:
        return
    log = tree.git("log", "--no-merges", "--format=%x00%h %b", f"{base}..HEAD", "--", BASELINE)
    for entry in (log or "").split("\0")[1:]:
        commit, body = entry.split(" ", 1)
        if len(body.split()) < REASON_WORDS_MIN:
            yield Finding("commit " + commit, 1, "baseline-reason",
                          f"changes {BASELINE}: its body must say why that costs more or less")


RULES = [check_licence, check_headers, check_words, check_mirror, check_listed, check_titles,
         check_baseline]
