"""The done-map: which runs of a partition were published, and up to which offset their events were counted.

The committed offset may pass the first message of a published run while a later one is held by another run. After a
restart only the later one is read again; without the map it would open a run that never completes, and hold its
messages for good. The map is made again from the runs topic, see `rebuild`.

Decided in ADR 10.
"""

import heapq
from enum import StrEnum


class PublishedState(StrEnum):
    """What an event of a run is, by what was published of that run."""

    COUNTED = "counted"  # it is in the published run: skip it
    LATE = "late"  # the run was published without it
    UNKNOWN = "unknown"  # nothing was published of the run, as far as the map reaches


class DoneMap:
    """Published runs of one partition whose last counted offset is not acknowledged yet."""

    def __init__(self, last_offsets: dict[str, int] | None = None, reach: int = -1) -> None:
        self._last: dict[str, int] = {}
        self._by_last: list[tuple[int, str]] = []
        self.reach = reach
        """No run published so far was counted beyond this offset."""
        for run_id, last_offset in (last_offsets or {}).items():
            self.record(run_id, last_offset)

    def __len__(self) -> int:
        return len(self._last)

    def record(self, run_id: str, last_offset: int) -> None:
        """A run was published, with its events up to `last_offset`."""
        self.reach = max(self.reach, last_offset)
        if self._last.get(run_id, -1) < last_offset:
            self._last[run_id] = last_offset
            heapq.heappush(self._by_last, (last_offset, run_id))

    def standing(self, run_id: str, offset: int) -> PublishedState:
        """What an event of the run at `offset` is."""
        last = self._last.get(run_id)
        if last is None:
            return PublishedState.UNKNOWN
        return PublishedState.COUNTED if offset <= last else PublishedState.LATE

    def forget_below(self, offset: int) -> None:
        """Nothing before `offset` will be read again: runs that end before it need no place."""
        while self._by_last and self._by_last[0][0] < offset:
            last, run_id = heapq.heappop(self._by_last)
            if self._last.get(run_id) == last:
                del self._last[run_id]
