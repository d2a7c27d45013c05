# SPDX-License-Identifier: BSD-3-Clause
"""Looking into running nodes: what captures hold, beside what nodes count and tshark reads."""

import re
from collections import Counter

import net
from harness import limits, must, needs, output_of, until
from lab import Lab, publish_file
from subscriber import Subscriber
from test_network import content
from test_ports import Appliances, shared_memory_pair

IN, OUT = "0x00000001", "0x00000002"
FIELDS = ["frame.packet_flags_direction", "frame.interface_name", "frame.comment", "udp.payload",
          "udp.checksum.status"]
DATA = 200_000


def capture(node, *words):
    """Starts a capture; its file."""
    file = node.dir / "capture.pcapng"
    started = node.control("capture", "start", file, *words)
    assert started["state"] == "running", started
    return file


def stop_capture(node):
    ended = node.control("capture", "stop")
    assert (ended["state"], ended["missed"]) == ("ended", 0), ended
    return ended


def deliver(t, origin, reader_at):
    reader = Subscriber(reader_at, "s")
    data = content(t, "data", DATA)
    publish_file(origin, "s", data)
    reader.wait_bytes(DATA)
    assert reader.stop() == data.read_bytes()


def payloads(rows, direction, only_data=False):
    """Datagrams of one direction, in hex; those without frames (control) too, if wanted."""
    return Counter(row["udp.payload"] for row in rows
                   if row["frame.packet_flags_direction"] == direction
                   and not (only_data and row["udp.payload"][4:6] == "00"))


def dropped_frames(rows, reason):
    """How many comments of a capture name this reason."""
    return sum(len(re.findall(rf"\bdropped={reason}\b", row["frame.comment"])) for row in rows)


def datagrams_of(node):
    """(received, sent) by what the workers and the peers' queues count; without hellos, of which
    there are none while all links are up."""
    workers = node.control("show", "workers")["workers"]
    peers = node.control("show", "peers")["peers"]
    return (sum(worker["datagrams"] + worker["control_datagrams"] for worker in workers),
            sum(peer["tx_datagrams"] for peer in peers))


def both_ends_see_the_same(t, origin, receiver):
    """n0 and its only neighbour capture while n0 publishes: what came in at the receiver left the
    origin, byte by byte, and the receiver's file has what it counts meanwhile."""
    sent = capture(origin)
    before = datagrams_of(receiver)
    received = capture(receiver)
    inner = datagrams_of(receiver)
    deliver(t, origin, receiver)
    last_inner = datagrams_of(receiver)
    ended = stop_capture(receiver)
    after = datagrams_of(receiver)
    stop_capture(origin)
    there, here = net.read_capture(sent, FIELDS, "udp"), net.read_capture(received, FIELDS, "udp")
    assert len(here) == ended["packets"], ended
    for rows in (there, here):
        assert {row["udp.checksum.status"] for row in rows} == {"1"}
        assert {row["frame.interface_name"] for row in rows} <= {
            port["name"] for port in origin.tables["port"] + receiver.tables["port"]}
    arrived, left = payloads(here, IN, only_data=True), payloads(there, OUT)
    assert sum(arrived.values()) > DATA // 1400, f"{sum(arrived.values())} datagrams came"
    assert arrived <= left, "the receiver took in what the origin did not send"
    for rows, direction, index in ((here, IN, 0), (here, OUT, 1)):
        count = sum(payloads(rows, direction).values())
        assert last_inner[index] - inner[index] <= count <= after[index] - before[index], (
            direction, count, before, inner, last_inner, after)


@needs("programs", "tshark")
@limits(seconds=110)
def test_capture_on_sockets(t):
    lab = Lab(t, 2, {"s": 0}).start()
    lab.wait_for_links()
    both_ends_see_the_same(t, *lab.nodes)


@needs("programs", "netns", "tshark")
@limits(seconds=110)
def test_capture_over_veth(t):
    both_ends_see_the_same(t, *Appliances(t, [(0, 1)]).start().nodes)


@needs("programs", "root", "tshark")
@limits(seconds=110, alone=True)
def test_capture_over_shared_memory(t):
    both_ends_see_the_same(t, *shared_memory_pair(t))


@needs("programs", "tshark")
@limits(seconds=110)
def test_capture_of_dropped_frames_equals_the_counter(t):
    lab = Lab(t, 3, {"s": 0}).start()
    lab.wait_for_links()
    tail = lab.nodes[2]
    before = tail.drops().get("duplicate", 0)
    file = capture(tail, "dropped", "duplicate")
    deliver(t, lab.nodes[0], tail)
    frames = lab.nodes[0].stream("s")["verified_frames"]
    until(lambda: tail.drops().get("duplicate", 0) - before >= frames // 2, 60,
          "the tail to drop what both neighbours sent")
    stop_capture(tail)
    rows = net.read_capture(file, FIELDS)
    # What was counted after the capture had ended is not in it, and there is no traffic then.
    assert dropped_frames(rows, "duplicate") == tail.drops()["duplicate"] - before
    assert all(row["frame.packet_flags_direction"] == IN for row in rows)
    assert all("dropped=duplicate" in row["frame.comment"] for row in rows)


