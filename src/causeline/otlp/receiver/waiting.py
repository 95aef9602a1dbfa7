"""Which events each request still waits for: a request is answered when the broker has them all."""

import asyncio
import threading
from collections.abc import Collection, Sequence


class Awaited:
    """The events of requests under way, by id. `delivered` is called from the emitter's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Waiter]] = {}

    def expect(self, event_ids: Collection[str]) -> "Waiter":
        """Begin to wait for these events, before they are emitted; on the request's event loop."""
        waiter = Waiter(set(event_ids), asyncio.get_running_loop())
        with self._lock:
            for event_id in waiter.left:
                self._waiting.setdefault(event_id, []).append(waiter)
        return waiter

    def give_up(self, waiter: "Waiter") -> None:
        """Stop waiting."""
        with self._lock:
            for event_id in waiter.left:
                self._forget(event_id, waiter)

    def delivered(self, event_ids: Sequence[str]) -> None:
        """The broker has these events."""
        with self._lock:
            for event_id in event_ids:
                for waiter in self._waiting.pop(event_id, ()):
                    waiter.left.discard(event_id)
                    if not waiter.left:
                        waiter.finish()

    def _forget(self, event_id: str, waiter: "Waiter") -> None:
        others = [each for each in self._waiting.get(event_id, ()) if each is not waiter]
        if others:
            self._waiting[event_id] = others
        else:
            self._waiting.pop(event_id, None)


class Waiter:
    """One request's events that are not delivered yet."""

    def __init__(self, left: set[str], loop: asyncio.AbstractEventLoop) -> None:
        self.left = left
        self._loop = loop
        self._done = asyncio.Event()
        if not left:
            self._done.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether all were delivered in time."""
        try:
            await asyncio.wait_for(self._done.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def finish(self) -> None:
        """All are delivered; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._done.set)
