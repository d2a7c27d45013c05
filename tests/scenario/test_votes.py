# SPDX-License-Identifier: BSD-3-Clause
"""Delivery at `accepted` in networks that form by themselves, as processes: members go by each
other's votes, and one of them lies."""

import dissected
from harness import BUILD, PROGRAMS, limits, must, needs
from lab import PORTS_PER_NODE, free_port_block, publish_file
from network import Network

STREAM = "news"
LIAR = BUILD / "tests" / "scenario" / "chaincast-liar"


class Voting(Network):
    """Few links, so that some members are no neighbours of the host. One liar is tolerated."""

    def __init__(self, t, members):
        super().__init__(t, members, [STREAM],
                         stream=lambda name: {"delivery": "accepted", "votes": 50})

    def tables(self, index):
        tables = super().tables(index)
        tables["membership"]["degree"] = 4
        for stream in tables.get("stream", []):
            stream["tolerated"] = 1
            stream["malicious"] = 0
        return tables


def row(node):
    return node.streams().get(STREAM, {})


def liars(node):
    shown = node.control("show", "suspicion")
    return {one["node"] for one in shown["liars"] if one["lie"] == "false vote"}


def far_ones(nodes):
    """Members that hear the origin through others, and have parents enough."""
    return [node for node in nodes if not row(node)["origin_link"]
            and row(node)["votes_shortcoming"] == ""]


class Reading:
    """What the members get, compared with what was published, byte by byte."""

    def __init__(self, t, host, nodes):
        self.t, self.host, self.data, self.published = t, host, b"", 0
        self.files = {node.name: node.dir / "received" for node in nodes}
        for node in nodes:
            node.subscribe(STREAM, self.files[node.name])

    def publish(self, data):
        file = self.t.dir / f"published{self.published}"
        self.published += 1
        file.write_bytes(data)
        publish_file(self.host, STREAM, file)
        self.data += data
        self.t.until(lambda: all(one.stat().st_size >= len(self.data)
                                 for one in self.files.values()), 30,
                     "every member to have everything")
        self.check()

    def check(self):
        for name, file in self.files.items():
            assert file.read_bytes() == self.data, f"{name} received something else"


@limits(180)
def test_a_member_that_forges_and_lies_gets_nothing_accepted_and_is_named(t):
    made = Voting(t, 10)
    host, *members = made.nodes
    able = members[:5]
    for node in able:
        node.programs = {**node.programs, "chaincast": LIAR}
    made.start()
    made.wait_until_joined()
    made.wait_for_one_graph()
    t.until(lambda: far_ones(members), 30, "a member that goes by votes")
    # One that others go by lies from now on.
    t.until(lambda: any(row(node)["votes_children"] for node in able), 30, "a liar with children")
    liar = max(able, key=lambda node: row(node)["votes_children"])
    liar_id = liar.control("show", "status")["node"]
    liar.config_path.with_name(liar.config_path.name + ".lie").touch()
    honest = [node for node in members if node is not liar]
    reading = Reading(t, host, honest)
    for number in range(40):
        reading.publish(bytes([number]) * 3000)
        if number >= 10 and any(liars(node) for node in honest):
            break
    named = set().union(*(liars(node) for node in honest))
    assert named == {liar_id}, f"named: {named}, the liar is {liar_id}"
    # Its forgeries did reach the others, as second variants.
    assert sum(row(node)["replaced_frames"] + row(node)["contradictions"]
               for node in honest) > 0, [row(node) for node in honest]
    # The same bytes published twice are two frames, and come twice at once.
    again = b"the same" * 100
    reading.publish(again)
    reading.publish(again)
    reading.check()
    for node in honest:
        shown = row(node)
        assert shown["lost_frames"] == 0, shown
        assert shown["votes_overruled"] == 0, "somebody accepted a forgery"


