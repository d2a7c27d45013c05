# SPDX-License-Identifier: BSD-3-Clause
"""Nodes behind NATs find each other through a supernode: hole punching, a relay where that fails,
and mappings that change in mid-stream."""

import dissected
from harness import limits, needs
from lab import publish_file
from nat import STREAM, Crossed

OBJECT = bytes(range(256)) * 3


def subscribe(t, crossed):
    file = t.dir / "received"
    crossed.member.subscribe(STREAM, file)
    return file


def publish(t, crossed, name, count):
    data = b"".join(name.encode() + i.to_bytes(2, "big") + OBJECT for i in range(count))
    file = t.dir / name
    file.write_bytes(data)
    publish_file(crossed.host, STREAM, file)
    return data


def wait_for_all(t, file, data, seconds=30):
    t.until(lambda: file.stat().st_size >= len(data), seconds, "the member to have everything")
    assert file.read_bytes() == data, "the member received something else"


def wait_until_known(t, crossed):
    t.until(lambda: crossed.member.streams().get(STREAM, {}).get("state", "not heard of")
            != "not heard of", 30, "the member to know the stream")


@needs("root")
@limits(120)
def test_a_node_behind_a_nat_and_one_that_is_not(t):
    crossed = Crossed(t, None, "fully-random")
    t.until(lambda: crossed.paths() == ["punched", "direct"], 30, "the link to be up",
            [crossed.host.process, crossed.member.process])
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    wait_for_all(t, file, publish(t, crossed, "first", 50))
    nodes = crossed.host.control("show", "graph")["nodes"]
    assert sorted(row["behind_nat"] for row in nodes) == [False, False, True], nodes


@needs("root")
@limits(120)
def test_two_behind_one_router_need_no_hole(t):
    crossed = Crossed(t, "", "beside")
    crossed.wait_for("direct", 30)
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    wait_for_all(t, file, publish(t, crossed, "first", 50))


@needs("root", "tshark")
@limits(120)
def test_plain_with_plain_is_punched(t):
    crossed = Crossed(t, "", "", watch=t.dir / "wan.pcap")
    crossed.wait_for("punched", 30)
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    wait_for_all(t, file, publish(t, crossed, "first", 50))
    shown = crossed.nat_of(crossed.host)
    assert shown["mapping"] == "independent" and shown["seen"] == ["203.0.113.11:7000"], shown
    assert crossed.nat_of(crossed.supernode)["datagrams_forwarded"] == 0
    crossed.watched.stop()
    rows = dissected.read(t.dir / "wan.pcap", ["probe.step", "probe.port", "probe.address",
                                               "malformed", "fault"], ports="7000,7100-7101")
    wrong = [row.fields for row in rows if row.all("malformed") or row.all("fault")]
    assert not wrong, wrong
    answers = [row for row in rows if row.number("probe.step") == 6]
    assert any(row.number("probe.step") == 5 for row in rows)
    # What the relay told is what the router made of it, on the wire.
    assert answers and all(row.number("probe.port") == int(row.text("udp.dstport"))
                           for row in answers)
    assert {row.text("probe.address")[:8] for row in answers} == {"cb00710b"}, answers[0].fields


@needs("root")
@limits(180)
def test_a_supernode_that_starts_again_is_found_again(t):
    crossed = Crossed(t, "random", "random")
    relay = crossed.supernode.control("show", "membership")["node"][:16]
    crossed.wait_for(f"relayed by {relay}", 60)
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    sent = publish(t, crossed, "before", 20)
    wait_for_all(t, file, sent)
    crossed.supernode.kill()
    t.until(lambda: crossed.paths() == ["", ""], 30, "the link to be down")
    sent += publish(t, crossed, "meanwhile", 20)
    crossed.supernode.start()
    crossed.wait_for(f"relayed by {relay}", 90)
    wait_for_all(t, file, sent, 60)


