"""Labels that the assembler puts on runs: what it found of them, and what nobody outside can say in its place."""

import polars as pl


def with_label(runs: pl.DataFrame, key: str, values: pl.Series) -> pl.DataFrame:
    """The runs with the label `key` where `values`, a text each, are not null; there none from outside stands."""
    pair = pl.struct(pl.lit(key).alias("key"), values.alias("value"))
    told = runs.select(pl.concat_list(pair).alias("told"))["told"]
    others = pl.col("labels").fill_null([]).list.filter(pl.element().struct.field("key") != key)
    with_told = pl.concat_list(others, told).list.sort()
    return runs.with_columns(pl.when(values.is_not_null()).then(with_told).otherwise("labels").alias("labels"))
