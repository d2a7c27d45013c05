# SPDX-License-Identifier: BSD-3-Clause
"""docs/performance.md from stored results. Every number on that page comes from here."""

import json
import re
import shutil

from bench import more, run, svg
from bench.goals import BASELINE, FANOUTS, ROWS, STRICT, SUITES, TUNNELS

PAGE = run.ROOT / "docs/performance.md"
PLOTS = run.ROOT / "docs/performance"
ELSEWHERE = run.RESULTS / "elsewhere"
NAMES = {"hub-aes256": "tunnels, AES-256-GCM", "hub-aes128": "tunnels, AES-128-GCM",
         "hub-gmac": "tunnels, ESP null + AES-256-GMAC", "hub-group": "one group SA, AES-256-GCM",
         "secgw": "ipsec-secgw, AES-256-GCM"}


def stored(name):
    """The newest result of that name: of this tree's build, else what is committed. All of the page
    is of one processor; what was measured on another does not replace it."""
    new, old = run.STORE / f"{name}.json", run.RESULTS / f"{name}.json"
    if new.exists() and not (old.exists() and model_of(new) != model_of(old)):
        run.RESULTS.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(new, old)
    return json.loads(old.read_text()) if old.exists() else None


def model_of(path):
    return json.loads(path.read_text())["machine"]["cpu_model"]


def place_elsewhere(model):
    slug = re.sub("[^a-z0-9]+", "-", model.lower()).strip("-")
    return ELSEWHERE / f"ipsec-{slug}.json"


def put_elsewhere(path):
    """The comparison with IPsec on one processor: the table, without its rows."""
    document = json.loads(path.read_text())
    kept = {key: document[key] for key in ("name", "is_quick", "machine", "goals", "warm")}
    run.write({**kept, "spread": spread(document)}, place_elsewhere(model_of(path)))


def move_here():
    """From now on the page is of the processor that the newest comparison with IPsec ran on."""
    new, old = run.STORE / "ipsec.json", run.RESULTS / "ipsec.json"
    if not new.exists():
        run.fail("nothing of this tree's build to move to: scripts/bench ipsec")
    if old.exists() and model_of(old) != model_of(new):
        put_elsewhere(old)
        place_elsewhere(model_of(new)).unlink(missing_ok=True)
        for path in run.RESULTS.glob("*.json"):
            if model_of(path) != model_of(new):
                path.unlink()


def stored_elsewhere():
    """The comparison with IPsec on other processors, one of each."""
    new, old = run.STORE / "ipsec.json", run.RESULTS / "ipsec.json"
    if new.exists() and model_of(new) != model_of(old):
        put_elsewhere(new)
    return [json.loads(path.read_text()) for path in sorted(ELSEWHERE.glob("ipsec-*.json"))]


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + \
        ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def of_machine(document):
    machine = document["machine"]
    best = machine["sentinels"]
    known = (f"; best sentinels: SHA-256 on sixteen lanes {best['sha_ns']:.0f} ns, AES-256-GCM "
             f"{best['gcm_ns']:.0f} ns a 1400 B message" if best else "")
    pages = "hugepages of 2 MiB" if machine["has_hugepages"] else "pages of 4 KiB"
    return (f"{machine['cpu_model']}, {machine['cpus']} cpus (virtual), TSC "
            f"{machine['tsc_hz'] / 1e9:.2f} GHz, Linux {machine['kernel']}, ipsec-mb "
            f"{machine['ipsec_mb']}, {pages}; commit {machine['commit']} (lib/ is tree "
            f"{machine['lib_tree']}), {machine['date']} UTC, "
            f"load average {machine['load']:.1f} at the end{known}")


def goals(judged):
    rows = []
    for row in ROWS:
        for kind in ("strict", "ct, gmac"):
            found = [one for one in judged
                     if one["row"] == row.name and one["suites"] == kind]
            cells = []
            for one in found:
                word = ("disturbed" if one["is_disturbed"] else
                        "**reached**" if one["is_reached"] else "not reached")
                cells.append(f"{number(one['ratio'])} of {one['goal']}: {word}")
            rows.append([row.name, row.text if kind == "strict" else "", kind, *cells])
    return table(["row", "both sides carry", "suites"] + [f"N={n}" for n in FANOUTS], rows)


def pick(rows, **wanted):
    return [one for one in rows if all(one[key] == value for key, value in wanted.items())]


