# SPDX-License-Identifier: BSD-3-Clause
"""scripts/host-setup on this machine: what it says, and that it leaves things as found. With NICs
to bind it runs in the guest of test_nics."""

import hugepages
from harness import ROOT, Skip, limits, must, needs, output_of

HOST_SETUP = ROOT / "scripts/host-setup"
PAGES = 16

# Everything that host-setup may touch, as text.
SNAPSHOT = """
for nic in /sys/bus/pci/devices/*; do
  [ ! -e $nic ] || echo $nic $(readlink $nic/driver) $(cat $nic/driver_override)
done
for interface in /sys/class/net/*; do
  echo $interface $(readlink $interface) $(cat $interface/flags $interface/address)
done
for pages in /sys/devices/system/node/node*/hugepages/*/nr_hugepages; do
  echo $pages $(cat $pages)
done
cut -d' ' -f1 /proc/modules | sort
grep hugetlbfs /proc/mounts
ls -d /dev/hugepages /run/chaincast-host-setup.state 2>&1
true
"""


def commands(text):
    """The indented lines: what host-setup runs, or would."""
    return [line.strip() for line in text.splitlines() if line.startswith("        ")]


def host_setup(*words):
    """(exit code, output, errors)."""
    return output_of([HOST_SETUP, *words], 120)


def snapshot():
    return must(["sh", "-c", SNAPSHOT])


def test_host_setup_refuses_bad_words(t):
    for words, text in (((), "a command is needed"), (("start",), "a command is needed"),
                        (("check", "--nics"), "unknown option '--nics'"),
                        (("check", "--nic"), "--nic needs a value"),
                        (("check", "--nic", "eth0"), "not a PCI address"),
                        (("init", "--memory", "1G"), "a number of MiB"),
                        (("init", "--driver", "e1000"), "vfio-pci, uio_pci_generic or igb_uio")):
        code, _, errors = host_setup(*words)
        assert code == 2 and text in errors, (words, code, errors)


def test_host_setup_names_what_is_in_the_way(t):
    code, out, _ = host_setup("check", "--nic", "ffff:ff:1f.7")
    assert code == 1 and "NIC ffff:ff:1f.7: no such PCI device" in out, out
    state = t.dir / "state"
    code, _, errors = host_setup("init", "--nic", "ffff:ff:1f.7", "--state", state)
    assert code in (1, 2), errors  # 2: not root
    assert not state.exists()


def needs_pages_for_a_moment(count):
    ledger = hugepages.Ledger()
    try:
        ledger.reserve(count)
    except (hugepages.Shortage, OSError) as problem:
        raise Skip(f"cannot reserve hugepages here: {problem}") from None
    ledger.give_back(count)


@needs("netns")  # the rights to mount, too
@limits(seconds=300, alone=True)
def test_host_setup_leaves_the_machine_as_found(t):
    """Hugepages and their mount, with other tests' reservations kept out."""
    needs_pages_for_a_moment(PAGES)
    with hugepages.Ledger().locked():
        have = int(hugepages.PAGES.read_text())
        options = ["--memory", 2 * (have + PAGES), "--state", t.dir / "state"]
        before = snapshot()
        code, plan, _ = host_setup("check", *options)
        assert code == 1 and any(line.startswith("echo ") for line in commands(plan)), plan
        code, dry, _ = host_setup("init", "--dry-run", *options)
        assert code == 0 and commands(dry) == commands(plan), dry
        assert snapshot() == before
        t.defer(lambda: host_setup("fini", "--state", t.dir / "state"))
        code, done, errors = host_setup("init", *options)
        assert code == 0 and commands(done) == commands(plan), done + errors
        assert snapshot() != before
        code, out, _ = host_setup("check", *options)
        assert code == 0 and not commands(out), out
        code, out, _ = host_setup("fini", "--dry-run", *options)
        assert code == 0 and commands(out), out
        code, out, _ = host_setup("fini", *options)
        assert code == 0, out
        assert snapshot() == before
        code, out, _ = host_setup("fini", *options)
        assert code == 0 and "nothing to undo" in out, out
