# SPDX-License-Identifier: BSD-3-Clause
"""Sizes: files, functions, lines. And state: what may not live at namespace scope."""

import re
from dataclasses import dataclass

from tidy.source import Finding, in_lines

FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
CODE_FOLDERS = ("lib", "drivers", "apps", "tests", "perf")
SCOPE = re.compile(r"^(?:template\s*<.*>\s*|export\s+|inline\s+|typedef\s+|const\s+|static\s+)*"
                   r"(?:namespace|class|struct|union|extern)\b", re.DOTALL)
ENUM = re.compile(r"^(?:typedef\s+)?enum\b")
LABEL = re.compile(r"^(?:\s*(?:public|private|protected)\s*:(?!:))+")


@dataclass
class Block:
    kind: str  # function, scope or initializer
    head: str
    head_offset: int
    open: int
    close: int


def close_of(code, start):
    """Offset of the brace that closes the one at start (or the end of an unbalanced text)."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def kind_of(head, before):
    """What a brace opens, from the statement before it. clang-format puts a space before the
    brace of a body and none before that of an initializer."""
    if ENUM.match(head):
        return "initializer"
    if SCOPE.match(head) and not re.search(r"\)\s*(const|noexcept|override|\s)*$", head):
        return "scope"
    if before.isspace() and "(" in head and not head.endswith(("=", "(", ",", "return")):
        return "function"
    return "initializer"


def walk(code, start=0, end=None):
    """Yields (statement, offset) and Block at one level and inside scopes, never inside
    functions."""
    end = len(code) if end is None else end
    position = begin = start
    while position < end:
        character = code[position]
        if character == ";":
            yield from statement(code, begin, position)
            begin = position + 1
        elif character == "{":
            raw = LABEL.sub("", code[begin:position].lstrip())
            head = raw.strip()
            offset = code.find(head[:20], begin) if head else position
            close = close_of(code, position)
            kind = kind_of(head, code[position - 1])
            if kind != "initializer":
                yield Block(kind, head, offset, position, close)
                if kind == "scope":
                    yield from walk(code, position + 1, close)
                begin = close + 1
            position = close
        position += 1


def statement(code, begin, position):
    text = LABEL.sub("", code[begin:position].lstrip()).strip()
    if text:
        yield text, code.find(text[:20], begin)


def functions(source):
    return [item for item in walk(source.statements)
            if isinstance(item, Block) and item.kind == "function"]


def file_limit(source):
    """(limit, what to do) for a file, or None."""
    path = source.path
    if path == "meson.build":
        return 120, "the root file holds options and order, no source lists"
    if re.match(r"^(lib/\w+|drivers/\w+/\w+)/meson\.build$", path):
        return 30, "a module's file sets sources, deps and ext"
    if source.is_stage and path.endswith(".cpp"):
        return 300, "a stage fits a few screens: split it or move its data type out"
    if path.startswith("apps/") and source.name == "main.cpp":
        return 150, "programs choose drivers and run; logic belongs in lib/"
    if path.endswith(".hpp"):
        return 400, "split the module's interface"
    if path.endswith((".cpp", ".py")):
        return 600, "split it by what it does"
    return None


def check_files(tree):
    for source in tree:
        limit = file_limit(source)
        if limit and len(source.lines) > limit[0]:
            yield Finding(source.path, limit[0] + 1, "file-size",
                          f"{len(source.lines)} lines, at most {limit[0]}: {limit[1]}")


def check_functions(tree):
    for source in tree.cxx(*CODE_FOLDERS):
        for block in functions(source):
            first = source.line_of(block.head_offset)
            count = source.line_of(block.close) - first + 1
            if count > FUNCTION_LINES_MAX:
                yield Finding(source.path, first, "function-size",
                              f"{count} lines, at most {FUNCTION_LINES_MAX}: name its parts")


def check_columns(tree):
    for source in tree:
        if not source.path.endswith((".cpp", ".hpp", ".py", ".sh")):
            continue
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS_MAX and not re.match(r"^\s*#include|.*https?://", line):
                yield Finding(source.path, number, "line-length",
                              f"{len(line)} columns, at most {COLUMNS_MAX}")


HARMLESS = re.compile(
    r"^(?:\[\[.*?\]\]\s*)*(?:template|using|typedef|friend|static_assert|class|struct|union|enum|"
    r"namespace|extern|return|goto|asm|concept|requires|if|else|for|while|do|case|default|public|"
    r"private|protected)\b")
OWNING = re.compile(r"\bstd::(?:string|vector|map|unordered_map|set|unordered_set|deque|list|"
                    r"function|mutex|regex|shared_ptr|unique_ptr)\b(?!_view)")
DECLARATION = re.compile(r"^[\w:<>,*&\s\[\]\(\)]*?[\w>*&\]]\s+[*&]*\w+(?:\[[^\]]*\])*\s*"
                         r"(?:$|=|\{)", re.DOTALL)


def namespace_statements(source):
    """Statements at namespace scope, outside classes and functions."""
    code = source.statements
    classes = [block for block in walk(code) if isinstance(block, Block) and block.kind == "scope"
               and not re.match(r"^(?:inline\s+)?(?:namespace|extern)\b", block.head)]
    for item in walk(code):
        if isinstance(item, Block):
            continue
        text, offset = item
        if not any(block.open < offset < block.close for block in classes):
            yield text, offset


def check_globals(tree):
    for source in tree.cxx("lib", "drivers", "apps"):
        for text, offset in namespace_statements(source):
            head = re.split(r"=|\{", text, maxsplit=1)[0].strip()
            if HARMLESS.match(text) or re.search(r"\bconst(?:expr|eval)\b", head):
                continue
            if "(" in head or not DECLARATION.match(text) or not re.search(r"\s", head):
                continue
            line = source.line_of(offset)
            if re.search(r"\bconst\b", head):
                if OWNING.search(head) and not head.endswith(("*", "&")):
                    yield Finding(source.path, line, "startup-constructor",
                                  "runs before main: make it constexpr or a function")
                continue
            yield Finding(source.path, line, "global-state",
                          f"mutable at namespace scope: make it a member ('{head[:50]}')")
        yield from constructors(source)


def constructors(source):
    for line, _ in in_lines(source, r"\bRTE_INIT\w*\s*\(|__attribute__\s*\(\(\s*constructor"):
        yield Finding(source.path, line, "startup-constructor",
                      "runs before main: list it in an explicit array in node")


def check_function_statics(tree):
    pattern = (r"(?m)^[ \t]*(?:static|thread_local|static\s+thread_local)\s+"
               r"(?!const\b|constexpr\b|constinit\s+const\b|inline\s+const)[\w:]")
    for source in tree.cxx("lib", "drivers", "apps"):
        for block in functions(source):
            body = source.statements[block.open:block.close]
            for match in re.finditer(pattern, body):
                yield Finding(source.path, source.line_of(block.open + match.start()),
                              "function-static", "state in a function: make it a member")


RULES = [check_files, check_functions, check_columns, check_globals, check_function_statics]
