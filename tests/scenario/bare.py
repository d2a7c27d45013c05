# SPDX-License-Identifier: BSD-3-Clause
"""A Debian 12 in a directory of the test, made by debootstrap. It borrows the packages that this
system has downloaded, and mounts only inside mount namespaces, which go with their processes."""

import os
import shutil
from pathlib import Path

from harness import Skip, must

ARCHIVES = Path("/var/cache/apt/archives")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# EAL learns the cpus from /sys.
MOUNTS = """
mount -t proc proc {system}/proc
mount -t sysfs sysfs {system}/sys
mount --bind /dev {system}/dev
mount --bind {archives} {system}/var/cache/apt/archives
"""


def mirror():
    """Where this system gets its own Debian packages from."""
    for line in must(["apt-get", "indextargets", "--format", "$(SITE)"]).splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line
    raise Skip("apt knows no Debian mirror here")


def require_wish(variable):
    """For tests that install a system: they take minutes and a mirror."""
    if os.environ.get(variable) != "1":
        raise Skip(f"installs a fresh Debian system: set {variable}=1")


class Debian:
    """`system` is its root; `archives` keeps what is downloaded, and goes with the test."""

    def __init__(self, scenario):
        site = mirror()
        self.scenario = scenario
        self.system, self.archives = scenario.dir / "system", scenario.dir / "archives"
        self.borrow_packages()
        bootstrap = scenario.start(["debootstrap", "--variant=minbase",
                                    f"--cache-dir={self.archives}", "bookworm", self.system, site],
                                   "debootstrap")
        code = bootstrap.wait(900)
        if code != 0 and not (self.system / "debootstrap/debootstrap.log").exists():
            raise Skip(f"no Debian mirror at {site}")
        assert code == 0, f"exit code {code}"
        # Otherwise dpkg waits for the disk after every file.
        (self.system / "etc/dpkg/dpkg.cfg.d/throw-away").write_text("force-unsafe-io\n")

    def borrow_packages(self):
        """What this system has downloaded is not downloaded again."""
        (self.archives / "partial").mkdir(parents=True)
        for package in ARCHIVES.glob("*.deb"):
            try:
                os.link(package, self.archives / package.name)
            except OSError:  # on another file system
                shutil.copyfile(package, self.archives / package.name)

    def command(self, script, mounts="", environment=()):
        """The command line that runs a shell script in it, as root. `mounts` is shell as well,
        run outside before the root is changed; {system} stands for its directory."""
        outside = (MOUNTS + mounts).format(system=self.system, archives=self.archives)
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                f'{outside}\nexec chroot "$0" env -i PATH={PATH} HOME=/root "$@"', self.system,
                *environment, "sh", "-ec", script]

    def run(self, script, name, seconds=600):
        """Runs a script to its end; its output is in the log of that name, and returned."""
        process = self.scenario.start(self.command(script), name)
        code = process.wait(seconds)
        assert code == 0, f"{name}: exit code {code}"
        return process.log_text()
