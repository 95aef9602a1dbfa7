"""Which events a run is made of, and in which order: each once, those of its own project and workflow, by time."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

from causeline.schemas import catalogue
from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.vocabulary import EventType, WorkflowSource
from causeline.streams.definition.records import Event

_NAMES: Final = Event._fields
_UNSAID: Final[Mapping[str, object]] = {
    field["name"]: field["default"]
    for field in (catalogue.latest("trace-batch").item or {})["fields"]
    if "default" in field
}
"""What a schema older than a field says of it."""
_values = itemgetter(*_NAMES)


class Place(NamedTuple):
    """Where an event stood in the log: which one of which message."""

    partition: int
    offset: int
    item: int


class Arrival(NamedTuple):
    """An event, and where it stood; events that come from the store stand nowhere."""

    event: Event
    place: Place | None = None


def event_of(record: Mapping[str, object]) -> Event:
    """The event of a decoded record, of whatever version of the schema."""
    said = record if len(record) >= len(_NAMES) else {**_UNSAID, **record}
    return Event._make(_values(said))


def by_run(arrivals: Iterable[Arrival]) -> dict[str, list[Arrival]]:
    """The events of each run, by its id."""
    runs: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        runs.setdefault(arrival.event.run_id, []).append(arrival)
    return runs


# --- each once


@dataclass(frozen=True, slots=True)
class Once:
    """Events of which none comes twice, and how many came again; `conflicting` of those say something else."""

    arrivals: Sequence[Arrival]
    duplicates: int
    conflicting: int


def each_once(arrivals: Sequence[Arrival]) -> Once:
    """An event that comes again, by its id, is the same event: the first to arrive is kept."""
    if any(arrival.place for arrival in arrivals):
        arrivals = sorted(arrivals, key=lambda arrival: arrival.place or ())
    kept: dict[str, Arrival] = {}
    again = conflicting = 0
    for arrival in arrivals:
        first = kept.setdefault(arrival.event.event_id, arrival)
        if first is not arrival:
            again += 1
            conflicting += differ(first.event, arrival.event)
    return Once(list(kept.values()), again, conflicting)


def differ(one: Event, other: Event) -> bool:
    """Whether two events say something else; what is not a number is like itself."""
    return one != other and any(a != b and not (_is_nan(a) and _is_nan(b)) for a, b in zip(one, other, strict=True))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


# --- in order


def canonical(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """By time, and where times are equal by what no order of arrival changes."""
    return sorted(arrivals, key=_canonically)


def _canonically(arrival: Arrival) -> tuple[int, str, int, str]:
    event = arrival.event
    return event.occurred_at, event.emitter_id, event.seq, event.event_id


# --- its own


@dataclass(frozen=True, slots=True)
class Owned:
    """A run's own events, whose project it is, and how many events were set aside."""

    events: list[Event]
    project: str
    set_aside: int


def owned(events: list[Event]) -> Owned:
    """A run belongs to the project and workflow that most of its events name, of equals to the first in order.

    What names another is set aside. But a span over OTLP may name another workflow, since each service has its own word
    for what it does; and an evaluation over OTLP another project too, and has no vote: who scores knows the id alone.

    Decided in ADR 45.
    """
    votes = Counter({(event.project, event.workflow): 0 for event in events})
    if len(votes) == 1:  # as nearly always
        return Owned(events, events[0].project, 0)
    votes.update((event.project, event.workflow) for event in events if not _is_remark(event))
    project, workflow = max(votes, key=votes.__getitem__)
    own = [
        event
        for event in events
        if (event.project == project or _is_remark(event))
        and (event.workflow == workflow or event.emitter_id == UNNUMBERED_EMITTER)
    ]
    return Owned(own, project, len(events) - len(own))


def _is_remark(event: Event) -> bool:
    return event.emitter_id == UNNUMBERED_EMITTER and event.event_type == EventType.EVALUATION_RECORDED


SOURCES: Final = {
    WorkflowSource.AGENT.value: 1,
    WorkflowSource.SERVICE.value: 2,
    WorkflowSource.SPAN.value: 3,
}


def workflow(events: Sequence[Event]) -> str:
    """The workflow that is said outright, else the topmost agent's name, else the service's, else the span's."""
    return min(events, key=_strength).workflow


def _strength(event: Event) -> tuple[int, int]:
    rank = SOURCES.get(event.workflow_source or "", 0)
    return rank, event.run_started_at if rank else 0
