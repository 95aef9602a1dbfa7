"""Which runs a frame of events speaks of, message by message: all that is needed to decide about them, and no more."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from causeline.schemas.decisions import AFTERTHOUGHTS
from causeline.schemas.vocabulary import EventType
from causeline.streams.runs.shapes import OFFSET, PARTITION

Rows = npt.NDArray[np.uint32]
"""Row numbers within a frame."""


class Share(NamedTuple):
    """What one message holds of one run from one emitter."""

    partition: int
    run_id: str
    offset: int
    emitter_id: str
    events: int
    seq_low: int
    seq_high: int
    seq_distinct: int
    starts: int
    ends: int
    steps: int
    afterthoughts: int
    """Reviews and evals: what people and gates say of a run, perhaps long after it."""
    expected_events: int | None
    expected_steps: int | None
    workflow: str


@dataclass(frozen=True, slots=True)
class Tally:
    """The shares of a frame in order of appearance, and for each the rows it stands in."""

    frame: pl.DataFrame
    shares: tuple[Share, ...]
    rows: tuple[Rows, ...]


def tally(frame: pl.DataFrame) -> Tally:
    """The shares of a frame of decoded events (`_partition`, `_offset` and the columns of a TraceEvent)."""
    if frame.is_empty():
        return Tally(frame, (), ())
    kind = pl.col("event_type")
    groups = (
        frame.lazy()
        .select(
            PARTITION,
            "run_id",
            OFFSET,
            "emitter_id",
            "seq",
            "expected_events",
            "workflow",
            pl.col("expected_steps").list.len().alias("named"),
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
            (kind == EventType.RUN_STARTED).alias("starts"),
            (kind == EventType.RUN_FINISHED).alias("ends"),
            (kind == EventType.STEP_FINISHED).alias("steps"),
            kind.is_in(AFTERTHOUGHTS).alias("afterthoughts"),
        )
        .group_by(PARTITION, "run_id", OFFSET, "emitter_id", maintain_order=True)
        .agg(
            pl.len(),
            pl.col("seq").min().alias("low"),
            pl.col("seq").max().alias("high"),
            pl.col("seq").n_unique().alias("distinct"),
            pl.col("starts", "ends", "steps", "afterthoughts").sum(),
            pl.col("expected_events").max(),
            pl.col("named").max(),
            pl.col("workflow").first(),
            "row",
        )
        .collect()
    )
    rows = groups["row"].explode().to_numpy()
    bounds = np.cumsum(groups["len"].to_numpy())[:-1]
    shares = tuple(Share._make(values) for values in groups.drop("row").iter_rows())
    return Tally(frame, shares, tuple(np.split(rows, bounds)))
