# SPDX-License-Identifier: BSD-3-Clause
"""A clone on a bare Debian 12 sets itself up, builds and shows the demo."""

import json
import os
from pathlib import Path

from bare import Debian, require_wish
from harness import ROOT, limits, must, needs

COMPILED = Path(os.environ.get("CCACHE_DIR", Path.home() / ".cache/ccache"))
CACHE = f"""
mkdir -p {{system}}/root/.cache/ccache {COMPILED}
mount --bind {COMPILED} {{system}}/root/.cache/ccache
"""


@needs("debootstrap")
@limits(seconds=1500, alone=True)
def test_demo_on_a_bare_system(t):
    require_wish("CHAINCAST_BARE")
    debian = Debian(t)
    must(["git", "clone", "-q", ROOT, debian.system / "root/chaincast"])
    # ccache tells objects apart by the locale that they were compiled in.
    locale = [f"LANG={os.environ['LANG']}"] if "LANG" in os.environ else []
    result = t.dir / "result.json"
    with open(result, "wb") as out:
        demo = t.start(debian.command("exec /root/chaincast/scripts/demo --json", CACHE, locale),
                       "demo", stdout=out)
    code = demo.wait(1200)
    assert code == 0, f"exit code {code}"
    assert json.loads(result.read_text())["ok"] is True
