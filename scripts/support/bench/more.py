# SPDX-License-Identifier: BSD-3-Clause
"""Sections of docs/performance.md beside the comparison with IPsec: each from one stored result."""

LOAD_MAX = 2.5  # of a machine on which nothing else ran: our own two threads, and their start


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + \
        ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def number(value):
    if value is None:
        return ""
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10
            else f"{value:.2f}")


def us(value):
    return number(value / 1e3)


def millions(value):
    return number(value / 1e6)


def mark(row):
    return "~" if row.get("is_disturbed") else ""


def made(document, of_machine):
    """What every section says of its measurement."""
    kind = "quick" if document.get("is_quick") else "full"
    name = document["name"]
    out = (f"`scripts/bench {name}`{' --quick' if kind == 'quick' else ''}. "
           + of_machine(document) + ".")
    if document["machine"]["load"] > LOAD_MAX:
        out += (" **Others used this machine meanwhile: all of this is disturbed, and no goal "
                "counts as reached by it.**")
    return out


def goals(document):
    is_busy = document["machine"]["load"] > LOAD_MAX
    rows = []
    for one in document["goals"]:
        is_off = is_busy or one.get("is_disturbed")
        rows.append([one["text"], one["goal"], number(one["value"]),
                     "disturbed" if is_off else "**reached**" if one["is_reached"]
                     else "not reached"])
    return table(["goal", "wanted", "measured", ""], rows)


def pick(rows, **wanted):
    return [one for one in rows if all(one.get(key) == value for key, value in wanted.items())]


PEERS = {"chaincast": "ours, `sha256-gmac`, over `udp`", "mmsg": "kernel UDP, sendmmsg",
         "segment": "kernel UDP, UDP_SEGMENT", "zmq": "ZeroMQ PUB/SUB, tcp", "nats": "NATS"}


def peers(document):
    rows = document["rows"]
    loopback = [[PEERS[row["system"]], millions(row["per_s"]),
                 f"{row['lost'] * 100:.1f} %", number(row["spread"])]
                for row in pick(rows, part="loopback")]
    veth = [[row["device"], "ours, N=8" if row["system"] == "chaincast" else "testpmd `txonly`",
             millions(row["per_s"]), number(row["spread"])] for row in pick(rows, part="veth")]
    null = [[row["system"] if row["system"] == "ipv4_multicast" else f"ours, {row['system']}",
             number(row["ns_per_copy"]), number(row["spread"])] for row in pick(rows, part="null")]
    return [*goals(document),
            "One 1400 B payload to eight receivers on this host: deliveries a second that these "
            "counted, and what did not arrive. UDP loses what receivers are too slow for; ZeroMQ "
            "and NATS hold the sender up instead. Ours verifies, records and chains each frame; "
            "the others of the table check nothing.", "",
            *table(["system", "M deliveries/s", "lost", "spread"], loopback),
            "Into a pair of interfaces whose other end drops, packets of 1514 B for each second "
            "of the processor's time:", "",
            *table(["device", "system", "M packets/s", "spread"], veth),
            "One core to net_null, N=8, arrivals in the caches; of DPDK's example without its "
            "source:", "", *table(["system", "ns a copy", "spread"], null)]


def ticks(row):
    found = row.get("ticks", {"hz": 0})
    return (f"{found['share'] * 100:.0f} % at {found['hz']} Hz, by chance "
            f"{found['chance'] * 100:.0f} %") if found["hz"] else "not measured"


def latency(document):
    rows = pick(document["rows"], part="latency")
    body = [[row["system"] + mark(row), f"`{row['suite']}`", number(row["frames_per_s"]),
             *(us(row[f"latency_{key}"]) for key in ("min", "p50", "p99", "p999")),
             us(row["skew_p50"]), us(row["skew_p999"]), ticks(row)] for row in rows]
    load = [[f"`{row['suite']}`", row["load"], millions(row["offered_per_s"]),
             millions(row["copies_per_s"]), number(row["by_peak"]), f"{row['loss'] * 100:.1f} %",
             row["dropped by the relay"]] for row in pick(document["rows"], part="overload")]
    return [*goals(document),
            "One 1400 B frame at a time between rings, at a tenth of what the relay sustains, us "
            "from the tester's send until it finds the first copy, and from that to the last copy. "
            "`~`: more than one frame of a hundred left the tester late. The last column: how many "
            "of the slowest thousandth were sent around the ticks of the kernel's clock, of either "
            "processor, and how many would be by chance. `nohz_full` spares an isolated cpu these.",
            "",
            *table(["system", "suite", "frames/s", "least", "p50", "p99", "p99.9", "skew p50",
                    "skew p99.9", "at ticks"], body),
            "Overload, N=8. What is lost is lost at the ring before the relay (`rx_missed` of a "
            "port), but for what the last column names.", "",
            *table(["suite", "load", "M frames/s offered", "M copies/s", "by its peak",
                    "lost", "dropped by the relay"], load)]


def scale(document):
    rows = document["rows"]
    copies = [[f"`{row['suite']}`", f"{row['fanout']:,}", number(row["ns_per_unit"]) + mark(row),
               number(row.get("ns_per_copy"))] for row in pick(rows, part="peers")]
    pairs = [[f"`{row['suite']}`", row["fanout"], row["workers"], number(row["ns_per_unit"])
              + mark(row), number(row.get("ratio"))] for row in pick(rows, part="workers")]
    return [*goals(document), "1400 B frames, one a datagram, to net_null; the cost of a copy is "
            "what a frame takes more than with one peer, by the number of the others.", "",
            *table(["suite", "peers", "ns a frame", "ns a copy"], copies),
            "Two workers, each with a lane, a stream and arrivals of its own:", "",
            *table(["suite", "N", "workers", "ns a frame", "by one worker"], pairs)]


