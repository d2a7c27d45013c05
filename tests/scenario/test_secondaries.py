# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own tools attach to a node on hugepages as secondary processes: dpdk-dumpcap and
dpdk-proc-info. The node's workers are lcores of EAL there."""

import re
import shutil
import signal

import hugepages
import net
from harness import Failure, Skip, limits, must, needs, output_of, until
from lab import publish_file
from subscriber import Subscriber
from test_network import content
from test_ports import UDP_PORT, Appliances, wait_for_links
from test_workers import spare_cpu, workers_are_alone

PAGES = 400  # two nodes, and what the tools take beside them
HOP_HEADER, FRAME_HEADER, PAYLOAD = 16, 56, 1160
BYTES = 300_000
INBOUND, OUTBOUND = "0x00000001", "0x00000002"  # pcapng's flags of a packet, as tshark has them


def pair_on_hugepages(t, **settings):
    """Two nodes over veth, in memory that other processes can map."""
    for tool in ("dpdk-dumpcap", "dpdk-proc-info"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}: scripts/setup")
    hugepages.reserve(t, PAGES)
    eal = ["--no-pci", "--huge-dir", str(hugepages.mount(t))]
    return Appliances(t, [(0, 1)], stream={"rate": 1000}, settings={"eal": eal, **settings}).start()


def prefix(node):
    """What the node's log says that tools need."""
    return re.findall(r"may attach: --file-prefix (\S+)", node.process.log_text())[-1]


class Dumpcap:
    """A running dpdk-dumpcap on the only port of a node."""

    SUMMARY = re.compile(r"Packets received/dropped on interface '.*': (\d+)/(\d+) ")

    def __init__(self, node, name):
        self.file = node.scenario.dir / f"{name}.pcapng"
        self.process = node.scenario.start(
            ["dpdk-dumpcap", f"--file-prefix={prefix(node)}", "-p", "-q", "-w", self.file], name)
        # The file is made just before packets are asked for; links are never silent.
        until(lambda: self.file.exists() and self.packets_written(), 30, f"{name} to capture",
              [self.process, node.process])

    def packets_written(self):
        """pcapng is written block by block: what is whole can be read."""
        code, out, _ = output_of(["tshark", "-n", "-r", self.file, "-T", "fields", "-e",
                                  "frame.number"])
        return len(out.split()) if code in (0, 2) else 0

    def stop(self):
        assert self.process.stop(30) == 0, self.process.log_text()
        received, dropped = map(int, self.SUMMARY.search(self.process.log_text()).groups())
        assert received > 0 and dropped == 0, self.process.log_text()
        return received


def relays(t, lab, name, seed):
    """n1 is handed what n0 publishes."""
    origin, other = lab.nodes
    reader = Subscriber(other, "s")
    data = content(t, name, BYTES, seed)
    publish_file(origin, "s", data)
    reader.wait_bytes(BYTES)
    assert reader.stop() == data.read_bytes()
    assert reader.lost_frames() == 0


def datagrams(file, fields=()):
    return net.read_capture(file, ["ip.src", "udp.payload", *fields],
                            f"udp.dstport >= {UDP_PORT} && udp.dstport < {UDP_PORT + 16}")


def data_frames(payloads):
    """(stream, seq) of the frames in these datagrams, by docs/wire.md 1.1 and 1.2."""
    found = set()
    for payload in map(bytes.fromhex, payloads):
        at = HOP_HEADER
        for _ in range(0 if payload[1] & 1 else payload[2]):
            found.add((payload[at + 8:at + 16], payload[at + 16:at + 24]))
            at += FRAME_HEADER + int.from_bytes(payload[at:at + 2], "big")
    return found


def on_wire(capture):
    """What n0 sent, as far as the capture is written: the kernel holds packets back for a while."""
    try:
        return {row["udp.payload"] for row in datagrams(capture.file)
                if row["ip.src"] == "10.77.0.1"}
    except Failure:  # its last packet is half there
        return set()


