# SPDX-License-Identifier: BSD-3-Clause
"""A machine in QEMU with emulated NICs: Debian's kernel, an initramfs of busybox and of what the
test adds, two cpus in software emulation. Its NICs are taps of a network namespace.

The kernel and busybox are fetched from Debian's mirror as packages, once, into
~/.cache/chaincast/guest; they are unpacked there and never installed.
"""

import base64
import os
import re
import shlex
import socket
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

from harness import Failure, Skip, must, output_of

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chaincast/guest"
# The flavour for clouds is the smallest that has uio. It lacks the kernel's drivers of e1000.
KERNEL_FLAVOUR = "linux-image-cloud-amd64"
MODULES = ("uio", "uio_pci_generic", "vmxnet3", "virtio_net", "net_failover", "failover",
           "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_ring", "virtio",
           # For NICs behind an IOMMU.
           "vfio", "vfio_virqfd", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci", "irqbypass")
MEMORY_MEBIBYTES = 1024
BOOT_SECONDS = 240

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /var
/bin/busybox ln -s /run /var/run
/bin/busybox chmod 755 /
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
depmod
ip link set lo up
exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
echo ready
while read -r line; do
  echo "$line" | base64 -d >/tmp/command
  sh /tmp/command </dev/null >/tmp/reply 2>&1
  echo "$? $(base64 </tmp/reply | tr -d '\\n')"
done
"""


# --- packages -----------------------------------------------------------------------------------

def download(package, place):
    """The .deb of a package in `place`. Skips where no mirror has it."""
    for attempt in range(2):
        code, out, err = output_of(["apt-get", "-q", "download", package], 240, cwd=place)
        if code == 0:
            return next(Path(place).glob(f"{package}_*.deb"))
        if attempt == 0:
            output_of(["apt-get", "-q", "update"], 240)
    raise Skip(f"cannot download {package}: {err.strip().splitlines()[-1] if err else out}")


def unpack(package, paths):
    """A directory that has these files of a package, each named by the end of its path in it."""
    place = CACHE / package
    files = {path: place / Path(path).name for path in paths}
    if all(file.exists() for file in files.values()):
        return place
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        archive = download(package, scratch)
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive],
                              stdout=subprocess.PIPE) as unpacker:
            with tarfile.open(fileobj=unpacker.stdout, mode="r|") as content:
                for member in content:
                    for path, file in files.items():
                        if member.isfile() and member.name.endswith(f"/{path}"):
                            whole = Path(scratch) / file.name
                            whole.write_bytes(content.extractfile(member).read())
                            whole.chmod(member.mode)
                            whole.rename(file)  # at once, for a test beside this one
    absent = [path for path, file in files.items() if not file.exists()]
    if absent:
        raise Skip(f"{package} has no {', '.join(absent)}")
    return place


def kernel():
    """(version, directory with vmlinuz-VERSION and MODULES)."""
    known = sorted(path.name for path in CACHE.glob("linux-image-*-cloud-amd64"))
    name = known[-1] if known else newest_kernel()
    version = name.removeprefix("linux-image-")
    return version, unpack(name, [f"boot/vmlinuz-{version}",
                                  *(f"{module}.ko" for module in MODULES)])


def newest_kernel():
    """The package that Debian's package of the flavour leads to."""
    for attempt in range(2):
        _, out, _ = output_of(["apt-cache", "depends", KERNEL_FLAVOUR])
        match = re.search(r"^ *Depends: (linux-image-\d\S+)", out, re.MULTILINE)
        if match:
            return match[1]
        if attempt == 0:
            output_of(["apt-get", "-q", "update"], 240)
    raise Skip(f"apt knows no package {KERNEL_FLAVOUR}")


def busybox():
    return unpack("busybox-static", ["bin/busybox"]) / "busybox"


# --- the initramfs ------------------------------------------------------------------------------

class Archive:
    """What the guest's memory file system starts with: a cpio archive of the kind that the
    kernel's document initramfs-buffer-format describes."""

    MERGED = ("bin", "sbin", "lib", "lib64")  # links into usr, as in Debian

    def __init__(self):
        self.entries = {}  # name without leading slash: (mode, data)
        for name in self.MERGED:
            self.put(f"usr/{name}", stat.S_IFDIR | 0o755)
            self.entries[name] = (stat.S_IFLNK | 0o777, f"usr/{name}".encode())

    def add(self, name, data, mode=0o644):
        self.put(name, stat.S_IFREG | mode, data)

    def put(self, name, mode, data=b""):
        path = Path("/") / name
        if path.parts[1] in self.MERGED:
            path = Path("/usr", *path.parts[1:])
        for parent in reversed(path.parents):
            if parent != Path("/"):
                self.entries.setdefault(str(parent)[1:], (stat.S_IFDIR | 0o755, b""))
        self.entries[str(path)[1:]] = (mode, data)

    def add_file(self, path, name=None):
        """A file of this system, at the same place or at `name`, with the links that lead to it."""
        path = Path(path)
        place = Path(os.path.realpath(path.parent)) / path.name
        if name is None and place.is_symlink():
            self.put(place, stat.S_IFLNK | 0o777, os.readlink(place).encode())
            self.add_file(place.parent / os.readlink(place))
            return
        self.add(name or place, place.read_bytes(), 0o755 if os.access(place, os.X_OK) else 0o644)

    def add_program(self, path, name=None):
        """A program, or a library, with the libraries that it needs."""
        self.add_file(path, name)
        for library in re.findall(r"(/\S+) \(0x", must(["ldd", path])):
            self.add_file(library)

    def add_tree(self, directory):
        """Every regular file below a directory, at the same place."""
        for path in Path(directory).rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.add(path, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))

    def write(self, file):
        with open(file, "wb") as out:
            for number, (name, (mode, data)) in enumerate(self.entries.items(), 1):
                self.write_entry(out, name, number, mode, data)
            self.write_entry(out, "TRAILER!!!", 0, 0, b"")

    @staticmethod
    def write_entry(out, name, number, mode, data):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        for part in (head, data):
            out.write(part + bytes(-len(part) % 4))


