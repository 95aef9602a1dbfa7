"""Whatever joins runs, beside the definition: each core writes, to the byte, what the definition gives."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from causeline.schemas import catalogue, wire
from causeline.schemas.decisions import CLAIMS
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.topics import EVENTS, RUNS
from causeline.schemas.wire.native import CORE
from causeline.schemas.wire.native import Core as Native
from causeline.streams.definition.events import Arrival, by_run
from causeline.streams.definition.reading import Message, Read, read
from causeline.streams.definition.run import Joined, run_of, runs_of
from causeline.streams.runs.compiled import CompiledCore
from causeline.streams.runs.core import Core, Part, Stretch, Written
from causeline.streams.runs.readable import ReadableCore
from causeline.streams.runs.records import brief_of, record_of
from tests.unit.streams.build import SCHEMAS, messages
from tests.unit.streams.refusing import Refusing


def refusing_core() -> CompiledCore:
    """What is left of the compiled core where it takes nothing."""
    return CompiledCore(cast("Native", Refusing()), SCHEMAS)


CORES: Final[Sequence[Core]] = (
    ReadableCore(SCHEMAS),
    refusing_core(),
    *(() if CORE is None else (CompiledCore(CORE, SCHEMAS),)),
)
"""All that are installed: every case of the tests that asks here is put to each of them."""

_EVENT: Final = catalogue.latest(EVENTS.subject)
_RUN: Final = catalogue.latest(RUNS.subject)

Run = dict[str, Any]


class Assembled(NamedTuple):
    """Runs, by first offset and id, and of their events how many came again."""

    runs: Sequence[Run]
    duplicates: int
    conflicting: int


class Closing(NamedTuple):
    """With what a run is joined besides its events."""

    closed_at: int = 0
    reason: str | None = None
    amended: bool = False
    policy: Policy = DEFAULT_POLICY


def decoded(values: Sequence[Message]) -> Read:
    """What the definition reads in messages, once each core has read the same."""
    found = [read(message, SCHEMAS) for message in values]
    arrivals = [arrival for each in found for arrival in each.arrivals]
    unreadable = [each for one in found for each in one.unreadable]
    items = sorted(wire.encode_record(_EVENT, each.event._asdict()) for each in map(_as_claim, arrivals))
    for core in CORES:
        taken = core.read(values)
        assert taken.events == len(arrivals)
        assert list(taken.unreadable) == unreadable
        assert sorted(core.items([share.part for share in taken.shares])) == items
    return Read(arrivals, unreadable)


def arrived(values: Sequence[Message]) -> list[Arrival]:
    """The events of messages, all of which can be used."""
    found = [read(message, SCHEMAS) for message in values]
    assert [each.unreadable for each in found if each.unreadable] == []
    return [arrival for each in found for arrival in each.arrivals]


def assemble(values: Sequence[Message], *, claims: bool = False, **closing: Any) -> Assembled:
    """The runs of messages, all of which can be used, as the definition has them, once each core has written the same:
    from the events as the store has them, and from the messages as a worker reads them.

    What a worker reads has claims in place of decisions; with `claims` its runs are given, else those of the store.
    """
    return assembled(arrived(values), values, claims=claims, **closing)


def assembled(
    arrivals: Sequence[Arrival], values: Sequence[Message] = (), *, claims: bool = False, **closing: Any
) -> Assembled:
    """The same of events that were read, from whichever messages: without these no core is asked to read."""
    by = Closing(**closing)
    as_they_are, as_claims = _defined(arrivals, by), _defined(map(_as_claim, arrivals), by)
    for core in CORES:
        for run_id, some in by_run(arrivals).items():
            expected = _written(as_they_are[run_id])
            assert _told(_of_store(core, some, by, expected)) == _told(expected)
        if values:
            assert {run_id: _told(each) for run_id, each in _of_topic(core, values, by).items()} == {
                run_id: _told(_written(each)) for run_id, each in as_claims.items()
            }
    joined = (as_claims if claims else as_they_are).values()
    return Assembled(
        sorted((dict(each.run) for each in joined), key=lambda run: (run["first_offset"] or 0, run["run_id"])),
        sum(each.duplicates for each in joined),
        sum(each.conflicting for each in joined),
    )


def _defined(arrivals: Iterable[Arrival], by: Closing) -> dict[str, Joined]:
    return {run_id: run_of(some, **by._asdict()) for run_id, some in by_run(arrivals).items()}


def _of_store(core: Core, arrivals: Sequence[Arrival], by: Closing, expected: Written) -> Written:
    in_order = sorted(arrivals, key=lambda arrival: arrival.place or ())
    run = record_of(expected.item)
    stretch = Stretch(run["source_partition"], run["first_offset"], run["last_offset"])
    return core.joined([core.part_of([event for event, _ in in_order])], stretch=stretch, **by._asdict())


def _of_topic(core: Core, values: Sequence[Message], by: Closing) -> dict[str, Written]:
    parts: dict[str, list[Part]] = {}
    for share in core.read(values).shares:
        parts.setdefault(share.run_id, []).append(share.part)
    return {run_id: core.joined(some, **by._asdict()) for run_id, some in parts.items()}


def _written(joined: Joined) -> Written:
    """What a core is to give."""
    item = wire.encode_record(_RUN, cast("Record", joined.run))
    return Written(item, brief_of(joined.run), joined.run["last_offset"], joined.duplicates, joined.conflicting)


def _told(run: Written) -> dict[str, object]:
    """All that a core gives of a run, the readable first."""
    brief = [list(value) if isinstance(value, (list, tuple)) else value for value in run.brief]
    return {"record": record_of(run.item), **run._asdict(), "brief": brief}


def arrivals(*batches: Sequence[Record], partition: int = 0, first_offset: int = 0) -> list[Arrival]:
    """The events of batches that stand one after the other in a partition."""
    return arrived(messages(*batches, partition=partition, first_offset=first_offset))


def defined(events: Sequence[Record], *, closed_at: int = 0, policy: Policy = DEFAULT_POLICY) -> dict[str, Run]:
    """By id the runs of events in order of arrival, as the definition has them."""
    joined = runs_of(arrivals(events), closed_at=closed_at, policy=policy)
    return {run_id: dict(each.run) for run_id, each in joined.items()}


def as_claims(events: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Events as the worker takes them from the events topic."""
    return [{**event, "event_type": CLAIMS.get(event["event_type"], event["event_type"])} for event in events]


def _as_claim(arrival: Arrival) -> Arrival:
    kind = arrival.event.event_type
    return arrival._replace(event=arrival.event._replace(event_type=CLAIMS.get(kind, kind)))
