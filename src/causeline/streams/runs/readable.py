"""The readable core: the definition itself, one event after the other. Any other core gives what this one gives."""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from causeline.schemas.decisions import AFTERTHOUGHTS, CLAIMS
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.vocabulary import EventType
from causeline.streams.definition.events import Arrival, differ
from causeline.streams.definition.reading import Message, Unreadable, read
from causeline.streams.definition.records import Event
from causeline.streams.definition.run import run_of
from causeline.streams.runs.core import Check, Fresh, Part, Share, Stretch, Taken, Written
from causeline.streams.runs.records import brief_of, event_item, item_of


class Arrivals:
    """A part: events with their places."""

    __slots__ = ("arrivals",)

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals = arrivals

    def __len__(self) -> int:
        return len(self.arrivals)


class KnownEvents:
    """See `Known`."""

    def __init__(self) -> None:
        self._by_id: dict[str, Event] = {}

    def take(self, part: Part) -> Fresh:
        """See `Known`."""
        new: list[Arrival] = []
        duplicates = conflicting = 0
        for arrival in _all([part]):
            event = arrival.event
            first = self._by_id.get(event.event_id)
            if first is None:
                self._by_id[event.event_id] = event
                new.append(arrival)
            else:
                duplicates += 1
                conflicting += differ(first, event)
        steps = sum(event.event_type == EventType.STEP_FINISHED for event, _ in new)
        return Fresh(Arrivals(new) if new else None, steps, duplicates, conflicting)


class ReadableCore:
    """See `Core`."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def read(self, messages: Sequence[Message]) -> Taken:
        """See `Core`."""
        events = 0
        shares: list[Share] = []
        checks: list[Check] = []
        unreadable: list[Unreadable] = []
        for message in messages:
            found = read(message, self._schemas)
            arrivals = [_as_claim(arrival) for arrival in found.arrivals]
            events += len(arrivals)
            shares += _shares(message, arrivals)
            checks += [
                Check(message.partition, message.offset, event)
                for event, _ in arrivals
                if event.event_type == EventType.EVIDENCE_CHECKED
            ]
            unreadable += found.unreadable
        return Taken(events, shares, checks, unreadable)

    def known(self) -> KnownEvents:
        """See `Core`."""
        return KnownEvents()

    def together(self, parts: Sequence[Part]) -> Part:
        """See `Core`."""
        return Arrivals(list(_all(parts)))

    def joined(
        self,
        parts: Sequence[Part],
        *,
        closed_at: int,
        reason: str | None,
        policy: Policy,
        amended: bool = False,
        stretch: Stretch | None = None,
    ) -> Written:
        """See `Core`."""
        found = run_of(list(_all(parts)), closed_at=closed_at, reason=reason, amended=amended, policy=policy)
        run = found.run
        if stretch is not None:
            run["source_partition"], run["first_offset"], run["last_offset"] = stretch
        return Written(item_of(run), brief_of(run), run["last_offset"], found.duplicates, found.conflicting)

    def items(self, parts: Sequence[Part]) -> list[bytes]:
        """See `Core`."""
        return [event_item(event) for event, _ in _all(parts)]

    def part_of(self, events: Sequence[Event]) -> Part:
        """See `Core`."""
        return Arrivals([Arrival(event) for event in events])


def _all(parts: Iterable[Part]) -> Iterator[Arrival]:
    return (arrival for part in cast("Iterable[Arrivals]", parts) for arrival in part.arrivals)


def _as_claim(arrival: Arrival) -> Arrival:
    """A decision that came by the events topic is what it is there: a claim."""
    claim = CLAIMS.get(arrival.event.event_type)
    return arrival if claim is None else arrival._replace(event=arrival.event._replace(event_type=claim))


def _shares(message: Message, arrivals: Iterable[Arrival]) -> Iterator[Share]:
    """The shares of one message, in order of their first event."""
    found: dict[tuple[str, str], list[Arrival]] = {}
    for arrival in arrivals:
        found.setdefault((arrival.event.run_id, arrival.event.emitter_id), []).append(arrival)
    return (_share(message, *whose, some) for whose, some in found.items())


def _share(message: Message, run_id: str, emitter_id: str, arrivals: Sequence[Arrival]) -> Share:
    events = [event for event, _ in arrivals]
    kinds = [event.event_type for event in events]
    return Share(
        partition=message.partition,
        run_id=run_id,
        offset=message.offset,
        emitter_id=emitter_id,
        workflow=events[0].workflow,
        seqs=[event.seq for event in events],
        starts=kinds.count(EventType.RUN_STARTED),
        ends=kinds.count(EventType.RUN_FINISHED),
        steps=kinds.count(EventType.STEP_FINISHED),
        afterthoughts=sum(kind in AFTERTHOUGHTS for kind in kinds),
        expected_events=max((each for event in events if (each := event.expected_events) is not None), default=None),
        expected_steps=max(len(event.expected_steps) for event in events),
        part=Arrivals(arrivals),
    )
