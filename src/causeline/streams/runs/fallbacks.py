"""A run's fallbacks: those that the workflow says, and those that follow from what it did, marked as inferred.

A workflow that says its fallbacks is believed: where a run says that it tried again in any way, no such way is
inferred for it, and where it says that it gave less than was asked, neither is that. What is inferred rests on a step
that came again, and says what it rests on.
"""

from collections.abc import Collection

import polars as pl

from causeline.schemas.vocabulary import EventType, FallbackKind, FinalState, Status, StepKind
from causeline.streams.definition.fallbacks import GAVE_LESS, TRIED_AGAIN
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.shapes import nested_columns

_TRIED_AGAIN = sorted(kind.value for kind in TRIED_AGAIN)
_GAVE_LESS = sorted(kind.value for kind in GAVE_LESS)
_SEES = [StepKind.MODEL_CALL.value, StepKind.PROMPT.value]
"""Kinds of step that say what context the model saw."""


def fallbacks(
    events: pl.DataFrame, steps: pl.DataFrame, runs: pl.DataFrame, kinds: Collection[str]
) -> list[pl.DataFrame]:
    """`_run` and its `fallbacks`, for the runs that have any: those that are said first, then those inferred.

    `events` stand in canonical order, `steps` are those of `steps_of`, `runs` those of `totals`; `kinds` are the event
    types that occur among `events`. Nothing where no run has any.
    """
    said = _said(events) if EventType.FALLBACK_TAKEN in kinds else None
    inferred = [_without(_again(steps), said, _TRIED_AGAIN), _without(_partial(runs), said, _GAVE_LESS)]
    found = [each for each in (said, *inferred) if each is not None and not each.is_empty()]
    if not found:
        return []
    return [pl.concat(found).group_by(RUN, maintain_order=True).agg(pl.struct(_columns()).alias("fallbacks"))]


def _columns() -> list[str]:
    return list(nested_columns("fallbacks"))


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(RUN, *(pl.col(name).cast(dtype) for name, dtype in nested_columns("fallbacks").items()))


def _said(events: pl.DataFrame) -> pl.DataFrame:
    rows = events.filter(pl.col("event_type") == EventType.FALLBACK_TAKEN).select(
        RUN,
        "event_id",
        "step_id",
        pl.col("fallback_taken").alias("kind"),
        pl.col("fallback_reason").alias("reason"),
        pl.lit(value=False).alias("inferred"),
        pl.col("occurred_at").to_physical(),
    )
    return _shaped(rows)


def _inferred(rows: pl.DataFrame, kind: FallbackKind, reason: pl.Expr) -> pl.DataFrame:
    return rows.select(
        RUN,
        pl.lit(None, dtype=pl.String).alias("event_id"),
        "step_id",
        pl.lit(kind.value).alias("kind"),
        reason.alias("reason"),
        pl.lit(value=True).alias("inferred"),
        "occurred_at",
        "_place",
    )


def _without(inferred: pl.DataFrame | None, said: pl.DataFrame | None, kinds: list[str]) -> pl.DataFrame | None:
    """What is inferred of runs that say nothing of these kinds themselves."""
    if inferred is None or said is None:
        return inferred
    return inferred.join(
        said.filter(pl.col("kind").is_in(kinds)).select(RUN), on=RUN, how="anti", maintain_order="left"
    )


def _again(steps: pl.DataFrame) -> pl.DataFrame | None:
    """Steps that came again: narrower, of another model, or the same once more."""
    found = _candidates(steps)
    if found.is_empty():
        return None
    # In one piece: `list.set_difference` of polars 2.1 panics where a row is followed by a chunk of none.
    found = found.rechunk().with_columns(
        pl.int_range(pl.len()).alias("_place"),
        pl.col("started_at").alias("occurred_at"),
        (pl.col("status") == Status.ERROR).fill_null(value=False).alias("_failed"),
    )
    narrower = _narrower(found)
    other = _other_model(found)
    taken = pl.concat([narrower, other]).select(RUN, "step_id")
    again = _retried(found).join(taken, on=[RUN, "step_id"], how="anti", maintain_order="left")
    return _shaped(pl.concat([narrower, other, again]).sort("_place", maintain_order=True))


