"""Both definitions of a run, one beside the other: what the worker's columns give is what the readable one gives."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from causeline.schemas.decisions import CLAIMS
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.streams.definition.events import Arrival, by_run
from causeline.streams.definition.reading import arrivals_in
from causeline.streams.definition.run import Joined, run_of, runs_of
from causeline.streams.runs import assemble as columns
from causeline.streams.runs.assemble import Assembled
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.records import arrivals_of
from tests.unit.streams.build import SCHEMAS, batch

Run = dict[str, Any]


def assemble(
    events: pl.DataFrame,
    *,
    closed_at_us: int,
    reasons: pl.DataFrame | None = None,
    amended: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> Assembled:
    """What the columns give, once it is what the definition gives: to be asked as `streams.runs.assemble` is."""
    found = columns.assemble(events, closed_at_us=closed_at_us, reasons=reasons, amended=amended, policy=policy)
    said = {} if reasons is None else _by_run(reasons, events)
    joined = [
        run_of(some, closed_at=closed_at_us, reason=said.get(run_id), amended=amended, policy=policy)
        for run_id, some in by_run(arrivals_of(events)).items()
    ]
    assert differing(found.runs, joined) == []
    assert (found.duplicates, found.conflicting) == _repeats(joined)
    return found


def _by_run(reasons: pl.DataFrame, events: pl.DataFrame) -> dict[str, str]:
    numbers = events.select(RUN, "run_id").unique()
    return dict(reasons.join(numbers, on=RUN).select("run_id", "close_reason").iter_rows())


def differing(runs: pl.DataFrame, joined: Iterable[Joined]) -> list[str]:
    """Each field of each run in which the columns and the definition are not of one mind, as a sentence."""
    expected = {each.run["run_id"]: each.run for each in joined}
    assert set(runs["run_id"]) == set(expected)
    return [
        f"{name} of run {run['run_id']}: {run[name]!r} by columns, {value!r} by the definition"
        for run in runs.iter_rows(named=True)
        for name, value in expected[run["run_id"]].items()
        if run[name] != value
    ]


def _repeats(joined: Iterable[Joined]) -> tuple[int, int]:
    counted = [(each.duplicates, each.conflicting) for each in joined]
    return sum(again for again, _ in counted), sum(conflicting for _, conflicting in counted)


def arrivals(*batches: Sequence[Record], partition: int = 0, first_offset: int = 0) -> list[Arrival]:
    """The events of batches that stand one after the other in a partition, read as any reader of Avro does."""
    return [
        arrival
        for n, records in enumerate(batches)
        for arrival in arrivals_in(batch(records), partition, first_offset + n, SCHEMAS)
    ]


def defined(events: Sequence[Record], *, closed_at: int = 0, policy: Policy = DEFAULT_POLICY) -> dict[str, Run]:
    """By id the runs of events in order of arrival, as the definition has them."""
    joined = runs_of(arrivals(events), closed_at=closed_at, policy=policy)
    return {run_id: dict(each.run) for run_id, each in joined.items()}


def as_claims(events: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Events as the worker takes them from the events topic."""
    return [{**event, "event_type": CLAIMS.get(event["event_type"], event["event_type"])} for event in events]
