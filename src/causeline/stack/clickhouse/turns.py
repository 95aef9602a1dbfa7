"""Turns: so many statements at a time, so many waiting, and a refusal that clients understand for the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.errors import EngineError


class Turns:
    """At most `running` holders; `waiting` more queue for up to `timeout_s` seconds."""

    def __init__(self, running: int, waiting: int, timeout_s: float) -> None:
        self._free = asyncio.Semaphore(running)
        self._running, self._waiting, self._timeout_s = running, waiting, timeout_s
        self._queued = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a turn and holds it. Raises EngineError, which is answered 503, when there is none to be had."""
        if self._free.locked() and self._queued >= self._waiting:
            raise self._refusal()
        self._queued += 1
        try:
            await asyncio.wait_for(self._free.acquire(), self._timeout_s)
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._queued -= 1
        try:
            yield
        finally:
            self._free.release()

    def _refusal(self) -> EngineError:
        return EngineError(
            errors.TOO_MANY_SIMULTANEOUS_QUERIES,
            "TOO_MANY_SIMULTANEOUS_QUERIES",
            f"Too many simultaneous queries: {self._running} run and {self._queued} wait; try again later.",
        )
