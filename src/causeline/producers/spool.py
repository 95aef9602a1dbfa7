"""Where events go that the buffer has no room for: one seam, which refuses everything as long as no spool is set."""

from typing import Protocol


class Spool(Protocol):
    """Keeps events for later. Called on the application's path, under the emitter's lock: no I/O there."""

    def put(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Keep one encoded event; False when it cannot, and the event is dropped and counted."""


class NoSpool:
    """Keeps nothing: what finds the buffer full is dropped."""

    def put(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Refuse."""
        return False
