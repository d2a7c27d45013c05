# SPDX-License-Identifier: BSD-3-Clause
"""The packaged service under systemd: start, what it may do, reload, failure, stop."""

import json
import re

from systemd import Machine

UNIT = "chaincast.service"
DROP_IN = "etc/systemd/system/chaincast.service.d/test.conf"
# Whatever the unit's filter refuses ends the node, but for the one call that DPDK tries and goes on
# without (docs/installing.md); the kernel refuses that.
STRICT = "[Service]\nSystemCallErrorNumber=kill\nSystemCallFilter=iopl\n"
METRICS = '\n[metrics]\naddress = "127.0.0.1:9100"\n'
OBJECTS = 200


def state(machine):
    return machine.show(UNIT, "ActiveState", "SubState", "MainPID", "StatusText", "NRestarts",
                        "Result", "ExecMainStatus")


def is_active(machine, pid_before="0"):
    now = state(machine)
    return now["SubState"] == "running" and now["MainPID"] not in ("0", pid_before) and now


def start(machine):
    """`systemctl start` returns once the node is ready: it answers at once."""
    machine.run(f"systemctl start {UNIT}")
    now = state(machine)
    assert (now["ActiveState"], now["SubState"]) == ("active", "running"), now
    assert json.loads(machine.run("chaincastctl --json status"))["name"] == "node"
    return now["MainPID"]


def is_confined(machine, pid):
    """As the unit says: own user, no capability, a filter of system calls, a read-only system."""
    status = dict(line.split(":\t", 1) for line in
                  machine.run(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    user = machine.run("id -u chaincast").strip()
    assert status["Uid"].split() == [user] * 4, status["Uid"]
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}, status
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), status
    mounts = machine.run(f"cat /proc/{pid}/mounts").splitlines()
    options = {place: words.split(",") for _, place, _, words, *_ in map(str.split, mounts)}
    assert "ro" in options["/"] and "rw" in options["/var/lib/chaincast"], options
    devices = machine.run(f"nsenter -t {pid} -m ls /dev").split()
    assert "vda" not in devices and "null" in devices, devices


def works(machine):
    """Metrics, a capture, readers by socket and by ring, under that filter."""
    page = machine.run("""bash -c 'exec 3<>/dev/tcp/127.0.0.1/9100
        printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'""")
    assert "200 OK" in page and "chaincast_build_info" in page, page[:500]
    machine.run("chaincastctl capture start seen.pcapng")
    machine.run(f"""set -e
        cd /tmp
        for way in '' --ring; do
          chaincastctl --json subscribe news $way >reader$way.events 2>reader$way.log &
          readers="$readers $!"
          until grep -qs subscribed reader$way.log; do kill -0 $!; done
        done
        seq {OBJECTS} | /root/publish /run/chaincast/chaincast.sock news
        for way in '' --ring; do
          until [ $(grep -c '"event":"object"' reader$way.events) = {OBJECTS} ]; do :; done
        done
        kill $readers""")
    machine.run("chaincastctl capture stop")
    kept = machine.run("stat -c '%U %a %s' /var/lib/chaincast/seen.pcapng").split()
    assert kept[:2] == ["chaincast", "600"] and int(kept[2]) > 0, kept


def reloads(machine, file):
    """A changed file is applied by the same process; a faulty one fails and changes nothing."""
    before, pid = file.read_text(), state(machine)["MainPID"]

    def level():
        reply = machine.run("chaincastctl --json show config")
        return json.loads(reply)["node"]["log_level"]
    file.write_text(before.replace("[node]", '[node]\nlog_level = "debug"'))
    machine.run(f"systemctl reload {UNIT}")
    machine.scenario.until(lambda: level() == "debug", 60, "the level to be debug")
    file.write_text(before.replace("[node]", '[node]\nlog_level = "loud"'))
    code, _ = machine.try_run(f"systemctl reload {UNIT}")
    assert code == 1, code
    assert "'loud' must be one of" in machine.journal(UNIT)
    assert level() == "debug" and is_active(machine)["MainPID"] == pid
    file.write_text(before)
    machine.run(f"systemctl reload {UNIT}")
    machine.scenario.until(lambda: level() == "info", 60, "the level to be info")


def stops(machine):
    machine.run(f"systemctl stop {UNIT}")
    now = state(machine)
    assert (now["ActiveState"], now["Result"], now["ExecMainStatus"]) == \
        ("inactive", "success", "0"), now
    assert "drained, bye" in machine.journal(UNIT)
    code, _ = machine.try_run("test -e /run/chaincast")
    assert code == 1, "the control socket's directory is left"


def comes_back(machine, pid):
    """Killed, it is started again."""
    machine.run(f"kill -KILL {pid}")
    now = machine.scenario.until(lambda: is_active(machine, pid), 60, "a new process")
    assert now["NRestarts"] == "1", now


def faulty_file_fails_the_start(machine, file):
    before = file.read_text()
    file.write_text(before.replace("[node]", '[node]\nworkers = "many"'))
    code, _ = machine.try_run(f"systemctl start {UNIT}")
    assert code == 1, code
    assert re.search(r"node\.toml:\d+: .*workers", machine.journal(UNIT)), machine.journal(UNIT)
    file.write_text(before)
    machine.run(f"systemctl stop {UNIT}")


def check_under_systemd(t, debian, network):
    debian.run("apt-get -q -y install --no-install-recommends systemd-sysv dbus", "systemd-sysv")
    file = debian.system / "etc/chaincast/node.toml"
    file.write_text(file.read_text() + METRICS)
    drop_in = debian.system / DROP_IN
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(STRICT)
    machine = Machine(t, debian, network)
    faulty_file_fails_the_start(machine, file)
    pid = start(machine)
    assert state(machine)["StatusText"].startswith("node node: 0 of 1 peers up"), state(machine)
    is_confined(machine, pid)
    works(machine)
    reloads(machine, file)
    comes_back(machine, pid)
    stops(machine)
    machine.run("systemctl poweroff")
    machine.process.wait(60)
    drop_in.unlink()
