"""The steps of runs: what was said of each at its start and its end, as one row."""

import numpy as np
import numpy.typing as npt
import polars as pl

from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.vocabulary import EventType, Status
from causeline.streams.definition.anchors import ONLY_WHEN_OK, REQUIRED
from causeline.streams.definition.measures import LARGEST_DOUBLE, LARGEST_LONG, enclosing
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.foreign import with_doubles
from causeline.streams.runs.shapes import nested_columns

_MEASURES = ("cost_usd", "input_tokens", "output_tokens", "retry_count")
_PARENT = pl.when(pl.col("parent_step_id") != pl.col("step_id")).then("parent_step_id").alias("step_id")
"""The enclosing step; one that names itself has none."""


def steps_of(events: pl.DataFrame) -> pl.DataFrame:
    """One row a step, ordered by run, start and seq: `_run`, the fields of a Run's step, `_label`, `_leaf`.

    `events` stand in canonical order. A field is what the step's end says of it, else its start; `status` is null
    when no end was seen. `_label` is kind:name, `_leaf` is true for a step that encloses no other.
    """
    kind = pl.col("event_type")
    ended = kind == EventType.STEP_FINISHED
    told = (
        events.lazy()
        .filter(ended | (kind == EventType.STEP_STARTED))
        .select(RUN, "step_id", *_plain_fields(), "started_at", "occurred_at", "seq", ended.alias("_ended"), _foreign())
        .collect()
    )
    foreign = told[RUN].filter(told["_foreign"]).unique()
    if told["step_id"].n_unique() == told.height:  # the common case
        return _placed(told.select(RUN, "step_id", *_once(), pl.col("seq").alias("_seq")), foreign=foreign)
    often = told.select(pl.struct(RUN, "step_id").is_duplicated().alias("again"))["again"]
    rows = told.filter(~often).select(RUN, "step_id", *_once(), pl.col("seq").alias("_seq"))
    if often.any():  # both ends were said, or one of them more than once
        merged = (
            told.filter(often)
            .with_columns(_fullness())
            .sort("_ended", "_fullness", maintain_order=True)  # an end outweighs a start, whatever the clocks say
            .group_by(RUN, "step_id", maintain_order=True)
            .agg(*_merged(), pl.col("seq").min().alias("_seq"))
        )
        rows = pl.concat([rows, merged])
    return _placed(rows, foreign=foreign)


def _placed(rows: pl.DataFrame, *, foreign: pl.Series) -> pl.DataFrame:
    """In order, with what follows from the other fields and from the other steps of the run."""
    order = rows.select(pl.arg_sort_by(RUN, "started_at", "_seq", "step_id", nulls_last=True))[RUN]
    placed = rows if order.is_sorted() else rows[order]
    if len(foreign):
        placed = with_doubles(placed, foreign)
    return placed.with_columns(
        _leaves(placed),
        (pl.col("finished_at") - pl.col("started_at")).clip(lower_bound=0).alias("duration_us"),
        (pl.col("step_kind") + ":" + pl.col("step_name")).alias("_label"),
    )


def _leaves(rows: pl.DataFrame) -> pl.Series:
    """Whether no other step of its run names it as its parent."""
    if rows["parent_step_id"].null_count() == rows.height:
        return pl.Series("_leaf", [True]).new_from_index(0, rows.height)
    parents = rows.select(RUN, _PARENT).drop_nulls().unique().with_columns(pl.lit(value=False).alias("_leaf"))
    found = rows.select(RUN, "step_id").join(parents, on=[RUN, "step_id"], how="left", maintain_order="left")
    return found["_leaf"].fill_null(value=True)


def _plain_fields() -> list[str]:
    derived = {"step_id", "duration_us", "started_at", "finished_at"}
    return [name for name in nested_columns("steps") if name not in derived]


def _once() -> list[pl.Expr]:
    moment = pl.col("occurred_at").to_physical()
    return [
        *(pl.col(name) for name in _plain_fields()),
        pl.col("started_at").to_physical(),
        pl.when("_ended").then(moment).alias("finished_at"),
    ]


def _foreign() -> pl.Expr:
    return (pl.col("emitter_id") == UNNUMBERED_EMITTER).alias("_foreign")


def _fullness() -> pl.Expr:
    """How much a foreign span says: of several of one id the fuller stands, and a span before a log record, which lasts
    no time. Those that are numbered stand in order.
    """
    said = pl.sum_horizontal(pl.col(name).is_not_null().cast(pl.Int32) for name in _plain_fields())
    lasts = (pl.col("occurred_at") > pl.col("started_at")).fill_null(value=False)
    return pl.when("_foreign").then(said + lasts.cast(pl.Int32) * 1000).otherwise(0).alias("_fullness")


def _merged() -> list[pl.Expr]:
    fields: list[pl.Expr] = []
    for name in _plain_fields():
        column = pl.col(name)
        if name == "status":
            failed = (pl.col("_foreign") & (column == Status.ERROR)).any()
            said = pl.when(failed).then(pl.lit(Status.ERROR.value)).otherwise(column.last(ignore_nulls=True))
            fields.append(said.alias(name))
        elif isinstance(nested_columns("steps")[name], pl.List):
            said = column.filter(column.list.len() > 0).last()
            fields.append(pl.coalesce(said, column.last()).alias(name))
        else:
            fields.append(column.last(ignore_nulls=True))
    return [
        *fields,
        pl.col("started_at").min().to_physical(),
        pl.col("occurred_at").filter("_ended").last().to_physical().alias("finished_at"),
    ]


