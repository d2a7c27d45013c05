# SPDX-License-Identifier: BSD-3-Clause
"""Reads OpenMetrics 1.0 text and refuses what the specification does not allow. Independent of the
product: written from the specification's grammar and its rules for families."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)")
DESCRIPTOR = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.*)")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "info": ("_info",),
            "unknown": ("",), "histogram": ("_bucket", "_count", "_sum", "_created")}


class Refused(Exception):
    """The text is no OpenMetrics."""


class Family:
    def __init__(self, name):
        self.name = name
        self.type = self.unit = self.help = None
        self.samples = {}  # (suffix, labels as a sorted tuple of pairs): value


def close_histogram(family):
    """Buckets ascend, are cumulative, end in +Inf, and agree with the count."""
    rows = {}
    for (suffix, labels), value in family.samples.items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        row = rows.setdefault(rest, {"le": []})
        if suffix == "_bucket":
            bound = dict(labels).get("le")
            if bound is None:
                raise Refused(f"{family.name}: a bucket without le")
            row["le"].append((float(bound), value))
        elif "le" in dict(labels):
            raise Refused(f"{family.name}{suffix}: with le")
        else:
            row[suffix] = value
    for rest, row in rows.items():
        bounds = [bound for bound, _ in row["le"]]
        counts = [count for _, count in row["le"]]
        if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != float("inf"):
            raise Refused(f"{family.name}: {rest}: bounds {bounds}")
        if counts != sorted(counts) or counts[0] < 0:
            raise Refused(f"{family.name}: {rest}: not cumulative: {counts}")
        if ("_count" in row) != ("_sum" in row) or row.get("_count", counts[-1]) != counts[-1]:
            raise Refused(f"{family.name}: {rest}: count or sum")


class Reader:
    def __init__(self):
        self.families = {}
        self.family = None
        self.series = set()

    def descriptor(self, kind, name, text):
        if self.family is None or self.family.name != name:
            if name in self.families:
                raise Refused(f"{name}: its lines do not stand together")
            self.family = self.families[name] = Family(name)
        if self.family.samples:
            raise Refused(f"{name}: {kind} behind samples")
        if getattr(self.family, kind.lower()) is not None:
            raise Refused(f"{name}: {kind} twice")
        if kind == "TYPE" and text not in SUFFIXES:
            raise Refused(f"{name}: type {text}")
        if kind == "HELP" and re.search(r'\\(?![\\n"])', text):
            raise Refused(f"{name}: bad escape in HELP")
        setattr(self.family, kind.lower(), text)

    def sample(self, name, labels, value):
        family = self.family
        if family is None or family.type is None or not name.startswith(family.name):
            raise Refused(f"{name}: a sample of no family")
        suffix = name[len(family.name):]
        if suffix not in SUFFIXES[family.type]:
            raise Refused(f"{name}: no sample of a {family.type}")
        if not NUMBER.fullmatch(value):
            raise Refused(f"{name}: value {value}")
        number = float(value) if re.search(r"[.eE]", value) else int(value)
        if family.type == "counter" and number < 0:
            raise Refused(f"{name}: a counter below zero")
        if family.type == "info" and number != 1:
            raise Refused(f"{name}: an info that is not 1")
        names = [label for label, _ in labels]
        if len(set(names)) != len(names) or any(label.startswith("__") for label in names):
            raise Refused(f"{name}: labels {names}")
        key = (name, tuple(sorted(labels)))
        if key in self.series:
            raise Refused(f"{name}: {labels} twice")
        self.series.add(key)
        family.samples[suffix, key[1]] = number

    def close(self):
        for family in self.families.values():
            if family.type == "histogram":
                close_histogram(family)
            if family.type is None or family.help is None:
                raise Refused(f"{family.name}: without TYPE or HELP")
            if family.unit and not family.name.endswith("_" + family.unit):
                raise Refused(f"{family.name}: does not end in its unit {family.unit}")
            if family.type == "info" and family.unit:
                raise Refused(f"{family.name}: an info with a unit")
            if family.type == "counter" and family.name.endswith("_total"):
                raise Refused(f"{family.name}: _total belongs to samples")


def parse(text):
    """{name: Family}; raises Refused."""
    if not text.endswith("# EOF\n"):
        raise Refused("does not end in # EOF")
    reader = Reader()
    for line in text[:-len("# EOF\n")].split("\n")[:-1]:
        if match := DESCRIPTOR.fullmatch(line):
            reader.descriptor(*match.groups())
        elif match := SAMPLE.fullmatch(line):
            labels = [(name, re.sub(r'\\(.)', lambda m: "\n" if m[1] == "n" else m[1], value))
                      for name, value in re.findall(LABEL, match[2] or "")]
            reader.sample(match[1], labels, match.groups()[-1])
        else:
            raise Refused(f"no line of OpenMetrics: {line!r}")
    reader.close()
    return reader.families
