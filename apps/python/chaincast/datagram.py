# SPDX-License-Identifier: BSD-3-Clause
"""The datagrams of an instance's UDP port (docs/rest.md, "The feed"), and what they weigh."""

import struct
from typing import NamedTuple, Optional

OBJECT_BYTES_MAX = 65_507
HOLD_MAX_MS = 10_000
_ANSWER = struct.Struct(">4sIQQ")
_REQUEST = struct.Struct(">4sIQQIHH")
_ANSWER_MAGIC, _REQUEST_MAGIC = b"cca1", b"ccr1"
_REFUSALS = ("none", "too_long", "stream")


def weight(size: int) -> int:
    """What a datagram of so many bytes counts against a socket's buffer."""
    return 2 * size + 1024


class Answer(NamedTuple):
    """From a host's port: how many objects of this socket were taken, how many refused, and why
    the newest of those was (`none`, `too_long`, `stream`)."""

    taken: int
    refused: int
    newest: str

    @property
    def seen(self) -> int:
        """Objects that the instance is done with."""
        return self.taken + self.refused


class Request(NamedTuple):
    """To a member's port: send at most `room` by weight; wait `hold_ms` for a first object."""

    reader: int
    number: int
    taken: int
    room: int
    hold_ms: int

    def pack(self) -> bytes:
        """Its bytes."""
        return _REQUEST.pack(_REQUEST_MAGIC, self.number, self.reader, self.taken, self.room,
                             self.hold_ms, 0)


def parse_answer(datagram: bytes) -> Optional[Answer]:
    """None where the bytes are no answer."""
    if len(datagram) != _ANSWER.size:
        return None
    magic, newest, taken, refused = _ANSWER.unpack(datagram)
    if magic != _ANSWER_MAGIC or newest >= len(_REFUSALS):
        return None
    return Answer(taken, refused, _REFUSALS[newest])


def parse_request(datagram: bytes) -> Optional[Request]:
    """None where the bytes are no request."""
    if len(datagram) != _REQUEST.size:
        return None
    magic, number, reader, taken, room, hold_ms, zero = _REQUEST.unpack(datagram)
    if magic != _REQUEST_MAGIC or zero or hold_ms > HOLD_MAX_MS:
        return None
    return Request(reader, number, taken, room, hold_ms)


def pack_answer(answer: Answer) -> bytes:
    """Its bytes: what an instance sends."""
    return _ANSWER.pack(_ANSWER_MAGIC, _REFUSALS.index(answer.newest), answer.taken,
                        answer.refused)
