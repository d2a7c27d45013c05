# SPDX-License-Identifier: BSD-3-Clause
"""What a host refuses: permissions, a NIC that the kernel holds, an old processor, a peer of
another version. Every message names the thing, the place and the remedy."""

import hashlib
import hmac
import os
import shutil
import socket
import struct

import hugepages
import net
from capture import HOP_BYTES
from harness import PROGRAMS, Skip, limits, needs, output_of, until
from lab import Lab
from test_first_hour import ByHand, detail, edit, make_ethdev

NOBODY = 65534
HELLO_FLAG, MAC_BYTES = 1, 32
VERSIONS_AT = HOP_BYTES + 2


def says(command, *words, seconds=60):
    """The program ends with 1; its message holds all these words."""
    code, out, err = output_of(command, seconds)
    assert code == 1, f"exit code {code}: {err}"
    missing = [word for word in words if str(word) not in err]
    assert not missing, f"no {missing} in: {err}"


# --- an unprivileged user ----------------------------------------------------------------------

def as_nobody(t, *prefix):
    """The command line that starts node a as a user who owns its files and may do nothing else."""
    program = t.dir / "chaincast"
    shutil.copy(PROGRAMS["chaincast"], program)  # the build directory may be closed to others
    t.dir.chmod(0o755)
    for path in [t.dir, *t.dir.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    return [*prefix, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
            "--inh-caps=-all", program, "--config", t.dir / "a.toml"]


@needs("programs", "netns")
def test_refuses_packet_sockets_without_permission(t):
    ByHand(t)
    place = net.Namespace(t, "a")
    place.run("ip", "link", "add", "cc0", "type", "veth", "peer", "name", "cc1")
    make_ethdev(t, "net_af_packet0,iface=cc0")
    says(as_nobody(t, *place.inside()), "port 'lo'", "'cc0'", "no permission", "CAP_NET_RAW",
         "udp port")


@needs("programs", "netns")
def test_refuses_a_low_udp_port_without_permission(t):
    pair = ByHand(t)
    place = net.Namespace(t, "a")
    edit(t, f":{pair.ports['a']}", ":700")
    says(as_nobody(t, *place.inside()), "port 'lo'", "no permission", ":700", "above 1023")


@needs("programs", "root")
def test_refuses_a_socket_directory_without_permission(t):
    ByHand(t)
    closed = t.dir / "closed"
    edit(t, 'name = "a"', f'name = "a"\nsocket = "{closed}/a.sock"')
    command = as_nobody(t)
    closed.mkdir(mode=0o755)
    says(command, "control socket", closed / "a.sock", "Permission denied", "socket")


@needs("programs", "root")
@limits(alone=True)
def test_hugepages_of_others_are_left_alone(t):
    """An ordinary user on a host with hugepages, which only root may map, has ordinary memory."""
    ByHand(t)
    hugepages.reserve(t, 160)
    mount = t.dir / "huge"
    command = as_nobody(t, "unshare", "--mount", "--propagation", "private", "sh", "-c",
                        f'mount -t hugetlbfs -o mode=0755 none {mount} && exec "$@"', "sh")
    mount.mkdir()
    node = t.start(command, "a")
    until(lambda: node.log_has("running, control socket"), 30, "the node to run", [node])
    for word in ("ordinary memory", f"no permission on {mount}", "run as root", "uid="):
        assert node.log_has(word), node.log_text()


# --- a NIC --------------------------------------------------------------------------------------

NIC = "0000:af:1f.6"
NIC_FILES = {"vendor": "0x8086", "device": "0x10fb", "subsystem_vendor": "0x8086",
             "subsystem_device": "0x0003", "class": "0x020000", "numa_node": "-1",
             "max_vfs": "0", "resource": "0x0 0x0 0x0\n" * 7}


def with_nic(t, driver):
    """A command line prefix under which the only PCI device is a NIC held by this driver."""
    devices = t.dir / "devices"
    (devices / NIC).mkdir(parents=True)
    for name, text in NIC_FILES.items():
        (devices / NIC / name).write_text(text.rstrip("\n") + "\n")
    if driver:
        (devices / NIC / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            f'mount --bind {devices} /sys/bus/pci/devices && exec "$@"', "sh",
            PROGRAMS["chaincast"], "--config", t.dir / "a.toml"]


def lacks_pci():
    return not os.path.isdir("/sys/bus/pci/devices")


@needs("programs", "root")
def test_refuses_a_nic_on_its_kernel_driver(t):
    if lacks_pci():
        raise Skip("this system has no PCI bus")
    ByHand(t)
    make_ethdev(t, NIC)
    says(with_nic(t, "ixgbe"), "port 'lo'", NIC, "kernel driver ixgbe",
         f"dpdk-devbind.py -b vfio-pci {NIC}")


@needs("programs", "root")
def test_refuses_a_nic_on_no_driver(t):
    if lacks_pci():
        raise Skip("this system has no PCI bus")
    ByHand(t)
    make_ethdev(t, NIC)
    says(with_nic(t, None), "port 'lo'", NIC, "no driver", f"dpdk-devbind.py -b vfio-pci {NIC}")


# --- a processor --------------------------------------------------------------------------------

@needs("programs", "qemu")
def test_refuses_an_old_processor(t):
    """In an emulator: the program gets as far as its message, instead of an illegal instruction."""
    ByHand(t)
    for cpu, name, lacking in (("Nehalem", "Nehalem", "lacks AES-NI, PCLMULQDQ, AVX2, BMI2;"),
                               ("Westmere", "Westmere", "lacks AVX2, BMI2;"),
                               ("max,-aes", "QEMU", "lacks AES-NI;"),
                               ("max,-avx2", "QEMU", "lacks AVX2;")):
        says(["qemu-x86_64", "-cpu", cpu, PROGRAMS["chaincast"], "--config", t.dir / "a.toml"],
             "cpu ", name, lacking, "run on a processor that has it", "-cpu host")


# --- a peer of another version -------------------------------------------------------------------

def hello_key(secret_file):
    """docs/wire.md 2.2: Expand(Extract(salt = "chaincast1", secret), "chaincast1 hello", 32)."""
    secret = bytes.fromhex(secret_file.read_text().split()[-1])
    extracted = hmac.digest(b"chaincast1", secret, hashlib.sha256)
    return hmac.digest(extracted, b"chaincast1 hello\x01", hashlib.sha256)


@needs("programs")
def test_wrong_version(t):
    """Each is a node of versions 2 to 3, as far as the other can tell: the hellos say so, rightly
    made."""
    def rule(data, forward):
        if data[2] > 0 or not data[1] & HELLO_FLAG:
            return [data]
        hello = bytearray(data[:-MAC_BYTES])
        struct.pack_into(">BB", hello, VERSIONS_AT, 2, 3)
        key = hello_key(t.dir / "link-0-1.secret")
        return [bytes(hello) + hmac.digest(key, bytes(hello[HOP_BYTES:]), hashlib.sha256)]
    lab = Lab(t, 2, {"s": 0}, rules={(0, 1): rule}).start()
    for node, peer in zip(lab.nodes, ("n1", "n0")):
        until(lambda: detail(node, peer)[0] == "wrong version", 15, f"{node.name} to see it",
              [node.process])
        text = detail(node, peer)[1]
        for word in (f"peer {peer} at 127.0.0.1:", "version 2..3", "this node version 1;",
                     "upgrade"):
            assert word in text, text
