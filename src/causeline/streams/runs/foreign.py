"""What only traces of foreign instrumentation need: which of several ends stands, a root where none came, one call
that two instrumentations told.

Nobody numbers the spans of such a trace, and nobody says which of them is its root where the root was traced elsewhere.
Each function leaves a frame without such events as it is.

Decided in ADR 24.
"""

import polars as pl

from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.otel_names import ROOTS_LABEL, SCOPE_LABEL, UNKNOWN_SCOPE
from causeline.schemas.vocabulary import EventType, FinalState, Status, StepKind
from causeline.streams.definition.events import SOURCES
from causeline.streams.definition.steps import DOUBLED
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.labels import with_label


def with_ends(events: pl.DataFrame) -> pl.DataFrame:
    """`events` with `_is_start`, `_is_end`, `_stands` (of which the first is believed), `_ended_at`, `_root_at` and
    `_is_orphan`.

    Of the ends that an emitter numbers the first stands. Of a foreign trace's the roots' go before those of spans that
    were entered from elsewhere, an error before an answer, the last before others; the run lasts until the last root's.
    A foreign trace without any has its topmost orphans for a root, the steps that name a parent which never came: the
    run begins with the first of them and ends as the last does, which may have come of the others' failure.
    """
    kind = pl.col("event_type")
    events = events.with_columns(
        (kind == EventType.RUN_STARTED).alias("_is_start"), (kind == EventType.RUN_FINISHED).alias("_is_end")
    )
    moment = pl.col("occurred_at").to_physical()
    is_foreign = events["emitter_id"] == UNNUMBERED_EMITTER
    if not is_foreign.any():
        return events.with_columns(
            pl.col("_is_end").alias("_stands"),
            pl.when("_is_end").then(moment).alias("_ended_at"),
            _no_roots(),
            pl.lit(value=False).alias("_is_orphan"),
        )
    events = _with_orphans(events.with_row_index("_row"), is_foreign)
    ends = (
        events.lazy()
        .filter("_is_end")
        .select(
            RUN,
            "_row",
            (pl.col("emitter_id") == UNNUMBERED_EMITTER).alias("_foreign"),
            (pl.col("parent_step_id").is_not_null() & ~pl.col("_is_orphan")).alias("_inner"),
            ((pl.col("status") == Status.ERROR) & ~pl.col("_is_orphan")).alias("_error"),
            moment.alias("_at"),
        )
        .filter(~pl.col("_foreign") | (pl.col("_foreign") == pl.col("_foreign").min().over(RUN)))
        .filter(~pl.col("_foreign") | (pl.col("_inner") == pl.col("_inner").min().over(RUN)))
        .with_columns(
            pl.when("_foreign").then(pl.col("_at").max().over(RUN)).otherwise("_at").alias("_ended_at"),
            pl.when("_foreign").then(-pl.col("_row").cast(pl.Int64)).otherwise("_row").alias("_order"),
        )
        .sort(RUN, pl.col("_error") & pl.col("_foreign"), "_order", descending=[False, True, False])
        .unique(RUN, keep="first", maintain_order=True)
        .select("_row", "_ended_at", pl.lit(value=True).alias("_stands"))
        .collect()
    )
    return (
        events.join(ends, on="_row", how="left", maintain_order="left")
        .with_columns(pl.col("_stands").fill_null(value=False), _roots(is_foreign))
        .drop("_row")
    )


def _no_roots() -> pl.Expr:
    return pl.lit(None, dtype=pl.Int64).alias("_root_at")


def _roots(is_foreign: pl.Series) -> pl.Expr:
    return (
        pl.when(is_foreign & pl.col("_is_start") & pl.col("parent_step_id").is_null())
        .then(pl.col("run_started_at").to_physical())
        .alias("_root_at")
    )


