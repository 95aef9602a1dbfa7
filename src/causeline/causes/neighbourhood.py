"""The neighbours of one workflow in memory: its runs by time, bounded, and the cohorts that runs are held against.

A cohort is used again while little has come: learning what is usual costs far more than asking it. Runs are held
against those before them when they close, and against those after them too when they have their last word: so several
cohorts are kept.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from causeline.console.neighbours import AFTER, BEFORE, WITHIN
from causeline.diagnosis import Cohort
from causeline.diagnosis.traits import Row

MOST = 2 * (BEFORE + AFTER)
"""Runs that are kept of a workflow, beside those of farther back."""
_APART = 40
"""Runs that are no farther from each other than this share a cohort."""
_FRESH = 0.2
"""A cohort is learnt anew once so large a part of it came since."""
_KEPT = 3
"""So many cohorts of a workflow are kept."""
_WITHIN_S = WITHIN.total_seconds()


class Neighbourhood:
    """The runs of a workflow. `read_us` is when those of farther back were read; None while they were not."""

    def __init__(self) -> None:
        self.read_us: int | None = None
        self._places: list[tuple[float, str]] = []
        self._rows: dict[str, Row] = {}
        self._old: dict[str, Row] = {}
        self._came = 0
        self._cohorts: list[_Learnt] = []
        """Those that were learnt, the one asked last at the end."""

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
        self._cohorts = []

    def after(self, at: float) -> int:
        """How many runs within the hour after a moment are known, as far as they count."""
        first = bisect_right(self._places, (at, "~"))
        return min(AFTER, bisect_right(self._places, (at + _WITHIN_S, "~")) - first)

    def row(self, run_id: str) -> Row | None:
        """What is known of a run; None where it was forgotten, or never known."""
        return self._rows.get(run_id)

    def is_leaving(self, at: float) -> bool:
        """Whether a run of that moment is soon forgotten: those before it are as few as it is held against."""
        return len(self._places) >= MOST and self._places[BEFORE][0] >= at

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
        moment = (middle.started_at, middle.run_id)
        place = bisect_left(self._places, moment)
        apart = {n: abs(place - bisect_left(self._places, each.moment)) for n, each in enumerate(self._cohorts)}
        nearest = min(apart, key=apart.__getitem__, default=None)
        before = self._cohorts.pop(nearest) if nearest is not None else None
        if before is not None:
            self._cohorts.append(before)
            is_fresh = self._came - before.came <= _FRESH * len(before.cohort.rows)
            if is_fresh and apart[nearest or 0] <= _APART:
                return before.cohort
        end = min(place + 1 + AFTER, bisect_right(self._places, (middle.started_at + _WITHIN_S, "~")))
        near = [self._rows[run_id] for _, run_id in self._places[max(0, place - BEFORE) : end]]
        known = {row.run_id for row in near}
        old = [row for row in self._old.values() if row.run_id not in known]
        cohort = Cohort([*near, *old], before.cohort if before is not None else None)
        self._cohorts = [*self._cohorts[-_KEPT + 1 :], _Learnt(self._came, moment, cohort)]
        return cohort


@dataclass(frozen=True, slots=True)
class _Learnt:
    """A cohort, how many runs had come when it was learnt, and around which of them."""

    came: int
    moment: tuple[float, str]
    cohort: Cohort
