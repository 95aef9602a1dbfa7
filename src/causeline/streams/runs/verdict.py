"""Whether a run's record is whole, and what it lacks when it is not."""

import polars as pl

from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.losses import LOSS_ERROR, LOSS_STEP, LOST_EVENTS
from causeline.schemas.vocabulary import CloseReason, EventType, Verdict
from causeline.streams.definition.completeness import MOST_LOST
from causeline.streams.runs.distinct import RUN


def losses(events: pl.DataFrame) -> pl.DataFrame:
    """Per run `events_lost`: for each emitter the holes in its sequence numbers, up to what it says it sent; or what
    its emitters told that they lost, where that is more. `_told_lost` is the latter alone.
    """
    holes = (
        events.lazy()
        .group_by(RUN, "emitter_id", maintain_order=True)
        .agg(
            pl.col("seq").max().alias("top"),
            pl.col("seq").n_unique().cast(pl.Int64).alias("distinct"),
            pl.col("expected_events").max().cast(pl.Int64).fill_null(0).alias("expected"),
        )
        .with_columns(
            pl.max_horizontal(pl.col("top") - pl.col("distinct") + 1, pl.col("expected") - pl.col("distinct"))
        )
        .group_by(RUN, maintain_order=True)
        .agg(pl.col("top").clip(0, MOST_LOST).sum().alias("events_lost"))
        .collect()
    )
    if not (events["step_name"] == LOSS_STEP).any():
        return holes.with_columns(pl.lit(0, dtype=pl.Int64).alias("_told_lost"))
    return (
        holes.join(_told_lost(events), on=RUN, how="left", maintain_order="left")
        .with_columns(pl.col("_told_lost").fill_null(0))
        .with_columns(pl.max_horizontal("events_lost", "_told_lost"))
    )


def _told_lost(events: pl.DataFrame) -> pl.DataFrame:
    """Per run with an event that stands for lost ones, how many it says they were: at least one."""
    told = events.filter(
        pl.col("event_type") == EventType.STEP_FINISHED,
        pl.col("step_name") == LOSS_STEP,
        pl.col("error_type") == LOSS_ERROR,
    ).select(RUN, "labels")
    said = pl.col("labels").list.eval(
        pl.when(pl.element().struct.field("key") == LOST_EVENTS).then(
            pl.element().struct.field("value").cast(pl.Int64, strict=False)
        )
    )
    lost = said.list.max().fill_null(1).clip(1, MOST_LOST).alias("_told_lost")
    return told.select(RUN, lost).group_by(RUN).agg(pl.col("_told_lost").sum())


def missing(runs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Per run `missing`: "start", then the steps that its end names and that were not seen, then "end".

    `runs` has `_run`, `_started`, `_finished`; `events` are those of `with_ends`. A step named twice and seen once is
    missing once.
    """
    absent = _with_parents(_absent(events), events)
    no_start = pl.when(~pl.col("_started")).then(pl.lit("start"))
    no_end = pl.when(~pl.col("_finished")).then(pl.lit("end"))
    empty = pl.lit([], dtype=pl.List(pl.String))
    return (
        runs.select(RUN, "_started", "_finished")
        .join(absent, on=RUN, how="left", maintain_order="left")
        .select(
            RUN, pl.concat_list(no_start, pl.col("label").fill_null(empty), no_end).list.drop_nulls().alias("missing")
        )
    )


def _absent(events: pl.DataFrame) -> pl.DataFrame:
    """Per run that lacks any, the steps that the end which is believed names and that were not seen, as `label`, in
    order of naming.

    An emitter names its steps in the order in which they ended: a run in which they stand so lacks none, and only
    the others are looked at step by step.
    """
    ends = (
        events.lazy()
        .filter("_stands")
        .unique(RUN, keep="first", maintain_order=True)
        .select(RUN, pl.col("expected_steps").alias("named"))
        .filter(pl.col("named").list.len() > 0)
    )
    ended = (
        events.lazy()
        .filter(pl.col("event_type") == EventType.STEP_FINISHED)
        .group_by(RUN, maintain_order=True)
        .agg((pl.col("step_kind") + ":" + pl.col("step_name")).alias("seen"))
    )
    unlike = (
        ends.join(ended, on=RUN, how="left", maintain_order="left")
        .filter(pl.col("named").ne_missing(pl.col("seen")))
        .collect()
    )
    if unlike.is_empty():
        return pl.DataFrame(schema={RUN: events.schema[RUN], "label": pl.List(pl.String)})
    named = (
        unlike.lazy()
        .select(RUN, pl.col("named").alias("label"))
        .explode("label", empty_as_null=False)
        .with_columns(pl.int_range(pl.len()).alias("place"))
        .group_by(RUN, "label")
        .agg(pl.len().cast(pl.Int64).alias("named"), pl.col("place").min())
    )
    seen = (
        unlike.lazy()
        .select(RUN, pl.col("seen").alias("label"))
        .explode("label")
        .group_by(RUN, "label")
        .agg(pl.len().cast(pl.Int64).alias("seen"))
    )
    return (
        named.join(seen, on=[RUN, "label"], how="left")
        .with_columns((pl.col("named") - pl.col("seen").fill_null(0)).alias("times"))
        .filter(pl.col("times") > 0)
        .sort("place")
        .with_columns(pl.col("label").repeat_by("times"))
        .explode("label")
        .group_by(RUN, maintain_order=True)
        .agg("label")
        .collect()
    )


def _with_parents(absent: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Of foreign traces also the spans that others name as their parent and that were not seen, as parent:id."""
    is_foreign = events["emitter_id"] == UNNUMBERED_EMITTER
    if not is_foreign.any():
        return absent
    foreign = events.filter(is_foreign)
    seen = events.select(RUN, pl.col("step_id").alias("parent_step_id")).drop_nulls().unique()
    elsewhere = foreign.filter(pl.col("event_type") == EventType.RUN_STARTED).select(RUN, "parent_step_id").drop_nulls()
    seen = pl.concat([seen, elsewhere]).unique()  # a span entered from elsewhere: its parent is another's to tell
    orphans = (
        foreign.select(RUN, "parent_step_id")
        .drop_nulls()
        .unique(maintain_order=True)
        .join(seen, on=[RUN, "parent_step_id"], how="anti", maintain_order="left")
        .with_columns((pl.lit("parent:") + pl.col("parent_step_id")).alias("label"))
        .group_by(RUN, maintain_order=True)
        .agg("label")
    )
    return pl.concat([absent, orphans]).group_by(RUN, maintain_order=True).agg(pl.col("label").explode())


def verdict() -> pl.Expr:
    """The verdict of runs with `_finished`, `missing`, `events_lost`, `_told_lost` and `close_reason`.

    A run whose end may be among the events that are told to be lost is partial: nothing says that it never ended.
    """
    whole = (
        (pl.col("missing").list.len() == 0)
        & (pl.col("events_lost") == 0)
        & (pl.col("close_reason") != CloseReason.OVERFLOW)
    )
    return (
        pl.when(whole)
        .then(pl.lit(Verdict.COMPLETE.value))
        .when(pl.col("_finished") | (pl.col("_told_lost") > 0) | (pl.col("close_reason") == CloseReason.OVERFLOW))
        .then(pl.lit(Verdict.PARTIAL.value))
        .otherwise(pl.lit(Verdict.UNFINISHED.value))
        .alias("verdict")
    )