def _with_orphans(events: pl.DataFrame, is_foreign: pl.Series) -> pl.DataFrame:
    """`events`, in runs that nobody begins or ends, with their topmost orphans as ends, the first as start."""
    ended = pl.col("event_type") == EventType.STEP_FINISHED
    lone = events.lazy().filter(is_foreign).filter(ended)
    if events["_is_start"].any() or events["_is_end"].any():
        bounded = events.lazy().filter(pl.col("_is_start") | pl.col("_is_end")).select(RUN).unique()
        lone = lone.join(bounded, on=RUN, how="anti", maintain_order="left")
    seen = events.lazy().select(RUN, pl.col("step_id").alias("parent_step_id")).drop_nulls().unique()
    orphans = (
        lone.join(seen, on=[RUN, "parent_step_id"], how="anti", maintain_order="left")
        .sort(RUN, "started_at", "step_id", maintain_order=True)
        .select("_row", pl.lit(value=True).alias("_is_orphan"), (pl.int_range(pl.len()).over(RUN) == 0).alias("_first"))
        .collect()
    )
    if orphans.is_empty():
        return events.with_columns(pl.lit(value=False).alias("_is_orphan"))
    state = pl.when(pl.col("status") == Status.ERROR).then(pl.lit(FinalState.FAILED.value))
    return (
        events.join(orphans, on="_row", how="left", maintain_order="left")
        .with_columns(pl.col("_is_orphan", "_first").fill_null(value=False))
        .with_columns(
            (pl.col("_is_start") | pl.col("_first")).alias("_is_start"),
            (pl.col("_is_end") | pl.col("_is_orphan")).alias("_is_end"),
            pl.when("_is_orphan")
            .then(state.otherwise(pl.lit(FinalState.ANSWERED.value)))
            .otherwise("final_state")
            .alias("final_state"),
        )
        .drop("_first")
    )


def with_workflow(runs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """`runs` with the workflow that is said outright, else the topmost agent's name, the service's, the span's."""
    if events["workflow_source"].null_count() == events.height:
        return runs
    rank = pl.col("workflow_source").replace_strict(SOURCES, default=0, return_dtype=pl.Int8).fill_null(0)
    strongest = (
        events.select(RUN, "workflow", rank.alias("_rank"), pl.col("run_started_at").to_physical().alias("_began"))
        .sort(RUN, "_rank", pl.when(pl.col("_rank") > 0).then("_began").otherwise(0), maintain_order=True)
        .unique(RUN, keep="first", maintain_order=True)
        .select(RUN, pl.col("workflow").alias("_workflow"))
    )
    found = runs.select(RUN).join(strongest, on=RUN, how="left", maintain_order="left")["_workflow"]
    return runs.with_columns(found.alias("workflow"))


def tell_roots(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs with the label `otel.roots` where their trace has several, and where it has none with that of a scope:
    no span that enters has said it, and without it a run counts as one of ours, which has words for everything.
    """
    if runs["_orphaned"].any():
        unknown = pl.select(pl.when(runs["_orphaned"]).then(pl.lit(UNKNOWN_SCOPE))).to_series()
        runs = with_label(runs, SCOPE_LABEL, unknown)
    many = (runs["_roots"] > 1).fill_null(value=False)
    if not many.any():
        return runs
    return with_label(runs, ROOTS_LABEL, runs["_roots"].cast(pl.String).set(~many, None))


def with_doubles(steps: pl.DataFrame, foreign: pl.Series) -> pl.DataFrame:
    """`steps` with the label `otel.doubled` on each model call that another one of the same tokens lies within, in runs
    that have a foreign step; `foreign` are those runs' numbers.
    """
    calls = steps.filter(pl.col("step_kind") == StepKind.MODEL_CALL, pl.col(RUN).is_in(foreign.implode()))
    if calls.height < 2:
        return steps
    inner = calls.select(
        RUN,
        pl.when(pl.col("parent_step_id") != pl.col("step_id")).then("parent_step_id").alias("step_id"),
        pl.col("input_tokens").alias("_in"),
        pl.col("output_tokens").alias("_out"),
    ).drop_nulls("step_id")
    doubled = (
        calls.select(RUN, "step_id", "input_tokens", "output_tokens")
        .join(inner, on=[RUN, "step_id"])
        .filter(pl.col("input_tokens") == pl.col("_in"), pl.col("output_tokens").eq_missing(pl.col("_out")))
        .select(RUN, "step_id", pl.lit(value=True).alias("_doubled"))
        .unique()
    )
    if doubled.is_empty():
        return steps
    mark = pl.struct(pl.lit(DOUBLED).alias("key"), pl.lit("true").alias("value"))
    labelled = pl.concat_list(pl.col("labels").fill_null([]), mark)
    return (
        steps.join(doubled, on=[RUN, "step_id"], how="left", maintain_order="left")
        .with_columns(pl.when("_doubled").then(labelled).otherwise("labels").alias("labels"))
        .drop("_doubled")
    )