@needs("programs")
def test_capture_refuses_clearly(t):
    node = Lab(t, 1, {"s": 0}).start().nodes[0]

    def refusal(*words):
        code, _, err = output_of(node.control_command(*words))
        assert code != 0, words
        return err
    assert "none has been started" in refusal("capture", "stop")
    assert "make its directory first" in refusal("capture", "start", t.dir / "no" / "x.pcapng")
    assert "no such port" in refusal("capture", "start", t.dir / "x.pcapng", "port", "p9")
    assert "dropped" in refusal("capture", "start", t.dir / "x.pcapng", "dropped", "nonsense")
    assert not (t.dir / "x.pcapng").exists()
    file = capture(node, "packets", "5")
    assert "`capture stop` first" in refusal("capture", "start", t.dir / "y.pcapng")
    stop_capture(node)
    assert "File exists" in refusal("capture", "start", file)
    assert node.control("show", "capture")["state"] == "ended"
    capture_again = node.control("capture", "start", t.dir / "z.pcapng")
    assert capture_again["state"] == "running"
    assert node.stop() == 0, "a node ends with its capture running"


STAGES = ["hop", "classify", "probe", "verify", "commit", "fanout"]


@needs("programs", "netns", "tshark")
@limits(seconds=110)
def test_captures_tell_two_ports_apart(t):
    """n1 has a port to n0 and one to n2. Whom a datagram is from says which port it came in by."""
    lab = Appliances(t, [(0, 1), (1, 2)]).start()
    middle = lab.nodes[1]
    file = capture(middle)
    deliver(t, lab.nodes[0], lab.nodes[2])
    stop_capture(middle)
    rows = net.read_capture(file, FIELDS + ["ip.src"])
    arrived = {(row["frame.interface_name"], row["ip.src"]) for row in rows
               if row["frame.packet_flags_direction"] == IN}
    assert arrived == {("p0", "10.77.0.1"), ("p1", "10.77.1.2")}, arrived
    file.unlink()
    capture(middle, "port", "p1")
    deliver(t, lab.nodes[0], lab.nodes[2])
    stop_capture(middle)
    rows = net.read_capture(file, FIELDS + ["ip.src"])
    assert {row["frame.interface_name"] for row in rows} == {"p1"}, rows[:5]
    assert {row["ip.src"] for row in rows if row["frame.packet_flags_direction"] == IN} == {
        "10.77.1.2"}


@needs("programs")
@limits(seconds=110)
def test_trace_says_which_stages_frames_passed(t):
    lab = Lab(t, 3, {"s": 0}).start()
    lab.wait_for_links()
    tail = lab.nodes[2]
    tail.control("trace", "add", "250")
    deliver(t, lab.nodes[0], tail)
    until(lambda: tail.control("show", "trace")["traced"] == 250, 60,
          "250 frames to be traced, of 173 that come from both neighbours")
    kept, lost = [], []
    for row in tail.control("show", "trace", "detail")["frames"]:
        if row["dropped"] != "unknown_stream":  # of which the first frames may be too early
            (lost if row["dropped"] else kept).append(row)
    assert kept and lost, f"{len(kept)} kept, {len(lost)} lost"
    for row in kept:
        times = [row[f"{stage}_ns"] for stage in STAGES]
        assert times == sorted(times) and times[0] > 0, row
        assert (row["stage"], row["copies"], row["lost"]) == ("fanout", 1, 0), row
    seqs = [row["seq"] for row in kept]
    assert len(set(seqs)) == len(seqs), "a frame was kept twice"
    for row in lost:
        assert row["dropped"] == "duplicate" and row["stage"] in ("probe", "commit"), row
        assert row["fanout_ns"] is None and row["copies"] == 0, row
    for row in kept + lost:
        assert row["stream"] == "s" and row["peer"] in ("n0", "n1") and row["port"] == "p0", row
        assert row["stream_id"] == tail.stream("s")["id"], row
    text = must(tail.control_command("show", "trace"))
    header = next(line for line in text.splitlines() if "verify (ns)" in line)
    assert len(header) <= 160, header
    tail.control("clear", "trace")
    assert tail.control("show", "trace")["traced"] == 0


@needs("programs")
@limits(seconds=110)
def test_latency_of_stages_and_peers(t):
    lab = Lab(t, 3, {"s": 0}, edges=[(0, 1), (1, 2)]).start()
    lab.wait_for_links()
    relay = lab.nodes[1]
    assert relay.control("set", "latency", "on") == {"measuring": True}
    frames = relay.control("show", "dedup")["received_frames"]
    deliver(t, lab.nodes[0], lab.nodes[2])
    frames = relay.control("show", "dedup")["received_frames"] - frames
    relay.control("set", "latency", "off")
    shown = relay.control("show", "latency")
    assert shown["measuring"] is False
    stages = {row["stage"]: row for row in shown["stages"]}
    assert list(stages) == STAGES + ["tx"]
    for row in stages.values():
        assert row["bursts"] > 0, row
        assert 0 < row["burst_p50_ns"] <= row["burst_p99_ns"] <= row["burst_max_ns"], row
        assert 0 <= row["item_p50_ns"] <= row["item_p99_ns"] <= row["burst_max_ns"], row
    assert stages["verify"]["bursts"] <= frames
    peers = {row["peer"]: row for row in shown["peers"]}
    onward = peers["n2"]
    assert onward["direct_copies"] + onward["queued_copies"] > 0, onward
    assert onward["direct_p50_ns"] <= onward["direct_p99_ns"] <= onward["direct_max_ns"], onward
    assert set(relay.control("show", "latency", "peers")) == {"measuring", "peers"}
