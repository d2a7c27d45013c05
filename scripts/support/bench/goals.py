# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the comparison with IPsec, in the order in which they are printed, and goals."""

from dataclasses import dataclass

STRICT = ("sha256-gcm", "sha256-gmac")
CUT_THROUGH = ("sha256-gcm-ct", "sha256-gmac-ct", "gmac")
SUITES = STRICT + CUT_THROUGH
FANOUTS = (1, 8, 32, 64)

HOP_BYTES = 16
FRAME_BYTES = 56
UDP_IP_BYTES = 28
ETHERNET_BYTES = 14
OBJECT_LENGTH_BYTES = 2  # before each object of a packed frame (docs/wire.md)


@dataclass(frozen=True)
class Shape:
    """How frames arrive and leave."""
    size: int
    bundle: int
    mtu: int = 1500
    datagram: int = 1472  # what paths carry, from the hop header on

    def wire_bytes(self, bundle_out):
        """Of one datagram that is sent, from the Ethernet header on."""
        return (ETHERNET_BYTES + UDP_IP_BYTES + HOP_BYTES
                + bundle_out * (FRAME_BYTES + self.size))


@dataclass(frozen=True)
class Row:
    """`shape` of ours against tunnels whose inner packets have `inner` bytes. Both are divided to
    give the cost of one unit: a tunnel's packet carries `per_packet` units, a frame `per_frame`."""
    name: str
    text: str
    shape: Shape
    inner: int
    per_packet: int
    per_frame: int
    strict: tuple
    cut_through: tuple


SINGLE = Shape(1400, 1)
JUMBO = Shape(1400, 6, 9000, 8972)
BUNDLE = Shape(64, 12)
SMALL = Shape(64, 1, datagram=HOP_BYTES + FRAME_BYTES + 64)
BUNDLE_INNER = HOP_BYTES + 12 * (FRAME_BYTES + 64)
OBJECTS = 1400 // (64 + OBJECT_LENGTH_BYTES)

ROWS = (
    Row("r1", "1400 B frames, one a datagram", SINGLE, 1400, 1, 1,
        (0.7, 2.5, 5.5, 7), (2.4, 6.3, 9, 10)),
    Row("r2", "1400 B frames, six a datagram on a 9,000-byte fabric; tunnels per packet", JUMBO,
        1400, 1, 1, (0.75, 3, 9, 14), (2.6, 9, 22, 30)),
    Row("r3", "64 B objects, packed by the sender into full frames or packets, per object", SINGLE,
        1400, OBJECTS, OBJECTS, (0.7, 2.5, 5.5, 7), (2.4, 6.3, 9, 10)),
    Row("r4", "64 B frames, twelve a datagram; tunnels carry the same datagram", BUNDLE,
        BUNDLE_INNER, 12, 1, (0.2, 0.9, 2.7, 4.5), (0.4, 1.8, 4.5, 6.8)),
    Row("r5", "64 B frames, twelve a datagram; tunnels do not aggregate", BUNDLE, 64, 1, 1,
        (0.9, 3.8, 12, 21), (1.7, 6.8, 19, 29)),
    Row("r6", "64 B frames, one a datagram, in and out", SMALL, 64, 1, 1,
        (0.8, 2.4, 3.7, 4.1), (1.4, 3.2, 4.1, 4.4)),
)

TUNNELS = ("hub-aes256", "hub-aes128", "hub-gmac", "hub-group")
BASELINE = "hub-aes256"  # with ipsec-secgw, where that is cheaper: what ratios are against
