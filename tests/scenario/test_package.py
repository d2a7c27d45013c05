# SPDX-License-Identifier: BSD-3-Clause
"""The Debian packages on a fresh Debian 12: as a container's file system, as a service with and
without systemd, purged."""

import json
import os
import re
import shutil
import time
from pathlib import Path

from bare import Debian, require_wish
from harness import ROOT, limits, must, needs, output_of
from net import Namespace, connect
from service import Manager, Unit
from under_systemd import check_under_systemd

RECIPE = ROOT / "scripts/support/package/Containerfile"
PUBLISHER = ROOT / "apps/libchaincast/examples/publish.c"
EXAMPLE = "usr/share/doc/chaincast/examples/node.toml"
DROP_INS = "usr/share/doc/chaincast/examples/drop-ins"
CAP_NET_ADMIN, CAP_NET_RAW = 1 << 12, 1 << 13  # capability.h
# A device that only capabilities open, beside the socket of the example.
WIRE = """
[[port]]
name = "wire"
driver = "ethdev"
device = "net_af_packet0,iface=wire-a"
ip = ["10.78.0.1/30"]
"""


def build_packages(t):
    """Where the packages are."""
    place = t.dir / "packages"
    built = t.start([ROOT / "scripts/package", "--fast", "--output", place], "package")
    code = built.wait(900)
    assert code == 0, f"exit code {code}"
    return place


def recipe():
    """The Containerfile's instructions: {word: [text]}."""
    text = re.sub(r"\\\n", " ", RECIPE.read_text())
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, rest = line.split(None, 1)
            found.setdefault(word, []).append(rest)
    return found


def status_field(pid, name):
    return re.search(rf"^{name}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def user_id(system, name):
    line = re.search(rf"^{name}:[^:]*:(\d+):", (system / "etc/passwd").read_text(), re.M)
    return int(line[1]) if line else None


def configure(debian):
    """What the example's first comment tells an operator to do."""
    example = (debian.system / EXAMPLE).read_text()
    steps = [line[4:] for line in example.splitlines() if line.startswith("#   ")]
    assert len(steps) == 5, steps
    debian.run("cd /usr/share/doc/chaincast/examples\n" + "\n".join(steps), "keys")


def add_wire(debian):
    """A second port: from here on the peer has to name its own."""
    file = debian.system / "etc/chaincast/node.toml"
    file.write_text(file.read_text().replace('name = "b"', 'name = "b"\nport = "fabric"') + WIRE)


def start(debian, network, name, script, environment, mounts=""):
    """A program in the new system and a network namespace; `script` ends by becoming it."""
    return network.start(debian.command(script, mounts, environment), name)


def is_ready(t, manager, program):
    t.until(lambda: manager.heard("READY=1"), 60, "READY=1", [program])


def ask(debian, network, *words):
    """chaincastctl there, as root; its JSON."""
    out = must(network.inside(*debian.command(f"chaincastctl --json {' '.join(words)}")), 60)
    return json.loads(out)


def check_image(t, debian, network):
    """The container's file system starts as the recipe says. Its size and start go to a file."""
    instructions = recipe()
    debian.run("\n".join(instructions["RUN"]), "recipe")
    words = json.loads(instructions["ENTRYPOINT"][0]) + json.loads(instructions["CMD"][0])
    user, place = instructions["USER"][0], instructions["WORKDIR"][0]
    configure(debian)
    manager = Manager(t, debian.system, 0)
    begun = time.monotonic()
    script = (f"cd {place}; exec setpriv --reuid {user} --regid {user} --clear-groups --pdeathsig "
              f"KILL --bounding-set -all {' '.join(words)}")
    node = start(debian, network, "image", script, manager.environment[:1])
    is_ready(t, manager, node)
    took_ms = round((time.monotonic() - begun) * 1000)
    mib = int(must(["du", "-smx", debian.system]).split()[0])
    t.write("image.json", json.dumps({"start_ms": took_ms, "size_mib": mib}))
    assert ask(debian, network, "status")["name"] == "node"
    assert node.stop(60) == 0


def check_files(debian):
    """What a host with systemd has after `apt install`."""
    system = debian.system
    verdict = debian.run("systemd-analyze verify chaincast.service 2>&1", "verify")
    assert verdict.strip() == "", verdict
    score = debian.run("systemd-analyze security --offline=yes chaincast.service", "security")
    assert float(re.search(r"exposure level.*: ([\d.]+)", score)[1]) <= 2.0, score
    assert user_id(system, "chaincast") is not None
    keys = system / "var/lib/chaincast"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in keys.iterdir()} == {
        name: "0o600" for name in ("node.key", "link.secret", "news.secret")}
    for path, mode in ((keys, 0o750), (system / "etc/chaincast", 0o750)):
        assert path.stat().st_mode & 0o777 == mode, path
    for program in ("chaincast", "chaincastctl", "chaincast-gen", "chaincast-sim",
                    "chaincast-host-setup"):
        debian.run(f"{program} --help", f"help-{program}")
    debian.run("python3 -c 'import chaincast; chaincast.Client'", "python")


