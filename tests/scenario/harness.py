# SPDX-License-Identifier: BSD-3-Clause
"""What a scenario is written with: a test function takes one `Scenario`, starts processes and
namespaces through it, waits for conditions, and leaves nothing behind.

    @needs("programs", "netns")
    def test_something(t):
        node = t.start([...], "a program")
        t.until(lambda: node.log_has("ready"), 10, "the program to be ready")

Everything that a Scenario makes is undone in reverse order at the end of the test, also after a
failure, the test's deadline or SIGTERM; children die with the test's process even after SIGKILL.
Nothing waits blindly: `until` polls a condition and names what it waited for when time is up.
"""

import ctypes
import glob
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("CHAINCAST_BUILD", ROOT / "build"))
PROGRAMS = {name: BUILD / "apps" / name / name
            for name in ("chaincast", "chaincastctl", "chaincast-gen")}
SEED = int(os.environ.get("CHAINCAST_SEED", "1"))
LOG_LINES_SHOWN = 40
AF_XDP = 44  # linux/socket.h


class Failure(Exception):
    """A scenario did not turn out as it should."""


class Skip(Exception):
    """The scenario cannot run here; the text says what it lacks."""


# --- what a scenario may need -----------------------------------------------------------------

def lacks_programs():
    absent = [name for name, path in PROGRAMS.items() if not path.exists()]
    return f"not built in {BUILD}: {', '.join(absent)}" if absent else None


def lacks_root():
    return "needs root" if os.geteuid() != 0 else None


def lacks_netns():
    if lacks_root():
        return "needs root for network namespaces"
    if not shutil.which("ip"):
        return "needs iproute2: scripts/setup"
    name = f"cc{os.getpid()}probe"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "this system allows no network namespaces"
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


def lacks_data():
    place = os.environ.get("CHAINCAST_DATA")
    if not place:
        return "needs the data set: set CHAINCAST_DATA"
    return None if os.path.isdir(place) else f"CHAINCAST_DATA={place} is no directory"


def lacks_hugepages():
    for path in glob.glob("/sys/kernel/mm/hugepages/*/free_hugepages"):
        if int(Path(path).read_text()) > 0:
            return None
    return "needs free hugepages: scripts/host-setup"


def lacks_tshark():
    return None if shutil.which("tshark") else "needs tshark: scripts/setup"


def lacks_xdp():
    try:
        socket.socket(AF_XDP, socket.SOCK_RAW).close()
        return None
    except OSError as problem:
        return f"needs XDP sockets: {problem.strerror}"


def lacks_qemu():
    return None if shutil.which("qemu-x86_64") else "needs qemu-user: scripts/setup"


def lacks_jsonschema():
    found = importlib.util.find_spec("jsonschema")
    return None if found else "needs python3-jsonschema: scripts/setup"


def lacks_groff():
    return None if shutil.which("groff") else "needs groff: scripts/setup"


def lacks_venv():
    found = importlib.util.find_spec("ensurepip")
    return None if found else "needs python3-venv: scripts/setup"


def lacks_debootstrap():
    if lacks_root():
        return "needs root for a chroot"
    return None if shutil.which("debootstrap") else "needs debootstrap: scripts/setup"


def lacks_guest():
    for program in ("qemu-system-x86_64", "dpkg-deb", "apt-get"):
        if not shutil.which(program):
            return f"needs {program} for a guest: scripts/setup"
    return None if os.path.exists("/dev/net/tun") else "needs /dev/net/tun for a guest's NICs"


REQUIREMENTS = {"programs": lacks_programs, "root": lacks_root, "netns": lacks_netns,
                "data": lacks_data, "hugepages": lacks_hugepages, "tshark": lacks_tshark,
                "xdp": lacks_xdp, "qemu": lacks_qemu, "debootstrap": lacks_debootstrap,
                "guest": lacks_guest, "jsonschema": lacks_jsonschema, "groff": lacks_groff,
                "venv": lacks_venv}


def needs(*names):
    """Skips the test, loudly, where one of these is absent (the keys of REQUIREMENTS)."""
    for name in names:
        if name not in REQUIREMENTS:
            raise ValueError(f"no requirement '{name}': {', '.join(REQUIREMENTS)}")

    def mark(function):
        function.needs = names
        return function
    return mark


def limits(seconds=60, alone=False):
    """seconds: the test's deadline. alone: nothing else may run meanwhile."""
    def mark(function):
        function.seconds = seconds
        function.alone = alone
        return function
    return mark


def data_file(relative):
    """Path of a file of the data set; the test needs("data")."""
    path = Path(os.environ["CHAINCAST_DATA"]) / relative
    if not path.exists():
        raise Skip(f"the data set lacks {relative}")
    return path


