# SPDX-License-Identifier: BSD-3-Clause
"""A clone on a bare Debian 12 sets itself up, builds and shows the demo."""

import json
import os
import shutil
from pathlib import Path

from harness import ROOT, Skip, limits, must, needs

ARCHIVES = Path("/var/cache/apt/archives")
COMPILED = Path(os.environ.get("CCACHE_DIR", Path.home() / ".cache/ccache"))


def mirror():
    """Where this system gets its own Debian packages from."""
    for line in must(["apt-get", "indextargets", "--format", "$(SITE)"]).splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line
    raise Skip("apt knows no Debian mirror here")


def borrow_packages(place):
    """What this system has downloaded is not downloaded again; what is new stays in `place`."""
    (place / "partial").mkdir(parents=True)
    for package in ARCHIVES.glob("*.deb"):
        try:
            os.link(package, place / package.name)
        except OSError:  # on another file system
            shutil.copyfile(package, place / package.name)


# A mount namespace of its own: its mounts go when the last process in it does. EAL learns the cpus
# from /sys. Without force-unsafe-io dpkg waits for the disk after every file.
INSIDE = """
echo force-unsafe-io >{system}/etc/dpkg/dpkg.cfg.d/throw-away
mount -t proc proc {system}/proc
mount -t sysfs sysfs {system}/sys
mount --bind /dev {system}/dev
mkdir -p {system}/root/.cache/ccache {compiled}
mount --bind {archives} {system}/var/cache/apt/archives
mount --bind {compiled} {system}/root/.cache/ccache
exec chroot {system} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root {locale} \
  /root/chaincast/scripts/demo --json
"""


@needs("debootstrap")
@limits(seconds=1500, alone=True)
def test_demo_on_a_bare_system(t):
    if os.environ.get("CHAINCAST_BARE") != "1":
        raise Skip("installs and builds everything in a fresh system: set CHAINCAST_BARE=1")
    site = mirror()
    system, archives = t.dir / "system", t.dir / "archives"
    borrow_packages(archives)
    bootstrap = t.start(["debootstrap", "--variant=minbase", f"--cache-dir={archives}", "bookworm",
                         system, site], "debootstrap")
    code = bootstrap.wait(900)
    if code != 0 and not (system / "debootstrap/debootstrap.log").exists():
        raise Skip(f"no Debian mirror at {site}")
    assert code == 0, f"exit code {code}"
    must(["git", "clone", "-q", ROOT, system / "root/chaincast"])
    # ccache tells objects apart by the locale that they were compiled in.
    locale = f"LANG={os.environ['LANG']}" if "LANG" in os.environ else ""
    script = INSIDE.format(system=system, archives=archives, compiled=COMPILED, locale=locale)
    result = t.dir / "result.json"
    with open(result, "wb") as out:
        demo = t.start(["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
                       "demo", stdout=out)
    code = demo.wait(1200)
    assert code == 0, f"exit code {code}"
    assert json.loads(result.read_text())["ok"] is True
