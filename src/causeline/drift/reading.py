"""What the roll-ups say of windows: how many runs, and the counts of each dimension, for any length of window."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from causeline.console.store import Store
from causeline.drift.counts import ANCHORS, Combination, Counts, combination
from causeline.drift.lifecycle import Span
from causeline.drift.store import RowStore
from causeline.drift.windows import Length, Window
from causeline.schemas.tables import ROLLUP_SUMS_TABLE, ROLLUPS_TABLE

_WINDOWS_AT_ONCE = 64

_HEADS = """
SELECT
    toStartOfInterval(window_start, toIntervalSecond({length:UInt32})) AS start,
    sum(runs) AS all_runs,
    groupBitXor(cityHash64(window_start, fingerprint)) AS seen
FROM rollup_rows FINAL
WHERE workflow = {workflow:String}
    AND window_start >= {since:DateTime('UTC')} AND window_start < {until:DateTime('UTC')} AND runs > 0
GROUP BY start
ORDER BY start
"""
_SUMMED = """
SELECT window_start, seen FROM rollup_sum_rows FINAL
WHERE workflow = {workflow:String} AND length = {length:String}
    AND window_start >= {since:DateTime('UTC')} AND window_start < {until:DateTime('UTC')}
"""
_ROWS = """
SELECT window_start, {seen} AS counted_from, cells FROM {table} FINAL
WHERE workflow = {{workflow:String}} AND {{length:String}} = {length}
    AND window_start >= {{since:DateTime('UTC')}} AND window_start < {{until:DateTime('UTC')}}
"""
_CELLS = """
SELECT
    toDateTime(toStartOfInterval(window_start, toIntervalSecond({length:UInt32})), 'UTC') AS start,
    cell.1 AS dimension,
    cell.2 AS value,
    cell.3 AS combination,
    sum(cell.4) AS runs
FROM rollup_rows FINAL
ARRAY JOIN cells AS cell
WHERE workflow = {workflow:String}
    AND window_start >= {since:DateTime('UTC')} AND window_start < {until:DateTime('UTC')}
    AND ({release:String} = '' OR cell.3[{place:UInt8}] = {release:String})
GROUP BY start, dimension, value, combination
"""

Dimensions = Mapping[str, Counts]


@dataclass(frozen=True, slots=True)
class Head:
    """A window with runs, before its counts are read."""

    window: Window
    runs: int
    seen: int
    """Another one means that the window's roll-ups are others."""


def heads(store: Store, workflow: str, length: Length, since: datetime, until: datetime) -> tuple[Head, ...]:
    """The whole windows with runs of a span, by time."""
    rows = store.ask(_HEADS, {"workflow": workflow, "length": _seconds(length), "since": since, "until": until})
    found = (
        Head(Window(as_moment(row["start"]), length), as_int(row["all_runs"]), as_int(row["seen"])) for row in rows
    )
    return tuple(head for head in found if head.window.end <= until)


def sum_up(store: RowStore, workflow: str, length: Length, there: Sequence[Head]) -> int:
    """Sum the five minutes of hours or days that are others than they were; gives the number of windows."""
    if length is Length.FIVE_MINUTES or not there:
        return 0
    span = Span(there[0].window.start, there[-1].window.end)
    asked = {"workflow": workflow, "length": length.value, "since": span.start, "until": span.end}
    known = {as_moment(row["window_start"]): as_int(row["seen"]) for row in store.ask(_SUMMED, asked)}
    stale = [head for head in there if known.get(head.window.start) != head.seen]
    for at in range(0, len(stale), _WINDOWS_AT_ONCE):
        some = stale[at : at + _WINDOWS_AT_ONCE]
        cells = _read_cells(store, workflow, _seconds(length), Span(some[0].window.start, some[-1].window.end))
        rows = [
            {
                "workflow": workflow,
                "length": length.value,
                "window_start": f"{head.window.start:%Y-%m-%d %H:%M:%S}",
                "seen": head.seen,
                "cells": cells_of(cells.get(head.window.start, {})),
            }
            for head in some
        ]
        store.put_rows(ROLLUP_SUMS_TABLE, rows)
    return len(stale)


def cells_of(dimensions: Dimensions) -> list[Mapping[str, object]]:
    """Counts as the cells of a stored row."""
    return [
        {"dimension": dimension, "value": value, "anchors": mine, "runs": runs}
        for dimension, counts in sorted(dimensions.items())
        for (mine, value), runs in sorted(counts.cells.items())
    ]


@dataclass(frozen=True, slots=True)
class _Summed:
    """The counts of a window, and what its roll-ups were when they were summed; None while they were not."""

    seen: int | None
    counts: Dimensions


