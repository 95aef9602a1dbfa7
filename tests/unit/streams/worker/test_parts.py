"""Small parts: coverage, acknowledgement, the done-map, the watchdog, the clients' loggers, settings."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.kafka.logging import OncePerWhile
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.streams.worker.acknowledge import Acknowledger, OffsetJump
from causeline.streams.worker.coverage import Coverage
from causeline.streams.worker.done_map import DoneMap, PublishedState
from causeline.streams.worker.publications import run_batches
from causeline.streams.worker.rebuild import counted_offsets
from causeline.streams.worker.settings import WorkerSettings
from causeline.streams.worker.watchdog import EXIT_STALLED, Vitals, Watchdog, verdict
from tests.unit.streams.build import CORE, SCHEMAS, START_US, run_id, shares, whole_run


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6))))
def test_coverage_counts_as_a_set_does(ranges: list[tuple[int, int]]) -> None:
    coverage, held = Coverage(), set[int]()
    for start, length in ranges:
        new = set(range(start, start + length)) - held
        held |= new
        assert coverage.add(start, start + length) == len(new)
    assert coverage.is_whole == (bool(held) and held == set(range(max(held) + 1)))


def test_coverage_is_not_whole_before_all_that_is_expected_is_in() -> None:
    coverage = Coverage()
    coverage.expected = 3
    coverage.add(0, 2)
    assert not coverage.is_whole
    coverage.add(2, 3)
    assert coverage.is_whole


@given(st.permutations(range(6)))
def test_acknowledgements_come_in_offset_order_whatever_the_order_of_release(order: list[int]) -> None:
    acks: Acknowledger[int] = Acknowledger(10)
    entries = [acks.arrive(10 + n, n, 0) for n in range(6)]
    told: list[int] = []
    for n in order:
        entries[n].holds -= 1
        told += acks.acknowledged()
        assert acks.first_unacknowledged == 10 + len(told)
    assert told == [0, 1, 2, 3, 4, 5]


def test_an_offset_that_is_not_the_next_is_refused() -> None:
    acks: Acknowledger[str] = Acknowledger(5)
    acks.arrive(5, "a", 0)
    with pytest.raises(OffsetJump):
        acks.arrive(7, "b", 0)
    with pytest.raises(OffsetJump):
        acks.arrive(5, "a", 0)
    with pytest.raises(OffsetJump):
        acks.arrive(9, "b", 0, since=7)


def test_offsets_that_the_log_lacks_are_gone_over() -> None:
    acks: Acknowledger[str] = Acknowledger(5)
    acks.arrive(5, "a", 0).holds = 0
    acks.arrive(9, "b", 0, since=6).holds = 0
    assert (acks.acknowledged(), acks.first_unacknowledged) == (["a", "b"], 10)
    assert acks.pass_over(10, 12)
    assert acks.first_unacknowledged == 12
    assert not acks.pass_over(13, 15), "a message may stand at 12"
    assert not acks.pass_over(10, 12), "nothing is gone back over"


def test_what_arrives_is_held_until_whoever_took_it_in_lets_go() -> None:
    acks: Acknowledger[str] = Acknowledger(5)
    entry = acks.arrive(5, "a", 0)
    assert acks.acknowledged() == []
    entry.holds -= 1
    assert acks.acknowledged() == ["a"]


def test_the_done_map_tells_counted_from_late_and_forgets_what_is_acknowledged() -> None:
    done = DoneMap({"a": 4})
    done.record("b", 9)
    assert [done.standing("a", offset) for offset in (4, 5)] == [PublishedState.COUNTED, PublishedState.LATE]
    assert done.standing("c", 1) is PublishedState.UNKNOWN
    done.forget_below(5)
    assert (done.standing("a", 4), done.standing("b", 9), len(done)) == (
        PublishedState.UNKNOWN,
        PublishedState.COUNTED,
        1,
    )
    assert done.reach == 9, "what is forgotten was published all the same"


def test_a_run_published_again_is_counted_up_to_its_later_end() -> None:
    done = DoneMap({"a": 4})
    done.record("a", 8)
    done.forget_below(6)
    assert done.standing("a", 8) is PublishedState.COUNTED


@pytest.mark.parametrize(
    ("vitals", "says"),
    [
        (Vitals(beat_at=90, moved_at=90), None),
        (Vitals(beat_at=69, moved_at=100), "blocked"),
        (Vitals(beat_at=100, moved_at=69), "waiting"),
        (Vitals(beat_at=100, moved_at=100, oldest_unacknowledged_at=1, hold_s=100), None),
        (Vitals(beat_at=100, moved_at=100, oldest_unacknowledged_at=-1, hold_s=100), "not been acknowledged"),
    ],
)
def test_the_watchdog_knows_a_stuck_worker(vitals: Vitals, says: str | None) -> None:
    found = verdict(vitals, now=100, stall_s=30)
    assert found is None if says is None else found is not None and says in found


def test_the_watchdog_ends_a_stuck_process() -> None:
    codes: list[int] = []
    vitals = Vitals(beat_at=0, moved_at=0)
    Watchdog(vitals, stall_s=30, end=codes.append, clock=lambda: 31).look()
    assert codes == [EXIT_STALLED]


@contextmanager
def captured_root() -> Iterator[list[str]]:
    lines: list[str] = []

    class Capture(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Capture()
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)


def test_a_logger_that_repeats_itself_is_heard_once_in_a_while() -> None:
    now = 0.0
    handler = OncePerWhile(every_s=10, clock=lambda: now)

    def say(template: str, *arguments: object) -> None:
        handler.emit(logging.LogRecord("aiokafka", logging.ERROR, "", 0, template, arguments, None))

    with captured_root() as lines:
        for node in range(1000):
            say("no connection to %s", node)
        say("another matter")
        now = 10
        say("no connection to %s", 7)
    assert lines == ["no connection to 0", "another matter", "no connection to 7 (and 999 more like it)"]


def test_a_setting_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_WORKER_IDLE_TIMEOUT_S", "7")
    monkeypatch.setenv("CAUSELINE_TOPIC_PREFIX", "mine")
    monkeypatch.setenv("CAUSELINE_KAFKA_BOOTSTRAP_SERVERS", "broker:1")
    settings = WorkerSettings.from_environment()
    assert (settings.limits.idle_timeout_us, settings.topic_prefix) == (7_000_000, "mine")
    assert settings.kafka.bootstrap_servers == "broker:1"
    assert settings.group == "mine.worker", "two stacks on one broker are two groups"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("CAUSELINE_WORKER_GRACEE_S", "1", "CAUSELINE_WORKER_GRACEE_S is not a setting."),
        ("CAUSELINE_WORKER_IDLE_TIMEOUT_S", "-1", "CAUSELINE_WORKER_IDLE_TIMEOUT_S: Input should be greater than 0."),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as error:
        WorkerSettings.from_environment()
    assert error.value.message == says


def test_of_the_runs_in_a_batch_the_offsets_of_amended_ones_are_passed_over() -> None:
    """They are those of the record before, perhaps of a topic that is no more: its worker's own batch says which."""
    counted, amended = (share.part for share in shares(whole_run(1), whole_run(2), first_offset=6))
    written = [
        CORE.joined([part], closed_at=START_US, reason=None, policy=DEFAULT_POLICY, amended=part is amended)
        for part in (counted, amended)
    ]
    [batch] = run_batches(written, 0, SCHEMAS)
    assert counted_offsets(batch.value, SCHEMAS) == {run_id(1): 6}
