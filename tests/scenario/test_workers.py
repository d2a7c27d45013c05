# SPDX-License-Identifier: BSD-3-Clause
"""Workers of real processes: whose cpus they have to themselves, and which lanes they send on."""

import os
import re
from pathlib import Path

import net
from harness import Skip, limits, must, needs, until
from lab import Lab
from subscriber import Subscriber
from test_network import content
from test_ports import Appliances, shared_memory_pair

WORKER = re.compile(r"cc-worker-\d+$")


def cpus_of(text):
    """The numbers that a list such as 0-2,5 stands for."""
    numbers = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def threads(pid):
    """{thread id: (name, allowed cpus)} as the kernel has them now."""
    found = {}
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except FileNotFoundError:  # it has ended meanwhile
            continue
        found[int(status.parent.name)] = (fields["Name"].strip(),
                                          cpus_of(fields["Cpus_allowed_list"]))
    return found


def spare_cpu():
    """A cpu that a worker may have to itself: another one is left for all other threads."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("needs two cpus")
    return cpus[-1]


def workers_are_alone(node):
    """No thread but its worker may run on a worker's cpu, those of EAL and drivers included."""
    own = {row["thread"]: row["cpu"] for row in node.control("show", "workers")["workers"]}
    taken = set(own.values())
    assert own and -1 not in taken, own
    found = threads(node.process.pid)
    assert set(own) <= set(found), (own, found)
    for number, (name, cpus) in found.items():
        if number in own:
            assert cpus == {own[number]} and WORKER.match(name), (name, cpus)
        else:
            assert not cpus & taken, f"{name} may run on {sorted(cpus & taken)}: {found}"
    return {name for name, _ in found.values()}


@needs("programs")
def test_no_other_thread_on_a_workers_cpu(t):
    cpu = spare_cpu()
    lab = Lab(t, 2, {"s": 0}, node=lambda index: {"worker_cpus": [cpu]}).start()
    lab.wait_for_links()
    reader = Subscriber(lab.nodes[1], "s")
    data = content(t, "data", 300_000)
    must(lab.nodes[0].control_command("publish", "s", data))
    reader.wait_bytes(300_000)
    for node in lab.nodes:
        names = workers_are_alone(node)
        assert len(names) > 1, names


@needs("programs", "netns")
@limits(seconds=90)
def test_no_other_thread_on_a_workers_cpu_over_veth(t):
    cpu = spare_cpu()
    lab = Appliances(t, [(0, 1)], settings={"worker_cpus": [cpu]}).start()
    for node in lab.nodes:
        workers_are_alone(node)


@needs("programs", "root")
@limits(seconds=110, alone=True)
def test_no_other_thread_on_a_workers_cpu_with_driver_threads(t):
    """net_vhost and net_virtio_user have threads of their own, and EAL its interrupt thread."""
    cpu = spare_cpu()
    for node in shared_memory_pair(t, settings={"worker_cpus": [cpu]}):
        names = workers_are_alone(node)
        assert any("intr" in name for name in names), names


def stream_parity(node, name):
    return int(node.stream(name)["id"], 16) % 2


@needs("programs")
@limits(seconds=90)
def test_two_workers_use_two_lanes(t):
    """n1 passes streams on that came on both of n0's lanes; each of its workers has one lane to n2,
    and there one worker takes each."""
    lab = Lab(t, 3, {"s0": 0}, edges=[(0, 1), (1, 2)], node=lambda index: {"workers": 2}).start()
    lab.wait_for_links()
    origin, relay, last = lab.nodes
    names = ["s0"]
    while len({stream_parity(origin, name) for name in names}) < 2:  # ids are random
        names.append(f"s{len(names)}")
        for node in lab.nodes:
            node.control("add", "stream", names[-1], "secret", lab.secret(names[-1]),
                         *(["publish", "on"] if node is origin else []))
    files = {name: content(t, name, 200_000, seed) for seed, name in enumerate(names)}
    readers = {name: Subscriber(last, name) for name in names}
    before = lanes(last, "n1")
    for name, file in files.items():
        must(origin.control_command("publish", name, file))
    for name, reader in readers.items():
        reader.wait_bytes(200_000)
        assert reader.stop() == files[name].read_bytes(), name
    frames = 200_000 // 1160
    for node, peer in ((relay, "n0"), (last, "n1")):
        counts = lanes(node, peer)
        assert len(counts) == 3, counts
        assert min(counts[1:]) >= frames // 2, f"{node.name}: {counts}"
    moved = [after - earlier for after, earlier in zip(lanes(last, "n1"), before)]
    assert min(moved[1:]) > 0, moved
    for node in (relay, last):
        busy = [row["datagrams"] for row in node.control("show", "workers")["workers"]]
        assert len(busy) == 2 and min(busy) >= frames // 2, f"{node.name}: {busy}"


def lanes(node, peer):
    """Datagrams received on each lane from this peer: control first."""
    rows = node.control("show", "peers")["peers"]
    return next(row["rx_lanes"] for row in rows if row["name"] == peer)
