#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""latencies.py cities|planetlab|churn [DATA]: inputs of chaincast-sim out of the data set, to
stdout. cities: mean round trips between cities in ms, a square matrix in order of their names;
planetlab: its matrix as it is; churn: first and last second of each peer of the trace, a line
each."""

import csv
import datetime
import gzip
import io
import lzma
import os
import sys
import tarfile


def cities(data):
    with tarfile.open(f"{data}/topology/wondernetwork-pings.csv.tar.xz") as archive:
        tables = {}
        for member in archive.getmembers():
            if member.name.endswith("Ping.csv"):
                text = io.TextIOWrapper(archive.extractfile(member), encoding="utf-8")
                tables[member.name.split("/")[-2]] = list(csv.reader(text))
    return tables


def plain(name):
    return "".join(c for c in name.lower() if c.isalnum())


def print_cities(data):
    tables = cities(data)
    names = sorted(tables)
    for name in names:
        row = {}
        for line in tables[name][1:]:
            # "Albany United States, North America": the folder's name is the start of it.
            known = [other for other in names if plain(line[0]).startswith(plain(other))]
            if known and len(line) > 4:
                row[max(known, key=len)] = float(line[4])
        print(" ".join(f"{row.get(other, 0):.3f}" for other in names))


def print_planetlab(data):
    with lzma.open(f"{data}/topology/planetlab-rtt.slice01.txt.xz", "rt") as lines:
        for line in lines:
            print(line.strip())


def second(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def print_churn(data):
    spans = {}
    with gzip.open(f"{data}/traces/p2p-live-streaming.2020_03_23.csv.gz", "rt") as rows:
        for row in csv.DictReader(rows):
            first, last = second(row["min_ts"]), second(row["max_ts"])
            for peer in (row["pid1"], row["pid2"]):
                known = spans.get(peer, (first, last))
                spans[peer] = (min(known[0], first), max(known[1], last))
    start = min(first for first, _ in spans.values())
    for first, last in sorted(spans.values()):
        print(f"{first - start:.3f} {last - start:.3f}")


def main():
    kinds = {"cities": print_cities, "planetlab": print_planetlab, "churn": print_churn}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    data = sys.argv[2] if len(sys.argv) == 3 else os.environ.get("CHAINCAST_DATA", "../shared/data")
    kinds[sys.argv[1]](data)


if __name__ == "__main__":
    main()
