# SPDX-License-Identifier: BSD-3-Clause
"""The tree as the rules see it: files, their text, and their code without comments or strings."""

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Comments, raw strings, strings, characters; a quote after a word character separates digits.
TOKEN = re.compile(
    r'//[^\n]*(?:\\\n[^\n]*)*'
    r'|/\*.*?\*/'
    r'|R"(?P<mark>[^()\\ ]{0,16})\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def blank(match):
    """Spaces instead of text; the lines and the opening character of a string stay."""
    return "".join("\n" if character == "\n" else " " for character in match.group())


@dataclass
class Source:
    path: str  # relative to the root, with slashes
    text: str

    @cached_property
    def lines(self):
        return self.text.splitlines()

    @cached_property
    def code(self):
        """The text with comments, strings and characters blanked: same length, same lines."""
        return TOKEN.sub(blank, self.text)

    @cached_property
    def statements(self):
        """The code with preprocessor lines blanked as well."""
        return DIRECTIVE.sub(blank, self.code)

    @cached_property
    def includes(self):
        """(line, is_quoted, path) of each #include outside comments."""
        found = []
        for match in INCLUDE.finditer(self.text):
            if self.code[match.start():match.end()].strip().startswith("#"):
                found.append((self.line_of(match.start(1)), match[1] == '"', match[2]))
        return found

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_cxx(self):
        return self.path.endswith((".cpp", ".hpp"))

    @property
    def is_stage(self):
        return bool(re.match(r"^lib/\w+/stage(_\w+)?\.[ch]pp$", self.path))

    def under(self, *folders):
        return any(self.path.startswith(folder + "/") for folder in folders)


class Tree:
    """The tracked and new files below a root (all files where it is no repository)."""

    def __init__(self, root, since=None):
        """since: the revision after which commits are judged, instead of what has landed."""
        self.root = Path(root)
        self.since = since
        self.sources = {}
        for path in self.list_files():
            file = self.root / path
            try:
                self.sources[path] = Source(path, file.read_text(encoding="utf-8"))
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                continue  # binary data, or removed and not yet committed

    def list_files(self):
        # --exclude-standard: what is neither committed nor ignored will be committed next.
        listing = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        if listing is not None:
            return sorted(set(filter(None, listing.split("\0"))))
        return sorted(str(file.relative_to(self.root)) for file in self.root.rglob("*")
                      if file.is_file())

    def git(self, *arguments):
        """Output of a git command in the root, or None if it fails."""
        if not (self.root / ".git").exists():
            return None
        run = subprocess.run(["git", "-C", str(self.root), *arguments], capture_output=True,
                             text=True, stdin=subprocess.DEVNULL)
        return run.stdout if run.returncode == 0 else None

    def __iter__(self):
        return iter(self.sources.values())

    def get(self, path):
        return self.sources.get(path)

    def cxx(self, *folders):
        return [source for source in self if source.is_cxx and source.under(*folders)]


def in_lines(source, pattern, text=None):
    """(line, match) for each match of a pattern in a source's code (or in `text`)."""
    text = source.code if text is None else text
    return [(source.line_of(match.start()), match) for match in re.finditer(pattern, text)]
