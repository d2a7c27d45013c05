# SPDX-License-Identifier: BSD-3-Clause
"""One `chaincast --rest` process and the instances in it."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union

from .client import Connection
from .errors import BadCall, NotRunning, Refused
from .feed import Callback, Feed, Host

_JSON = "application/json"
_POLL_S = 0.02


class SupernodeResult(NamedTuple):
    """What host_super() returns."""

    success: bool
    instance_id: str
    tcp_port: int


class InstanceResult(NamedTuple):
    """What host() and join() return."""

    success: bool
    instance_id: str
    tcp_port: int
    udp_port: int
    resource_id: str
    max_size: int


def _free_address() -> str:
    """127.0.0.1 and a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Session:
    """Starts the executable, and speaks with it. Any thread; ends with close() or `with`."""

    def __init__(self, executable: Union[str, "os.PathLike[str]"] = "chaincast",
                 address: Optional[str] = None, token_file: Optional[str] = None,
                 options: Sequence[str] = (), timeout: float = 30.0) -> None:
        """See chaincast.init()."""
        self.address = address or _free_address()
        token = None
        command = [os.fspath(executable), "--rest", self.address, *options]
        if token_file is not None:
            with open(token_file, encoding="ascii") as file:
                token = file.read().strip()
            command += ["--rest-token", os.fspath(token_file)]
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log,
                                             stderr=self._log)
        except OSError as problem:
            self._log.close()
            raise NotRunning(f"{executable}: {problem.strerror}; give the path of chaincast as "
                             "`executable`") from problem
        self._connection = Connection(self.address, token)
        self._lock = threading.Lock()
        self._hosts: Dict[str, Host] = {}
        self._ports: Dict[str, int] = {}
        self._feed: Optional[Feed] = None
        try:
            self._wait_for_ping(timeout)
            self._feed = Feed()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the executable."""
        return self._process.pid

    def close(self, timeout: float = 30.0) -> None:
        """Ends the socket and the executable, with all its instances."""
        if self._feed is not None:
            self._feed.close()
        self._connection.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()

    def instances(self) -> Any:
        """What the executable says of its instances (GET /v1/instances)."""
        status, reply = self._connection.ask("GET", "/v1/instances")
        if status != 200:
            raise Refused(f"GET /v1/instances: status {status}", status=status)
        return json.loads(reply)

    def host_super(self) -> SupernodeResult:
        """See chaincast.host_super()."""
        reply = self._call("/host-super", None)
        return SupernodeResult(reply["Success"], reply["InstanceID"], reply["TCPServerPort"])

    def host(self, trackers: Sequence[str], max_size: int) -> InstanceResult:
        """See chaincast.host()."""
        result = self._start("/host", {"Trackers": _listed(trackers), "MaxResourceSize": max_size})
        if result.success:
            host = self._running().add_host(result.udp_port, result.max_size)
            with self._lock:
                self._hosts[result.instance_id] = host
                self._ports[result.instance_id] = result.udp_port
        return result

    def join(self, trackers: Sequence[str], resource_id: str, callback: Callback) -> InstanceResult:
        """See chaincast.join()."""
        if not callable(callback):
            raise TypeError("callback must be callable with one argument, an object's bytes")
        result = self._start("/join", {"Trackers": _listed(trackers), "ResourceID": resource_id})
        if result.success:
            self._running().add_member(result.udp_port, result.max_size, callback)
            with self._lock:
                self._ports[result.instance_id] = result.udp_port
        return result

    def stop(self, instance_id: str, timeout: float = 30.0) -> bool:
        """See chaincast.stop()."""
        with self._lock:
            host = self._hosts.get(instance_id)
            port = self._ports.get(instance_id)
        if host is not None:
            host.flush(timeout)
        reply = self._call("/stop", instance_id)
        with self._lock:
            self._hosts.pop(instance_id, None)
            self._ports.pop(instance_id, None)
        if port is not None:
            self._running().remove(port)
        return bool(reply["Success"])

    def feed_data(self, instance_id: str, data: bytes, timeout: float = 30.0) -> None:
        """See chaincast.feed_data()."""
        with self._lock:
            host = self._hosts.get(instance_id)
        if host is None:
            raise BadCall(f"{instance_id!r}: no host instance here; host() returns its "
                          "id as the second value")
        host.put(bytes(data), timeout)

    def _running(self) -> Feed:
        if self._feed is None:
            raise NotRunning("the session has ended: call init() again")
        return self._feed

    def _start(self, path: str, body: Any) -> InstanceResult:
        reply = self._call(path, body)
        return InstanceResult(reply["Success"], reply["InstanceID"], reply["TCPServerPort"],
                              reply["UDPServerPort"], reply["ResourceID"],
                              reply["MaxResourceSize"])

    def _call(self, path: str, body: Any) -> Dict[str, Any]:
        text = None if body is None else json.dumps(body).encode()
        status, reply = self._connection.ask("POST", path, text, _JSON if text else None)
        if status == 200:
            return dict(json.loads(reply))
        if status == 401:
            raise Refused(f"{path}: the process wants a token: give init() its token_file",
                          "token", status)
        raise BadCall(f"POST {path}: status {status}: trackers are IP:PORT strings, a size is a "
                      f"whole number above 0, ids are strings; this was sent: {body!r}")

    def _wait_for_ping(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            if self._process.poll() is not None:
                raise NotRunning(f"{self._process.args!r} ended with {self._process.returncode}: "
                                 f"{self._last_words()}")
            try:
                # Somebody else's server may answer at that address.
                is_up = self._connection.ask("GET", "/ping")[0] == 200
                if is_up and self.instances().get("pid") == self._process.pid:
                    return
            except (NotRunning, Refused, ValueError):
                pass
            if time.monotonic() > deadline:
                raise NotRunning(f"http://{self.address}/ping did not answer within {timeout} s: "
                                 f"raise the timeout, or choose another address; it said: "
                                 f"{self._last_words()}")
            time.sleep(_POLL_S)

    def _last_words(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - 2000))
        words = self._log.read().decode(errors="replace").strip().splitlines()
        return words[-1] if words else "nothing on standard error"


def _listed(trackers: Sequence[str]) -> List[str]:
    """A lone string is a sequence as well, of characters."""
    if isinstance(trackers, str):
        raise TypeError(f"trackers: a list of IP:PORT strings, as [{trackers!r}]")
    return list(trackers)
