# SPDX-License-Identifier: BSD-3-Clause
"""systemd as the first process of a Debian in a directory: in namespaces of its own, a network
namespace of the test, and a control group of the test. It ends with the test."""

import os
from pathlib import Path

from bare import PATH
from harness import Failure, Skip, output_of

# The control groups are mounted from within a namespace of them, so that systemd sees its own only.
# Devices are those of any container: /dev of this host would be systemd's to change.
BOOT = """
cd "$0"
mount --bind . .
cd "$0"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
  set -- $node
  mknod -m 666 dev/$1 c $2 $3
done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir dev/pts dev/shm
mount -t tmpfs tmpfs dev/shm
pivot_root . mnt
umount -l /mnt
exec env -i container=chaincast-test PATH=%s /lib/systemd/systemd --show-status=no
""" % PATH


def cgroup_root():
    """Where control groups of version 2 are mounted here."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(place, os.W_OK):
            return Path(place)
    raise Skip("this system has no control groups of version 2 to give systemd")


class ControlGroup:
    def __init__(self, scenario):
        self.path = cgroup_root() / f"chaincast-test-{os.getpid()}"
        self.scenario = scenario
        self.path.mkdir()
        scenario.defer(self.remove)

    def remove(self):
        def is_gone():
            for directory, _, _ in os.walk(self.path, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:  # its last process is on its way out
                    return False
            return True
        self.scenario.until(is_gone, 20, f"{self.path} to be empty")


class Machine:
    """A booted system. `run` is a root's shell in it."""

    def __init__(self, scenario, debian, network):
        self.scenario = scenario
        group = ControlGroup(scenario)
        # First into the group: in the network namespace the mount of it is hidden.
        enter = 'echo $$ >"$0"/cgroup.procs; exec "$@"'
        self.process = scenario.start(
            ["sh", "-ec", enter, group.path, *network.inside(
                "unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork",
                "--kill-child", "--propagation", "private", "sh", "-ec", BOOT, debian.system)],
            "systemd")
        self.children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = None
        scenario.until(self.is_up, 120, "systemd to come up", [self.process])

    def is_up(self):
        children = self.children.read_text().split()
        if not children or os.readlink(f"/proc/{children[0]}/exe") != "/usr/lib/systemd/systemd":
            return False
        self.pid = int(children[0])
        return self.try_run("systemctl is-system-running")[1].strip() in ("running", "degraded")

    def command(self, script):
        return ["nsenter", "--target", self.pid, "--all", "--", "env", "-i", f"PATH={PATH}",
                "HOME=/root", "sh", "-c", script]

    def try_run(self, script, seconds=120):
        """(exit code, standard output and error together) of a shell script."""
        code, out, err = output_of(self.command(script), seconds)
        return code, out + err

    def run(self, script, seconds=120):
        code, out = self.try_run(script, seconds)
        if code != 0:
            journal = self.try_run("journalctl --no-pager -n 40")[1]
            raise Failure(f"{script}: exit code {code}: {out}\n{journal}")
        return out

    def show(self, unit, *properties):
        """Properties of a unit, by name."""
        out = self.run(f"systemctl show {unit} --property={','.join(properties)}")
        return dict(line.split("=", 1) for line in out.splitlines())

    def journal(self, unit):
        return self.run(f"journalctl --no-pager --output=cat --unit={unit}")
