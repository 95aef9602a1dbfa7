"""The zoo's runs laid out as traffic: each form of a workflow by itself, clean runs with a few faulty ones among them.

A release has a workflow of its own, in which clean runs come first: so a store that knows nothing of faults has the
same neighbours for each run as a workflow in use would. Times and names of workflows are written anew, nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.zoo.plan import Sizes
from benchmarks.zoo.protocol import Fault, Form, Workflow
from benchmarks.zoo.recorded import Recorded, record
from causeline.schemas import catalogue, wire
from causeline.schemas.decisions import DECISIONS as DECIDE
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS

_CLEAN, _BEFORE_RELEASE, _OF_RELEASE, _OF_FAULT = 200, 30, 8, 1
_APART_US = 20_000_000
_RUNS_A_MESSAGE = 5


@dataclass(frozen=True, slots=True)
class Planted:
    """A run as it is published, and the truth."""

    run_id: str
    workflow: str
    started_us: int
    form: Form
    fault: Fault | None
    events: tuple[Mapping[str, object], ...]


def traffic(half: str, found: Sequence[Workflow], forms: Sequence[Form], seed: int, begin_us: int) -> Iterator[Planted]:
    """The runs of some workflows and forms, one form after the other, each in order of time."""
    for workflow in found:
        releases = [fault for fault in workflow.faults if fault.regression]
        sizes = Sizes(clean=_CLEAN + _BEFORE_RELEASE * len(releases), faulty=_OF_RELEASE)
        for form in forms:
            yield from _laid_out(record(half, workflow, form, seed, sizes), releases, begin_us)


def _laid_out(recorded: Recorded, releases: Sequence[Fault], begin_us: int) -> Iterator[Planted]:
    events = _events(recorded)
    ids: dict[str, list[str]] = {}
    for run_id in recorded.order:
        fault = recorded.faults[run_id]
        ids.setdefault(fault.name if fault else "", []).append(run_id)
    clean = ids[""]
    usual, spare = clean[:_CLEAN], clean[_CLEAN:]
    named = {fault.name for fault in releases}
    faulty = [run_id for name, each in ids.items() if name and name not in named for run_id in each[:_OF_FAULT]]
    every = max(1, len(usual) // max(1, len(faulty)))
    mixed: list[str] = []
    for place, run_id in enumerate(usual):
        mixed.append(run_id)
        # The first come late enough to have neighbours.
        if place >= every and place % every == 0 and faulty:
            mixed.append(faulty.pop())
    worlds = {"": [*mixed, *faulty]}
    for number, fault in enumerate(releases):
        before = spare[number * _BEFORE_RELEASE : (number + 1) * _BEFORE_RELEASE]
        worlds[f"-{fault.name}"] = [*before, *ids.get(fault.name, [])]
    for suffix, order in worlds.items():
        name = f"{recorded.workflow.name}-{recorded.form}{suffix}"
        for place, run_id in enumerate(order):
            at_us = begin_us + place * _APART_US
            yield Planted(
                run_id, name, at_us, recorded.form, recorded.faults[run_id], _moved(events[run_id], name, at_us)
            )


def _events(recorded: Recorded) -> dict[str, list[Mapping[str, object]]]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for value in recorded.values:
        for event in wire.decode_items(wire.read_block(value, EVENTS.subject, Schemas())):
            found.setdefault(str(event["run_id"]), []).append(event)
    return found


def _moved(events: Sequence[Mapping[str, object]], workflow: str, at_us: int) -> tuple[Mapping[str, object], ...]:
    """The same events of another workflow, begun at another time."""
    later = at_us - min(int(str(event["run_started_at"])) for event in events)
    times = [name for name in ("run_started_at", "occurred_at", "started_at") if name in events[0]]
    return tuple(
        {
            **event,
            "workflow": workflow,
            **{name: int(str(event[name])) + later for name in times if event[name] is not None},
        }
        for event in events
    )


def decided(runs: Sequence[Planted], *, by_people_and_judges: bool) -> list[Planted]:
    """The same runs with the events of one topic only: reviews and evals count where only who decides may write."""
    return [
        replace(
            run, events=tuple(each for each in run.events if (each["event_type"] in DECIDE) == by_people_and_judges)
        )
        for run in runs
    ]


def messages(runs: Sequence[Planted], partitions: int) -> Iterator[tuple[int, bytes]]:
    """The runs as messages of a topic, each with its partition; runs are whole, and in their order."""
    schema = catalogue.latest(EVENTS.subject)
    by_partition: dict[int, list[Planted]] = {}
    for run in runs:
        by_partition.setdefault(partition_of(run.run_id, partitions), []).append(run)
    for partition, mine in by_partition.items():
        for start in range(0, len(mine), _RUNS_A_MESSAGE):
            some = mine[start : start + _RUNS_A_MESSAGE]
            batch = {"emitter_id": "zoo", "events": [event for run in some for event in run.events]}
            if batch["events"]:
                yield partition, wire.frame(schema.schema_id, wire.encode_datum(schema, batch))
