"""What the definition makes of events: as records of the wire, or as values of the events topic."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causeline.schemas.decisions import CLAIMS
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.streams.definition.events import Arrival
from causeline.streams.definition.reading import Message, read
from causeline.streams.definition.run import runs_of
from tests.unit.streams.build import SCHEMAS, batch

Run = dict[str, Any]


def arrivals(*batches: Sequence[Record], partition: int = 0, first_offset: int = 0) -> list[Arrival]:
    """The events of batches that stand one after the other in a partition, read as any reader of Avro does."""
    return arrivals_in_values(map(batch, batches), partition=partition, first_offset=first_offset)


def arrivals_in_values(values: Iterable[bytes], *, partition: int = 0, first_offset: int = 0) -> list[Arrival]:
    """The events of values that stand one after the other in a partition, all of which can be used."""
    found = [read(Message(partition, first_offset + n, value), SCHEMAS) for n, value in enumerate(values)]
    assert [each.unreadable for each in found if each.unreadable] == []
    return [arrival for each in found for arrival in each.arrivals]


def defined(events: Sequence[Record], *, closed_at: int = 0, policy: Policy = DEFAULT_POLICY) -> dict[str, Run]:
    """By id the runs of events in order of arrival, as the definition has them."""
    return defined_of(arrivals(events), closed_at=closed_at, policy=policy)


def defined_of(events: Iterable[Arrival], *, closed_at: int = 0, policy: Policy = DEFAULT_POLICY) -> dict[str, Run]:
    """The same of events that were read."""
    joined = runs_of(events, closed_at=closed_at, policy=policy)
    return {run_id: dict(each.run) for run_id, each in joined.items()}


def as_claims(events: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Events as the worker takes them from the events topic."""
    return [{**event, "event_type": CLAIMS.get(event["event_type"], event["event_type"])} for event in events]
