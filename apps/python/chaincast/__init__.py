# SPDX-License-Identifier: BSD-3-Clause
"""Streams objects through a chaincast network.

    import chaincast

    chaincast.init()                                  # starts `chaincast --rest`
    _, supernode, tcp_port = chaincast.host_super()
    trackers = [f"127.0.0.1:{tcp_port}"]
    _, host, _, _, resource, _ = chaincast.host(trackers, 65_507)
    _, member, *_ = chaincast.join(trackers, resource, print)
    chaincast.feed_data(host, b"one object")
    for instance in (host, member, supernode):
        chaincast.stop(instance)
    chaincast.deinit()

The functions work on one session, which init() begins and deinit() ends; `Session` is the same as
an object, for several at once. `Client` is for the commands of a node that has a [rest] address.
All may be called from any thread. What fails raises a ChaincastError that says what to do.
"""

import os
from typing import List, Optional, Sequence, Union

from .client import Client
from .errors import BadCall, ChaincastError, NotRunning, Refused, Stalled
from .feed import Callback
from .session import InstanceResult, Session, SupernodeResult

__all__ = ["BadCall", "Callback", "ChaincastError", "Client", "InstanceResult", "NotRunning",
           "Refused", "Session", "Stalled", "SupernodeResult", "deinit", "feed_data", "host",
           "host_super", "init", "join", "stop"]

_sessions: List[Session] = []  # none, or the one that init() began


def _session() -> Session:
    if not _sessions:
        raise NotRunning("call chaincast.init() first")
    return _sessions[0]


def init(executable: Union[str, "os.PathLike[str]"] = "chaincast", address: Optional[str] = None,
         token_file: Optional[str] = None, options: Sequence[str] = (),
         timeout: float = 30.0) -> None:
    """Starts the executable, waits until its /ping says 200, and opens one UDP socket.

    executable: its path, or a name that PATH has. address: IP:PORT of the interface; by default
    127.0.0.1 and a free port. token_file: made by `chaincast keygen token FILE`; needed where the
    address is not a loopback one. options: more words of its command line, as
    ["--rest-address", "192.0.2.1"]. timeout: seconds until it has to answer.
    """
    if _sessions:
        raise ChaincastError("init() was called already: call deinit() first, or use Session")
    _sessions.append(Session(executable, address, token_file, options, timeout))


def deinit() -> None:
    """Closes the socket and ends the executable, with all instances. Nothing where none runs."""
    while _sessions:
        _sessions.pop().close()


def host_super() -> SupernodeResult:
    """Starts a supernode: (success, instance id, TCP port). Other nodes use
    `IP:PORT` of it as a tracker."""
    return _session().host_super()


def host(trackers: Sequence[str], max_size: int) -> InstanceResult:
    """Starts a host, with a resource of its own:
    (success, instance id, TCP port, UDP port, resource id, max size).

    trackers: `IP:PORT` of nodes of the network; none: it is the first of one. max_size: of an
    object, in bytes, 1 to 16 MiB; of these feed_data() sends up to 65,507.
    """
    return _session().host(trackers, max_size)


def join(trackers: Sequence[str], resource_id: str, callback: Callback) -> InstanceResult:
    """Starts a member of a resource's subnetwork; the same six values as host(). Success means that
    it is in, and knows the origin's stream if there is one: what is fed from then on reaches it.

    trackers: `IP:PORT` of nodes of the network, one at least.
    callback: called with the bytes of each object, in order, one at a time, on a thread of this
    member's. While it works, objects wait in the instance (12 MiB); then the oldest are given up,
    unless the stream keeps them. What it raises is logged (`logging`, "chaincast").
    """
    return _session().join(trackers, resource_id, callback)


def stop(instance_id: str, timeout: float = 30.0) -> bool:
    """Ends an instance, a host after it has taken all that was fed. True if it was there."""
    return _session().stop(instance_id, timeout)


def feed_data(instance_id: str, data: bytes, timeout: float = 30.0) -> None:
    """Sends one object to a host's stream: 1 to 65,507 bytes, and not more than its max size.

    Returns once it is on its way, which waits while the stream has no room. Raises Stalled where
    nothing moved for `timeout` seconds, and Refused where the instance refused an object sent
    before; the object of that call was not sent then.
    """
    _session().feed_data(instance_id, data, timeout)
