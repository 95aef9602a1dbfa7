"""The worker without Kafka, on a log in memory: nothing is lost over crashes, and commits go on moving."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.streams.worker import joiner as joiner_module
from causeline.streams.worker.acknowledge import OffsetJump
from causeline.streams.worker.assembler import Assembler
from causeline.streams.worker.done_map import DoneMap
from causeline.streams.worker.joiner import Incoming, Joiner
from causeline.streams.worker.publications import REACH_HEADER, Publication
from causeline.streams.worker.settings import Limits
from tests.examples import tried
from tests.unit.streams.build import CORE, SCHEMAS, batch, event, run_id, whole_run

SECOND = 1_000_000


@dataclass
class Log:
    """One partition of the events topic, the topics written to, and workers that come and go."""

    values: list[bytes | None] = field(default_factory=list)
    published: list[Publication] = field(default_factory=list)
    committed: int = 0
    now_us: int = 0
    use_done_map: bool = True
    undelivered: list[Publication] = field(default_factory=list)
    joiner: Joiner | None = None
    read_to: int = 0
    policy: Policy = DEFAULT_POLICY
    lacks: frozenset[int] = frozenset()
    since: dict[int, int] = field(default_factory=dict)

    def start(self, limits: Limits) -> Joiner:
        """A worker begins where the last one had committed, with the done-map made from what was published."""
        self.undelivered = []
        joiner = self.joiner = Joiner(
            limits=limits,
            core=CORE,
            schemas=SCHEMAS,
            publish=self.undelivered.append,
            clock=lambda: self.now_us,
            prefix="test",
            policy=self.policy,
        )
        lasts = {run["run_id"]: run["last_offset"] for run in self.runs() if run["last_offset"] >= self.committed}
        joiner.open_partition(0, self.committed, DoneMap(lasts) if self.use_done_map else DoneMap())
        self.read_to = self.committed
        return joiner

    def read(self, count: int) -> None:
        """The worker takes in the next messages."""
        assert self.joiner is not None
        stop = min(self.read_to + count, len(self.values))
        incoming = [
            Incoming(0, offset, self.values[offset], _Ack(self, offset), since=self.since.get(offset))
            for offset in range(self.read_to, stop)
            if offset not in self.lacks
        ]
        self.read_to = stop
        if incoming:
            self.joiner.handle(incoming)

    def deliver(self, count: int | None = None) -> None:
        """The broker takes what was published, in order."""
        for _ in range(len(self.undelivered) if count is None else min(count, len(self.undelivered))):
            outgoing = self.undelivered.pop(0)
            self.published.append(outgoing)
            outgoing.delivered()

    def turn(self, messages: int = 10**6) -> None:
        assert self.joiner is not None
        self.read(messages)
        self.joiner.close_due()
        self.deliver()

    def of(self, topic: str) -> list[Publication]:
        return [each for each in self.published if each.topic.name == topic]

    def runs(self) -> list[dict[str, Any]]:
        return [
            dict(record)
            for each in self.of("runs")
            for record in wire.decode_items(wire.read_block(each.value, "run-batch", SCHEMAS))
        ]

    def late_ids(self) -> list[object]:
        return [
            record["event_id"]
            for each in self.of("late")
            for record in wire.decode_items(wire.read_block(each.value, "trace-batch", SCHEMAS))
        ]


@dataclass
class _Ack:
    log: Log
    offset: int

    def ack(self) -> None:
        since = self.log.since.get(self.offset, self.offset)
        assert since <= self.log.committed <= self.offset, "acknowledged out of order"
        self.log.committed = self.offset + 1


def log_of(*batches: Sequence[Record], **options: Any) -> Log:
    return Log(values=[batch(records) for records in batches], **options)


def test_a_message_is_acknowledged_once_its_runs_are_delivered_and_not_before() -> None:
    log = log_of(whole_run(1))
    joiner = log.start(Limits())
    log.read(1)
    joiner.close_due()
    assert log.committed == 0
    log.deliver()
    assert log.committed == 1
    assert [run["run_id"] for run in log.runs()] == [run_id(1)]


@pytest.mark.parametrize("workflows", ["aaa", "abc", "abb", "aab"])
def test_runs_that_end_in_one_turn_are_published_whatever_partitions_and_workflows_they_are_of(workflows: str) -> None:
    published: list[Publication] = []
    joiner = Joiner(
        limits=Limits(), core=CORE, schemas=SCHEMAS, publish=published.append, clock=lambda: 0, prefix="test"
    )
    incoming = []
    for place, workflow in enumerate(workflows):
        joiner.open_partition(place, 0, DoneMap())
        value = batch([record | {"workflow": workflow} for record in whole_run(place + 1)])
        incoming.append(Incoming(place, 0, value, _Ack(Log(), 0)))
    joiner.handle(incoming)
    joiner.close_due()
    assert [each.partition for each in published if each.topic.name == "runs"] == [0, 1, 2]


@pytest.mark.parametrize("steps", [1, 30])
def test_runs_whose_ends_all_come_in_one_message_are_published_and_so_they_are_when_it_is_read_again(
    steps: int,
) -> None:
    runs = [whole_run(number, steps) for number in range(1, 21)]
    ends = [{**run[-1], "final_state": "answered" if place % 5 > 1 else "partial"} for place, run in enumerate(runs)]
    log = log_of(*(run[:-1] for run in runs), ends)
    for _ in range(2):
        joiner = log.start(Limits())
        log.read(len(log.values))
        joiner.close_due()
        assert joiner.counters.runs == len(runs)
    log.deliver()
    assert (log.committed, len(log.runs())) == (len(log.values), len(runs))


def test_an_open_run_holds_its_message_and_all_after_it() -> None:
    log = log_of([event("run_started")], whole_run(2))
    log.start(Limits())
    log.turn()
    assert (log.committed, [run["run_id"] for run in log.runs()]) == (0, [run_id(2)])
    log.now_us = 60 * SECOND
    log.turn()
    assert log.committed == 2


STRADDLING = whole_run(1)
HOLDER = whole_run(2)


def straddling_log(*, use_done_map: bool) -> Log:
    """Run 1 lies in messages 0 and 1; run 2 begins in message 1, and is open when the worker dies."""
    log = log_of(STRADDLING[:2], [*STRADDLING[2:], *HOLDER[:2]], HOLDER[2:], use_done_map=use_done_map)
    log.start(Limits())
    log.turn(messages=2)
    assert log.committed == 1, "message 0 is acknowledged, message 1 is held by run 2"
    log.start(Limits())
    log.turn()
    return log


def test_a_published_run_that_straddles_the_committed_offset_is_skipped_after_a_restart() -> None:
    log = straddling_log(use_done_map=True)
    assert log.committed == len(log.values)
    assert sorted(run["run_id"] for run in log.runs()) == [run_id(1), run_id(2)]
    assert log.late_ids() == []


def test_without_the_done_map_such_a_run_would_hold_the_commits_and_then_be_late() -> None:
    log = straddling_log(use_done_map=False)
    assert log.committed == 1, "the rest of run 1 holds message 1 though run 2 is published"
    log.now_us = 60 * SECOND
    log.turn()
    assert len(log.late_ids()) == 3


def test_an_event_of_a_published_run_is_late_and_acknowledged_when_that_is_told() -> None:
    extra = event("review_recorded", seq=9)
    log = log_of(whole_run(1), [extra, event("run_started", run=3)], [extra])
    joiner = log.start(Limits())
    log.turn(messages=1)
    joiner.partitions[0].done.record(run_id(1), 0)  # as if an earlier message still held the first
    log.turn(messages=1)
    assert log.late_ids() == [extra["event_id"]]


def test_a_review_of_a_run_that_is_not_open_is_late_at_once() -> None:
    log = log_of([event("review_recorded")])
    log.start(Limits())
    log.turn()
    assert (log.committed, len(log.late_ids()), log.runs()) == (1, 1, [])


def test_a_review_that_comes_with_its_run_is_a_claim_about_it() -> None:
    log = log_of([event("review_recorded", seq=0, emitter="desk"), *whole_run(1)])
    log.start(Limits())
    log.turn()
    [run] = log.runs()
    assert (run["reviews"], run["review_outcome"], run["verdict"]) == ([], None, "complete")
    assert run["labels"] == [{"key": "foreign.decisions", "value": "1"}]


def test_a_claim_that_comes_too_late_is_one_among_the_late_events_too() -> None:
    log = log_of([event("review_recorded")])
    log.start(Limits())
    log.turn()
    [late] = [wire.decode_items(wire.read_block(each.value, "trace-batch", SCHEMAS)) for each in log.of("late")]
    assert [record["event_type"] for record in late] == ["review_claimed"]


def test_a_fragment_without_a_start_is_late_when_it_closes() -> None:
    log = log_of(whole_run(1)[1:])
    log.start(Limits(grace_s=2))
    log.turn()
    assert (log.committed, log.late_ids()) == (0, [])
    log.now_us = 2 * SECOND
    log.turn()
    assert (log.committed, len(log.late_ids()), log.runs()) == (1, 4, [])


def test_what_cannot_be_read_is_a_dead_letter_and_its_neighbours_are_joined() -> None:
    log = log_of(whole_run(1), whole_run(2))
    log.values[1:1] = [b"\x00garbage", None]
    log.start(Limits())
    log.turn()
    assert log.committed == 4
    letters = [wire.decode_datum(each.value, "dead-letter", SCHEMAS) for each in log.of("dead")]
    assert [(letter["offset"], letter["reason"], letter["value"]) for letter in letters] == [
        (1, "unknown_schema", b"\x00garbage"),
        (2, "empty", b""),
    ]
    assert len(log.runs()) == 2


def test_a_dead_letter_holds_its_message_until_it_is_delivered() -> None:
    log = Log(values=[b"junk"])
    log.start(Limits())
    log.read(1)
    assert log.committed == 0
    log.deliver()
    assert log.committed == 1


def test_a_gap_is_told_while_its_run_is_open_and_is_the_same_however_often() -> None:
    check = event("evidence_checked", seq=1)
    log = log_of([event("run_started"), check])
    log.start(Limits())
    log.read(1)
    log.deliver()
    log.start(Limits())
    log.read(1)
    log.deliver()
    gaps = [wire.decode_datum(each.value, "gap", SCHEMAS) for each in log.of("gaps")]
    assert [gap["kind"] for gap in gaps] == ["missing_citation"] * 2
    assert len({gap["gap_id"] for gap in gaps}) == 1
    assert log.of("gaps")[0].key == run_id(1).encode()
    assert log.runs() == []


REVIEWED = Policy.model_validate(
    {
        "version": 1,
        "defaults": {"review": [{"name": "look", "question": "Is it right?", "when": {"verdict": "complete"}}]},
    }
)


def test_a_run_is_published_only_when_its_review_item_is_and_neither_is_lost_by_a_crash_between() -> None:
    log = log_of(whole_run(1), policy=REVIEWED)
    joiner = log.start(Limits())
    log.read(1)
    joiner.close_due()
    assert [each.topic.name for each in log.undelivered] == ["policies", "reviews"]
    log.deliver(1)
    log.start(Limits())  # died before the item was there: the run is read again
    log.turn()
    assert (log.committed, log.runs()) == (0, [])
    log.deliver()
    assert (log.committed, len(log.runs())) == (1, 1)
    (item,) = (wire.decode_datum(each.value, "review-item", SCHEMAS) for each in log.of("reviews"))
    assert (item["run_id"], item["reason"]) == (run_id(1), "look")
    assert log.of("reviews")[0].key == run_id(1).encode()


def test_a_delivery_that_comes_after_a_rebalance_acknowledges_nothing() -> None:
    log = log_of(whole_run(1))
    joiner = log.start(Limits())
    log.read(1)
    joiner.close_due()
    joiner.forget()
    joiner.open_partition(0, 0, DoneMap())
    log.deliver()
    assert log.committed == 0


def test_a_message_that_was_not_delivered_is_a_fault_and_acknowledges_nothing() -> None:
    log = log_of(whole_run(1), whole_run(2), whole_run(3), lacks=frozenset({1}))
    log.start(Limits())
    with pytest.raises(OffsetJump, match="Offset 2 came where 1 was due"):
        log.read(3)
    log.deliver()
    assert log.committed == 0


def test_offsets_that_the_log_itself_lacks_are_gone_over() -> None:
    """Transactions end with a marker, and compaction takes messages out."""
    log = log_of(whole_run(1), whole_run(9), whole_run(3), whole_run(9), lacks=frozenset({1, 3}), since={2: 1})
    joiner = log.start(Limits())
    log.turn(messages=3)
    assert (log.committed, joiner.committable(0)) == (3, 3)
    joiner.pass_over(0, 3, 4)
    assert joiner.committable(0) == 4
    assert len(log.runs()) == 2


def test_a_hole_at_the_end_waits_for_what_is_held_before_it() -> None:
    log = log_of([event("run_started")], whole_run(9), lacks=frozenset({1}))
    joiner = log.start(Limits())
    log.turn(messages=1)
    joiner.pass_over(0, 1, 2)
    assert joiner.committable(0) == 0
    log.now_us = 60 * SECOND
    log.turn()
    assert joiner.committable(0) == 2


class Panic(BaseException):
    """As a native part panics: no `Exception`."""


@pytest.mark.parametrize("fault", [RuntimeError, MemoryError, Panic])
@pytest.mark.parametrize(
    ("owner", "place"),
    [(type(CORE), "read"), (joiner_module, "judged"), (Joiner, "_admit"), (Assembler, "take")],
)
def test_after_a_fault_on_the_way_in_nothing_is_acknowledged(
    owner: object, place: str, fault: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message too: the next delivery, of the policy's record say, would let it go though nothing holds it."""
    log = log_of([*whole_run(1), event("evidence_checked", seq=5)], whole_run(2))
    log.start(Limits())

    def fails(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(owner, place, fails)
        with pytest.raises(fault):
            log.read(1)
    log.deliver()
    log.turn()  # whoever goes on all the same, as an event loop does after a panic
    assert log.committed == 0
    assert log.joiner is not None
    assert log.joiner.committable(0) is None
    log.start(Limits())
    log.turn()
    assert log.committed == 2
    assert {run["run_id"] for run in log.runs()} == {run_id(1), run_id(2)}


@pytest.mark.parametrize("place", ["could_match", "run_batches", "event_batches"])
def test_after_a_fault_on_the_way_out_nothing_is_acknowledged(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(whole_run(1), whole_run(2)[1:], whole_run(3))
    joiner = log.start(Limits(grace_s=0))
    log.read(2)

    def fails(*_: object) -> None:
        raise Panic

    with monkeypatch.context() as patch:
        patch.setattr(joiner_module, place, fails)
        with pytest.raises(Panic):
            joiner.close_due()
    log.deliver()
    log.turn()
    assert log.committed == 0
    log.start(Limits(grace_s=0))
    log.turn()
    assert log.committed == 3


def test_a_fault_when_a_delivery_is_told_acknowledges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run behind its review item is published when the item is delivered, and that may fail too."""
    log = log_of(whole_run(1), policy=REVIEWED)
    joiner = log.start(Limits())
    log.read(1)
    joiner.close_due()

    def fails(*_: object) -> None:
        raise Panic

    with monkeypatch.context() as patch:
        patch.setattr(joiner_module, "run_batches", fails)
        with pytest.raises(Panic):
            log.deliver()
    log.turn()
    assert (log.committed, log.runs()) == (0, [])


def test_every_batch_of_runs_says_how_far_its_partition_was_counted() -> None:
    log = log_of(whole_run(1), [event("run_started", run=2)])
    log.start(Limits())
    log.turn()
    assert log.of("runs")[0].headers == ((REACH_HEADER, b"1"),)


def interleaved(numbers: Sequence[int], order: Sequence[int]) -> list[Record]:
    queues = {number: whole_run(number) for number in numbers}
    events = []
    for pick in order:
        alive = [number for number in numbers if queues[number]]
        events.append(queues[alive[pick % len(alive)]].pop(0))
    return events


@given(st.data())
@tried(60)
def test_crashes_lose_nothing_and_commits_reach_the_end(data: st.DataObject) -> None:
    numbers = list(range(1, data.draw(st.integers(2, 8)) + 1))
    total = 5 * len(numbers)
    events = interleaved(numbers, data.draw(st.lists(st.integers(0, 7), min_size=total, max_size=total)))
    size = data.draw(st.integers(1, 6))
    log = log_of(*(events[at : at + size] for at in range(0, total, size)))
    log.start(Limits())
    for _ in range(data.draw(st.integers(1, 12))):
        log.read(data.draw(st.integers(0, 4)))
        if data.draw(st.booleans()):
            assert log.joiner is not None
            log.joiner.close_due()
        log.deliver(data.draw(st.integers(0, 2)))
        if data.draw(st.booleans()):
            log.start(Limits())
    log.start(Limits())
    log.turn()
    assert log.committed == len(log.values)
    assert {run["run_id"] for run in log.runs()} == {run_id(number) for number in numbers}
    assert {run["verdict"] for run in log.runs()} == {"complete"}
    assert log.late_ids() == []


def test_a_repeat_of_an_open_run_may_come_with_a_new_run_that_repeats_itself() -> None:
    old, new = event("run_started"), event("run_started", run=2)
    log = log_of([old], [new, new, old])
    log.start(Limits())
    log.read(1)
    log.turn()
    log.now_us = 61 * SECOND
    log.turn()
    assert sorted((run["run_id"], run["events"]) for run in log.runs()) == [(run_id(1), 1), (run_id(2), 1)]
    assert log.committed == 2
