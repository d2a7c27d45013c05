# SPDX-License-Identifier: BSD-3-Clause
"""`chaincast genesis` from the shell: what it writes, and what it refuses."""

import hashlib
import re

from harness import PROGRAMS, must, needs, output_of


def keygen(t, name):
    """(file, key in hex) of a new node."""
    printed = must([PROGRAMS["chaincast"], "keygen", t.dir / name])
    return t.dir / name, re.search(r"^key  ([0-9a-f]{64})$", printed, re.M)[1]


def genesis(*words):
    return [PROGRAMS["chaincast"], "genesis", *words]


def refuses(command, *parts):
    code, out, err = output_of(command)
    assert code != 0 and not out.startswith("network"), (code, out)
    for part in parts:
        assert str(part) in err + out, (part, err, out)


@needs("programs")
def test_genesis_of_key_files_and_hex_keys(t):
    a, key_a = keygen(t, "a.key")
    _, key_b = keygen(t, "b.key")
    _, key_c = keygen(t, "c.key")
    file = t.dir / "news.genesis"
    printed = must(genesis(file, "--name", "news", "--admission", "listed", "--founder", a, key_b,
                           "--endorser", a, "--admit", key_c, "--votes", "75"))
    assert file.read_text() == (
        f"chaincast-genesis-1\nname news\nadmission listed\nfounder {key_a}\nfounder {key_b}\n"
        f"endorser {key_a}\nadmit {key_c}\nthreshold 67\nvotes 75\nlinks 8\n")
    assert printed == f"network {hashlib.sha256(file.read_bytes()).hexdigest()}\n"
    assert "chaincast-key" not in file.read_text()


@needs("programs")
def test_genesis_of_an_open_network(t):
    a, key_a = keygen(t, "a.key")
    file = t.dir / "open.genesis"
    must(genesis(file, "--name", "o", "--admission", "open", "--founder", a, "--threshold", "100",
                 "--links", "2"))
    assert file.read_text() == (f"chaincast-genesis-1\nname o\nadmission open\nfounder {key_a}\n"
                                "threshold 100\nvotes 50\nlinks 2\n")


@needs("programs")
def test_genesis_refuses(t):
    a, key_a = keygen(t, "a.key")
    file = t.dir / "g"
    good = ["--name", "news", "--admission", "listed", "--founder", a]
    refuses(genesis(file, *good, "--admit", t.dir / "none"), "--admit", t.dir / "none", "keygen")
    refuses(genesis(file, *good, "--endorser", key_a[:-1]), "--endorser", "64 hex digits")
    refuses(genesis(file, *good, "--founder", key_a), "--founder", "twice")
    refuses(genesis(file, "--name", "No Name", *good[2:]), "a-z0-9")
    refuses(genesis(file, *good, "--threshold", "50"), "--threshold", "51")
    refuses(genesis(file, "--name", "news", "--admission", "all", "--founder", a), "--admission")
    refuses(genesis(file, *good[:3], "open", "--founder", a, "--admit", key_a),
            "--admit", "listed")
    refuses(genesis(file, "--name", "news", "--admission", "open"), "--founder")
    assert not file.exists()
    file.write_text("mine")
    refuses(genesis(file, *good), file, "never overwritten")
    assert file.read_text() == "mine"
    refuses(genesis(t.dir / "no" / "g", *good), t.dir / "no" / "g", "directory")


@needs("programs")
def test_genesis_is_documented(t):
    assert "genesis" in must([PROGRAMS["chaincast"], "--help"])
    text = must(genesis("--help"))
    for option in ("--name", "--admission", "--founder", "--endorser", "--admit", "--threshold",
                   "--votes", "--links"):
        assert option in text, option
        assert option.replace("-", r"\-") in must([PROGRAMS["chaincast"], "--print-man",
                                                   "chaincast"])
