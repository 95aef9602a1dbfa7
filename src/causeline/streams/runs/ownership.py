"""Whose a run is: events of another project or workflow than the run's are set aside, and the run says how many.

A run's id travels in headers, so whoever may emit can know one. A run belongs to the project and workflow that most of
its events name, the first of them where two are equal; what says otherwise changes nothing of it. Such events stay in
the table of events. Spans over OTLP may name another workflow: each service has its own word for what it does.
An evaluation over OTLP may name another project too, and has no vote: a Langfuse score knows the trace's id only.

Decided in ADR 45.
"""

import polars as pl

from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.vocabulary import FOREIGN_LABEL, EventType
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.labels import with_label
from causeline.streams.runs.shapes import OFFSET


def own_events(events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events that are their runs' own, and by `_run` the number of `foreign` ones, where there are any.

    `events` are ordered by run.
    """
    same_run = pl.col(RUN) == pl.col(RUN).shift()
    other = (pl.col("project") != pl.col("project").shift()) | (pl.col("workflow") != pl.col("workflow").shift())
    if not events.select((same_run & other).any()).item():  # as nearly always
        return events, pl.DataFrame(schema={RUN: pl.UInt32, "foreign": pl.UInt32})
    row = pl.int_range(pl.len(), dtype=pl.UInt32)
    by_otlp = pl.col("emitter_id") == UNNUMBERED_EMITTER
    remark = (by_otlp & (pl.col("event_type") == EventType.EVALUATION_RECORDED.value)).alias("_remark")
    named = events.select(RUN, "project", "workflow", by_otlp.alias("_by_otlp"), remark, row.alias("_row"))
    owners = (
        named.group_by(RUN, "project", "workflow")
        .agg((~pl.col("_remark")).sum().alias("_votes"), pl.col("_row").min())
        .sort(RUN, -pl.col("_votes").cast(pl.Int64), "_row")
        .unique(RUN, keep="first", maintain_order=True)
        .select(RUN, pl.col("project").alias("_project"), pl.col("workflow").alias("_workflow"))
    )
    told = named.join(owners, on=RUN, how="left", maintain_order="left")
    is_own = told.select(
        ((pl.col("project") == pl.col("_project")) | pl.col("_remark"))
        & ((pl.col("workflow") == pl.col("_workflow")) | pl.col("_by_otlp"))
    ).to_series()
    foreign = told.filter(~is_own).group_by(RUN).agg(pl.len().cast(pl.UInt32).alias("foreign"))
    if OFFSET in events.columns:
        spans = events.group_by(RUN).agg(pl.col(OFFSET).min().alias("_first"), pl.col(OFFSET).max().alias("_last"))
        foreign = foreign.join(spans, on=RUN, how="left")
    owned = events.with_columns(told["_project"].alias("project"))
    return owned.filter(is_own).with_columns(pl.col(RUN).set_sorted()), foreign


def tell_foreign(runs: pl.DataFrame, foreign: pl.DataFrame) -> pl.DataFrame:
    """The runs with the label `foreign.events` where events were set aside; one from outside does not stand there.

    They count for the revision, and for the stretch of the log: whose a run is may change with an event, and then it is
    another word about it; and what was set aside is dealt with as much as what was joined.
    """
    if foreign.is_empty():
        return runs
    beside = runs.select(RUN).join(foreign, on=RUN, how="left", maintain_order="left")
    counts = beside["foreign"]
    if "_first" in beside.columns:
        spans = {"first_offset": beside["_first"], "last_offset": beside["_last"]}
        runs = runs.with_columns(
            pl.coalesce(span, pl.col(name)).cast(pl.Int64).alias(name) for name, span in spans.items()
        )
    runs = runs.with_columns(pl.col("revision") + counts.fill_null(0).cast(pl.Int64))
    return with_label(runs, FOREIGN_LABEL, counts.cast(pl.String))
