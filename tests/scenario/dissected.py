# SPDX-License-Identifier: BSD-3-Clause
"""Captures as tshark reads them with docs/wireshark/chaincast.lua, one row a datagram."""

from harness import ROOT, Failure, output_of

DISSECTOR = ROOT / "docs" / "wireshark" / "chaincast.lua"
DATA, HELLO, CONTROL = "1", "2", "3"
RIGHT, UNKNOWN = "1", "2"
SEPARATOR = "|"  # between the values of a field that stands several times


class Datagram:
    """What the dissector said of one datagram. Fields go by their name without `chaincast.`."""

    def __init__(self, fields, line):
        self.fields = dict(zip(fields, line.split("\t")))

    def text(self, name):
        return self.fields[name]

    def all(self, name):
        """The values of a field, one per occurrence."""
        value = self.fields[name]
        return value.split(SEPARATOR) if value else []

    def numbers(self, name):
        return [int(value, 0) for value in self.all(name)]

    def number(self, name):
        """Of a field that stands once; None if it is absent."""
        values = self.numbers(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def time(self):
        return float(self.fields["frame.time_epoch"])

    @property
    def bytes(self):
        return int(self.fields["udp.length"]) - 8


OUTER = ["frame.time_epoch", "udp.length", "udp.srcport", "udp.dstport", "frame.comment"]


def command(file, ports, link_secrets=(), stream_secrets=()):
    """tshark on a capture, with the dissector for a range of UDP ports and secrets' files."""
    words = ["tshark", "-n", "-r", file, "-X", f"lua_script:{DISSECTOR}",
             "-o", f"chaincast.ports:{ports}",
             "-o", f"chaincast.link_secrets:{' '.join(map(str, link_secrets))}",
             "-o", f"chaincast.stream_secrets:{' '.join(map(str, stream_secrets))}"]
    return [str(word) for word in words]


def read(file, names, seconds=120, **dissector):
    """The datagrams of a capture that the dissector knows, with these of its fields."""
    words = command(file, **dissector) + ["-Y", "chaincast", "-T", "fields", "-E", "separator=/t",
                                          "-E", f"aggregator={SEPARATOR}"]
    for name in OUTER + [f"chaincast.{name}" for name in names]:
        words += ["-e", name]
    code, out, err = output_of(words, seconds)
    if code != 0 or "Lua" in err:
        raise Failure(f"tshark: {err.strip()}")
    return [Datagram(OUTER + list(names), line) for line in out.splitlines()]
