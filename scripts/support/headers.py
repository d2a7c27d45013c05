# SPDX-License-Identifier: BSD-3-Clause
"""Compiles each public header alone, included twice, so that no user needs to know what it needs.
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


def flags(build):
    """The union of the flags that decide how a header reads, from what the compilation database
    says of sources beside the headers: an example in C, say, is compiled otherwise."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if not entry["file"].startswith(("../lib/", "../drivers/")):
            continue
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
    compiler = [shutil.which("ccache")] if shutil.which("ccache") else []
    command = " ".join(compiler + ["c++"] + flags(build) + ["-O0", "-Werror"])
    lines = [f"compile = {command.replace('$', '$$')}", "rule alone",
             f"  command = cd {build} && $compile -MD -MF $out.d -c {place}/$in -o {place}/$out",
             "  depfile = $out.d", "  deps = gcc", "  description = $in"]
    headers = sorted(path for folder in ("lib", "drivers")
                     for path in (root / folder).rglob("*.hpp"))
    for header in headers:
        include = re.sub(r"^(lib|drivers)/", "", str(header.relative_to(root)))
        unit = re.sub(r"\W", "_", str(header.relative_to(root)))
        text = f'#include "{include}"\n#include "{include}"\n'
        source = place / f"{unit}.cpp"
        if not source.exists() or source.read_text() != text:
            source.write_text(text)
        lines.append(f"build {unit}.o: alone {unit}.cpp")
    (place / "build.ninja").write_text("\n".join(lines) + "\n")
    jobs = os.environ.get("CHAINCAST_JOBS", str(os.cpu_count()))
    done = subprocess.run(["ninja", "-C", str(place), "-j", jobs, "-k", "0", "--quiet"],
                          stdin=subprocess.DEVNULL)
    print(f"headers: {len(headers)} compiled alone" if done.returncode == 0 else
          "headers: not self-contained: see above", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
