# SPDX-License-Identifier: BSD-3-Clause
"""Compiles each public header alone, included twice, so that no user needs to know what it needs.
A header that a source of the build includes before anything else stood alone there already.
Writes a small ninja file of its own: only headers that changed are compiled again."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

KEPT = re.compile(r"^(-I(?!.*\.p$|.*(?:tests|apps|perf))|-D|-std=|-m|-W(?!p,|error$)|-isystem|"
                  r"-f(?!sanitize|uzzer))")
FIRST = re.compile(r'\s*(?://[^\n]*\s*)*#include "([^"]+)"')


def database(build):
    """Of the compilation database the sources beside the headers: an example in C, say, is
    compiled otherwise."""
    return [entry for entry in json.loads((build / "compile_commands.json").read_text())
            if entry["file"].startswith(("../lib/", "../drivers/"))]


def stood_first(entries, build):
    """What the sources include with nothing but comments before it."""
    found = (FIRST.match((build / entry["file"]).read_text()) for entry in entries)
    return {match.group(1) for match in found if match}


def flags(entries):
    """The union of the flags that decide how a header reads, from what the sources are compiled
    with."""
    found = {}
    for entry in entries:
        words = entry["command"].split()
        for index, word in enumerate(words):
            if word == "-isystem":
                found[f"-isystem{words[index + 1]}"] = None
            elif KEPT.match(word):
                # An architecture floor comes after the one of a library, and the last wins.
                found.pop(word, None)
                found[word] = None
    return list(found)


def main():
    root = Path(__file__).resolve().parent.parent.parent
    build = root / "build"
    place = build / "headers"
    place.mkdir(exist_ok=True)
    entries = database(build)
    compiler = [shutil.which("ccache")] if shutil.which("ccache") else []
    command = " ".join(compiler + ["c++"] + flags(entries) + ["-O0", "-Werror"])
    # All paths start in the directory of the build, as those that its flags name do.
    lines = ["builddir = headers", f"compile = {command.replace('$', '$$')}", "rule alone",
             "  command = $compile -MD -MF $out.d -c $in -o $out",
             "  depfile = $out.d", "  deps = gcc", "  description = $in"]
    headers = sorted(path for folder in ("lib", "drivers")
                     for path in (root / folder).rglob("*.hpp"))
    stood = stood_first(entries, build)
    alone = 0
    for header in headers:
        include = re.sub(r"^(lib|drivers)/", "", str(header.relative_to(root)))
        if include in stood:
            continue
        alone += 1
        unit = re.sub(r"\W", "_", str(header.relative_to(root)))
        text = f'#include "{include}"\n#include "{include}"\n'
        source = place / f"{unit}.cpp"
        if not source.exists() or source.read_text() != text:
            source.write_text(text)
        lines.append(f"build headers/{unit}.o: alone headers/{unit}.cpp")
    (place / "build.ninja").write_text("\n".join(lines) + "\n")
    jobs = os.environ.get("CHAINCAST_JOBS", str(os.cpu_count()))
    done = subprocess.run(["ninja", "-C", str(build), "-f", "headers/build.ninja", "-j", jobs,
                           "-k", "0", "--quiet"], stdin=subprocess.DEVNULL)
    said = f"headers: {alone} compiled alone, {len(headers) - alone} first in a source"
    print(said if done.returncode == 0 else "headers: not self-contained: see above",
          file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