def cell_text(rows, row, system, suite, fanout):
    """ns on net_null and, behind a stroke, on the ring."""
    found = [pick(rows, row=row.name, system=system, suite=suite, fanout=fanout, sink=sink,
                  is_warm=False, offered=1) for sink in ("null", "ring")]
    text = " / ".join(number(one[0]["ns_per_frame"]) + ("~" if one[0]["disturbed"] * 2 >=
                                                        one[0]["repeats"] else "")
                      for one in found if one)
    return text or "not measured"


def details(document):
    rows = document["rows"]
    out = []
    for row in ROWS:
        out += [f"**{row.name}**: {row.text}.", ""]
        body = [[NAMES[system], *(cell_text(rows, row, system, "", n) for n in FANOUTS)]
                for system in TUNNELS]
        body += [[f"`{suite}`", *(cell_text(rows, row, "chaincast", suite, n) for n in FANOUTS)]
                 for suite in SUITES]
        out += table(["ns a unit"] + [f"N={n}" for n in FANOUTS], body)
    return out


def spread(document):
    """What the page says of its own certainty."""
    rows = document["rows"]
    worst = max(rows, key=lambda one: one["spread"])
    repeats = min(one["repeats"] for one in rows)
    off = sum(one["disturbed"] for one in rows)
    ranges = sorted(one["spread"] for one in rows)
    return (f"{repeats} repeats at least; (highest - lowest) / median is "
            f"{ranges[len(ranges) // 2]:.3f} in the middle of all rows and "
            f"{worst['spread']:.2f} at worst ("
            f"{worst['row']}, {worst['system']} {worst['suite']}, N={worst['fanout']}); {off} of "
            f"{sum(one['repeats'] for one in rows)} repetitions were disturbed; steal "
            f"{sum(one['steal_ticks'] for one in rows)} ticks; sentinels of the rows: SHA-256 "
            f"{min(one['sha_ns'] for one in rows):.0f} to "
            f"{max(one['sha_ns'] for one in rows):.0f} ns, AES-256-GCM "
            f"{min(one['gcm_ns'] for one in rows):.0f} to "
            f"{max(one['gcm_ns'] for one in rows):.0f} ns")


def goodput(document):
    """Payload bits by wire bits, and what one core sends, at N=8 on net_null."""
    body = []
    for row in ROWS:
        for system, suite in (("chaincast", "gmac"), ("chaincast", "sha256-gmac"),
                              ("hub-aes256", "")):
            found = pick(document["rows"], row=row.name, system=system, suite=suite, fanout=8,
                         sink="null", is_warm=False, offered=1)
            if not found:
                continue
            one = found[0]
            units = one["frames_per_s"] * one["fanout"]
            size = 64 if row.name == "r3" else row.shape.size
            body.append([row.name, NAMES.get(system, f"`{suite}`"), number(one["gbps_out"]),
                         number(units / 1e6), number(units * size * 8 / 1e9),
                         f"{units * size * 8 / 1e9 / one['gbps_out']:.3f}"])
    return table(["row, N=8", "", "Gbit/s on the wire", "M copies/s", "Gbit/s of payload",
                  "payload by wire"], body)


def plots(document):
    PLOTS.mkdir(exist_ok=True)
    rows = pick(document["rows"], row="r1", sink="null", is_warm=False, offered=1)
    lines = [(NAMES.get(system, suite) if not suite else suite,
              [(one["fanout"], one["ns_per_frame"])
               for one in pick(rows, system=system, suite=suite)])
             for system, suite in [(one, "") for one in TUNNELS] +
             [("chaincast", "sha256-gmac"), ("chaincast", "gmac")]]
    (PLOTS / "r1.svg").write_text(svg.plot("r1: one 1400 B frame to N peers, one core",
                                           "peers", "ns a frame", [one for one in lines if one[1]]))
    lines = []
    for row in ROWS:
        for suite in ("sha256-gmac", "gmac"):
            points = [(one["fanout"], one["ratio"]) for one in
                      pick(document["rows"], row=row.name, system="chaincast", suite=suite,
                           sink="null", is_warm=False, offered=1)]
            if points and row.name != "r3":
                lines.append((f"{row.name} {suite}", points))
    strict = [one for one in lines if "sha256" in one[0]]
    other = [one for one in lines if "sha256" not in one[0]]
    for name, some in (("ratio-strict", strict), ("ratio-gmac", other)):
        (PLOTS / f"{name}.svg").write_text(
            svg.plot("times the cheapest IPsec, AES-256, one core", "peers", "ratio", some))


def least_fanout(documents, suites):
    """From how many peers on every row and suite of a kind is ahead; None: from none measured."""
    for fanout in FANOUTS:
        if all(one["ratio"] > 1 for document in documents for one in document["goals"]
               if one["suites"] == suites and one["fanout"] >= fanout):
            return fanout
    return None


