# SPDX-License-Identifier: BSD-3-Clause
"""What is generated from the operations table, held against tools that know nothing of it: replies
against their JSON Schemas by python3-jsonschema, manual pages by groff."""

import json
import re

from harness import PROGRAMS, ROOT, must, needs, output_of
from lab import Lab, publish_file
from test_cli import commands
from test_network import content

# What a value in a command's usage stands for.
VALUES = {"PORT": "p0", "PORT|all": "all", "PEER": "n1", "PEER|all": "n1", "STREAM": "s",
          "STREAM|all": "s", "COMMAND...": "show status"}

PAGES = {"chaincast.8": ("chaincast", "chaincast"),
         "chaincast.toml.5": ("chaincast", "chaincast.toml"),
         "chaincast-commands.7": ("chaincast", "chaincast-commands"),
         "chaincastctl.1": ("chaincastctl", None), "chaincast-gen.1": ("chaincast-gen", None)}


def schemas():
    return json.loads(must([PROGRAMS["chaincast"], "--print-schemas"]))


def problems(schema, document):
    import jsonschema
    found = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in found]


def call_of(usage):
    """A command line for a usage: required values filled in, optional ones left out."""
    words = re.sub(r"\[[^\]]*\]", "", usage).split()
    return " ".join(VALUES.get(word, word) for word in words).split()


@needs("programs", "jsonschema")
def test_every_show_declares_a_schema(t):
    import jsonschema
    declared = schemas()
    for schema in declared.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    listed = re.findall(r"^### `(show [^`]*)`", must([PROGRAMS["chaincast"], "--print-commands"]),
                        re.MULTILINE)
    paths = [" ".join(re.match(r"[a-z0-9 ]+(?= |$)", usage).group().split()) for usage in listed]
    assert len(paths) >= 14, paths
    assert not (absent := [path for path in paths if path not in declared]), absent


@needs("programs", "jsonschema")
def test_every_show_matches_its_schema(t):
    declared = schemas()
    lab = Lab(t, 2, {"s": 0, "nobodys": None}, membership=True).start()
    lab.wait_for_links()
    publish_file(lab.nodes[0], "s", content(t, "f", 100_000))
    lab.nodes[0].control("commit", "confirm", "600")
    lab.nodes[0].control("set", "peer", "rate", "n1", "100Mbit")
    for node, peer in zip(lab.nodes, ("n1", "n0")):
        checked = 0
        for words, usage, _ in commands(node):
            if words[0] != "show":
                continue
            path = max((path for path in declared if usage.startswith(path)), key=len)
            named = {"n1": peer, "NODE": node.control("show", "status")["node"]}
            call = [named.get(word, word) for word in call_of(usage)]
            reply = node.control(*call)
            assert not (wrong := problems(declared[path], reply)), f"{call}: {wrong}"
            # A field that nobody declared is noticed.
            if isinstance(reply, dict) and path != "show schema":
                assert problems(declared[path], {**reply, "undeclared": 1}), call
            checked += 1
        assert checked >= 14, checked
    code, out, _ = output_of(lab.nodes[0].control_command("--json", "show", "peers", "nobody"))
    assert code == 1 and not (wrong := problems(declared["error"], json.loads(out))), wrong


@needs("programs", "jsonschema")
def test_changes_match_their_schemas(t):
    declared = schemas()
    lab = Lab(t, 2, {"s": 0}).start()
    lab.wait_for_links()
    node = lab.nodes[0]
    for words in (["reload", "check"], ["reload"], ["commit", "confirm", "600"], ["commit"],
                  ["commit", "confirm", "600"], ["rollback"], ["ping", "n1"]):
        path = " ".join(word for word in words if word not in ("600", "n1"))
        assert not (wrong := problems(declared[path], node.control(*words))), f"{words}: {wrong}"


def rendered(page):
    """The page as groff sets it, unformatted and on lines as long as need be."""
    return must(["groff", "-man", "-Tascii", "-P-cbou", "-rLL=2000n", page])


@needs("programs", "groff")
def test_manual_pages_are_sound_and_complete(t):
    pages = {}
    for name, (program, page) in PAGES.items():
        text = must([PROGRAMS[program], "--print-man", *([page] if page else [])])
        file = t.write(name, text)
        code, _, warnings = output_of(["groff", "-man", "-ww", "-z", "-Tascii", file])
        assert code == 0 and not warnings, f"{name}: {warnings}"
        pages[name] = rendered(file)
        assert re.search(r"^NAME\n +\S+ - \S", pages[name], re.MULTILINE), pages[name][:300]
    reference = must([PROGRAMS["chaincast"], "--print-commands"])
    for usage in re.findall(r"^### `(.*)`$", reference, re.MULTILINE):
        assert usage in pages["chaincast-commands.7"], f"chaincast-commands(7) lacks {usage}"
    for reason in re.findall(r"^\| `(\w+)` \| (?:packet|datagram|frame|copy) ", reference,
                             re.MULTILINE):
        assert re.search(rf"^ +{reason}\b", pages["chaincast-commands.7"], re.MULTILINE), reason
    example = must([PROGRAMS["chaincast"], "--example-config"])
    keys = re.findall(r"^(?:# )?(\w+) = ", example, re.MULTILINE)
    assert len(keys) > 40, keys
    for key in keys:
        assert re.search(rf"^ +{key}\b", pages["chaincast.toml.5"], re.MULTILINE), key
    file = ROOT / "scripts/support/package/chaincast-host-setup.8"
    code, _, warnings = output_of(["groff", "-man", "-ww", "-z", "-Tascii", file])
    assert code == 0 and not warnings, warnings
    pages[file.name] = rendered(file)
    for program, page in ((PROGRAMS["chaincast"], "chaincast.8"),
                          (PROGRAMS["chaincastctl"], "chaincastctl.1"),
                          (PROGRAMS["chaincast-gen"], "chaincast-gen.1"),
                          (ROOT / "scripts/host-setup", file.name)):
        options = re.findall(r"^ +(?:-\w,? ?)?(--[a-z-]+)", must([program, "--help"]), re.MULTILINE)
        assert options, program
        for option in options:
            assert option in pages[page], f"{page} lacks {option}"