@limits(120)
def test_far_members_accept_by_votes(t):
    made = Voting(t, 8).start()
    made.wait_until_joined()
    made.wait_for_one_graph()
    host, *members = made.nodes
    t.until(lambda: far_ones(members), 30, "a member that goes by votes")
    reading = Reading(t, host, members)
    for number in range(5):
        reading.publish(bytes([number]) * 5000)
    for node in members:
        shown = row(node)
        assert shown["votes_double"] == shown["votes_overruled"] == 0, shown
        accepted = sum(shown[f"accepted_by_{way}"] for way in ("origin_link", "votes",
                                                               "signature"))
        assert accepted >= shown["delivered_next"] - 36, shown
        assert not liars(node)
    near = [row(node) for node in members if row(node)["origin_link"]]
    # Of one of them the link may have come up behind the frames.
    assert any(shown["accepted_by_origin_link"] > 0 for shown in near), near
    # Each node's own rule, and the reason where parents do not suffice for it.
    node = far_ones(members)[0]
    node.control("set", "votes", STREAM, "100", "1", "30")
    assert row(node)["votes_malicious"] == 30
    assert "12 wanted so that 30 % of the members" in row(node)["votes_shortcoming"], row(node)
    node.control("set", "votes", STREAM, "100", "8")
    assert row(node)["votes_percent"] == 100 and row(node)["votes_tolerated"] == 8
    assert "17 wanted so that 8 may lie" in row(node)["votes_shortcoming"], row(node)
    reading.publish(b"by the signature")


class Side(Voting):
    """The two members have a configured link besides, over ports of its own: its secret is known,
    so what goes over it can be read."""

    def __init__(self, t):
        self.sides = free_port_block(2 * PORTS_PER_NODE)
        self.secret = t.dir / "link-side.secret"
        must([PROGRAMS["chaincast"], "keygen", "secret", self.secret])
        super().__init__(t, 2)

    def tables(self, index):
        tables = super().tables(index)
        if index < 2:
            return tables
        own, other = (f"127.0.0.1:{self.sides + at * PORTS_PER_NODE}"
                      for at in (index - 2, 3 - index))
        tables["port"].append({"name": "side", "address": own})
        tables["peer"] = [{"name": "other", "address": other, "port": "side",
                           "secret": str(self.secret)}]
        return tables


@needs("tshark")
@limits(120)
def test_votes_are_read_as_the_document_says(t):
    made = Side(t).start()
    made.wait_until_joined()
    made.wait_for_one_graph()
    host, *members = made.nodes

    def is_up():
        return all(node.peers().get("other") == "up" for node in members)

    t.until(is_up, 30, "the configured link to be up")
    t.until(lambda: any(row(node)["votes_children"] > 0 for node in members), 30,
            "one to be the other's parent")
    # From the link's first hello on, which its keys come from.
    peer = members[0].tables["peer"][0]
    members[0].control("remove", "peer", "other")
    file = t.dir / "side.pcapng"
    members[0].control("capture", "start", str(file))
    members[0].control("add", "peer", "other", peer["address"], "port", "side", "secret",
                       peer["secret"])
    t.until(is_up, 30, "the configured link to be up again")
    reading = Reading(t, host, members)
    reading.publish(bytes(200_000))
    members[0].control("capture", "stop")
    fields = ["message.type", "message.stream", "message.first_seq", "message.count",
              "message.vote_seq", "message.vote", "malformed", "control.seal"]
    seen = dissected.read(file, fields, link_secrets=[made.secret],
                          ports=f"{made.sides}-{made.sides + 2 * PORTS_PER_NODE - 1}")
    votes = {}
    for datagram in seen:
        assert not datagram.text("malformed"), datagram.fields
        if datagram.numbers("message.type") != [13]:
            continue
        assert datagram.text("message.stream") == f"0x{row(members[0])['id']}"
        seqs, digests = datagram.numbers("message.vote_seq"), datagram.all("message.vote")
        first, count = datagram.number("message.first_seq"), datagram.number("message.count")
        assert seqs == list(range(first, first + count)) and len(digests) == count
        for seq, digest in zip(seqs, digests):
            assert votes.setdefault(seq, digest) == digest, "two votes for one frame"
            assert len(digest) == 64
    assert len(votes) > 36, f"{len(votes)} votes seen"
    assert len(set(votes.values())) == len(votes), "frames have digests of their own"