def group(document):
    """One group SA against the fastest and the slowest of our suites, where each frame counts."""
    ahead, behind, cells = 0, 0, 0
    for row in ROWS:
        for fanout in FANOUTS:
            here = pick(document["rows"], row=row.name, fanout=fanout, sink="null", is_warm=False,
                        offered=1)
            shared = pick(here, system="hub-group")
            own = [one["ns_per_frame"] for one in pick(here, system="chaincast")]
            if shared and own:
                cells += 1
                ahead += shared[0]["ns_per_frame"] < min(own)
                behind += shared[0]["ns_per_frame"] > max(own)
    return (f"Of the {cells} cells below it is cheaper than every suite of ours in {ahead}, and "
            f"dearer than every one in {behind}.")


def claim(documents):
    """What holds on every processor that was measured."""
    out = []
    for kind, names in (("strict", STRICT), ("ct, gmac", [s for s in SUITES if s not in STRICT])):
        least = least_fanout(documents, kind)
        text = ", ".join(f"`{name}`" for name in names)
        if least is None:
            out.append(f"- {text}: on at least one row not ahead at any N that was measured.")
        else:
            out.append(f"- {text}: ahead on every row of this page from N={least} on.")
    return out


def elsewhere(documents):
    if not documents:
        return ["No other was measured."]
    out = []
    for document in documents:
        reached = sum(one["is_reached"] for one in document["goals"])
        out += [of_machine(document) + ". " + document["spread"] + ". "
                f"{reached} of {len(document['goals'])} goals are reached.", "",
                *goals(document["goals"])]
    return out


def micro(document):
    stages = ("rx", "hop", "classify", "probe", "verify", "commit", "fanout and tx", "whole")
    body = [[row["row"], f"`{row['suite']}`", row["fanout"],
             "caches" if row["is_warm"] else "memory", *(number(row[stage]) for stage in stages)]
            for row in document["rows"]]
    hooks = [[row["row"], row["fanout"], number(row["hooked"]), number(row["bare"]),
              f"{row['difference']:+.1f}", number(row["noise"]), row["repeats"]]
             for row in document["hooks"]]
    return ["Cycles a frame (`scripts/bench micro`), timed inside the whole line; `fanout and tx` "
            "is the rest. " + of_machine(document) + ".", "",
            *table(["row", "suite", "N", "arrivals from", *stages], body),
            "The hooks for observers (captures, traces, latency) while nobody looks, against the "
            "same line compiled without them: cycles a frame, `gmac`, arrivals in the caches. "
            "`noise` is the middle half of the repeats.", "",
            *table(["row", "N", "with hooks", "without", "difference", "noise", "repeats"],
                   hooks)]


LIKE = {"r3": "r1", "r4": "r5"}  # rows whose frames are those of another


def ceiling(document, ipsec):
    """What the program of the limit would reach in the table of goals."""
    body, beyond, cells = [], 0, 0
    for row in ROWS:
        for suite, wanted in (("sha256-gmac", row.strict), ("gmac", row.cut_through)):
            line = []
            for fanout, goal in zip(FANOUTS, wanted):
                floor = pick(document["rows"], row=LIKE.get(row.name, row.name), suite=suite,
                             fanout=fanout)
                tunnels = pick(ipsec["rows"], row=row.name, system=BASELINE, fanout=fanout,
                               sink="null", is_warm=False, offered=1)
                if not floor or not tunnels:
                    line.append("not measured")
                    continue
                ratio = tunnels[0]["ns_per_frame"] * row.per_frame / floor[0]["floor_ns"]
                cells += 1
                beyond += ratio < goal
                line.append(f"{number(ratio)} of {goal}" + (": beyond" if ratio < goal else ""))
            body.append([row.name, f"`{suite}`", *line])
    return ["What that program would reach by the same tunnels: it has no link check, no look-up, "
            f"no window, no record and no queue. Of {cells} goals {beyond} are beyond it on this "
            "machine; what is left of the others is ours to win.", "",
            *table(["row", "suite"] + [f"N={n}" for n in FANOUTS], body)]


