"""From a run's stored events to its next revision, by the worker's own columns; its place in the log is kept.

Not by the definition, which takes events one by one: a run may have 200,000, and this reads them in little memory.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.vocabulary import CloseReason
from causeline.streams.amender.stored import Standing
from causeline.streams.runs.assemble import assemble
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.shapes import no_runs, run_columns

_PLACE = ("source_partition", "first_offset", "last_offset")


def revised(
    events: pl.DataFrame,
    standings: Mapping[str, Standing],
    partitions: Mapping[str, int],
    *,
    now_us: int,
    at_most: int,
    policy: Policy = DEFAULT_POLICY,
) -> pl.DataFrame:
    """The runs of `events` that count more events than their record does, ready to publish.

    `events` has at most `at_most` events a run; a run of so many is closed as one too large. `partitions` says where
    a run is published whose record does not say it.
    """
    runs = reassembled(events, {}, now_us=now_us, at_most=at_most, policy=policy)
    revisions = {run_id: each.revision for run_id, each in standings.items()}
    known = pl.col("run_id").replace_strict(revisions, default=0, return_dtype=pl.Int64)
    return placed(runs.filter(pl.col("revision") > known), standings, partitions)


def reassembled(
    events: pl.DataFrame,
    close_reasons: Mapping[str, str],
    *,
    now_us: int,
    at_most: int,
    policy: Policy = DEFAULT_POLICY,
) -> pl.DataFrame:
    """The runs of stored events, amended and judged; a run keeps the close reason it has in `close_reasons`."""
    if events.is_empty():
        return no_runs()
    numbered = events.with_columns(pl.col("run_id").rank("dense").cast(pl.UInt32).alias(RUN))
    sizes = numbered.group_by(RUN, "run_id").len()
    said = pl.col("run_id").replace_strict(close_reasons, default=None, return_dtype=pl.String)
    sizes = sizes.with_columns(
        pl.when(pl.col("len") >= at_most).then(pl.lit(CloseReason.OVERFLOW.value)).otherwise(said).alias("close_reason")
    )
    parts = []
    for given in (sizes.filter(pl.col("close_reason").is_not_null()), sizes.filter(pl.col("close_reason").is_null())):
        if given.is_empty():
            continue
        mine = numbered.join(given.select(RUN), on=RUN, how="semi")
        reasons = None if given["close_reason"].null_count() else given.select(RUN, "close_reason")
        parts.append(assemble(mine, closed_at_us=now_us, reasons=reasons, amended=True, policy=policy).runs)
    return pl.concat(parts)


def placed(runs: pl.DataFrame, standings: Mapping[str, Standing], partitions: Mapping[str, int]) -> pl.DataFrame:
    """`runs` with their place in the log: events that come from the store have none of their own."""
    places = pl.DataFrame(
        [_place(run_id, standings.get(run_id), partitions) for run_id in runs["run_id"]],
        schema={"run_id": pl.String, **{name: run_columns()[name] for name in _PLACE}},
        orient="row",
    )
    columns = list(run_columns())
    return runs.drop(_PLACE).join(places, on="run_id", how="left", maintain_order="left").select(columns)


def _place(
    run_id: str, standing: Standing | None, partitions: Mapping[str, int]
) -> tuple[str, int | None, int | None, int | None]:
    if standing is None or standing.source_partition is None:
        return run_id, partitions.get(run_id), None, None
    return run_id, standing.source_partition, standing.first_offset, standing.last_offset


def in_batches(run_ids: Iterable[str], sizes: Mapping[str, int], *, at_most: int) -> Iterable[list[str]]:
    """`run_ids` in their order, in batches of at most `at_most` events together; a larger run goes alone."""
    batch: list[str] = []
    events = 0
    for run_id in run_ids:
        size = sizes.get(run_id, 0)
        if batch and events + size > at_most:
            yield batch
            batch, events = [], 0
        batch.append(run_id)
        events += size
    if batch:
        yield batch
