"""uvicorn over a bounded listener: whose turn a connection is at, told to the listener, and its deadlines kept.

Use: `listener = BoundedListener(...)`, bind it, `uvicorn.Config(app, http=bounded_http(listener), …)`, and serve with
`sockets=[listener]`. The application need know nothing of it.
"""

import asyncio
import logging
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from causeline.runtime.bounded_listener import BoundedListener, Connection, Phase

_SWEEP_EVERY_S: Final = 1.0
_REPRIEVE_S: Final = 5.0
log = logging.getLogger("uvicorn.error")


def bounded_http(listener: BoundedListener) -> type[asyncio.Protocol]:
    """The protocol class for `uvicorn.Config(http=…)` that keeps connections of `listener` to its bounds."""

    class Bounded(_BoundedProtocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self.listener = listener
            # Else uvicorn closes what is idle after 5 s of its own, while a proxy's next request is on its way.
            self.timeout_keep_alive = listener.bounds.idle_timeout_s  # type: ignore[assignment] # asyncio takes both

    # uvicorn says every unreadable request as a warning of its own; who asks decides how many there are.
    log.addFilter(_without_bad_requests)
    return Bounded


class _BoundedProtocol(H11Protocol):
    listener: BoundedListener
    bounded: Connection | None = None
    _is_silent = True  # no byte of the next request has come
    _is_stalled = False  # the client takes nothing of an answer
    _body_began_at = 0.0
    _body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = self.listener.connection(transport.get_extra_info("socket").fileno())
        if connection is None:  # it had to go already
            transport.abort()
            return
        self.bounded = connection
        connection.close, connection.reprieve = transport.abort, self._reprieve
        _sweep(self.loop, self.listener)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.bounded is not None:
            self.listener.forget(self.bounded)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        begins, self._is_silent = self._is_silent and self.cycle is not None, False
        super().data_received(data)
        self._body_bytes += len(data)
        self._tell(begins=begins)

    def on_response_complete(self) -> None:
        self._is_silent = True
        super().on_response_complete()
        self._tell(begins=True)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_stalled = True
        if self.bounded is not None:
            self.bounded.deadline = self.listener.now() + self.listener.bounds.send_timeout_s

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_stalled = False
        self._tell(begins=True)

    def _tell(self, *, begins: bool) -> None:
        """What the connection waits for now. `begins`: the time for a head runs anew."""
        connection = self.bounded
        if connection is None or self._is_stalled:
            return
        bounds, phase, now = self.listener.bounds, self._phase(), self.listener.now()
        if phase is Phase.ANSWERING:
            connection.deadline = None
        elif phase is Phase.RECEIVING:
            if connection.phase is not phase:
                self._body_began_at, self._body_bytes = now, 0
            slowest = bounds.body_timeout_s + self._body_bytes / bounds.body_bytes_per_s
            connection.deadline = self._body_began_at + slowest
        elif begins or connection.phase is not phase:
            connection.deadline = now + (bounds.idle_timeout_s if self._is_silent else bounds.head_timeout_s)
        if connection.phase is not phase:
            connection.phase, connection.since = phase, now

    def _phase(self) -> Phase:
        if self.cycle is None:
            return Phase.WAITING
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.RECEIVING
        return Phase.WAITING if self.cycle.response_complete else Phase.ANSWERING

    def _reprieve(self) -> float | None:
        """More time for a body that we were slow to take."""
        if not (self._phase() is Phase.RECEIVING and self.flow.read_paused):
            return None
        self._body_began_at += _REPRIEVE_S
        return self.listener.now() + _REPRIEVE_S


def _sweep(loop: asyncio.AbstractEventLoop, listener: BoundedListener) -> None:
    """Have `listener` swept every second for as long as connections are open."""
    if getattr(listener, "_swept_by", None) is loop:
        return
    setattr(listener, "_swept_by", loop)  # noqa: B010

    def again() -> None:
        if listener.sweep():
            loop.call_later(_SWEEP_EVERY_S, again)
        else:
            setattr(listener, "_swept_by", None)  # noqa: B010

    loop.call_later(_SWEEP_EVERY_S, again)


def _without_bad_requests(record: logging.LogRecord) -> bool:
    return record.msg not in {"Invalid HTTP request received.", "Unsupported upgrade request."}
