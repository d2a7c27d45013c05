# SPDX-License-Identifier: BSD-3-Clause
"""HTTP with a chaincast process: one request at a time, and the commands of a node (/v1)."""

import http.client
import json
import threading
import urllib.parse
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .errors import BadCall, NotRunning, Refused

_JSON = "application/json"
_BYTES = "application/octet-stream"


class Connection:
    """One kept-alive connection to IP:PORT. Any thread; requests take turns."""

    def __init__(self, address: str, token: Optional[str] = None, timeout: float = 60.0) -> None:
        self.address = address
        self._token = token
        self._lock = threading.Lock()
        self._http = http.client.HTTPConnection(address, timeout=timeout)

    def ask(self, method: str, path: str, body: Optional[bytes] = None,
            content_type: Optional[str] = None) -> Tuple[int, bytes]:
        """(status, body). NotRunning where nobody answers."""
        headers = {"Content-Type": content_type} if content_type else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._lock:
            is_fresh = self._http.sock is None
            try:
                return self._once(method, path, body, headers)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as gone:
                self._http.close()
                if is_fresh:
                    raise self._unreachable(gone) from gone
            except OSError as problem:
                self._http.close()
                raise self._unreachable(problem) from problem
            # The server ends connections that were idle for 2 s, maybe while this was on its way.
            try:
                return self._once(method, path, body, headers)
            except (http.client.HTTPException, OSError) as problem:
                self._http.close()
                raise self._unreachable(problem) from problem

    def close(self) -> None:
        """Ends the connection; the next request begins a new one."""
        with self._lock:
            self._http.close()

    def _once(self, method: str, path: str, body: Optional[bytes],
              headers: Dict[str, str]) -> Tuple[int, bytes]:
        self._http.request(method, path, body, headers)
        reply = self._http.getresponse()
        return reply.status, reply.read()

    def _unreachable(self, problem: Exception) -> NotRunning:
        return NotRunning(f"http://{self.address}: {problem or type(problem).__name__}; is it "
                          "running, and is that its address?")


class Client:
    """The commands of a node whose configuration has a [rest] address.

        client = Client("127.0.0.1:8080")
        client.run("show peers")
        client.run("set repair", state="off")
        client.publish("news", b"...")

    Commands and their arguments are those of GET /v1/openapi.json, which is asked once.
    """

    def __init__(self, address: str, token: Optional[str] = None, timeout: float = 60.0) -> None:
        """address: IP:PORT. token: what the node's writes need, where it has one."""
        self._connection = Connection(address, token, timeout)
        self._paths: Optional[Dict[str, Dict[str, Any]]] = None

    def operations(self) -> List[str]:
        """The commands that the node knows, as words: "show peers"."""
        return sorted(path[len("/v1/"):].replace("/", " ") for path in self._description()
                      if "{" not in path)

    def run(self, command: str, **arguments: Any) -> Any:
        """Runs one command and returns its JSON reply. An underscore in an argument's name stands
        for a hyphen where the command has that. Refused has the node's word for what is wrong."""
        path = "/v1/" + "/".join(command.split())
        item = self._description().get(path)
        if item is None or "{" in path:
            raise BadCall(f"{command}: no such command; operations() lists them")
        values = {self._name(item, name): value for name, value in arguments.items()}
        if "get" in item:
            query = urllib.parse.urlencode({name: _text(value) for name, value in values.items()})
            return self._json("GET", path + ("?" + query if query else ""))
        return self._json("POST", path, json.dumps(values).encode(), _JSON)

    def publish(self, stream: str, data: bytes) -> Any:
        """Publishes one object on a stream of which the node is an origin. Refused with the code
        `busy` where the stream has no room yet: publish it again."""
        path = f"/v1/streams/{urllib.parse.quote(stream, safe='')}/objects"
        return self._json("POST", path, bytes(data), _BYTES)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _description(self) -> Mapping[str, Dict[str, Any]]:
        if self._paths is None:
            self._paths = self._json("GET", "/v1/openapi.json")["paths"]
        return self._paths

    @staticmethod
    def _name(item: Dict[str, Any], name: str) -> str:
        if "get" in item:
            known = [one["name"] for one in item["get"].get("parameters", [])]
        else:
            content = item["post"]["requestBody"]["content"].get(_JSON, {})
            known = list(content.get("schema", {}).get("properties", {}))
        hyphened = name.replace("_", "-")
        return hyphened if name not in known and hyphened in known else name

    def _json(self, method: str, path: str, body: Optional[bytes] = None,
              content_type: Optional[str] = None) -> Any:
        status, reply = self._connection.ask(method, path, body, content_type)
        try:
            document = json.loads(reply) if reply else {}
        except ValueError:
            document = {}
        if status < 300:
            return document
        error = document.get("error", {}) if isinstance(document, dict) else {}
        raise Refused(error.get("message", f"{method} {path}: status {status}"),
                      error.get("code", ""), status)


def _text(value: Any) -> str:
    """As people write it: flags are on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