def copy_files(source, destination):
    """Copies regular files only: a test's directory holds sockets as well."""
    for path in Path(source).rglob("*"):
        if path.is_file() and not path.is_symlink():
            target = Path(destination) / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


# --- processes --------------------------------------------------------------------------------

def die_with_parent():
    """In the child before exec: SIGKILL when the test's process ends, however it ends."""
    prctl_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(prctl_set_pdeathsig, signal.SIGKILL)


class Process:
    """A child with its output in a file. Ended by pid only, never by name."""

    def __init__(self, command, name, log, environment=None, stdout=None):
        self.name = name
        self.log = Path(log)
        self.command = [str(word) for word in command]
        with open(self.log, "ab") as sink:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                          stdout=stdout or sink, stderr=sink, env=environment,
                                          preexec_fn=die_with_parent, start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child.poll() is None

    def log_text(self):
        return self.log.read_text(errors="replace")

    def log_has(self, text):
        return text in self.log_text()

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds):
        """The exit code (negative: the signal). Fails if it is still running then."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} (pid {self.pid}) still runs after {seconds} s") from None

    def kill(self):
        """SIGKILL to its process group; returns when it is gone."""
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass
        self.child.wait()

    def stop(self, seconds=10):
        """SIGTERM, and the exit code; SIGKILL and a failure if it does not listen."""
        if self.is_running():
            self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        finally:
            self.kill()


def output_of(command, seconds=30, **options):
    """(exit code, stdout, stderr) of a short command. Nothing that it started outlives it."""
    words = [str(word) for word in command]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace",
                             preexec_fn=die_with_parent, start_new_session=True, **options)
    try:
        out, err = child.communicate(timeout=seconds)
        return child.returncode, out, err
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(words)}: not done after {seconds} s") from None
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def must(command, seconds=30):
    """Standard output of a command that has to succeed."""
    code, out, err = output_of(command, seconds)
    if code != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit code {code}: {err.strip() or out}")
    return out


def until(condition, seconds, what, watched=(), interval_s=0.05):
    """Polls until condition() is true and returns its value. At the deadline, or as soon as one
    of the watched processes has ended, fails with what was awaited."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        for process in watched:
            if not process.is_running():
                raise Failure(f"waiting for {what}: {process.name} ended with exit code "
                              f"{process.child.returncode}")
        if time.monotonic() >= deadline:
            raise Failure(f"waited {seconds} s for {what}")
        pause.wait(interval_s)


def directory_prefix(pid):
    return f"ccs{pid}-"


def remove_directories_of(pid):
    """What a test that was killed left in /tmp."""
    for path in glob.glob(f"/tmp/{directory_prefix(pid)}*"):
        shutil.rmtree(path, ignore_errors=True)


# --- one test ---------------------------------------------------------------------------------

class Scenario:
    """The means and the clean-up of one test."""

    def __init__(self, name, keep=None):
        self.name = name
        self.undo = []
        self.processes = []
        self.keep = keep
        # A short path: a Unix socket's name holds 107 bytes.
        self.dir = Path(tempfile.mkdtemp(prefix=directory_prefix(os.getpid()), dir="/tmp"))

    def defer(self, action):
        """Runs at the end of the test, last deferred first."""
        self.undo.append(action)

    def start(self, command, name, environment=None, stdout=None, log=None):
        """Starts a program; it is killed at the end of the test if it still runs."""
        log = log or self.dir / f"{name}.log"
        process = Process(command, name, log, environment, stdout)
        self.processes.append(process)
        self.defer(process.kill)
        return process

    def until(self, condition, seconds, what, watched=()):
        return until(condition, seconds, what, watched)

    def write(self, name, text, mode=0o644):
        """A file in the test's directory."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def logs(self):
        """The last lines of every process's log, for a failure's report."""
        parts = []
        for process in self.processes:
            lines = process.log_text().splitlines() if process.log.exists() else []
            state = "running" if process.is_running() else f"exit {process.child.returncode}"
            parts.append(f"--- {process.name} ({state}): {' '.join(process.command)}")
            parts += lines[-LOG_LINES_SHOWN:]
        return "\n".join(parts)

    def close(self):
        """Undoes everything; a clean-up that fails does not keep the others from running."""
        problems = []
        while self.undo:
            try:
                self.undo.pop()()
            except Exception as problem:  # noqa: BLE001: reported below
                problems.append(f"clean-up: {problem}")
        if self.keep:
            copy_files(self.dir, Path(self.keep) / self.name)
        shutil.rmtree(self.dir, ignore_errors=True)
        return problems
