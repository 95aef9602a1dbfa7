"""What a run decided, taken from its steps: route, prompt, model, what the model saw, and which validations stand.

Each is said by steps of its kind. Of them the last to end speaks, and gives all that belongs together, so that no run
shows one model's name beside another's temperature. Where no step of the kind says anything, any step may, and where no
step does, any event (`totals`).

Decided in ADR 34.
"""

from collections.abc import Sequence

import polars as pl

from causeline.schemas.vocabulary import Status, StepKind
from causeline.streams.definition.decisions import DECISIONS, Decision
from causeline.streams.runs.distinct import RUN

_ENDED_WELL = pl.col("status").eq_missing(pl.lit(Status.OK.value))


def said(steps: pl.DataFrame, names: Sequence[str]) -> pl.Expr:
    """Whether any of the columns says something: a list does that is not empty."""
    return pl.any_horizontal(
        pl.col(name).list.len() > 0 if isinstance(steps.schema[name], pl.List) else pl.col(name).is_not_null()
        for name in names
    )


def decided(steps: pl.DataFrame) -> pl.DataFrame:
    """One row a run with steps: for each of DECISIONS whether a step speaks (`_step{n}`), and what it says."""
    height = steps.height
    place = pl.coalesce("finished_at", "started_at").rank("ordinal").cast(pl.Int64).alias("_place")
    placed = steps.select(
        RUN, "step_kind", "status", place, *{name for each in DECISIONS for name in (*each.says, *each.taken)}
    ).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("_row"))
    scores = [
        pl.when(said(placed, each.says)).then(pl.col("_place") + _rank(each) * (height + 1)).alias(f"_score{n}")
        for n, each in enumerate(DECISIONS)
    ]
    speakers = (
        placed.with_columns(scores)
        .group_by(RUN, maintain_order=True)
        .agg(
            pl.col("_row").get(pl.col(f"_score{n}").arg_max(), null_on_oob=True).alias(f"_at{n}")
            for n in range(len(DECISIONS))
        )
    )
    taken = [
        placed.select(pl.col(each.taken).gather(pl.lit(speakers[f"_at{n}"]))).rename(
            {x: f"_of_{x}" for x in each.taken}
        )
        for n, each in enumerate(DECISIONS)
    ]
    spoke = [speakers[f"_at{n}"].is_not_null().alias(f"_step{n}") for n in range(len(DECISIONS))]
    return pl.concat([speakers.select(RUN, *spoke), *taken], how="horizontal")


def _rank(decision: Decision) -> pl.Expr:
    kind = pl.col("step_kind")
    rank = pl.lit(0, dtype=pl.Int64)
    for word, number in decision.ranks.items():
        rank = pl.when(kind == word).then(pl.lit(number, dtype=pl.Int64)).otherwise(rank)
    if not decision.well:
        return rank
    return 2 * rank + ((rank > 0) & _ENDED_WELL).cast(pl.Int64)


def heard(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs, in which the step that speaks has the word, and only where none does what any event said."""
    words = [
        pl.when(pl.col(f"_step{n}").fill_null(value=False)).then(f"_of_{name}").otherwise(name).alias(name)
        for n, each in enumerate(DECISIONS)
        for name in each.taken
    ]
    return runs.with_columns(words)


def standing_errors(steps: pl.DataFrame) -> pl.DataFrame:
    """Per run `validation_errors`: of each step that validates, by kind:name, what it said when it last ended.

    A validation that was made again and passed clears what it had found, and nothing that another found.
    """
    validates = (pl.col("step_kind") == StepKind.VALIDATE) | (pl.col("validation_errors").list.len() > 0)
    errors = pl.col("validation_errors")
    return (
        steps.lazy()
        .filter(validates)
        .sort(RUN, pl.coalesce("finished_at", "started_at"), maintain_order=True)
        .group_by(RUN, "_label", maintain_order=True)
        .agg(errors.last())
        .explode("validation_errors", empty_as_null=False)
        .group_by(RUN, maintain_order=True)
        .agg(errors.drop_nulls().unique(maintain_order=True))
        .collect()
    )
