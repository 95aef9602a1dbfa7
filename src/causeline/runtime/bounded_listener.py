"""A listening socket that bounds the connections it has accepted: how many, from whom, and how long each may be silent.

Takes an address, gives a socket for asyncio's servers and for `socketserver`; the receiver, the console, the embedded
ClickHouse and the health port listen by it. What a connection is doing is told by whoever serves it (`bounded_http`).

1. A connection has a deadline as long as it is the client's turn. Bytes that trickle do not move it.
2. At a bound, room is made by closing the connection that has waited longest for its client, first of the peer that
   holds most of them; only when all are being answered is the new one closed.
3. Out of file descriptors, the queue is emptied and a waiting connection closed; that is said once a minute.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SAY_AGAIN_AFTER_S: Final = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the clients of one address may hold, in seconds, bytes a second and connections."""

    head_timeout_s: float = 10.0
    """From the connection, or the first byte of a request, to the end of its head; a TLS handshake included."""
    body_timeout_s: float = 30.0
    """From there to the body's end; a longer body has more, by `body_bytes_per_s`."""
    body_bytes_per_s: int = 1024
    """A body that comes slower than this on average, once `body_timeout_s` is over, is given up."""
    idle_timeout_s: float = 15.0
    """From an answer to the next request on the same connection."""
    send_timeout_s: float = 60.0
    """How long a client may take none of an answer that waits for it."""
    connections: int = 512
    """At the same time."""
    connections_per_peer: int = 256
    """At the same time from one address, of IPv6 from one network of 64 bits."""


class Phase(IntEnum):
    """Whose turn it is; of smaller ones room is made first."""

    WAITING = 0  # for a handshake, a head, the next request
    RECEIVING = 1  # a body
    ANSWERING = 2  # ours: it is never closed to make room


@dataclass(eq=False, slots=True)
class Connection:
    """One accepted connection. `deadline` is on the listener's clock; None is none."""

    socket: socket.socket
    peer: str
    deadline: float | None
    phase: Phase = Phase.WAITING
    since: float = 0.0
    close: Callable[[], object] | None = None
    """What ends it in order, where its server has one; the socket is shut down else."""
    reprieve: Callable[[], float | None] | None = None
    """Asked at the deadline: another one, where it was not the client that was slow."""

    def end(self) -> None:
        """Close it, from whichever thread that may."""
        if self.close is not None:
            self.close()
            return
        with contextlib.suppress(OSError):  # it is closed already
            self.socket.shutdown(socket.SHUT_RDWR)


class BoundedListener(socket.socket):
    """A TCP listener whose `accept` keeps to `bounds`.

    `sweep` is to be called about once a second by whoever serves; it closes what is past its deadline.
    """

    def __init__(
        self,
        family: int = socket.AF_INET,
        bounds: Bounds | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        # asyncio turns Nagle's algorithm off only where the protocol is named; with it, each answer waits 40 ms.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.bounds = bounds or Bounds()
        self.now = now
        self._open: dict[int, Connection] = {}  # by file descriptor
        self._lock = threading.Lock()  # `socketserver` closes connections from the threads that serve them
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._said_at: float | None = None

    def accept(self) -> tuple[socket.socket, object]:
        """The next connection that there is room for. Raises BlockingIOError when one came and had to go again."""
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._turn_away(error)
            raise BlockingIOError(errno.EAGAIN, "one connection was turned away") from error
        peer = _peer(address)
        now = self.now()
        with self._lock:
            surplus = self._surplus(peer)
            if surplus is None:
                accepted.close()
            else:
                deadline = now + self.bounds.head_timeout_s
                self._open[accepted.fileno()] = Connection(accepted, peer, deadline, since=now)
        if surplus is None:
            self._say("Every connection to %s is being answered; one more was closed.", self._name())
            raise BlockingIOError(errno.EAGAIN, "one connection was turned away")
        for connection in surplus:
            connection.end()
        return accepted, address

    def connection(self, fileno: int) -> Connection | None:
        """What is known of an accepted connection; None once it was forgotten."""
        return self._open.get(fileno)

    def forget(self, connection: Connection) -> None:
        """The connection is closed."""
        with self._lock:
            for fileno, known in list(self._open.items()):
                if known is connection:
                    del self._open[fileno]

    def sweep(self) -> int:
        """Close what is past its deadline; how many are open then."""
        now = self.now()
        with self._lock:
            self._forget_closed()
            late = [one for one in self._open.values() if one.deadline is not None and one.deadline <= now]
        for connection in late:
            connection.deadline = connection.reprieve() if connection.reprieve else None
            if connection.deadline is None:
                connection.end()
        return len(self._open)

    def close(self) -> None:
        """Close the listener; accepted connections stay."""
        super().close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _surplus(self, peer: str) -> list[Connection] | None:
        """What must end so that one more of `peer` may come: nothing, one connection, or None: there is no room."""
        bounds = self.bounds
        if len(self._open) < min(bounds.connections, bounds.connections_per_peer):
            return []
        self._forget_closed()
        by_peer = Counter(one.peer for one in self._open.values())
        if by_peer[peer] >= bounds.connections_per_peer:
            candidates = [one for one in self._open.values() if one.peer == peer]
        elif len(self._open) >= bounds.connections:
            candidates = list(self._open.values())
        else:
            return []
        longest = self._longest_waiting(candidates)
        return None if longest is None else [longest]

    def _longest_waiting(self, candidates: list[Connection]) -> Connection | None:
        """The one to close; forgotten here, so that it is not chosen twice."""
        idle = [one for one in candidates if one.phase is not Phase.ANSWERING]
        if not idle:
            return None
        held = Counter(one.peer for one in idle)
        chosen = min(idle, key=lambda one: (one.phase, -held[one.peer], one.since))
        for fileno, one in list(self._open.items()):
            if one is chosen:
                del self._open[fileno]
        return chosen

    def _forget_closed(self) -> None:
        for fileno, connection in list(self._open.items()):
            if connection.socket.fileno() != fileno:
                del self._open[fileno]

    def _turn_away(self, error: OSError) -> None:
        """Take one connection from the queue with the spare descriptor, close it, and make room for the next."""
        self._say("No connection to %s can be taken (%s): waiting ones are closed.", self._name(), error.strerror)
        with self._lock:
            longest = self._longest_waiting(list(self._open.values()))
            os.close(self._spare)
            with contextlib.suppress(OSError):  # nobody waits any more, or another thread was faster
                super().accept()[0].close()
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if longest is not None:
            longest.end()

    def _name(self) -> str:
        host, port = self.getsockname()[:2]
        return f"{host}:{port}"

    def _say(self, sentence: str, *values: object) -> None:
        now = self.now()
        if self._said_at is None or now - self._said_at >= _SAY_AGAIN_AFTER_S:
            self._said_at = now
            log.warning(sentence, *values)


def listen(host: str, port: int, bounds: Bounds | None = None) -> BoundedListener:
    """A bound listener; port 0 takes a free one. Raises OSError when the address cannot be had."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = BoundedListener(family, bounds)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _peer(address: object) -> str:
    host = str(address[0]) if isinstance(address, tuple) else ""
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))
