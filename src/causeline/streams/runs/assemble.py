"""Runs by columns: from their events, in whatever order and number they came, to their records.

The same function serves runs that close live, runs that late events amend, and backfills from the store. What it gives
is what `streams.definition` says; the tests ask both.
"""

from dataclasses import dataclass

import polars as pl

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.vocabulary import CloseReason, Status
from causeline.streams.definition.run import ASSEMBLER_VERSION
from causeline.streams.runs import steps as step_rows
from causeline.streams.runs.beside import beside
from causeline.streams.runs.claims import tell_claims
from causeline.streams.runs.decisions import decided, heard, standing_errors
from causeline.streams.runs.distinct import RUN, Repeats, all_distinct, identities, repeats
from causeline.streams.runs.fallbacks import fallbacks
from causeline.streams.runs.findings import findings
from causeline.streams.runs.foreign import tell_roots, with_ends
from causeline.streams.runs.ownership import own_events, tell_foreign
from causeline.streams.runs.shapes import no_runs, run_columns
from causeline.streams.runs.skew import tell_skew
from causeline.streams.runs.totals import evidence_refs, run_labels, totals
from causeline.streams.runs.verdict import losses, missing, verdict

CANONICAL_ORDER = ("occurred_at", "emitter_id", "seq", "event_id")
"""The order of a run's events: by time, and by what cannot change where times are equal."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """`runs` has the columns of a Run, ordered by the runs' first offset and id; `duplicates` counts dropped events."""

    runs: pl.DataFrame
    duplicates: int
    conflicting: int
    """Duplicates that say something else than the event that was kept."""


def assemble(
    events: pl.DataFrame,
    *,
    closed_at_us: int,
    reasons: pl.DataFrame | None = None,
    amended: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> Assembled:
    """The runs of `events`, all of whose events are there: one row an event, in order of arrival.

    `events` has the columns of a TraceEvent, perhaps `_partition` and `_offset`, and perhaps `_run`, a number by run.
    `reasons` says why each `_run` was closed (`close_reason`); without it a run is closed as what it is. `policy`
    judges the evidence, whatever judged it in the workflow, and its hash stands on the run.
    """
    if events.is_empty():
        return Assembled(no_runs(), 0, 0)
    if RUN not in events.columns:
        events = events.with_columns(pl.col("run_id").rank("dense").cast(pl.UInt32).alias(RUN))
    found = Repeats.none(events.height) if all_distinct(events) else repeats(identities(events))
    kept = _ordered(events.filter(found.is_new) if found.duplicates else events)
    kept, foreign = own_events(kept)
    runs = tell_claims(tell_roots(tell_skew(_joined(kept, policy))), kept)
    runs = _judged(runs, reasons, closed_at_us=closed_at_us, amended=amended)
    runs = tell_foreign(runs, foreign)
    runs = runs.with_columns(pl.lit(policy.content_hash).alias("policy_hash"))
    return Assembled(_shaped(runs), found.duplicates, found.conflicting)


def _ordered(events: pl.DataFrame) -> pl.DataFrame:
    """By run, and in canonical order within it; what stands so already, as most that comes does, is not copied."""
    rows = (
        events.lazy()
        .select(RUN, *CANONICAL_ORDER, pl.int_range(pl.len(), dtype=pl.UInt32).alias("_row"))
        .sort(RUN, *CANONICAL_ORDER)
        .select("_row")
        .collect()["_row"]
    )
    ordered = events if rows.is_sorted() else events[rows]
    return ordered.with_columns(pl.col(RUN).set_sorted())


def _joined(events: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """One row a run with all that is read off its events; what a run has none of is null still."""
    events = with_ends(events)
    kinds = frozenset(events["event_type"].unique())
    runs = totals(events)
    steps = step_rows.steps_of(events)
    parts = [
        losses(events),
        missing(runs, events),
        evidence_refs(events),
        run_labels(events),
        *findings(events, policy, kinds),
        *fallbacks(events, steps, runs, kinds),
        decided(steps),
        standing_errors(steps),
        step_rows.measures(steps),
        step_rows.notable(steps),
        step_rows.missing_anchors(steps),
        step_rows.nested_steps(steps),
    ]
    return heard(beside(runs, parts))


def _judged(runs: pl.DataFrame, reasons: pl.DataFrame | None, *, closed_at_us: int, amended: bool) -> pl.DataFrame:
    if reasons is None:
        whole = pl.col("_finished") & (pl.col("missing").list.len() == 0) & (pl.col("events_lost") == 0)
        ended = pl.when(pl.col("_finished")).then(pl.lit(CloseReason.GRACE.value))
        reason = (
            pl.when(whole)
            .then(pl.lit(CloseReason.FINISHED.value))
            .otherwise(ended.otherwise(pl.lit(CloseReason.IDLE.value)))
        )
        runs = runs.with_columns(reason.alias("close_reason"))
    else:
        runs = beside(runs, [reasons])
    failed = (pl.col("status") == Status.ERROR).fill_null(value=False) | pl.col("_step_failed").fill_null(value=False)
    runs = _of_overflowed(runs)
    return runs.with_columns(
        verdict(),
        pl.col("events").alias("revision"),
        pl.lit(amended).alias("amended"),
        pl.lit(closed_at_us, dtype=pl.Int64).alias("closed_at"),
        (pl.col("finished_at") - pl.col("started_at")).clip(lower_bound=0).alias("duration_us"),
        pl.when(failed).then(pl.lit(Status.ERROR.value)).otherwise(pl.lit(Status.OK.value)).alias("status"),
        pl.coalesce("_step_error", "error_type").alias("error_type"),
        pl.lit(ASSEMBLER_VERSION).alias("assembler_version"),
    )


def _of_overflowed(runs: pl.DataFrame) -> pl.DataFrame:
    """Of a run with more events than one may have, the rest was not looked at: no step is said to be missing."""
    over = runs["close_reason"] == CloseReason.OVERFLOW
    if not over.any():
        return runs
    start, end = pl.col("missing").list.contains("start"), pl.col("missing").list.contains("end")
    kept = pl.concat_list(
        pl.when(start).then(pl.lit("start")), pl.lit(CloseReason.OVERFLOW.value), pl.when(end).then(pl.lit("end"))
    ).list.drop_nulls()
    return runs.with_columns(pl.when(over).then(kept).otherwise("missing").alias("missing"))


def _shaped(runs: pl.DataFrame) -> pl.DataFrame:
    """The columns of a Run, in order; a list that nobody said anything for is empty."""
    rows = runs.select(pl.arg_sort_by("first_offset", "run_id"))["first_offset"]
    if not rows.is_sorted():
        runs = runs[rows]
    given = runs.schema
    return runs.select(_column(runs, name, dtype, given.get(name)) for name, dtype in run_columns().items())


def _column(runs: pl.DataFrame, name: str, dtype: pl.DataType, given: pl.DataType | None) -> pl.Expr | pl.Series:
    """The column as it is wherever it will do: to ask polars costs more than most answers are worth."""
    is_list = isinstance(dtype, pl.List)
    nulls = runs.height if given is None else runs[name].null_count()
    if nulls == runs.height:
        return pl.Series(name, [[] if is_list else None], dtype=dtype).new_from_index(0, runs.height)
    column = runs[name]
    if is_list and nulls:
        return pl.col(name).fill_null(pl.lit([], dtype=dtype)).cast(dtype)
    return column if given == dtype else pl.col(name).cast(dtype)
