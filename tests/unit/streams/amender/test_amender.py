"""Late batches in, next revisions out: the amender over a store and a broker that are lists."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import pytest

from causeline.schemas import wire
from causeline.schemas.errors import Unreachable
from causeline.schemas.events import UNNUMBERED_EMITTER, Record
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.topics import DEAD, RUNS, Topic
from causeline.streams.amender.amender import Amender
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.amender.stored import Standing, Stored
from causeline.streams.definition.reading import Message
from causeline.streams.definition.records import Event
from causeline.streams.runs.core import Core, Part
from causeline.streams.runs.readable import ReadableCore
from tests.unit.streams.both import arrivals
from tests.unit.streams.build import CORE, SCHEMAS, batch, event, run_id, whole_run

SETTINGS = AmenderSettings(unjoined_wait_s=60, visible_wait_s=100, watch_s=1000, retry_min_s=1, retry_max_s=1)
SECOND = 1_000_000


class NoSource:
    """A source that nobody asks."""

    def rows(self, sql: str, parameters: object) -> NoReturn:
        raise AssertionError((sql, parameters))


class ListStored(Stored):
    """Events and run records in memory; what is published becomes a record when `load` is called."""

    def __init__(self) -> None:
        super().__init__(NoSource())
        self.stored: list[Record] = []
        self.records: dict[str, Record] = {}
        self.away = False
        self.read_together: list[int] = []

    def standings(self, run_ids: Sequence[str], marks: Sequence[str] = ()) -> dict[str, Standing]:
        if self.away:
            raise Unreachable("The store does not answer.")
        found = {}
        for each in run_ids:
            mine = {event["event_id"] for event in self.stored if event["run_id"] == each}
            if not mine:
                continue
            record = self.records.get(each, {})
            found[each] = Standing(
                run_id=each,
                events=len(mine),
                seen=bool(mine & set(marks)),
                **{  # type: ignore[arg-type]
                    name: record[name]
                    for name in ("revision", "source_partition", "first_offset", "last_offset")
                    if name in record
                },
            )
        return found

    def parts(self, run_ids: Sequence[str], *, at_most: int, core: Core) -> dict[str, list[Part]]:
        mine = [event for event in self.stored if event["run_id"] in run_ids]
        self.read_together.append(len(mine))
        once = {arrival.event.event_id: arrival.event for arrival in arrivals(mine)}
        found: dict[str, list[Event]] = {}
        for each in once.values():
            found.setdefault(each.run_id, []).append(each)
        halves = {run_id: (some[:at_most][:2], some[:at_most][2:]) for run_id, some in found.items()}
        return {run_id: [core.part_of(half) for half in both if half] for run_id, both in halves.items()}


@dataclass
class ListPublisher:
    """Keeps what is published."""

    sent: list[tuple[Topic, int | None, bytes]] = field(default_factory=list)
    away: bool = False

    def publish(self, topic: Topic, partition: int | None, value: bytes, key: bytes | None = None) -> None:
        self.sent.append((topic, partition, value))

    def deliver(self) -> None:
        if self.away:
            raise Unreachable("The broker does not answer.")

    def runs(self) -> list[Record]:
        return [
            record
            for topic, _, value in self.sent
            if topic is RUNS
            for record in wire.decode_items(wire.read_block(value, "run-batch", SCHEMAS))
        ]


class Site:
    """An amender with its surroundings."""

    def __init__(self, settings: AmenderSettings = SETTINGS, core: Core = CORE) -> None:
        self.now_us = 1_000_000 * SECOND
        self.stored, self.publisher = ListStored(), ListPublisher()
        self.amender = Amender(
            settings,
            stored=self.stored,
            publisher=self.publisher,
            schemas=SCHEMAS,
            core=core,
            clock=lambda: self.now_us,
        )
        self.offsets: dict[int, int] = {}

    def late(self, *records: Record, partition: int = 3) -> None:
        self.raw(batch(records), partition=partition)

    def raw(self, value: bytes | None, partition: int = 3) -> None:
        offset = self.offsets.get(partition, 40)
        self.offsets[partition] = offset + 1
        self.amender.take([Message(partition, offset, value)])

    def joined(self, records: Sequence[Record], **place: int) -> None:
        """A run that a worker has published and the loader has loaded."""
        self.stored.stored += records
        self.stored.records[str(records[0]["run_id"])] = {"revision": len(records), **place}

    def load(self) -> None:
        """What was published reaches the store."""
        for record in self.publisher.runs():
            known = self.stored.records.get(str(record["run_id"]), {"revision": 0})
            if int(str(record["revision"])) >= int(str(known["revision"])):
                self.stored.records[str(record["run_id"])] = record

    def turn(self, after_s: float = 0) -> None:
        self.now_us += round(after_s * SECOND)
        self.amender.turn()


def review(run: int = 1, seq: int = 0, **fields: str) -> Record:
    return event("review_recorded", run=run, seq=seq, emitter="reviewer", **fields)


def test_spans_without_an_entry_are_a_run_as_soon_as_they_are_in_the_store() -> None:
    """A client whose call failed never ends the span around it: nobody waits as long as a worker may hold a run."""
    site = Site()
    span = event("step_finished", run=1, emitter=UNNUMBERED_EMITTER, step_kind="model_call", step_name="chat")
    site.late(span)
    site.turn()
    assert site.publisher.runs() == []
    site.stored.stored.append(span)
    site.turn(after_s=4)
    assert [record["run_id"] for record in site.publisher.runs()] == [run_id(1)]
    site.load()
    another = event("step_finished", run=2, emitter="worker", step_kind="model_call", step_name="chat")
    site.stored.stored.append(another)
    site.late(another)
    site.turn(after_s=4)
    assert [record["run_id"] for record in site.publisher.runs()] == [run_id(1)]


def test_a_late_review_makes_the_next_revision() -> None:
    site = Site()
    site.joined(whole_run(1), source_partition=3, first_offset=7, last_offset=9)
    late = review(review_outcome="overridden")
    site.stored.stored.append(late)
    site.late(late)
    site.turn()
    [run] = site.publisher.runs()
    assert (run["revision"], run["amended"], run["verdict"], run["review_outcome"]) == (
        6,
        True,
        "complete",
        "overridden",
    )
    assert (run["source_partition"], run["first_offset"], run["last_offset"]) == (3, 7, 9)
    assert [place for _, place, _ in site.publisher.sent] == [3]
    assert site.amender.committable() == {3: 41}
    assert site.amender.committable() == {}


def test_nothing_is_committed_and_nothing_published_until_the_late_event_is_visible() -> None:
    site = Site()
    site.joined(whole_run(1), source_partition=3)
    late = review()
    site.late(late)
    site.turn()
    site.turn(after_s=5)
    assert site.publisher.sent == []
    assert site.amender.committable() == {}
    site.stored.stored.append(late)
    site.turn(after_s=5)
    assert [run["revision"] for run in site.publisher.runs()] == [6]
    assert site.amender.committable() == {3: 41}


def test_a_replay_publishes_nothing_when_nothing_is_new() -> None:
    site = Site()
    late = review()
    site.joined([*whole_run(1), late], source_partition=3)
    for _ in range(3):
        site.late(late)
        site.turn()
    assert site.publisher.sent == []
    assert site.amender.committable() == {3: 43}


def test_a_run_that_its_worker_may_have_open_is_left_alone_and_then_is_partial() -> None:
    site = Site()
    rest = whole_run(1)[1:]
    site.stored.stored += rest
    site.late(*rest)
    site.turn()
    site.turn(after_s=59)
    assert site.publisher.sent == []
    site.turn(after_s=2)
    [run] = site.publisher.runs()
    assert (run["verdict"], run["missing"], run["source_partition"]) == ("partial", ["start"], 3)
    assert site.amender.committable() == {3: 41}


def test_a_start_that_comes_after_its_fragment_was_published_is_taken_in_although_the_worker_counted_less() -> None:
    site = Site()
    records = whole_run(1)
    first, rest = records[:3], records[3:]
    site.stored.stored += rest
    site.late(*rest)
    site.turn()
    site.turn(after_s=61)
    site.load()
    site.stored.stored += first  # the worker joins these alone, and publishes a run of as many events or more
    site.stored.records[run_id(1)] = {"revision": 3, "source_partition": 3}
    site.turn(after_s=10)
    assert [(run["revision"], run["verdict"]) for run in site.publisher.runs()] == [(2, "partial"), (5, "complete")]
    site.load()
    for _ in range(100):
        site.turn(after_s=20)
    assert len(site.publisher.runs()) == 2
    assert len(site.amender.waiting) == 0


def test_many_late_events_of_a_run_are_one_revision() -> None:
    site = Site()
    site.joined(whole_run(1), source_partition=3)
    late = [review(seq=n) for n in range(4)]
    site.stored.stored += late
    for record in late:
        site.late(record)
    site.turn()
    assert [run["revision"] for run in site.publisher.runs()] == [9]
    assert site.amender.committable() == {3: 44}


class Brittle(ReadableCore):
    """Cannot take the second run."""

    def part_of(self, events: Sequence[Event]) -> Part:
        if events[0].run_id == run_id(2):
            raise ValueError("planted")
        return super().part_of(events)


def test_a_run_that_cannot_be_assembled_stops_no_other() -> None:
    site = Site(core=Brittle(SCHEMAS))
    for number in (1, 2, 3):
        site.joined(whole_run(number), source_partition=3)
        late = review(run=number)
        site.stored.stored.append(late)
        site.late(late)
    site.turn()
    assert sorted(str(run["run_id"]) for run in site.publisher.runs()) == [run_id(1), run_id(3)]
    assert site.amender.counters.failed == 1
    assert site.amender.committable() == {3: 43}


def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on() -> None:
    site = Site()
    site.joined(whole_run(1), source_partition=3)
    late = review()
    site.stored.stored.append(late)
    site.raw(b"\x01not ours")
    site.late(late)
    site.turn()
    assert [topic for topic, _, _ in site.publisher.sent] == [DEAD, RUNS]
    assert site.amender.committable() == {3: 42}


@pytest.mark.parametrize("service", ["stored", "publisher"])
def test_a_service_that_is_away_loses_nothing(service: str) -> None:
    site = Site()
    site.joined(whole_run(1), source_partition=3)
    late = review()
    site.stored.stored.append(late)
    site.late(late)
    getattr(site, service).away = True
    for _ in range(2):
        with pytest.raises(Unreachable):
            site.turn(after_s=20)
        assert site.amender.committable() == {}
    getattr(site, service).away = False
    site.turn(after_s=20)
    assert {run["revision"] for run in site.publisher.runs()} == {6}
    assert site.amender.committable() == {3: 41}


def test_a_run_of_more_events_than_the_cap_is_closed_as_too_large() -> None:
    site = Site(SETTINGS.model_copy(update={"max_run_events": 4}))
    records = whole_run(1, steps=6)
    site.stored.stored += records
    site.stored.records[run_id(1)] = {"revision": 2, "source_partition": 3}
    site.late(records[-1])
    site.turn()
    [run] = site.publisher.runs()
    assert (run["revision"], run["close_reason"], run["verdict"]) == (4, "overflow", "partial")
    site.load()
    site.late(records[-1])
    site.turn()
    assert len(site.publisher.runs()) == 1


def test_events_are_read_in_batches_that_are_bounded() -> None:
    site = Site(SETTINGS.model_copy(update={"max_batch_events": 12}))
    for number in range(1, 6):
        site.joined(whole_run(number), source_partition=3)
        late = review(run=number)
        site.stored.stored.append(late)
        site.late(late)
    site.turn()
    assert site.stored.read_together == [12, 12, 6]
    assert len(site.publisher.runs()) == 5


def test_a_partition_taken_away_is_forgotten_and_may_come_back() -> None:
    site = Site()
    site.late(review())
    site.amender.forget([3])
    site.turn(after_s=500)
    assert (len(site.amender.waiting), site.amender.committable(), site.publisher.sent) == (0, {}, [])
    site.offsets[3] = 40
    site.late(review())
    assert len(site.amender.waiting) == 1


def test_reading_pauses_while_too_many_runs_wait() -> None:
    site = Site(SETTINGS.model_copy(update={"max_waiting_runs": 2}))
    site.late(review(run=1))
    assert not site.amender.is_full
    site.late(review(run=2))
    assert site.amender.is_full


def test_a_late_event_is_judged_by_the_policy_that_holds() -> None:
    site = Site()
    strict = parse_policy("version = 1\n[workflow.w]\nthreshold = 0.95\n")
    site.amender = Amender(
        SETTINGS,
        stored=site.stored,
        publisher=site.publisher,
        schemas=SCHEMAS,
        core=CORE,
        clock=lambda: site.now_us,
        policy=lambda: strict,
    )
    site.joined(whole_run(1), source_partition=3)
    late = event("evidence_checked", emitter="c", provenance_score=0.9, evidence_refs=["r:r"])
    site.stored.stored.append(late)
    site.late(late)
    site.turn()
    [run] = site.publisher.runs()
    assert (run["gap_kinds"], run["policy_hash"]) == (["weak_provenance"], strict.content_hash)