def _candidates(steps: pl.DataFrame) -> pl.DataFrame:
    """The few steps that anything can rest on: of runs with an error or a repeat, and those that count attempts."""
    failed = steps[RUN].filter(steps["status"] == Status.ERROR)
    seeing = (
        steps.lazy()
        .filter(pl.col("step_kind").is_in(_SEES) & (pl.col("context_refs").list.len() > 0))
        .select(RUN, "_label")
        .collect()
    )
    repeated = seeing[RUN].filter(seeing.is_duplicated())
    runs = failed.append(repeated).unique()
    counts = (steps["retry_count"] > 0).fill_null(value=False)
    return steps.filter(steps[RUN].is_in(runs.implode()) | counts)


def _narrower(steps: pl.DataFrame) -> pl.DataFrame:
    """A call, or a prompt where calls say no context, with a true part of the context that it had the time before."""
    seeing = steps.filter(pl.col("step_kind").is_in(_SEES) & (pl.col("context_refs").list.len() > 0))
    calls = seeing.filter(pl.col("step_kind") == StepKind.MODEL_CALL)[RUN].unique().implode()
    seeing = seeing.filter((pl.col("step_kind") == StepKind.MODEL_CALL) | ~pl.col(RUN).is_in(calls))
    now, before = pl.col("context_refs"), pl.col("_before")
    narrower = seeing.with_columns(now.shift(1).over(RUN, "_label").alias("_before")).filter(
        before.is_not_null()
        & (now.list.set_difference(before).list.len() == 0)
        & (before.list.set_difference(now).list.len() > 0)
    )
    reason = pl.col("_label") + " had more context before"
    return _inferred(narrower, FallbackKind.NARROWER_SCOPE, reason)


def _other_model(steps: pl.DataFrame) -> pl.DataFrame:
    """A model call right after one of another model that ended in error."""
    calls = steps.filter(pl.col("step_kind") == StepKind.MODEL_CALL).with_columns(
        pl.col("_failed").shift(1).over(RUN).alias("_after_error"),
        pl.col("model_name").shift(1).over(RUN).alias("_before"),
    )
    other = calls.filter(pl.col("_after_error") & (pl.col("model_name") != pl.col("_before")))
    return _inferred(other, FallbackKind.OTHER_MODEL, "another model failed before " + pl.col("_label"))


def _retried(steps: pl.DataFrame) -> pl.DataFrame:
    """A step whose last attempt ended in error, or that counts attempts itself."""
    after_error = pl.col("_failed").shift(1).over(RUN, "_label").fill_null(value=False).alias("_after_error")
    counts = (pl.col("retry_count") > 0).fill_null(value=False)
    again = steps.with_columns(after_error).filter(pl.col("_after_error") | counts)
    rests_on = pl.when("_after_error").then(pl.lit(" failed before")).otherwise(pl.lit(" counts attempts before it"))
    return _inferred(again, FallbackKind.RETRY, pl.col("_label") + rests_on)


def _partial(runs: pl.DataFrame) -> pl.DataFrame | None:
    """Runs that end with a part of an answer."""
    is_partial = runs["final_state"] == FinalState.PARTIAL
    if not is_partial.any():
        return None
    partial = runs.filter(is_partial).select(
        RUN,
        pl.lit(None, dtype=pl.String).alias("step_id"),
        pl.col("finished_at").alias("occurred_at"),
        pl.lit(0).alias("_place"),
    )
    return _shaped(_inferred(partial, FallbackKind.PARTIAL_ANSWER, pl.lit("the run's final state is partial")))
