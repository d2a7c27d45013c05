# SPDX-License-Identifier: BSD-3-Clause
"""A systemd service without systemd: what the unit says of user, capabilities, directories and the
file system, done by setpriv and mounts; and the other end of its notification socket."""

import os
import re
import shlex
import socket
from pathlib import Path

NOTIFY = "run/notify"


class Unit:
    """A unit file and its drop-ins, as lists of values."""

    def __init__(self, *files):
        self.values = {}
        for line in sum((Path(file).read_text().splitlines() for file in files), []):
            if "=" in line and not line.startswith("#"):
                key, value = line.split("=", 1)
                self.values.setdefault(key, []).append(value)

    def one(self, key):
        assert len(self.values[key]) == 1, f"{key}: {self.values[key]}"
        return self.values[key][0]

    def capabilities(self, key):
        """As setpriv writes a set that has nothing else."""
        names = " ".join(self.values.get(key, [])).split()
        return ",".join(["-all"] + ["+" + name.removeprefix("CAP_").lower() for name in names])

    def seconds(self, key):
        return int(re.fullmatch(r"(\d+)s?", self.one(key))[1])

    def command(self, words):
        """shell words that run a command line as the service: its user, no way to more."""
        return shlex.join(["setpriv", "--reuid", self.one("User"), "--regid", self.one("Group"),
                           "--init-groups", "--no-new-privs", "--pdeathsig", "KILL",
                           "--inh-caps", self.capabilities("AmbientCapabilities"),
                           "--ambient-caps", self.capabilities("AmbientCapabilities"),
                           "--bounding-set", self.capabilities("CapabilityBoundingSet"),
                           *shlex.split(words)])

    def script(self):
        """A shell script, run as root inside, that makes the service's directories and becomes its
        ExecStart."""
        user, group, run = self.one("User"), self.one("Group"), self.one("RuntimeDirectory")
        checks = [self.command(words) for words in self.values.get("ExecStartPre", [])]
        return "\n".join([f"cd {self.one('WorkingDirectory')}", f"umask {self.one('UMask')}",
                          f"chown {user}:{group} /run/{run}",
                          f"chmod {self.one('RuntimeDirectoryMode')} /run/{run}", *checks,
                          f"exec {self.command(self.one('ExecStart'))}"])

    def reload(self, pid):
        """A shell script of its ExecReload lines."""
        return "\n".join(self.command(words.replace("$MAINPID", str(pid)))
                         for words in self.values["ExecReload"])

    def mounts(self):
        """ProtectSystem=strict: read-only but for what the unit names. Shell, for bare.Debian."""
        assert self.one("ProtectSystem") == "strict"
        open_ones = [f"run/{self.one('RuntimeDirectory')}", f"var/lib/{self.one('StateDirectory')}"]
        return "\n".join(["mkdir -p {system}/%s" % open_ones[0],
                          *(f"mount --bind {{system}}/{name} {{system}}/{name}"
                            for name in open_ones),
                          "mount -t tmpfs tmpfs {system}/tmp",
                          "mount --rbind {system} {system}",
                          "mount -o remount,bind,ro {system}"])


class Manager:
    """Hears what a service tells its manager, as sd_notify(3) has it."""

    def __init__(self, scenario, system, watchdog_s):
        path = system / NOTIFY
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        scenario.defer(self.socket.close)
        self.socket.bind(str(path))
        os.chmod(path, 0o666)
        self.socket.setblocking(False)
        self.environment = [f"NOTIFY_SOCKET=/{NOTIFY}", f"WATCHDOG_USEC={watchdog_s * 1_000_000}"]
        self.told = []

    def heard(self, word):
        """Has an assignment that starts so been told until now?"""
        while True:
            try:
                self.told += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return any(line.startswith(word) for line in self.told)