# --- the machine --------------------------------------------------------------------------------

class Nic:
    """An emulated NIC: QEMU's model, where it sits in the guest, and the tap behind it, with as
    many queues as the model has."""

    def __init__(self, model, slot, mtu=1500, options="", queues=1):
        self.model = model
        self.queues = queues
        self.address = f"0000:00:{slot:02x}.0"
        self.slot = slot
        self.mtu = mtu
        self.options = options
        self.tap = f"tap{slot}"


class Guest:
    """A running machine. `run` is a shell in it. With `iommu`, of the kind that vfio-pci wants."""

    def __init__(self, scenario, namespace, nics, archive, iommu=False, cpus=2,
                 memory=MEMORY_MEBIBYTES):
        self.scenario = scenario
        self.console = scenario.dir / "console.log"
        version, place = kernel()
        self.fill(archive, version, place)
        initramfs = scenario.dir / "initramfs"
        archive.write(initramfs)
        door = scenario.dir / "guest.sock"
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", cpus,
            "-m", memory, "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-kernel", place / f"vmlinuz-{version}", "-initrd", initramfs,
            "-append", "console=ttyS0 panic=-1 quiet intel_iommu=on",
            "-serial", f"file:{self.console}", "-serial", f"unix:{door},server=on,wait=off"]
        if iommu:
            command += ["-machine", "q35", "-device", "intel-iommu"]
        for nic in nics:
            self.add_tap(namespace, nic)
            several = f",queues={nic.queues}" if nic.queues > 1 else ""
            command += ["-netdev", f"tap,id={nic.tap},ifname={nic.tap},script=no,downscript=no"
                        f"{several}",
                        "-device", f"{nic.model},netdev={nic.tap},addr={nic.slot:#x},romfile=,"
                        f"mac=52:54:00:77:00:{nic.slot:02x}{nic.options}"]
        self.process = namespace.start(command, "guest")
        scenario.until(door.exists, 60, "QEMU to open its socket", [self.process])
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        scenario.defer(self.door.close)
        self.door.connect(str(door))
        self.rest = b""
        try:
            if self.read_line(BOOT_SECONDS) != "ready":
                raise Failure("the guest says something else than ready")
        except Failure as problem:
            tail = self.console_text()[-2000:]
            raise Failure(f"the guest did not start: {problem}; its console: {tail}") from None

    @staticmethod
    def fill(archive, version, place):
        archive.add("init", INIT.encode(), 0o755)
        archive.add_file(busybox(), "/bin/busybox")
        for module in MODULES:
            archive.add_file(place / f"{module}.ko", f"/lib/modules/{version}/kernel/{module}.ko")

    @staticmethod
    def add_tap(namespace, nic):
        namespace.run("ip", "tuntap", "add", "dev", nic.tap, "mode", "tap",
                      *(["multi_queue"] if nic.queues > 1 else []))
        namespace.run("sysctl", "-q", "-w", f"net.ipv6.conf.{nic.tap}.disable_ipv6=1")
        namespace.run("ip", "link", "set", nic.tap, "mtu", nic.mtu, "up")

    def console_text(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def read_line(self, seconds):
        def line():
            self.door.settimeout(0.2)
            try:
                self.rest += self.door.recv(1 << 16)
            except TimeoutError:
                pass
            return b"\n" in self.rest
        self.scenario.until(line, seconds, "an answer of the guest", [self.process])
        text, self.rest = self.rest.split(b"\n", 1)
        return text.decode()

    def try_run(self, *command, seconds=120):
        """(exit code, output) of a shell script, or of the words of one command, in the guest."""
        text = command[0] if len(command) == 1 else shlex.join(map(str, command))
        self.door.sendall(base64.b64encode(text.encode()) + b"\n")
        code, _, reply = self.read_line(seconds).partition(" ")
        return int(code), base64.b64decode(reply).decode(errors="replace")

    def run(self, *command, seconds=120):
        """The output of a shell command that has to succeed."""
        code, out = self.try_run(*command, seconds=seconds)
        if code != 0:
            raise Failure(f"in the guest: {' '.join(map(str, command))}: exit code {code}: {out}")
        return out
