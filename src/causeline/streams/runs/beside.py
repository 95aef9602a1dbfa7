"""What was found of runs, put beside them: by their numbers, without a join where each run has its row in order."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from causeline.streams.runs.distinct import RUN


def beside(runs: pl.DataFrame, parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """`runs` with the columns of `parts`; what a run has no row of is null.

    `runs` has each `_run` once, in rising order. A part has a `_run` at most once, and none that `runs` has not.
    """
    numbers = runs[RUN]
    columns = runs.get_columns()
    for part in parts:
        columns += _aligned(numbers, part)
    return pl.DataFrame(columns)


def _aligned(numbers: pl.Series, part: pl.DataFrame) -> list[pl.Series]:
    mine, said = part[RUN], [column for column in part.get_columns() if column.name != RUN]
    if part.is_empty():
        return [column.extend_constant(None, len(numbers)) for column in said]
    if mine.equals(numbers):
        return said
    places = np.searchsorted(numbers.to_numpy(), mine.to_numpy())
    rows = pl.Series([None], dtype=pl.UInt32).new_from_index(0, len(numbers))
    rows = rows.scatter(places, np.arange(len(mine), dtype=np.uint32))
    return [column.gather(rows) for column in said]  # a row that is null gives null
