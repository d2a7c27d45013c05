# SPDX-License-Identifier: BSD-3-Clause
"""A clone on a bare Debian 12 sets itself up, builds and shows the demo."""

import json
import os
from pathlib import Path

from harness import ROOT, Skip, limits, must, needs, output_of


def mirror():
    """Where this system gets its own Debian packages from."""
    for line in must(["apt-get", "indextargets", "--format", "$(SITE)"]).splitlines():
        if line.rstrip("/").endswith("/debian"):
            return line
    raise Skip("apt knows no Debian mirror here")


# A mount namespace of its own: its mounts go when the last process in it does.
INSIDE = """
mount -t proc proc {system}/proc
mount --bind /dev {system}/dev
mkdir -p {system}/root/.cache/ccache {archives}/partial
mount --bind {archives} {system}/var/cache/apt/archives
[ ! -d {ccache} ] || mount --bind {ccache} {system}/root/.cache/ccache
exec chroot {system} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
  /root/chaincast/scripts/demo --json
"""


@needs("debootstrap", "programs")
@limits(seconds=1500, alone=True)
def test_demo_on_a_bare_system(t):
    if not os.environ.get("CHAINCAST_BARE"):
        raise Skip("builds everything again in a fresh system (20 minutes): set CHAINCAST_BARE=1")
    site = mirror()
    system = t.dir / "system"
    code, _, err = output_of(["debootstrap", "--variant=minbase", "bookworm", system, site], 600)
    if code != 0 and not (system / "debootstrap/debootstrap.log").exists():
        raise Skip(f"no Debian mirror at {site}: {err.strip()[-200:]}")
    assert code == 0, err
    must(["git", "clone", "-q", ROOT, system / "root/chaincast"])
    script = INSIDE.format(system=system, archives=t.dir / "archives",
                           ccache=os.environ.get("CCACHE_DIR", Path.home() / ".cache/ccache"))
    code, out, err = output_of(["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                                script], 1200)
    assert code == 0, f"exit code {code}: {err[-2000:]}"
    assert json.loads(out)["ok"] is True
