# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong; every message says what to do about it."""


class ChaincastError(Exception):
    """Any failure of this package."""


class NotRunning(ChaincastError):
    """The executable could not be started, has ended, or init() was not called."""


class BadCall(ChaincastError):
    """The interface refused the call: its arguments are not what it takes (status 400)."""


class Refused(ChaincastError):
    """An object was refused, or a command failed.

    code: for commands of /v1 the error's code (`not_found`, `invalid`, ...), else empty.
    status: the HTTP status, or 0.
    """

    def __init__(self, message: str, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Stalled(ChaincastError):
    """Nothing moved for as long as the caller was willing to wait."""
