#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""bare.py TREE LINE.cpp STAMP.hpp: copies of lib/ files without observers, to be compiled instead:
node/line.cpp as LINE.cpp, headers below a directory `bare` beside it.

The line without its hooks, for comparison with the line whose hooks are off: what is generated has
no pointer to an observer, so the compiler drops every branch on it. Fails where a file no longer
reads as expected, so that the comparison cannot become one of a file with itself."""

import sys
from pathlib import Path

NOBODY = "static constexpr stage::Observer* observer_ = nullptr;"
EDITS = {
    "stage/burst.hpp": [
        ("  Observer* observer_ = nullptr;", f"  {NOBODY}"),
        ("void observe(Observer* observer) noexcept { observer_ = observer; }",
         "void observe(Observer*) noexcept {}")],
    "fanout/outbox.hpp": [
        ("  stage::Observer* observer_ = nullptr;", f"  {NOBODY}"),
        ("void observe(stage::Observer* observer) noexcept { observer_ = observer; }",
         "void observe(stage::Observer*) noexcept {}")],
    "node/line.hpp": [("  stage::Observer* observer_ = nullptr;", f"  {NOBODY}")],
    "node/line.cpp": [
        ("  observer_ = lookout == nullptr ? nullptr : lookout->of_worker[index_].get();\n",
         "  static_cast<void>(lookout);\n"),
        ("lookout = plane_.lookout.read(); lookout != nullptr || observer_ != nullptr",
         "lookout = nullptr; lookout != nullptr")],
}


def main():
    tree, line, stamp = map(Path, sys.argv[1:])
    for name, edits in EDITS.items():
        text = (tree / "lib" / name).read_text()
        for old, new in edits:
            if text.count(old) != 1:
                raise SystemExit(f"bare.py: lib/{name} does not have one '{old.strip()}'")
            text = text.replace(old, new)
        output = line if name.endswith(".cpp") else line.parent / "bare" / name
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text)
    stamp.write_text("")


if __name__ == "__main__":
    main()
