"""What a run as a whole says: its first and last words, taken from its events in canonical order."""

import polars as pl

from causeline.schemas.decisions import AFTERTHOUGHTS
from causeline.schemas.vocabulary import EventType
from causeline.streams.definition.decisions import DECISIONS, ON_THE_WAY
from causeline.streams.runs.decisions import said
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.foreign import with_workflow
from causeline.streams.runs.shapes import OFFSET, PARTITION
from causeline.streams.runs.skew import live_times

_REVIEW = ("review_outcome", "reviewer_ref", "override_ref", "review_note_ref")
_GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...], EventType | None], ...] = (
    *((each.says, each.taken, None) for each in DECISIONS),
    (("fallback_taken",), ("fallback_taken", "fallback_reason"), EventType.FALLBACK_TAKEN),
    (("review_outcome",), _REVIEW, EventType.REVIEW_RECORDED),
    (("eval_case_id",), ("eval_case_id", "eval_outcome"), EventType.EVAL_RECORDED),
)
"""Fields that belong together, (who speaks, what is taken, of which type the event is): the last event that says any of
the first gives all of the second. Of DECISIONS this is the word only where no step has it."""
_LAST = (
    "model_policy",
    "confidence",
    "refusal",
    "parser_version",
    "schema_version",
    "parsed_artifact_ref",
)
_ON_THE_WAY = sorted(kind.value for kind in ON_THE_WAY)


def totals(events: pl.DataFrame) -> pl.DataFrame:
    """One row a run, in order of `_run`, with what is read off its events directly: those of `with_ends`."""
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    kind = pl.col("event_type")
    spoken = [
        pl.when(said(events, who) & (True if by is None else kind == by)).then(row).alias(f"_spoke{n}")
        for n, (who, _, by) in enumerate(_GROUPS)
    ]
    runs = (
        events.lazy()
        .with_columns(
            *spoken,
        )
        .group_by(RUN, maintain_order=True)
        .agg(
            pl.col("run_id", "project", "workflow").first(),
            pl.col("session_id", "user_hash").first(ignore_nulls=True),
            pl.len().cast(pl.Int64).alias("events"),
            *_times(),
            pl.col("_is_start").any().alias("_started"),
            pl.col("_is_end").any().alias("_finished"),
            pl.col("final_state", "status", "error_type").filter("_stands").first(),
            pl.col("_is_orphan").any().alias("_orphaned"),
            pl.col("_root_at").drop_nulls().n_unique().cast(pl.Int64).alias("_roots"),
            pl.col("input_ref").first(ignore_nulls=True),
            pl.col(_LAST).last(ignore_nulls=True),
            pl.col("raw_output_ref")
            .filter(pl.col("step_kind").is_null() | ~pl.col("step_kind").is_in(_ON_THE_WAY))
            .last(ignore_nulls=True),
            pl.col([f"_spoke{n}" for n in range(len(_GROUPS))]).max(),
            *_places(events),
        )
        .collect()
    )
    rows = {f"_spoke{n}": names for n, (_, names, _) in enumerate(_GROUPS)}
    taken = events.select(pl.col(names).gather(pl.lit(runs[row])) for row, names in rows.items())  # null gives null
    return with_workflow(runs.hstack(taken), events)


def _times() -> list[pl.Expr]:
    live = ~pl.col("event_type").is_in(AFTERTHOUGHTS)
    moment = pl.col("occurred_at").to_physical()
    start = pl.col("run_started_at").to_physical()
    return [
        pl.coalesce(start.filter("_is_start").first(), start.min()).alias("started_at"),
        pl.coalesce(pl.col("_ended_at").filter("_stands").first(), moment.filter(live).max(), moment.max()).alias(
            "finished_at"
        ),
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