def paths(document):
    rows = document["rows"]
    fanouts = sorted({row["fanout"] for row in rows if row["part"] == "path"})
    systems = list(dict.fromkeys(row["system"] for row in rows if row["part"] == "path"))

    def line(part, key, system):
        out = []
        for fanout in fanouts:
            found = pick(rows, part=part, system=system, fanout=fanout)[0]
            ratio = f"{found['ratio']:.2f}" if "ratio" in found else ""
            if key:
                ratio = number(found[key]) + (f" ({ratio})" if ratio else "")
            out.append(ratio + mark(found))
        return out

    name = {system: "tunnels, AES-256-GCM" if system == "tunnels" else f"`{system}`"
            for system in systems}
    ends = [[f"`{system}`", number(pick(rows, part="origin", system=system)[0]["ns_per_unit"]),
             number(pick(rows, part="leaf", system=system)[0]["ns_per_unit"])]
            for system in systems if system != "tunnels"]
    head = [f"N={fanout}" for fanout in fanouts]
    return ["ns of all processors that one 1400 B payload takes from its origin over one relay to "
            "N leaves; in brackets the tunnels' time by ours. Every leaf of ours verifies, checks "
            "the chain and records the frame; a tunnel's end decrypts and keeps nothing.", "",
            *table(["system", *head], [[name[one], *line("path", "ns", one)] for one in systems]),
            "Of that the two ends:", "",
            *table(["suite", "origin, ns", "leaf, ns"], ends),
            "A mix of sizes at the relay (64, 570 and 1400 B, seven, four and one of twelve, one a "
            "datagram): the tunnels' time by ours.", "",
            *table(["suite", *head], [[name[one], *line("imix ratio", "", one)]
                                      for one in systems if one != "tunnels"])]


def plain(document):
    body = [[row["system"], row["size"], row["fanout"], number(row["plain_ns"]),
             number(row["secured_ns"]) + mark(row), f"{row['share'] * 100:.0f} %",
             f"{row['wire_share'] * 100:.0f} %"] for row in document["rows"]]
    return ["The share of throughput that security takes, and of the bytes on the wire that are "
            "its headers. `ipsec-secgw` protects, or lets the same packets through by policy; ours "
            "verifies frames, or takes them unseen, with link check, window and record in both. "
            "ns a packet or frame with its copies.", "",
            *table(["system", "size", "N", "plain", "secured", "of throughput", "of wire bytes"],
                   body)]


def trials(document):
    kind = "as long as the method wants" if document["is_conformant"] else "**not conformant**"
    return (f"Trials of {document['trial_ms']} ms, {kind}; on software ports these methods are "
            "evidence of function, and of what one core does: there is no line rate, and what "
            "RFC 9004 says of the operating system's interruptions and of neighbours holds. Over "
            "af_packet the tester sends by the kernel on its own core, and offers no more than "
            "that takes.")


def rfc2544(document):
    rows = document["rows"]
    out = [trials(document), ""]
    for cable in dict.fromkeys(row["cable"] for row in rows):
        body = []
        for size in dict.fromkeys(row["size"] for row in pick(rows, cable=cable)):
            rate, time, burst = (pick(rows, cable=cable, size=size, part=part)[0]
                                 for part in ("throughput", "latency", "back-to-back"))
            losses = "; ".join(f"{row['load'] * 100:.0f} %: {row['loss'] * 100:.1f} %" for row in
                               pick(rows, cable=cable, size=size, part="frame loss"))
            body.append([size, millions(rate["frames_per_s"]), number(rate["gbps"]),
                         us(time["latency_p50"]), us(time["latency_p999"]), us(time["pdv"]),
                         number(burst["frames"]) + ("+" if burst["is_limit"] else ""),
                         number(burst["corrected_us"]), losses])
        out += [f"Over {cable}:", "",
                *table(["size", "M frames/s", "Gbit/s", "p50, us", "p99.9, us", "PDV, us",
                        "longest burst", "buffer, us", "loss by load"], body)]
    return out


def rfc3918(document):
    rows = document["rows"]
    out = [trials(document), ""]
    for cable in dict.fromkeys(row["cable"] for row in rows):
        body = []
        cells = dict.fromkeys((row["size"], row["fanout"]) for row in pick(rows, cable=cable))
        for size, fanout in cells:
            by = {row["part"]: row for row in pick(rows, cable=cable, size=size, fanout=fanout)}
            rate, time = by["throughput"], by["latency"]
            body.append([size, fanout, millions(rate["copies_per_s"]), number(rate["gbps_out"]),
                         us(time["latency_p50"]), us(time["latency_p999"]), us(time["skew_p50"]),
                         us(time["skew_p999"]), number(by.get("join", {}).get("us")),
                         number(by.get("leave", {}).get("us"))])
        out += [f"Over {cable}:", "",
                *table(["size", "N", "M copies/s", "Gbit/s out", "p50, us", "p99.9, us",
                        "skew p50", "skew p99.9", "join, us", "leave, us"], body)]
    return out


SECTIONS = {"peers": peers, "latency": latency, "scale": scale, "paths": paths, "plain": plain,
            "rfc2544": rfc2544, "rfc3918": rfc3918}
