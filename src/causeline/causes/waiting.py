"""Which runs wait for their last word, and when it is due. No I/O.

A run's first word is told as soon as it closes, when few of the runs after it are known. It is told once more when
enough runs came after it, or after an hour; sooner where it would be forgotten, or where too many wait.
"""

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from causeline.console.neighbours import AFTER, WITHIN
from causeline.diagnosis import DriftAlert

_WITHIN_US = round(WITHIN.total_seconds() * 1e6)
_GIVEN_UP_US = 3_600_000_000
"""A run that is not in the store so long after its last word is due was erased, or will never come."""
_AGAIN_US = 5_000_000
_CROWDED = 0.9
"""Of the runs that may wait; past it those that waited longest are told."""


@dataclass(slots=True)
class Unsettled:
    """A run with a first word."""

    run_id: str
    workflow: str
    partition: int
    started_us: int
    revision: int
    due_us: int
    """When it is due at the latest."""
    not_before_us: int
    word: "Word | None" = None
    """Its first word, where nothing spoke against it; else it is read from the store again."""
    is_missed: bool = False
    """Whether the store did not have it when it was due."""

    def is_due(self, now_us: int, after: int) -> bool:
        """Whether its last word can be told, with so many runs known after it."""
        return now_us >= self.not_before_us and (now_us >= self.due_us or after >= AFTER)

    def is_put_off(self, now_us: int) -> bool:
        """Whether the store did not have it a moment ago."""
        return self.is_missed and now_us < self.not_before_us

    def is_given_up(self, now_us: int) -> bool:
        """Whether it need not be waited for any more."""
        return now_us >= self.due_us + _GIVEN_UP_US


@dataclass(frozen=True, slots=True)
class Word:
    """What was told of a run that nothing spoke against, and the alerts of its workflow that were known then."""

    packed: bytes
    alerts: Sequence[DriftAlert] | None

    @classmethod
    def of(cls, value: bytes, alerts: Sequence[DriftAlert] | None) -> Self:
        """As it was published; it is packed, since of thousands of runs it is kept."""
        return cls(zlib.compress(value, 1), alerts)

    @property
    def value(self) -> bytes:
        """As it was published."""
        return zlib.decompress(self.packed)


class Waiting:
    """The runs that wait, at most so many; `settle_us` is the least time between two words."""

    def __init__(self, settle_us: int, most: int) -> None:
        self._settle_us = settle_us
        self._most = most
        self._runs: dict[str, Unsettled] = {}
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def want(
        self,
        run_id: str,
        *,
        workflow: str,
        partition: int,
        started_us: int,
        revision: int,
        now_us: int,
        word: Word | None = None,
    ) -> None:
        """A run had its first word; whatever waited of it before is over."""
        self._runs.pop(run_id, None)
        earliest = now_us + self._settle_us
        due = max(started_us + _WITHIN_US, earliest) if started_us <= now_us else earliest
        self._runs[run_id] = Unsettled(run_id, workflow, partition, started_us, revision, due, earliest, word)
        while len(self._runs) > self._most:
            del self._runs[next(iter(self._runs))]
            self.given_up += 1

    @property
    def too_many(self) -> int:
        """So many of those that waited longest are to be told now, so that none loses its last word."""
        return len(self._runs) - int(_CROWDED * self._most)

    def settled(self, run_id: str) -> None:
        """A run has had its last word."""
        self._runs.pop(run_id, None)

    def later(self, run: Unsettled, now_us: int) -> None:
        """The store does not have it yet."""
        run.not_before_us, run.is_missed = now_us + _AGAIN_US, True

    def each(self) -> Iterator[Unsettled]:
        """All that wait, those that waited longest first; it may be changed meanwhile."""
        yield from list(self._runs.values())

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what waits of `partitions`: another member reads them."""
        self._runs = {run_id: run for run_id, run in self._runs.items() if run.partition not in partitions}
