"""What a run as a whole says: its first and last words, taken from its events in canonical order."""

import polars as pl

from causeline.schemas.vocabulary import EventType, StepKind
from causeline.streams.distinct import RUN
from causeline.streams.shapes import OFFSET, PARTITION
from causeline.streams.skew import live_times

_GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("route",), ("route", "route_reason", "route_confidence", "route_policy_version")),
    (("prompt_id", "prompt_version"), ("prompt_id", "prompt_version")),
    (
        ("model_provider", "model_name"),
        ("model_provider", "model_name", "temperature", "top_p", "seed", "system_fingerprint"),
    ),
    (("fallback_taken",), ("fallback_taken", "fallback_reason")),
    (("review_outcome",), ("review_outcome", "reviewer_ref", "override_ref", "review_note_ref")),
    (("eval_case_id",), ("eval_case_id", "eval_outcome")),
)
"""Fields that belong together, (who speaks, what is taken): the last event that says any of the first gives all of the
second, so that no run shows one model's name beside another's temperature."""
_LAST = (
    "model_policy",
    "confidence",
    "refusal",
    "parser_version",
    "schema_version",
    "parsed_artifact_ref",
)
_ON_THE_WAY = [
    StepKind.INPUT.value, StepKind.PARSE.value, StepKind.MASK.value, StepKind.CLASSIFY.value, StepKind.ROUTE.value,
    StepKind.RETRIEVE.value, StepKind.PROMPT.value, StepKind.VALIDATE.value,
]  # fmt: skip
"""Kinds of step whose output is no answer: a mask's log or a rendered prompt is not the run's raw output."""
_AFTERTHOUGHTS = [EventType.REVIEW_RECORDED.value, EventType.EVAL_RECORDED.value]


def totals(events: pl.DataFrame) -> pl.DataFrame:
    """One row a run, in order of `_run`, with what is read off its events directly; `events` in canonical order."""
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    spoken = [pl.when(_any_said(who)).then(row).alias(f"_spoke{n}") for n, (who, _) in enumerate(_GROUPS)]
    kind = pl.col("event_type")
    is_start, is_end = kind == EventType.RUN_STARTED, kind == EventType.RUN_FINISHED
    validated = (pl.col("step_kind") == StepKind.VALIDATE) & (kind == EventType.STEP_FINISHED)
    runs = (
        events.lazy()
        .with_columns(
            *spoken,
            pl.when(pl.col("context_refs").list.len() > 0).then(row).alias("_context"),
            pl.when(validated | (pl.col("validation_errors").list.len() > 0)).then(row).alias("_validation"),
            is_start.alias("_is_start"),
            is_end.alias("_is_end"),
        )
        .group_by(RUN, maintain_order=True)
        .agg(
            pl.col("run_id", "project", "workflow").first(),
            pl.len().cast(pl.Int64).alias("events"),
            *_times(),
            pl.col("_is_start").any().alias("_started"),
            pl.col("_is_end").any().alias("_finished"),
            pl.col("final_state", "status", "error_type").filter("_is_end").first(),
            pl.col("input_ref").first(ignore_nulls=True),
            pl.col(_LAST).last(ignore_nulls=True),
            pl.col("raw_output_ref")
            .filter(pl.col("step_kind").is_null() | ~pl.col("step_kind").is_in(_ON_THE_WAY))
            .last(ignore_nulls=True),
            pl.col([f"_spoke{n}" for n in range(len(_GROUPS))]).max(),
            pl.col("_context", "_validation").max(),
            *_places(events),
        )
        .collect()
    )
    rows = {f"_spoke{n}": names for n, (_, names) in enumerate(_GROUPS)}
    rows |= {"_context": ("context_refs",), "_validation": ("validation_errors",)}
    taken = events.select(pl.col(names).gather(pl.lit(runs[row])) for row, names in rows.items())  # null gives null
    return runs.hstack(taken)


def _any_said(names: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).is_not_null() for name in names)


def _times() -> list[pl.Expr]:
    live = ~pl.col("event_type").is_in(_AFTERTHOUGHTS)
    moment = pl.col("occurred_at").to_physical()
    start = pl.col("run_started_at").to_physical()
    return [
        pl.coalesce(start.filter("_is_start").first(), start.min()).alias("started_at"),
        pl.coalesce(moment.filter("_is_end").first(), moment.filter(live).max(), moment.max()).alias("finished_at"),
        *live_times(live, moment),
    ]


def _places(events: pl.DataFrame) -> list[pl.Expr]:
    if OFFSET not in events.columns:  # events that come from the store have no place in the log
        nothing = pl.lit(None, dtype=pl.Int64)
        return [
            nothing.cast(pl.Int32).first().alias("source_partition"),
            nothing.first().alias("first_offset"),
            nothing.first().alias("last_offset"),
        ]
    return [
        pl.col(PARTITION).first().alias("source_partition"),
        pl.col(OFFSET).min().alias("first_offset"),
        pl.col(OFFSET).max().alias("last_offset"),
    ]


def evidence_refs(events: pl.DataFrame) -> pl.DataFrame:
    """Per run every supporting reference that any of its events names, each once, in the order of their naming."""
    return (
        events.lazy()
        .select(RUN, "evidence_refs")
        .explode("evidence_refs", empty_as_null=False)
        .group_by(RUN, maintain_order=True)
        .agg(pl.col("evidence_refs").drop_nulls().unique(maintain_order=True))
        .collect()
    )


def run_labels(events: pl.DataFrame) -> pl.DataFrame:
    """Per run the labels of its start and end by key; where both say a key, the end's value stands."""
    ends = [EventType.RUN_STARTED.value, EventType.RUN_FINISHED.value]
    return (
        events.lazy()
        .filter(pl.col("event_type").is_in(ends))
        .select(RUN, "event_type", "labels")
        .sort(RUN, pl.col("event_type") == EventType.RUN_FINISHED, maintain_order=True)
        .explode("labels", empty_as_null=False)
        .select(RUN, pl.col("labels").struct.unnest())
        .drop_nulls()
        .unique([RUN, "key"], keep="last", maintain_order=True)
        .sort(RUN, "key")
        .group_by(RUN, maintain_order=True)
        .agg(pl.struct("key", "value").alias("labels"))
        .collect()
    )