def build_publisher(debian):
    """The library's example, built from what the -dev package has."""
    root = debian.system
    found = {"PKG_CONFIG_LIBDIR": str(next(root.glob("usr/lib/*/pkgconfig"))),
             "PKG_CONFIG_SYSROOT_DIR": str(root), "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
             "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
    code, flags, err = output_of(["pkg-config", "--cflags", "--libs", "chaincast"],
                                 env={**os.environ, **found})
    assert code == 0, err
    must(["cc", "-o", root / "root/publish", PUBLISHER, *flags.split()], 60)


def check_reload(t, debian, network, unit, node):
    """`systemctl reload`: a changed file is applied, a faulty one refused and nothing changed."""
    file = debian.system / "etc/chaincast/node.toml"
    before = file.read_text()

    def level():
        return ask(debian, network, "show", "config")["node"]["log_level"]

    def reload(text):
        file.write_text(text)
        code, _, err = output_of(debian.command(unit.reload(node.pid)), 60)
        return code, err
    changed = before.replace("[node]", '[node]\nlog_level = "debug"')
    assert reload(changed) == (0, "")
    t.until(lambda: level() == "debug", 60, "the level to be debug", [node])
    code, err = reload(before.replace("[node]", '[node]\nlog_level = "loud"'))
    assert code == 1 and "'loud' must be one of" in err, err
    assert level() == "debug"
    assert reload(before) == (0, "")
    t.until(lambda: level() == "info", 60, "the level to be info", [node])


def check_service(t, debian, network, capabilities, *drop_ins):
    """It runs as its own user with these capabilities on a read-only system, and drains when
    told. Returns its ports."""
    unit = Unit(debian.system / "lib/systemd/system/chaincast.service",
                *(debian.system / DROP_INS / name for name in drop_ins))
    manager = Manager(t, debian.system, unit.seconds("WatchdogSec"))
    node = start(debian, network, "-".join(["service", *drop_ins]), unit.script(),
                 manager.environment, unit.mounts())
    is_ready(t, manager, node)
    user = user_id(debian.system, "chaincast")
    assert set(map(int, status_field(node.pid, "Uid").split())) == {user}
    for name in ("CapEff", "CapBnd", "CapPrm"):
        assert int(status_field(node.pid, name), 16) == capabilities, name
    assert status_field(node.pid, "NoNewPrivs") == "1"
    # READY=1 means that the socket serves.
    assert ask(debian, network, "status")["name"] == "node"
    ports = json.dumps(ask(debian, network, "show", "port", "info", "all"))
    check_reload(t, debian, network, unit, node)
    out = must(network.inside(*debian.command(
        "printf 'a\\nb\\n' | /root/publish /run/chaincast/chaincast.sock news")), 60)
    assert "published 2 objects" in out, out
    t.until(lambda: manager.heard("WATCHDOG=1"), 60, "the watchdog to be fed", [node])
    assert manager.heard("STATUS=node node: 0 of 1 peers up, 1 streams")
    assert not manager.heard("STOPPING=1")
    assert node.stop(unit.seconds("TimeoutStopSec") + 60) == 0
    assert manager.heard("STOPPING=1") and manager.heard("EXTEND_TIMEOUT_USEC=")
    assert node.log_has("drained, bye")
    # systemd would take the directory away: nothing may be left in it.
    (debian.system / "run" / unit.one("RuntimeDirectory")).rmdir()
    return ports


def check_purge(debian):
    debian.run("apt-get -q -y purge chaincast chaincast-tools chaincast-doc libchaincast0 "
               "libchaincast-dev python3-chaincast", "purge")
    ours = {"var/cache/apt", "root", "tmp", "proc", "sys", "dev"}
    found = must(["find", debian.system, "-xdev", "-name", "*chaincast*", "-printf", "%P\n"])
    left = [path for path in found.splitlines()
            if not any(path.startswith(place + "/") for place in ours)]
    assert left == [], left
    assert user_id(debian.system, "chaincast") is None


@needs("debootstrap", "netns")
@limits(seconds=1200, alone=True)
def test_packages_on_a_bare_system(t):
    require_wish("CHAINCAST_PACKAGE")
    packages = build_packages(t)
    debian = Debian(t)
    shutil.copytree(packages, debian.system / "tmp/packages",
                    ignore=lambda _, names: [name for name in names if not name.endswith(".deb")])
    kept = debian.system / "root/packages"
    shutil.copytree(debian.system / "tmp/packages", kept)
    network, other = Namespace(t, "package"), Namespace(t, "wire")
    connect(network, "wire-a", other, "wire-b")
    check_image(t, debian, network)
    # A host has systemd in place of the part of it that a container needs.
    debian.run("apt-get -q update && apt-get -q -y install --no-install-recommends systemd "
               "/root/packages/chaincast-doc_*.deb /root/packages/libchaincast*.deb "
               "/root/packages/python3-chaincast_*.deb", "install")
    check_files(debian)
    build_publisher(debian)
    assert "net_af_packet" not in check_service(t, debian, network, 0)
    check_under_systemd(t, debian, network)
    add_wire(debian)
    assert "net_af_packet" in check_service(t, debian, network, CAP_NET_ADMIN | CAP_NET_RAW,
                                            "af-packet.conf")
    check_purge(debian)
