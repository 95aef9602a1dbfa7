"""TCP ports on the loopback address: which are free, and a free one to take."""

import socket
from collections.abc import Iterable

from causeline.schemas.errors import EnvironmentFault

LOOPBACK = "127.0.0.1"


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
    """`count` different ports that are free now and not among `but`."""
    taken = set(but)
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        while len(found) < count:
            holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(holder)  # held open, so that the kernel does not offer the same port twice
            holder.bind((LOOPBACK, 0))
            port: int = holder.getsockname()[1]
            if port not in taken:
                found.append(port)
    finally:
        for holder in held:
            holder.close()
    return found


def require_free(port: int, service: str) -> int:
    """`port`, or `EnvironmentFault` when something else listens there."""
    if not is_free(port):
        raise EnvironmentFault(
            f"Port {port} for {service} is in use.", hint="Choose another port, or 0 for a free one."
        )
    return port
