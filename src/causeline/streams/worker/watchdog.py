"""The watchdog: a thread of its own, so that it sees a blocked event loop too."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

EXIT_STALLED = 5
_LOOK_EVERY_S = 1.0


@dataclass(slots=True)
class Vitals:
    """What the event loop last said of itself. Times are seconds of a monotonic clock."""

    beat_at: float
    """When the loop last turned."""
    moved_at: float
    """When a message was last taken in, or there was none to take in."""
    oldest_unacknowledged_at: float | None = None
    """When the message arrived that all acknowledgements wait for."""
    hold_s: float = float("inf")
    """The longest that a message may be held by right."""


def verdict(vitals: Vitals, now: float, *, stall_s: float) -> str | None:
    """Why the worker must end, or None."""
    if now - vitals.beat_at > stall_s:
        return f"the event loop has been blocked for {now - vitals.beat_at:.0f} s"
    if now - vitals.moved_at > stall_s:
        return f"messages are waiting, and none was taken in for {now - vitals.moved_at:.0f} s"
    oldest = vitals.oldest_unacknowledged_at
    if oldest is not None and now - oldest > vitals.hold_s:
        return f"a message has not been acknowledged for {now - oldest:.0f} s"
    return None


class Watchdog:
    """Ends the process when the worker no longer moves: a restart reads on from what is committed."""

    def __init__(
        self,
        vitals: Vitals,
        *,
        stall_s: float,
        end: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vitals = vitals
        self._stall_s = stall_s
        self._end = end
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="causeline-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching: the worker ends by itself."""
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        """Look once, and end the process if it must."""
        reason = verdict(self._vitals, self._clock(), stall_s=self._stall_s)
        if reason is not None:
            log.critical("the worker is stuck and ends itself: %s", reason)
            self._end(EXIT_STALLED)

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            self.look()