def measures(steps: pl.DataFrame) -> pl.DataFrame:
    """Per run the sums of cost, tokens and retries over its steps, and its costliest step; null where no step says any.

    A step that encloses others counts with what it says itself only where nothing beneath it says anything of that
    field: a parent that sums up its children is not counted twice, and one whose children are silent is not lost. A sum
    stops at the largest number of its column, so that it neither wraps nor becomes infinite.
    """
    counted = steps if steps["_leaf"].all() else _without_sums_of_parents(steps)
    return counted.group_by(RUN, maintain_order=True).agg(
        *(pl.when(pl.col(name).is_not_null().any()).then(_sum(name)).alias(name) for name in _MEASURES),
        pl.col("_label").get(pl.col("cost_usd").arg_max(), null_on_oob=True).alias("costliest_step"),
    )


def _sum(name: str) -> pl.Expr:
    if name == "cost_usd":
        in_order = (
            pl.col(name).cast(pl.Float64).drop_nulls().cum_sum().last()
        )  # a sum adds in whatever order is fastest
        return in_order.clip(upper_bound=LARGEST_DOUBLE)
    return pl.col(name).cast(pl.Int128).sum().clip(upper_bound=LARGEST_LONG).cast(pl.Int64)


def _without_sums_of_parents(steps: pl.DataFrame) -> pl.DataFrame:
    says = {name: steps[name].is_not_null() for name in _MEASURES}
    summing = [name for name, said in says.items() if (said & ~steps["_leaf"]).any()]
    if not summing:
        return steps
    ids = steps.select(RUN, "step_id").rows()
    parents = steps.select(RUN, _PARENT).rows()
    parent_of = {step: parent if parent[1] else None for step, parent in zip(ids, parents, strict=True)}
    counts = []
    for name in summing:
        above = enclosing((parent_of[step] for step, said in zip(ids, says[name], strict=True) if said), parent_of)
        counts.append(pl.Series(name, [step not in above for step in ids]))
    return steps.with_columns(pl.when(each).then(each.name).alias(each.name) for each in counts)


def notable(steps: pl.DataFrame) -> pl.DataFrame:
    """Per run the slowest leaf step, and the first step in error, as kind:name."""
    leaf_duration = pl.when(pl.col("_leaf")).then(pl.col("duration_us"))
    in_error = pl.col("status") == Status.ERROR
    return (
        steps.with_columns(leaf_duration.alias("_duration"), in_error.alias("_error"))
        .group_by(RUN, maintain_order=True)
        .agg(
            pl.col("_label").get(pl.col("_duration").arg_max(), null_on_oob=True).alias("slowest_step"),
            pl.col("_label").filter("_error").first().alias("error_step"),
            pl.col("error_type").filter("_error").drop_nulls().first().alias("_step_error"),
            pl.col("_error").any().alias("_step_failed"),
        )
    )


def missing_anchors(steps: pl.DataFrame) -> pl.DataFrame:
    """Per run the version anchors that its ended steps should have said and did not, as kind.field, in causal order."""
    lacking = pl.Series("_lacking", _lacking(steps))
    masks = steps.select(RUN, lacking).group_by(RUN, maintain_order=True).agg(pl.col("_lacking").bitwise_or())
    names = {
        mask: [f"{kind}.{name}" for place, (kind, name) in enumerate(REQUIRED) if mask >> place & 1]
        for mask in masks["_lacking"].unique().to_list()
    }
    named = pl.DataFrame(
        {"_lacking": list(names), "missing_anchors": list(names.values())},
        schema={"_lacking": masks.schema["_lacking"], "missing_anchors": pl.List(pl.String)},
    )
    return masks.join(named, on="_lacking", maintain_order="left").select(RUN, "missing_anchors")


def _lacking(steps: pl.DataFrame) -> npt.NDArray[np.int64]:
    """By step a bit for each of REQUIRED that it should have said and did not; only kinds that are there are asked."""
    kinds = set(steps["step_kind"].unique())
    asked = [(place, kind, name) for place, (kind, name) in enumerate(REQUIRED) if kind in kinds]
    silent = {name: _silent(steps, name) for _, _, name in asked}
    is_kind = {kind: pl.col("step_kind").eq_missing(pl.lit(kind)) for _, kind, _ in asked}
    status = pl.col("status")
    answers = steps.select(
        status.eq_missing(pl.lit(Status.OK.value)).alias("_well"),
        (status != Status.SKIPPED).fill_null(value=False).alias("_ended"),
        *(said.alias(f"_silent_{name}") for name, said in silent.items()),
        *(said.alias(f"_is_{kind}") for kind, said in is_kind.items()),
    )
    at = {column.name: column.to_numpy() for column in answers.get_columns()}
    bits = np.zeros(steps.height, dtype=np.int64)
    for place, kind, name in asked:
        must = at["_well"] if (kind, name) in ONLY_WHEN_OK else at["_ended"]
        bits |= (at[f"_is_{kind}"] & must & at[f"_silent_{name}"]).astype(np.int64) << place
    return bits


def _silent(steps: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    return column.list.len().fill_null(0) == 0 if steps.schema[name] == pl.List(pl.String) else column.is_null()


def nested_steps(steps: pl.DataFrame) -> pl.DataFrame:
    """Per run its steps as one list of records, in the shape of `Run.steps`."""
    fields = [
        pl.col(name).fill_null(pl.lit([], dtype=dtype)) if isinstance(dtype, pl.List) else pl.col(name).cast(dtype)
        for name, dtype in nested_columns("steps").items()
    ]
    return steps.group_by(RUN, maintain_order=True).agg(pl.struct(fields).alias("steps"))
