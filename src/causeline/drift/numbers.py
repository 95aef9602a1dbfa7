"""Numbers by window, as the engine's sketches give them: confidence, provenance, and what each kind of step takes.

Quantiles are t-digests where a number lies between 0 and 1, and DDSketches of one per cent relative error where it may
be anything, as of durations. They are shown beside drift and not tested: their bands are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from causeline.console.run_filter import NOT_OF_A_GATE
from causeline.console.store import Store
from causeline.drift.reading import as_int, as_moment
from causeline.drift.windows import Length

_SCORES = """
SELECT
    toDateTime(toStartOfInterval(started_at, toIntervalSecond({length:UInt32})), 'UTC') AS start,
    count() AS all_runs,
    quantilesTDigestIf(0.05, 0.5, 0.95)(assumeNotNull(ifNull(confidence, route_confidence)),
        ifNull(confidence, route_confidence) IS NOT NULL) AS confidence_quantiles,
    quantilesTDigestIf(0.05, 0.5, 0.95)(assumeNotNull(worst_provenance), worst_provenance IS NOT NULL)
        AS provenance_quantiles
FROM runs
WHERE workflow = {workflow:String} AND started_at >= {since:DateTime64(6, 'UTC')} AND <people>
GROUP BY start ORDER BY start
""".replace("<people>", NOT_OF_A_GATE)
_STEPS = """
SELECT
    toDateTime(toStartOfInterval(started_at, toIntervalSecond({length:UInt32})), 'UTC') AS start,
    step.step_kind AS kind,
    count() AS steps,
    quantilesDDIf(0.01, 0.5, 0.95)(assumeNotNull(step.duration_us), step.duration_us IS NOT NULL) AS durations,
    sum(step.cost_usd) AS cost
FROM
(
    SELECT started_at, step_numbers FROM runs
    WHERE workflow = {workflow:String} AND started_at >= {since:DateTime64(6, 'UTC')} AND <people>
)
ARRAY JOIN step_numbers AS step
GROUP BY start, kind ORDER BY start, kind
""".replace("<people>", NOT_OF_A_GATE)


@dataclass(frozen=True, slots=True)
class StepNumbers:
    """What the steps of one kind took in a window."""

    kind: str
    steps: int
    median_us: float | None
    p95_us: float | None
    cost_usd: float | None
    """Over all of them; None where none was recorded."""


@dataclass(frozen=True, slots=True)
class WindowNumbers:
    """One window's numbers; quantiles are (0.05, 0.5, 0.95), None where nothing was recorded."""

    start: datetime
    runs: int
    confidence: tuple[float, ...] | None
    provenance: tuple[float, ...] | None
    steps: tuple[StepNumbers, ...]


def numbers(store: Store, workflow: str, since: datetime, length: Length) -> tuple[WindowNumbers, ...]:
    """The windows with runs of a workflow since then, by time."""
    asked = {"workflow": workflow, "since": since, "length": int(length.delta.total_seconds())}
    steps: dict[datetime, list[StepNumbers]] = {}
    for row in store.ask(_STEPS, asked):
        durations = _quantiles(row, "durations")
        steps.setdefault(as_moment(row["start"]), []).append(
            StepNumbers(
                kind=str(row["kind"]),
                steps=as_int(row["steps"]),
                median_us=durations[0] if durations else None,
                p95_us=durations[1] if durations else None,
                cost_usd=None if row["cost"] is None else float(cast("float", row["cost"])),
            )
        )
    return tuple(
        WindowNumbers(
            start=as_moment(row["start"]),
            runs=as_int(row["all_runs"]),
            confidence=_quantiles(row, "confidence_quantiles"),
            provenance=_quantiles(row, "provenance_quantiles"),
            steps=tuple(steps.get(as_moment(row["start"]), ())),
        )
        for row in store.ask(_SCORES, asked)
    )


def _quantiles(row: Mapping[str, object], name: str) -> tuple[float, ...] | None:
    found = tuple(float(value) for value in cast("Sequence[float]", row[name]))
    return None if any(value != value for value in found) else found  # noqa: PLR0124 - the engine's word for none