@needs("root")
@limits(180)
def test_plain_with_random_is_punched(t):
    crossed = Crossed(t, "", "random")
    # Over the relay at first, as a rule: the link moves while frames are on their way.
    t.until(lambda: all(crossed.paths()), 60, "the link to be up")
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    sent = b""

    def publish_until_punched():
        nonlocal sent
        sent += publish(t, crossed, f"part{len(sent)}", 20)
        return crossed.paths() == ["punched", "punched"]

    t.until(publish_until_punched, 90, "the link to be punched",
            [crossed.host.process, crossed.member.process])
    wait_for_all(t, file, sent + publish(t, crossed, "last", 50))
    assert crossed.nat_of(crossed.member)["mapping"] == "dependent"


@needs("root")
@limits(120)
def test_random_with_random_is_relayed(t):
    crossed = Crossed(t, "random", "fully-random")
    relay = crossed.supernode.control("show", "membership")["node"][:16]
    crossed.wait_for(f"relayed by {relay}", 60)
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    wait_for_all(t, file, publish(t, crossed, "first", 50))
    shown = crossed.nat_of(crossed.supernode)
    assert shown["pairs"] == 1 and shown["datagrams_forwarded"] > 50, shown


@needs("root")
@limits(180)
def test_several_behind_all_kinds_of_nat(t):
    crossed = Crossed(t, "", "random", "fully-random", None, workers=2)
    ids = {node.control("show", "membership")["node"]: node for node in crossed.nodes}

    def all_linked():
        return all(len(crossed.paths_of(node)) == len(crossed.nodes) - 1 for node in crossed.nodes)

    t.until(all_linked, 120, "everyone to be linked with everyone",
            [node.process for node in crossed.nodes])
    files = {}
    for node in crossed.members:
        t.until(lambda: node.streams().get(STREAM, {}).get("state", "not heard of")
                != "not heard of", 30, "the members to know the stream")
        files[node.name] = node.dir / "received"
        node.subscribe(STREAM, files[node.name])
    sent = publish(t, crossed, "first", 100)
    for file in files.values():
        wait_for_all(t, file, sent)
    # The two that nobody can tell the ports of have only the relay.
    relay = crossed.supernode.control("show", "membership")["node"][:16]
    hard = [name for name, node in ids.items() if node in crossed.members[:2]]
    for one, other in (hard, reversed(hard)):
        assert crossed.paths_of(ids[one])[other[:16]] == f"relayed by {relay}"


@needs("root")
@limits(180)
def test_a_member_that_starts_again_comes_back(t):
    crossed = Crossed(t, "", "")
    crossed.wait_for("punched", 30)
    state = crossed.member.dir / "members.json"
    t.until(state.exists, 20, "the member to remember somebody")
    wait_until_known(t, crossed)
    crossed.member.kill()
    t.until(lambda: crossed.paths_of(crossed.host) == {}, 30, "the host to miss it")
    crossed.member.start()
    crossed.wait_for("punched", 60)
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    wait_for_all(t, file, publish(t, crossed, "after", 20))


def rebind(t, udp, tcp):
    """The member's router gives it other ports while frames are on their way."""
    crossed = Crossed(t, "", "")
    crossed.wait_for("punched", 30)
    wait_until_known(t, crossed)
    file = subscribe(t, crossed)
    sent = publish(t, crossed, "before", 20)
    wait_for_all(t, file, sent)
    before = crossed.nat_of(crossed.member)["seen"]
    crossed.routers[1].masquerade(udp, tcp)
    crossed.routers[1].forget()
    sent += publish(t, crossed, "meanwhile", 200)
    t.until(lambda: crossed.nat_of(crossed.member)["seen"] not in ([], before), 60,
            "the member to know its new address")
    wait_for_all(t, file, sent, 60)
    sent += publish(t, crossed, "after", 20)
    wait_for_all(t, file, sent)
    crossed.wait_for("punched", 60)
    new = crossed.nat_of(crossed.member)["seen"]
    rows = crossed.host.control("show", "peers")["peers"]
    assert [row["address"] for row in rows] == new, (rows, new)


@needs("root")
@limits(180)
def test_a_rebinding_in_mid_stream_heals(t):
    rebind(t, "to :20000-20999", "")


@needs("root")
@limits(180)
def test_a_rebinding_of_sessions_as_well_heals(t):
    rebind(t, "to :20000-20999", "to :20000-20999")