def captures_what_passes(t, lab, name, seed):
    """dpdk-dumpcap on n0 beside the kernel's capture at the far end of its cable."""
    wire = lab.places[1].capture("v10", t.dir / f"{name}-wire.pcap")
    tool = Dumpcap(lab.nodes[0], name)
    relays(t, lab, name, seed)
    tool.stop()
    rows = datagrams(tool.file, ["frame.packet_flags_direction", "ip.checksum.status",
                                 "udp.checksum.status"])
    sent = [row["udp.payload"] for row in rows if row["ip.src"] == "10.77.0.1"]
    assert {(row["ip.src"], row["frame.packet_flags_direction"]) for row in rows} == \
        {("10.77.0.1", OUTBOUND), ("10.77.0.2", INBOUND)}, rows[:3]
    assert {(row["ip.checksum.status"], row["udp.checksum.status"]) for row in rows} == \
        {("1", "1")}, rows[:3]
    assert len(sent) == len(set(sent)), "it has a packet twice"
    until(lambda: set(sent) <= on_wire(wire), 30, "the cable's capture to have what the tool has")
    wire.stop()
    frames = data_frames(sent)
    assert len(frames) >= BYTES // PAYLOAD, f"{len(frames)} frames"


def port_stats(node):
    return node.control("show", "port", "stats", "p0")["ports"][0]


def proc_info(node, *words):
    return must(["dpdk-proc-info", f"--file-prefix={prefix(node)}", "--", *words], 60)


def counters_agree(node):
    """The device's counters, by dpdk-proc-info, are the node's own; both stand still."""
    node.control("port", "stop", "p0")
    own = port_stats(node)
    text, numbers = proc_info(node, "--stats"), {}
    for key, label in (("rx_packets", "RX-packets"), ("rx_bytes", "RX-bytes"),
                       ("tx_packets", "TX-packets"), ("tx_bytes", "TX-bytes")):
        numbers[key] = int(re.search(rf"{label}: *(\d+)", text)[1])
    assert numbers == {key: own[key] for key in numbers} and min(numbers.values()) > 0, (text, own)
    names = dict(re.findall(r"^(\w+): (\d+)$", proc_info(node, "--xstats"), re.MULTILINE))
    assert int(names["rx_good_packets"]) == own["rx_packets"], names
    assert port_stats(node) == own
    node.control("port", "start", "p0")
    wait_for_links(node)


@needs("programs", "netns", "tshark")
@limits(seconds=230, alone=True)
def test_tools_attach_to_a_node_on_hugepages(t):
    lab = pair_on_hugepages(t)
    captures_what_passes(t, lab, "first", 1)
    counters_agree(lab.nodes[0])
    captures_what_passes(t, lab, "second", 2)
    relays(t, lab, "after", 3)
    assert [node.stop(30) for node in lab.nodes] == [0, 0]


@needs("programs", "netns", "tshark")
@limits(seconds=170, alone=True)
def test_lcores_have_their_cpus_alone_while_a_tool_is_attached(t):
    lab = pair_on_hugepages(t, worker_cpus=[spare_cpu()])
    tool = Dumpcap(lab.nodes[0], "tool")
    for node in lab.nodes:
        names = workers_are_alone(node)
        assert "rte_mp_handle" in names, names
    tool.stop()
    assert [node.stop(30) for node in lab.nodes] == [0, 0]


@needs("programs", "netns", "tshark")
@limits(seconds=230, alone=True)
def test_node_outlives_a_killed_dumpcap(t):
    """What the killed one had asked for goes on until the node starts anew: another one is refused
    that long, while dpdk-proc-info and the node itself work."""
    lab = pair_on_hugepages(t)
    Dumpcap(lab.nodes[0], "killed").process.signal(signal.SIGKILL)
    relays(t, lab, "after", 1)
    counters_agree(lab.nodes[0])
    try:
        Dumpcap(lab.nodes[0], "refused")
    except Failure as refusal:
        assert "refused ended with exit code" in str(refusal), refusal
    else:
        raise AssertionError("DPDK gives back what a killed process had: say so in the documents")
    lab.nodes[0].stop(30)
    lab.nodes[0].start()
    for node in lab.nodes:
        wait_for_links(node)
    captures_what_passes(t, lab, "anew", 2)
