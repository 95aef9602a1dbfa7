"""Connections that live on under a `session_id`, one request at a time, until nobody has asked for their time-out."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.engine import Connection, quoted
from causeline.stack.clickhouse.errors import EngineError

MAX_SESSIONS: Final = 512


@dataclass
class _Session:
    connection: Connection
    expires_at: float
    is_busy: bool = True


class Sessions:
    """The sessions of all users. `clock` counts seconds; `open_connection` makes a session's connection."""

    def __init__(self, open_connection: Callable[[], Connection], clock: Callable[[], float]) -> None:
        self._open_connection, self._clock = open_connection, clock
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def use(self, user: str, session_id: str, *, timeout_s: float, must_exist: bool) -> Iterator[Connection]:
        """The session's connection, for this request alone. Raises EngineError when another one has it."""
        session = self._take((user, session_id), must_exist=must_exist)
        try:
            yield session.connection
        finally:
            with self._lock:
                session.is_busy = False
                session.expires_at = self._clock() + timeout_s

    def forget(self, user: str, session_id: str) -> None:
        """Ends a session that is not in use."""
        with self._lock:
            session = self._sessions.get((user, session_id))
            if session and not session.is_busy:
                del self._sessions[user, session_id]
                session.connection.raw.close()

    def sweep(self) -> None:
        """Closes the sessions whose time is over."""
        with self._lock:
            self._sweep()

    def close(self) -> None:
        """Closes all sessions."""
        with self._lock:
            while self._sessions:
                self._sessions.popitem()[1].connection.raw.close()

    def __len__(self) -> int:
        return len(self._sessions)

    def _take(self, key: tuple[str, str], *, must_exist: bool) -> _Session:
        with self._lock:
            self._sweep()
            session = self._sessions.get(key)
            if session is None:
                if must_exist:
                    raise EngineError(errors.SESSION_NOT_FOUND, "SESSION_NOT_FOUND", "Session not found.")
                self._make_room()
                session = _Session(self._open_connection(), self._clock())
                self._sessions[key] = session
            elif session.is_busy:
                raise EngineError(
                    errors.SESSION_IS_LOCKED, "SESSION_IS_LOCKED", f"Session {key[1]} is locked by a concurrent client."
                )
            session.is_busy = True
            return session

    def _sweep(self) -> None:
        now = self._clock()
        for key in [
            key for key, session in self._sessions.items() if not session.is_busy and session.expires_at <= now
        ]:
            self._sessions.pop(key).connection.raw.close()

    def _make_room(self) -> None:
        """Drops the idle session that would expire first when there are too many."""
        idle = [(session.expires_at, key) for key, session in self._sessions.items() if not session.is_busy]
        if len(self._sessions) >= MAX_SESSIONS and idle:
            self._sessions.pop(min(idle)[1]).connection.raw.close()


@contextmanager
def borrowed(connection: Connection, settings: dict[str, str]) -> Iterator[None]:
    """`settings` for one request on a connection that outlives it: they are as before afterwards."""
    names = ", ".join(quoted(name) for name in settings)
    question = f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})"  # noqa: S608 - quoted
    before = connection.rows(question) if names else []
    connection.apply(settings)
    try:
        yield
    finally:
        connection.apply({str(row["name"]): str(row["value"]) for row in before if row["changed"]})
        if defaults := [str(row["name"]) for row in before if not row["changed"]]:
            connection.ask("SET " + ", ".join(f"{name} = DEFAULT" for name in defaults))
