# SPDX-License-Identifier: BSD-3-Clause
"""Hugepages for tests, of which the machine has one count that all its tests share.

    hugepages.reserve(t, 320)                       in a scenario: until the test ends
    tests/scenario/hugepages.py 320 COMMAND...      anywhere else: while COMMAND runs

A reservation adds to vm.nr_hugepages and takes as much away again, both under a machine-wide lock:
several may overlap, and the last one leaves the number as the first one found it. The lock file is
a ledger of `PID COUNT` lines: what a killed process still holds is given back by the next one."""

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

LEDGER = Path("/run/chaincast-hugepages.lock")
PAGES = Path("/proc/sys/vm/nr_hugepages")
FREE = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")


class Shortage(Exception):
    """The machine does not have as many."""


class Ledger:
    """Who holds how many. Files can be named otherwise, for the test of this."""

    def __init__(self, ledger=LEDGER, pages=PAGES):
        self.ledger = ledger
        self.pages = pages

    @contextlib.contextmanager
    def locked(self):
        """The holders, {pid: count}; written back at the end."""
        descriptor = os.open(self.ledger, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = dict(tuple(map(int, line.split())) for line in file)
            for pid in [pid for pid in held if not Path(f"/proc/{pid}").exists()]:
                self.add(-held.pop(pid))
            yield held
            file.seek(0)
            file.truncate()
            file.writelines(f"{pid} {count}\n" for pid, count in held.items())

    def add(self, count):
        """Changes the kernel's number; what it was and what it is now."""
        before = int(self.pages.read_text())
        self.pages.write_text(str(max(0, before + count)))
        return before, int(self.pages.read_text())

    def reserve(self, count):
        with self.locked() as held:
            before, now = self.add(count)
            if now < before + count:
                self.add(before - now)
                raise Shortage(f"needs {count} hugepages of 2 MiB, got {now - before}")
            held[os.getpid()] = held.get(os.getpid(), 0) + count

    def give_back(self, count):
        with self.locked() as held:
            held[os.getpid()] -= count
            if held[os.getpid()] == 0:
                del held[os.getpid()]
            self.add(-count)


def reserve(t, count):
    """`count` pages of 2 MiB more, until the end of scenario `t`. Skips it where there are none."""
    import harness
    if os.geteuid() != 0 or not PAGES.exists():
        raise harness.Skip("needs root to reserve hugepages")
    ledger = Ledger()
    try:
        ledger.reserve(count)
    except Shortage as shortage:
        raise harness.Skip(str(shortage)) from None
    t.defer(lambda: ledger.give_back(count))


def mount(t):
    """A hugetlbfs of the test's own, which processes share files on: its directory."""
    from harness import must
    place = t.dir / "huge"
    place.mkdir()
    must(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", place])
    t.defer(lambda: must(["umount", place]))
    return place


def main():
    count, command = int(sys.argv[1]), sys.argv[2:]
    ledger = Ledger()
    try:
        ledger.reserve(count)
    except Shortage as shortage:
        print(shortage, file=sys.stderr)
        return 77
    try:
        return subprocess.call(command)
    finally:
        ledger.give_back(count)


if __name__ == "__main__":
    sys.exit(main())
