"""What went wrong over many runs, by cause, as the diagnoser stored it: counted in ClickHouse, over the view `causes`.

Every figure is held against the window before, as long as this one. Causes are alike that have the same workflow,
layer, step, kind and thing to touch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from causeline.console.answers import Record
from causeline.console.store import Store
from causeline.diagnosis.grouping import CauseGroup
from causeline.diagnosis.statistics import increase, wilson

BINS = 6
_FEW = 3
_ENOUGH = 20
_MOST_CAUSES = 1_000
_SURE = ("certain", "likely", "possible")
_PLACE = ("layer", "step", "kind", "thing")
Place = tuple[str, str, str, str]
"""Layer, step, kind and thing: by these causes of one workflow are alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedCause:
    """Runs with one cause; `of` are all runs of the workflow that were diagnosed, `before` is the window before."""

    workflow: str
    layer: str
    step: str
    kind: str
    thing: str
    certainty: str
    sentence: str
    fix: str
    runs: int
    of: int
    runs_before: int
    of_before: int
    cost_usd: float
    trend: tuple[int, ...]
    """Runs by equal parts of the window, the oldest part first."""
    examples: tuple[str, ...]
    """The newest runs with it."""
    is_new: bool
    """Whether it came up lately, and would have been seen before had it been there."""

    @property
    def place(self) -> Place:
        """By what it is told from the other causes of its workflow."""
        return self.layer, self.step, self.kind, self.thing

    @property
    def share(self) -> float:
        """Of the workflow's runs, 0 to 1."""
        return self.runs / max(self.of, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """In which the share lies, 95 % sure."""
        return wilson(self.runs, self.of)

    @property
    def change(self) -> str:
        """`new`, or whether the share is `more` or `less` than in the window before, 95 % sure; else `same`.

        Empty where there was no window before to tell.
        """
        if self.is_new:
            return "new"
        if not self.of_before:
            return ""
        if increase(self.runs, self.of, self.runs_before, self.of_before)[1] > 0:
            return "more"
        return "less" if increase(self.runs_before, self.of_before, self.runs, self.of)[1] > 0 else "same"

    def as_json(self) -> dict[str, object]:
        """The cause as plain data."""
        low, high = self.interval
        return {
            "workflow": self.workflow,
            "layer": self.layer,
            "step": self.step,
            "kind": self.kind,
            "thing": self.thing,
            "certainty": self.certainty,
            "sentence": self.sentence,
            "fix": self.fix,
            "runs": self.runs,
            "of": self.of,
            "share": self.share,
            "share_low": low,
            "share_high": high,
            "runs_before": self.runs_before,
            "of_before": self.of_before,
            "change": self.change,
            "is_new": self.is_new,
            "cost_usd": self.cost_usd,
            "trend": list(self.trend),
            "examples": list(self.examples),
        }


@dataclass(frozen=True, slots=True)
class Weighed:
    """The causes of a window, new ones first, and what they were counted over."""

    causes: tuple[WeighedCause, ...]
    runs: Mapping[str, int]
    """Runs that were diagnosed, by workflow."""
    not_diagnosed: int
    """Runs of the window that are stored and not diagnosed yet, or were passed over."""

    @property
    def diagnosed(self) -> int:
        """All of them."""
        return sum(self.runs.values())

    @property
    def went_wrong(self) -> int:
        """Those with a cause."""
        return sum(cause.runs for cause in self.causes)


_WHERE = """
(empty({workflows:Array(String)}) OR has({workflows:Array(String)}, workflow))
    AND run_started_at >= fromUnixTimestamp64Micro({earlier_us:Int64}, 'UTC')
    AND run_started_at < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
"""
_NOW = "run_started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')"
_TOTALS = f"""
SELECT workflow, countIf({_NOW}) AS runs, countIf(NOT ({_NOW})) AS before,
       minIf(toUnixTimestamp64Micro(run_started_at), {_NOW}) AS first_us,
       maxIf(toUnixTimestamp64Micro(run_started_at), {_NOW}) AS last_us
FROM causes WHERE {_WHERE} GROUP BY workflow
"""  # noqa: S608 - constants
_TREND = ", ".join(f"countIf(now AND part = {part})" for part in range(BINS))
_GROUPED = f"""
SELECT workflow, place.1 AS layer, place.2 AS step, place.3 AS kind, place.4 AS thing, countIf(now) AS runs,
       countIf(NOT now) AS before, argMaxIf(said, run_started_at, now) AS sentence,
       argMaxIf(mended, run_started_at, now) AS fix, minIf(sure, now) AS surest, sumIf(cost, now) AS cost_usd,
       [{_TREND}] AS trend,
       arrayMap(pair -> pair.2, groupArraySortedIf(3)((-toUnixTimestamp64Micro(run_started_at), run_id), now))
           AS examples
FROM
(
    SELECT workflow, (ifNull(layer, ''), ifNull(step, ''), ifNull(kind, ''), ifNull(thing, '')) AS place,
           run_started_at, {_NOW} AS now, ifNull(cost_usd, 0) AS cost, run_id, sentence AS said,
           ifNull(fix, '') AS mended,
           indexOf(['certain', 'likely', 'possible'], ifNull(certainty, '')) AS sure,
           least({BINS - 1}, intDiv((toUnixTimestamp64Micro(run_started_at) - {{first_us:Int64}}) * {BINS},
               {{width_us:Int64}})) AS part
    FROM causes WHERE kind IS NOT NULL AND {_WHERE}
)
GROUP BY workflow, place HAVING runs > 0 ORDER BY runs DESC LIMIT {_MOST_CAUSES}
"""  # noqa: S608 - constants
_PARTS = f"""
SELECT workflow, [{_TREND}] AS trend
FROM
(
    SELECT workflow, {_NOW} AS now,
           least({BINS - 1}, intDiv((toUnixTimestamp64Micro(run_started_at) - {{first_us:Int64}}) * {BINS},
               {{width_us:Int64}})) AS part
    FROM causes WHERE {_WHERE}
)
GROUP BY workflow
"""  # noqa: S608 - constants
_STORED = """
SELECT count() AS runs FROM runs
WHERE (empty({workflows:Array(String)}) OR has({workflows:Array(String)}, workflow))
    AND started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')
"""
_OF_RUN = """
SELECT ifNull(layer, '') AS layer, ifNull(step, '') AS step, kind, ifNull(thing, '') AS thing
FROM causes WHERE run_id = {run_id:String} AND kind IS NOT NULL
"""
_LINES = f"""
SELECT run_id, workflow, layer, step, kind, certainty, thing, symptoms, sentence, fix, settled, run_started_at
FROM causes WHERE {_WHERE.replace("earlier_us", "since_us")} ORDER BY run_started_at, run_id LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants


def weighed(store: Store, *, since_us: int, until_us: int, workflows: Sequence[str] = ()) -> Weighed:
    """The causes of the runs that started in a window; microseconds since the epoch, UTC, `until_us` not included."""
    asked: dict[str, object] = {
        "workflows": list(workflows),
        "since_us": since_us,
        "until_us": until_us,
        "earlier_us": max(0, since_us - (until_us - since_us)),
    }
    totals = {str(row["workflow"]): row for row in store.ask(_TOTALS, asked)}
    there = [row for row in totals.values() if _int(row["runs"])]
    runs = {str(row["workflow"]): _int(row["runs"]) for row in there}
    not_diagnosed = max(0, _int(store.ask(_STORED, asked)[0]["runs"]) - sum(runs.values()))
    if not there:
        return Weighed((), runs, not_diagnosed)
    first_us = min(_int(row["first_us"]) for row in there)
    asked |= {"first_us": first_us, "width_us": max(1, max(_int(row["last_us"]) for row in there) - first_us)}
    parts = {str(row["workflow"]): tuple(cast("list[int]", row["trend"])) for row in store.ask(_PARTS, asked)}
    grouped = store.ask(_GROUPED, asked)
    found = [_cause(row, totals[str(row["workflow"])], parts[str(row["workflow"])]) for row in grouped]
    return Weighed(tuple(sorted(found, key=_place)), runs, not_diagnosed)


def place_of(store: Store, run_id: str) -> Place | None:
    """Where the cause of a run is counted, as it was stored when the run closed; None where none is stored."""
    found = store.ask(_OF_RUN, {"run_id": run_id})
    return cast("Place", tuple(str(found[0][name]) for name in _PLACE)) if found else None


def _place(cause: WeighedCause) -> tuple[bool, int, str, str]:
    return (not cause.is_new, -cause.runs, cause.workflow, cause.thing)


def _cause(row: Record, total: Record, parts: Sequence[int]) -> WeighedCause:
    trend = tuple(int(count) for count in cast("list[int]", row["trend"]))
    runs, of, before, of_before = (_int(each) for each in (row["runs"], total["runs"], row["before"], total["before"]))
    return WeighedCause(
        workflow=str(row["workflow"]),
        layer=str(row["layer"]),
        step=str(row["step"]),
        kind=str(row["kind"]),
        thing=str(row["thing"]),
        certainty=_SURE[min(max(_int(row["surest"]), 1), len(_SURE)) - 1],
        sentence=str(row["sentence"]),
        fix=str(row["fix"]),
        runs=runs,
        of=of,
        runs_before=before,
        of_before=of_before,
        cost_usd=float(cast("float", row["cost_usd"])),
        trend=trend,
        examples=tuple(cast("list[str]", row["examples"])),
        is_new=is_new(trend, parts, before, of_before),
    )


def is_new(trend: Sequence[int], parts: Sequence[int], before: int, of_before: int) -> bool:
    """Whether a cause came up where it had not been: in the window, or in its newer half where nothing is known before.

    `trend` and `parts` are its runs and all runs by parts of the window. As often as it is now, at least three runs
    would have had it before.
    """
    runs, of = sum(trend), sum(parts)
    if before or runs < _FEW:
        return False
    if of_before >= _ENOUGH:
        return runs / max(of, 1) * of_before >= _FEW
    older, of_older = sum(trend[: BINS // 2]), sum(parts[: BINS // 2])
    return older == 0 and of_older >= _ENOUGH and runs / max(of - of_older, 1) * of_older >= _FEW


def of_group(group: CauseGroup, of: int) -> WeighedCause:
    """The same of runs that were diagnosed just now, of which no window before is known."""
    return WeighedCause(
        workflow=group.workflow,
        layer=group.layer,
        step=group.step,
        kind=group.kind,
        thing=group.thing,
        certainty=group.certainty.value,
        sentence=group.sentence,
        fix=group.fix,
        runs=group.runs,
        of=of,
        runs_before=0,
        of_before=0,
        cost_usd=group.cost_usd,
        trend=group.trend,
        examples=group.examples,
        is_new=group.is_new,
    )


def lines(
    store: Store, *, since_us: int, until_us: int, workflows: Sequence[str] = (), limit: int = 100_000
) -> Iterator[Mapping[str, object]]:
    """A line a run, the oldest first: what `causeline causes --runs` prints."""
    asked = {"workflows": list(workflows), "since_us": since_us, "until_us": until_us, "limit": limit}
    for row in store.ask(_LINES, asked):
        named = ("layer", "step", "kind", "certainty", "thing")
        yield {
            "run_id": row["run_id"],
            "workflow": row["workflow"],
            "first_cause": None if row["kind"] is None else {name: row[name] for name in named},
            "symptoms": row["symptoms"],
            "sentence": row["sentence"],
            "fix": row["fix"] or "",
            "settled": row["settled"],
        }


def window_words(since_us: int, until_us: int) -> str:
    """A window as people read it."""
    first, last = (datetime.fromtimestamp(each / 1e6, UTC) for each in (since_us, until_us))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _int(value: object) -> int:
    return int(cast("int", value))
