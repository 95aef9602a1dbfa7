"""Between columns and records: the events of a frame one by one, as the definition takes them, and runs as a frame."""

from collections.abc import Iterable, Iterator

import polars as pl

from causeline.streams.definition.events import Arrival, Place
from causeline.streams.definition.records import Event, RunRecord
from causeline.streams.runs.shapes import OFFSET, PARTITION, run_columns


def arrivals_of(events: pl.DataFrame) -> Iterator[Arrival]:
    """The events of a frame, in its order; each with its place, where the frame has `_partition` and `_offset`."""
    said = events.select(pl.col(Event._fields)).with_columns(pl.col(pl.Datetime).to_physical())
    told = map(Event._make, said.iter_rows())
    if OFFSET not in events.columns:
        return map(Arrival, told)
    item = pl.int_range(pl.len()).over(PARTITION, OFFSET)
    places = events.select(PARTITION, OFFSET, item.alias("item")).iter_rows()
    return (Arrival(event, Place._make(place)) for event, place in zip(told, places, strict=True))


def frame_of(runs: Iterable[RunRecord]) -> pl.DataFrame:
    """Runs with the columns of a Run, in their order."""
    return pl.DataFrame(list(runs), schema=run_columns(), orient="row")
