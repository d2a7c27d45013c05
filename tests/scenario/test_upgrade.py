# SPDX-License-Identifier: BSD-3-Clause
"""Nodes of the previous release and of this tree form one network, on one set of files."""

import os
import random
from pathlib import Path

import shows
from harness import PROGRAMS, ROOT, Skip, limits, must, needs, output_of
from lab import Lab, publish_file
from subscriber import Subscriber

PINNED = Path(__file__).parent / "previous-release"
NAMES = ("chaincast", "chaincastctl")
OBJECT_BYTES = 300_000


def git(*words):
    """Its output, or None where it fails: there is no tag, no such commit, no repository."""
    code, out, _ = output_of(["git", "-C", ROOT, *words], 60)
    return out.strip() if code == 0 else None


def previous_release():
    """The newest tag before this commit, else the commit that the file names."""
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    if tag:
        return tag
    commit = PINNED.read_text().splitlines()[-1]
    # A shallow clone lacks it; where it came from may have it.
    if git("cat-file", "-e", f"{commit}^{{commit}}") is None:
        git("fetch", "-q", "--depth", "1", "origin", commit)
    if git("cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise Skip(f"this clone lacks the previous release {commit}: git fetch --unshallow")
    return commit


def build_previous(t):
    """{name: program} of the previous release: its own tree, its own scripts/build. The compiler
    sees what it saw then, so that ccache usually has all of it."""
    release = previous_release()
    tree = t.dir / "previous"
    tree.mkdir()
    packed = t.dir / "previous.tar"
    must(["git", "-C", ROOT, "archive", "-o", packed, release], 60)
    must(["tar", "-xf", packed, "-C", tree], 60)
    targets = [f"apps/{name}/{name}" for name in NAMES]
    built = t.start([tree / "scripts/build", "release", *targets], "build",
                    environment={**os.environ, "CHAINCAST_DATA": ""})
    code = built.wait(900)
    assert code == 0, f"{release}: exit code {code}"
    return {name: tree / "build" / target for name, target in zip(NAMES, targets)}


def content(t, name, seed):
    path = t.dir / name
    path.write_bytes(random.Random(seed).randbytes(OBJECT_BYTES))
    return path


def publish_and_compare(t, lab, origins, label):
    """A file on each stream from its origin; every other node hands out the same bytes."""
    readers = {(node.name, stream): Subscriber(node, stream) for node in lab.nodes
               for stream, origin in origins.items() if lab.nodes[origin] is not node}
    files = {stream: content(t, f"{label}-{stream}", seed)
             for seed, stream in enumerate(origins)}
    for stream, origin in origins.items():
        publish_file(lab.nodes[origin], stream, files[stream])
    for (node, stream), reader in readers.items():
        reader.wait_bytes(OBJECT_BYTES)
        assert reader.stop() == files[stream].read_bytes(), f"{label}: {node}: {stream} differs"


def delivered_bytes(node, stream):
    """Of all incarnations that the node carries."""
    return sum(shows.pick(row, "delivered_bytes", 0)
               for row in shows.rows(node.control("show", "streams"), "streams")
               if shows.pick(row, "name") == stream)


@needs("programs")
@limits(seconds=1100, alone=True)  # perhaps a build: it would slow the others down
def test_a_network_of_two_releases(t):
    """A line of old, new, old, new: each relays between two of the other kind, and each stream
    starts at another kind. Then this tree's program goes on with the files of each old node."""
    old = build_previous(t)
    origins = {"down": 0, "up": 3}
    lab = Lab(t, 4, origins, edges=[(0, 1), (1, 2), (2, 3)])
    versions = [old, PROGRAMS, old, PROGRAMS]
    for node, programs in zip(lab.nodes, versions):
        # Each is commanded by the other kind's chaincastctl: the socket's protocol has a version.
        other = PROGRAMS if programs is old else old
        node.programs = {**programs, "chaincastctl": other["chaincastctl"]}
    lab.start()
    lab.wait_for_links(60)
    publish_and_compare(t, lab, origins, "mixed")
    restarted = (lab.nodes[0], lab.nodes[2])
    for node in restarted:
        saved = node.dir / "saved.toml"
        node.control("save", str(saved))
        assert node.stop(30) == 0
        node.config_path, node.programs = saved, PROGRAMS
        node.start()
    lab.wait_for_links(60)
    # What the network still holds is delivered again where it is new: not to a reader who is to
    # see the next file alone.
    for node in restarted:
        for stream, origin in origins.items():
            if lab.nodes[origin] is not node:
                t.until(lambda: delivered_bytes(node, stream) >= OBJECT_BYTES, 60,
                        f"{node.name}: {stream} to be restored", [node.process])
    publish_and_compare(t, lab, origins, "upgraded")
    for node in lab.nodes:
        assert os.path.samefile(f"/proc/{node.process.pid}/exe", PROGRAMS["chaincast"]), node.name


@needs("programs")
def test_what_a_later_release_wrote_is_refused(t):
    file = t.write("node.toml", 'version = 2\n[node]\nname = "a"\nnovelty = 1\n')
    code, _, err = output_of([PROGRAMS["chaincast"], "--check-config", "--config", file])
    assert code == 1
    assert f"{file}:1: version: 2 is later than 1" in err and "upgrade" in err, err