class WindowCounts:
    """The counts of a workflow's windows of one length, summed up before, read many at a time and kept.

    Another watch may count meanwhile: what was read may be older or newer than a window's `Head`, and says so.
    """

    def __init__(self, store: Store, workflow: str, length: Length) -> None:
        self._store, self._workflow, self._length = store, workflow, length
        self._known: dict[datetime, _Summed] = {}

    def of(self, window: Window) -> Dimensions:
        """The counts of one window, by dimension; empty without runs."""
        return self._summed(window).counts

    def seen(self, window: Window) -> int | None:
        """What the window's roll-ups were when these counts were summed; None while nobody summed them."""
        return self._summed(window).seen

    def _summed(self, window: Window) -> _Summed:
        if window.start not in self._known:
            self._read(window)
        return self._known[window.start]

    def sum(self, windows: Iterable[Window]) -> Dimensions:
        """The counts of several, together."""
        total: dict[str, Counts] = {}
        for window in windows:
            for dimension, counts in self.of(window).items():
                total[dimension] = total.get(dimension, Counts()) + counts
        return total

    def within(self, span: Span) -> Dimensions:
        """The counts of every window in a span that is a multiple of theirs."""
        windows, window = [], Window(span.start, self._length)
        while window.start < span.end:
            windows.append(window)
            window = Window(window.end, self._length)
        return self.sum(windows)

    def _read(self, first: Window) -> None:
        end = first.start + _WINDOWS_AT_ONCE * self._length.delta
        found = _read_rows(self._store, self._workflow, self._length, Span(first.start, end))
        window = first
        while window.start < end:
            self._known.setdefault(window.start, found.get(window.start, _Summed(None, {})))
            window = Window(window.end, self._length)


def _read_rows(store: Store, workflow: str, length: Length, span: Span) -> Mapping[datetime, _Summed]:
    if length is Length.FIVE_MINUTES:
        as_in_heads = "cityHash64(window_start, fingerprint)"
        sql = _ROWS.format(table=ROLLUPS_TABLE, length=f"'{length.value}'", seen=as_in_heads)
    else:
        sql = _ROWS.format(table=ROLLUP_SUMS_TABLE, length="length", seen="seen")
    asked = {"workflow": workflow, "length": length.value, "since": span.start, "until": span.end}
    found: dict[datetime, _Summed] = {}
    for row in store.ask(sql, asked):
        cells: dict[str, dict[tuple[Combination, str], int]] = {}
        for cell in cast("Sequence[Mapping[str, object]]", row["cells"]):
            anchors = combination(cast("Sequence[str]", cell["anchors"]))
            cells.setdefault(str(cell["dimension"]), {})[anchors, str(cell["value"])] = as_int(cell["runs"])
        counts = {name: Counts(each) for name, each in cells.items()}
        found[as_moment(row["window_start"])] = _Summed(as_int(row["counted_from"]), counts)
    return found


def release_counts(store: Store, workflow: str, release: str, span: Span) -> Dimensions:
    """The counts of a release's runs in a span, by dimension."""
    total: dict[str, Counts] = {}
    # One bucket of ten years holds whatever span a release was in use.
    for dimensions in _read_cells(store, workflow, 3650 * 24 * 3600, span, release).values():
        for dimension, counts in dimensions.items():
            total[dimension] = total.get(dimension, Counts()) + counts
    return total


def _read_cells(
    store: Store, workflow: str, length_s: int, span: Span, release: str = ""
) -> Mapping[datetime, Dimensions]:
    rows = store.ask(
        _CELLS,
        {
            "workflow": workflow,
            "length": length_s,
            "since": span.start,
            "until": span.end,
            "release": release,
            "place": ANCHORS.index("release") + 1,
        },
    )
    cells: dict[datetime, dict[str, dict[tuple[Combination, str], int]]] = {}
    for row in rows:
        anchors = combination(cast("Sequence[str]", row["combination"]))
        dimension = cells.setdefault(as_moment(row["start"]), {}).setdefault(str(row["dimension"]), {})
        dimension[anchors, str(row["value"])] = as_int(row["runs"])
    return {start: {name: Counts(found) for name, found in each.items()} for start, each in cells.items()}


def _seconds(length: Length) -> int:
    return int(length.delta.total_seconds())


def as_moment(value: object) -> datetime:
    """A time that the store answered with: of UTC, whether its client says so or not."""
    moment = cast("datetime", value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def as_int(value: object) -> int:
    """A whole number that the store answered with."""
    return int(cast("int", value))
