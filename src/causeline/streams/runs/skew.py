"""Clocks that disagree: a run whose events lie before its start or after its end was told by several clocks.

Runs are joined by id and number, so nothing is lost by it; only times are not to be believed, and the run says so.
"""

import polars as pl

from causeline.schemas.vocabulary import SKEW_LABEL
from causeline.streams.definition.labels import SKEW_FROM_S
from causeline.streams.runs.labels import with_label


def live_times(live: pl.Expr, moment: pl.Expr) -> list[pl.Expr]:
    """`_earliest` and `_latest`: when the first and the last event of a run says it was, leaving out afterthoughts."""
    return [moment.filter(live).min().alias("_earliest"), moment.filter(live).max().alias("_latest")]


def tell_skew(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs with the label `clock.skew_s` where there is a skew: whole seconds, below zero for a clock behind.

    Where both are true the greater one stands. A label of that key from outside does not.
    """
    behind = (pl.col("_earliest") - pl.col("started_at")).fill_null(0)
    ahead = (pl.col("_latest") - pl.col("finished_at")).fill_null(0)
    skew = pl.when(-behind > ahead).then(behind).otherwise(ahead)
    seconds = runs.select((skew.sign() * (skew.abs() // 1_000_000)).alias("seconds"))["seconds"]
    is_skewed = seconds.abs() >= SKEW_FROM_S
    if not is_skewed.any():
        return runs
    return with_label(runs, SKEW_LABEL, seconds.cast(pl.String).set(~is_skewed, None))
