"""The neighbours of one workflow in memory: its runs by time, bounded, and the cohorts that runs are held against.

A cohort is used again while little has come: learning what is usual costs far more than asking it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence

from causeline.console.neighbours import AFTER, BEFORE, WITHIN
from causeline.diagnosis import Cohort
from causeline.diagnosis.traits import Row

MOST = 2 * (BEFORE + AFTER)
"""Runs that are kept of a workflow, beside those of farther back."""
_APART = 40
"""Runs that are no farther from each other than this share a cohort."""
_FRESH = 0.2
"""A cohort is learnt anew once so large a part of it came since."""
_WITHIN_S = WITHIN.total_seconds()


class Neighbourhood:
    """The runs of a workflow. `read_us` is when those of farther back were read; None while they were not."""

    def __init__(self) -> None:
        self.read_us: int | None = None
        self._places: list[tuple[float, str]] = []
        self._rows: dict[str, Row] = {}
        self._old: dict[str, Row] = {}
        self._came = 0
        self._cohort: tuple[int, int, Cohort] | None = None

    def __len__(self) -> int:
        return len(self._rows) + len(self._old)

    def add(self, row: Row) -> None:
        """A run, in place of what was known of it."""
        known = self._rows.get(row.run_id)
        if known is not None:
            del self._places[bisect_left(self._places, (known.started_at, row.run_id))]
        self._rows[row.run_id] = row
        insort(self._places, (row.started_at, row.run_id))
        self._came += 1
        if len(self._places) > MOST:
            _, gone = self._places.pop(0)
            del self._rows[gone]

    def know(self, rows: Iterable[Row], now_us: int) -> None:
        """What the store has around a moment: the nearest fill what is not known, the rest is of farther back."""
        ordered = sorted(rows, key=lambda row: row.started_at)
        self._old = {row.run_id: row for row in ordered[: -(BEFORE + AFTER)]}
        for row in ordered[-(BEFORE + AFTER) :]:
            if row.run_id not in self._rows:
                self.add(row)
        self.read_us = now_us
        self._cohort = None

    def after(self, at: float) -> int:
        """How many runs within the hour after a moment are known, as far as they count."""
        first = bisect_right(self._places, (at, "~"))
        return min(AFTER, bisect_right(self._places, (at + _WITHIN_S, "~")) - first)

    def cohorts(self, rows: Sequence[Row]) -> Iterator[tuple[Cohort, list[Row]]]:
        """The rows, in order of time, in groups that share a cohort."""
        group: list[Row] = []
        start = 0
        for row in sorted(rows, key=lambda each: each.started_at):
            place = bisect_left(self._places, (row.started_at, row.run_id))
            if group and place - start > _APART:
                yield self._around(group), group
                group = []
            if not group:
                start = place
            group.append(row)
        if group:
            yield self._around(group), group

    def _around(self, group: Sequence[Row]) -> Cohort:
        middle = group[len(group) // 2]
        place = bisect_left(self._places, (middle.started_at, middle.run_id))
        before: Cohort | None = None
        if self._cohort is not None:
            came, at, before = self._cohort
            if self._came - came <= _FRESH * len(before.rows) and abs(place - at) <= _APART:
                return before
        end = min(place + 1 + AFTER, bisect_right(self._places, (middle.started_at + _WITHIN_S, "~")))
        near = [self._rows[run_id] for _, run_id in self._places[max(0, place - BEFORE) : end]]
        known = {row.run_id for row in near}
        old = [row for row in self._old.values() if row.run_id not in known]
        cohort = Cohort([*near, *old], before)
        self._cohort = (self._came, place, cohort)
        return cohort