def limit(document, ipsec):
    rows = document["rows"]
    body = []
    for name, suite in dict.fromkeys((row["row"], row["suite"]) for row in rows):
        here = [row for row in rows if (row["row"], row["suite"]) == (name, suite)]
        body.append([name, f"`{suite}`"] + [
            f"{number(row['ours_ns'])} / {number(row['floor_ns'])} = {row['ratio']:.2f}"
            for row in here])
    copies = [[row["row"], f"`{row['suite']}`", number(row["ours_ns"]), number(row["floor_ns"])]
              for row in document["copies"]]
    missed = sum(row["ratio"] > 1.25 for row in rows if row["fanout"] >= 8)
    dear = sum(row["ours_ns"] > 14 for row in document["copies"])
    return ["Ours by hash, tag and N times the cheapest send, ns a frame (`scripts/bench "
            f"limit`). The goal is at most 1.25 from N=8 on: missed in {missed} of "
            f"{sum(row['fanout'] >= 8 for row in rows)} cells. " + of_machine(document) + ".", "",
            *table(["row", "suite"] + [f"N={n}" for n in FANOUTS], body),
            "One more copy of a datagram, ns, from 32 peers to 64; the goal is at most 14: missed "
            f"in {dear} of {len(copies)}.", "",
            *table(["row", "suite", "ours", "cheapest"], copies), *ceiling(document, ipsec)]


def write():
    template = (run.ROOT / "scripts/support/bench/performance.in.md").read_text()
    document = stored("ipsec")
    if document is None:
        run.fail("nothing is stored: scripts/bench ipsec")
    plots(document)
    others = stored_elsewhere()
    parts = {"machine": [of_machine(document)], "group": [group(document)],
             "claim": claim([document, *others]), "elsewhere": elsewhere(others),
             "goals": goals(document["goals"]), "warm": goals(document["warm"]),
             "details": details(document), "spread": [spread(document)],
             "goodput": goodput(document), "kind": ["quick" if document["is_quick"] else "full"]}
    renders = {"micro": micro, "limit": lambda found: limit(found, document), "dedup": dedup,
               "secgw": secgw}
    for name, render in renders.items():
        found = stored(name)
        parts[name] = render(found) if found else [
            f"Not measured yet: `scripts/bench {name}`.", ""]
    for name, render in more.SECTIONS.items():
        found = stored(name)
        parts[name] = [more.made(found, of_machine), "", *render(found)] if found else [
            f"Not measured yet: `scripts/bench {name}`.", ""]
    for name, lines in parts.items():
        template = template.replace(f"@{name}@", "\n".join(lines).rstrip("\n"))
    PAGE.write_text(template)


DEDUP_GOALS = {1 << 20: (100e6, 60e6), 1 << 24: (37e6, 30e6)}  # hits, commits a second


def dedup(document):
    rows = document["rows"]
    body = [[row["table"], f"{row['entries']:,}", row["lcores"], number(row["hits_per_s"] / 1e6),
             number(row["misses_per_s"] / 1e6), number(row["commits_per_s"] / 1e6), row["twice"],
             row["lost"]] for row in rows]
    words = []
    for entries, goals_here in DEDUP_GOALS.items():
        one = pick(rows, table="window", entries=entries, lcores=1)[0]
        for rate, goal in zip(("hits_per_s", "commits_per_s"), goals_here):
            best = max(pick(rows, entries=entries, lcores=1), key=lambda row, r=rate: row[r])
            word = "reached" if one[rate] >= goal else "not reached"
            words.append(f"{rate.split('_')[0]} at {entries >> 20} M: {one[rate] / 1e6:.0f} M/s of "
                         f"{goal / 1e6:.0f} M/s, {word}, fastest here: {best['table']}")
    return ["Millions a second over all lcores (`scripts/bench dedup`), of `dedup::Window` and of "
            "what the field would take instead. With two lcores both are offered the same frames. "
            "`twice` counts frames that were committed more than once, `lost` those that were "
            "forgotten, or taken for seen when they were not. A commit of the window stores the "
            "frame's header and digest as well; the others keep keys alone. "
            + of_machine(document) + ".", "", "Goals, one lcore: " + "; ".join(words) + ".", "",
            *table(["table", "entries", "lcores", "M hits/s", "M misses/s", "M commits/s", "twice",
                    "lost"], body)]


def secgw(document):
    body = [[row["driver"], row["mode"], row["size"], number(row["ns"]),
             number(row["source_ns"]), number(row["net_ns"]), number(row["hub_ns"])]
            for row in document["rows"]]
    return ["DPDK's own `ipsec-secgw` beside the hub (`scripts/bench secgw`), ns a packet for one "
            "encryption, its replay source measured and subtracted. " + of_machine(document) + ".",
            "",
            *table(["driver", "mode", "size", "ns a packet", "source alone", "less the source",
                    "hub, one operation"], body)]
