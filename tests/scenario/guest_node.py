# SPDX-License-Identifier: BSD-3-Clause
"""Nodes that run in a guest, at the same paths as on this host; what the guest needs for them."""

import json
import re
import shlex
from pathlib import Path

from guest import Archive
from harness import PROGRAMS, ROOT, must
from lab import Node
from test_host_setup import SNAPSHOT

# Everything that a guest does is slow, and slower where other tests run.
SECONDS = 180
HOST_SETUP = "chaincast-host-setup"
# What host-setup may change of the guest.
MACHINE = SNAPSHOT + "cat /proc/mounts"


def dpdk_plugin(name):
    """Where EAL finds a driver: `dpdk/pmds-VERSION` beside DPDK's libraries."""
    libraries = Path(re.search(r"librte_eal\S* => (\S+)", must(["ldd", PROGRAMS["chaincast"]]))[1])
    return next(libraries.parent.glob(f"dpdk/pmds-*/librte_{name}.so"))


def node_archive(scenario, nodes, drivers):
    """An initramfs with the programs, these drivers of DPDK, and the files of some nodes."""
    archive = Archive()
    archive.add_program("/bin/bash")
    archive.add_file(ROOT / "scripts/host-setup", f"/usr/sbin/{HOST_SETUP}")
    for name in ("chaincast", "chaincastctl"):
        archive.add_program(PROGRAMS[name], f"/usr/bin/{name}")
    for driver in drivers:
        archive.add_program(dpdk_plugin(driver))
    for node in nodes:
        archive.add_tree(node.dir)
    archive.add_tree(scenario.dir / "secrets")
    return archive


def host_setup(guest, *words):
    """(exit code, output)."""
    return guest.try_run(HOST_SETUP, *words, seconds=SECONDS * 2)


class GuestNode(Node):
    """A node in the guest, which is set once it runs."""

    def __init__(self, scenario, name):
        super().__init__(scenario, name)
        self.guest = None
        self.log, self.code, self.id = (f"/tmp/{name}.{end}" for end in ("log", "code", "pid"))

    def start(self, *options, seconds=SECONDS):
        words = shlex.join(["chaincast", *options, "--config", str(self.config_path)])
        self.guest.run(f"rm -f {self.code}; (({words} & echo $! >{self.id}; wait $!) "
                       f">{self.log} 2>&1; echo $? >{self.code}) &")
        self.scenario.until(lambda: self.has_ended() or self.try_control("show", "version"),
                            seconds, f"{self.name} to answer in the guest", [self.guest.process])
        assert not self.has_ended(), self.log_text()
        return self

    def has_ended(self):
        return self.guest.try_run(f"test -s {self.code}")[0] == 0

    def log_text(self):
        return self.guest.run(f"cat {self.log}; dmesg | tail -5")

    def control_command(self, *words):
        return ["chaincastctl", "--socket", self.socket, *words]

    def control(self, *words, seconds=SECONDS):
        return json.loads(self.guest.run(*self.control_command("--json", *words), seconds=seconds))

    def try_control(self, *words):
        code, out = self.guest.try_run(*self.control_command("--json", *words))
        return json.loads(out) if code == 0 else None

    def stop(self, seconds=SECONDS):
        self.guest.run(f"kill $(cat {self.id})")
        self.scenario.until(self.has_ended, seconds, f"{self.name} to end", [self.guest.process])
        return int(self.guest.run(f"cat {self.code}"))
