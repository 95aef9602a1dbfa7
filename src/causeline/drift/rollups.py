"""Roll-ups: how often each value came up in five minutes of a workflow, counted from the runs as they stand.

A window is counted as a whole and stored as one row that replaces the one before it. So an amended run moves its
counts and never doubles them, and there is nothing to keep in step: the row carries a fingerprint of the runs that it
was counted from, and a window whose runs have another by now is counted again. Whoever starts afresh finds what is
still to be done by the same comparison.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from causeline.console.run_filter import NOT_OF_A_GATE
from causeline.console.store import Store
from causeline.drift.counts import ANCHORS, RARE, Combination, Counts
from causeline.drift.dimensions import anchors_sql, band_parameters, dimensions_sql
from causeline.drift.reading import as_int, as_moment, cells_of
from causeline.drift.store import RowStore
from causeline.drift.windows import BASE
from causeline.schemas.policy import Policy
from causeline.schemas.tables import ROLLUPS_TABLE

MAX_VALUES = 512
"""A value of fewer than one in so many of a window's runs is folded into `(rare)`."""
MAX_COMBINATIONS = 64
"""The same for a combination of anchors."""
_WINDOWS_AT_ONCE = 288

_FINGERPRINTS = """
SELECT
    workflow,
    toStartOfInterval(started_at, toIntervalSecond({base:UInt32})) AS window_start,
    count() AS runs,
    groupBitXor(cityHash64(run_id, revision, ifNull(policy_hash, ''), toUnixTimestamp64Micro(closed_at))) AS fingerprint
FROM runs
WHERE started_at >= {since:DateTime64(6, 'UTC')} AND started_at < {until:DateTime64(6, 'UTC')} AND <people>
GROUP BY workflow, window_start
""".replace("<people>", NOT_OF_A_GATE)
_STORED = """
SELECT workflow, window_start, runs, fingerprint, version FROM rollup_rows FINAL
WHERE window_start >= {since:DateTime('UTC')} AND window_start < {until:DateTime('UTC')}
"""
_COUNT = """
SELECT window_start, pair.1 AS dimension, pair.2 AS value, anchors, count() AS runs
FROM
(
    SELECT
        toStartOfInterval(started_at, toIntervalSecond({{base:UInt32}})) AS window_start,
        {anchors} AS anchors,
        arrayJoin({dimensions}) AS pair
    FROM runs
    WHERE workflow = {{workflow:String}}
        AND started_at >= {{since:DateTime64(6, 'UTC')}} AND started_at < {{until:DateTime64(6, 'UTC')}}
        AND toStartOfInterval(started_at, toIntervalSecond({{base:UInt32}})) IN {{windows:Array(DateTime('UTC'))}}
        AND {people}
)
GROUP BY window_start, dimension, value, anchors
"""


@dataclass(frozen=True, slots=True)
class Stale:
    """A window to be counted: `version` is above that of the row that stands."""

    workflow: str
    start: datetime
    runs: int
    fingerprint: int
    version: int


def stale_windows(store: Store, since: datetime, until: datetime) -> tuple[Stale, ...]:
    """The windows of this span whose runs are others than those that were counted, the earliest first."""
    span = {"since": since, "until": until}
    stands = {(str(row["workflow"]), _moment(row)): row for row in store.ask(_STORED, span)}
    found: list[Stale] = []
    for row in store.ask(_FINGERPRINTS, {**span, "base": _BASE_S}):
        key = (str(row["workflow"]), _moment(row))
        old = stands.pop(key, None)
        if old is None or (old["runs"], old["fingerprint"]) != (row["runs"], row["fingerprint"]):
            found.append(Stale(*key, as_int(row["runs"]), as_int(row["fingerprint"]), _next_version(old)))
    # Where runs were counted and none is any more: their start was amended, or they were deleted.
    found += [Stale(*key, 0, 0, _next_version(old)) for key, old in stands.items() if as_int(old["runs"])]
    return tuple(sorted(found, key=lambda each: (each.start, each.workflow)))


def roll_up(store: RowStore, stale: Sequence[Stale], policy: Policy, labels: Sequence[str] = ()) -> int:
    """Count these windows and store their rows; gives the number of windows."""
    for workflow in sorted({each.workflow for each in stale}):
        own = [each for each in stale if each.workflow == workflow]
        for at in range(0, len(own), _WINDOWS_AT_ONCE):
            some = own[at : at + _WINDOWS_AT_ONCE]
            counted = _count(store, workflow, some, policy, labels)
            store.put_rows(ROLLUPS_TABLE, [_row(each, counted.get(each.start, {})) for each in some])
    return len(stale)


def _count(
    store: Store, workflow: str, stale: Sequence[Stale], policy: Policy, labels: Sequence[str]
) -> Mapping[datetime, Mapping[str, Counts]]:
    sql = _COUNT.format(anchors=anchors_sql(), dimensions=dimensions_sql(len(labels)), people=NOT_OF_A_GATE)
    rows = store.ask(
        sql,
        {
            "workflow": workflow,
            "base": _BASE_S,
            "since": min(each.start for each in stale),
            "until": max(each.start for each in stale) + BASE,
            "windows": [each.start.replace(tzinfo=None) for each in stale],
            **band_parameters(policy.rules(workflow)),
            **{f"label_{at}": label for at, label in enumerate(labels)},
        },
    )
    cells: dict[datetime, dict[str, dict[tuple[Combination, str], int]]] = {}
    for row in rows:
        anchors = tuple(cast("list[str]", row["anchors"]))
        dimension = cells.setdefault(_moment(row), {}).setdefault(str(row["dimension"]), {})
        dimension[anchors, str(row["value"])] = as_int(row["runs"])
    return {
        start: {name: bounded(Counts(found)) for name, found in dimensions.items()}
        for start, dimensions in cells.items()
    }


def bounded(counts: Counts, *, values: int = MAX_VALUES, combinations: int = MAX_COMBINATIONS) -> Counts:
    """The counts with what is rarer than one in `values`, or a combination than one in `combinations`, as `(rare)`."""
    total = counts.runs
    by_value = counts.by_value()
    by_combination: Counter[Combination] = Counter()
    for (combination, _), runs in counts.cells.items():
        by_combination[combination] += runs
    everything_rare = (RARE,) * len(ANCHORS)
    folded: Counter[tuple[Combination, str]] = Counter()
    for (combination, value), runs in counts.cells.items():
        kept = combination if by_combination[combination] * combinations >= total else everything_rare
        folded[kept, value if by_value[value] * values >= total else RARE] += runs
    return Counts(folded)


def _row(stale: Stale, dimensions: Mapping[str, Counts]) -> Mapping[str, object]:
    return {
        "workflow": stale.workflow,
        "window_start": f"{stale.start:%Y-%m-%d %H:%M:%S}",
        "runs": stale.runs,
        "fingerprint": stale.fingerprint,
        "version": stale.version,
        "cells": cells_of(dimensions),
    }


_BASE_S = int(BASE / timedelta(seconds=1))


def _next_version(old: Mapping[str, Any] | None) -> int:
    return as_int(old["version"]) + 1 if old else 1


def _moment(row: Mapping[str, Any]) -> datetime:
    return as_moment(row["window_start"])
