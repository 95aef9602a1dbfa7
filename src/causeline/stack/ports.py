"""TCP ports on the loopback address: which are free, and a free one to take."""

import random
import socket
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault

LOOPBACK = "127.0.0.1"
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 20_000
_TRIED = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now; one in TIME_WAIT counts as free, as it does for servers."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports(count: int, *, but: Iterable[int] = ()) -> list[int]:
    """`count` different ports that are free now and not among `but`.

    None of them is one that the system gives to outgoing connections, where it tells which those are: such a port is
    gone as soon as anybody connects anywhere, perhaps before a service listens on it.
    """
    taken = set(but)
    found: list[int] = []
    held: list[socket.socket] = []
    candidates = _candidates()
    try:
        while len(found) < count:
            holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(holder)  # held open, so that the same port is not found twice
            try:
                holder.bind((LOOPBACK, next(candidates)))
            except OSError:
                continue
            port: int = holder.getsockname()[1]
            if port not in taken:
                found.append(port)
    finally:
        for holder in held:
            holder.close()
    return found


def _candidates() -> Iterator[int]:
    """Ports below those of outgoing connections in no order; then whatever the system gives."""
    try:
        first = int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = _LOWEST
    below = range(_LOWEST, max(first, _LOWEST))
    yield from random.sample(below, min(len(below), _TRIED))
    yield from repeat(0)


def require_free(port: int, service: str) -> int:
    """`port`, or `EnvironmentFault` when something else listens there."""
    if not is_free(port):
        raise EnvironmentFault(
            f"Port {port} for {service} is in use.", hint="Choose another port, or 0 for a free one."
        )
    return port
