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
_FRESH, _FRESH_AT_LAST = 0.2, 0.02
"""A cohort is learnt anew once so large a part of it came since: of a first word, of a last."""
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
        self._arrived: dict[str, int] = {}
        """How many runs had come when a run did."""
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
        self._arrived[row.run_id] = self._came
        if len(self._places) > MOST:
            _, gone = self._places.pop(0)
            del self._rows[gone], self._arrived[gone]

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

    def cohorts(self, rows: Sequence[Row], *, last: bool = False) -> Iterator[tuple[Cohort, list[Row]]]:
        """The rows, in order of time, in groups that share a cohort; for a last word one that lacks hardly anybody."""
        fresh = _FRESH_AT_LAST if last else _FRESH
        group: list[Row] = []
        start = 0
        for row in sorted(rows, key=lambda each: each.started_at):
            place = bisect_left(self._places, (row.started_at, row.run_id))
            if group and place - start > _APART:
                yield self._around(group, fresh), group
                group = []
            if not group:
                start = place
            group.append(row)
        if group:
            yield self._around(group, fresh), group

    def _around(self, group: Sequence[Row], fresh: float) -> Cohort:
        middle = group[len(group) // 2]
        moment = (middle.started_at, middle.run_id)
        place = bisect_left(self._places, moment)

        def apart(learnt: _Learnt) -> int:
            return abs(place - bisect_left(self._places, learnt.moment))

        nearest = sorted(self._cohorts, key=apart)
        for each in nearest:
            missing = self._missing(each)
            # Between a cohort and the newest run is nobody but those that came since.
            if missing <= fresh * len(each.cohort.rows) and apart(each) - missing <= _APART:
                self._keep(each)
                return each.cohort
        near = [self._rows[run_id] for _, run_id in self._window(moment)]
        known = {row.run_id for row in near}
        old = [row for row in self._old.values() if row.run_id not in known]
        rows = [*near, *old]
        # How odd a run was beside far fewer is another question than how odd it is beside these.
        like = (each.cohort for each in nearest if len(each.cohort.rows) >= (1 - fresh) * len(rows))
        cohort = Cohort(rows, next(like, None))
        self._keep(_Learnt(self._came, moment, cohort))
        return cohort

    def _window(self, moment: tuple[float, str]) -> Sequence[tuple[float, str]]:
        """The runs around one of a moment, by time."""
        place = bisect_left(self._places, moment)
        end = min(place + 1 + AFTER, bisect_right(self._places, (moment[0] + _WITHIN_S, "~")))
        return self._places[max(0, place - BEFORE) : end]

    def _missing(self, learnt: "_Learnt") -> int:
        """How many runs came since that would be in a cohort if it were learnt now."""
        return sum(self._arrived[run_id] > learnt.came for _, run_id in self._window(learnt.moment))

    def _keep(self, learnt: "_Learnt") -> None:
        others = [each for each in self._cohorts if each is not learnt]
        self._cohorts = [*others[-_KEPT + 1 :], learnt]


@dataclass(frozen=True, slots=True)
class _Learnt:
    """A cohort, how many runs had come when it was learnt, and around which of them."""

    came: int
    moment: tuple[float, str]
    cohort: Cohort
