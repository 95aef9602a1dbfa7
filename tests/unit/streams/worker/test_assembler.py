"""When a run is closed, and why; a run's life by a clock that the test holds."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.streams.definition.records import RunRecord
from causeline.streams.runs.records import record_of
from causeline.streams.worker import assembler as assembler_module
from causeline.streams.worker.assembler import Assembler, Closed
from causeline.streams.worker.settings import Limits
from tests.examples import tried
from tests.unit.streams.both import as_claims, defined
from tests.unit.streams.build import CORE, event, mixed_events, run_id, shares, whole_run

SECOND = 1_000_000
LIMITS = Limits(grace_s=2, idle_timeout_s=60, max_open_s=300)


def runs(closed: Closed) -> list[RunRecord]:
    return [record_of(run.item) for _, run in closed.written]


def reasons(closed: Closed) -> dict[str, str]:
    return {run["run_id"]: run["close_reason"] for run in runs(closed)}


def verdicts(closed: Closed) -> list[str]:
    return [run.brief.verdict for _, run in closed.written]


def test_a_run_is_closed_at_once_when_all_is_in() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    assembler.take(shares(whole_run(1)), now_us=0)
    closed = assembler.close(0)
    assert reasons(closed) == {run_id(1): "finished"}
    assert verdicts(closed) == ["complete"]
    assert (assembler.open_runs, assembler.open_events) == (0, 0)


def test_the_order_of_messages_does_not_matter() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    start, *rest = whole_run(1)
    assembler.take(shares(rest), now_us=0)
    assert assembler.close(0).keys == ()
    assembler.take(shares([start], first_offset=1), now_us=1)
    assert reasons(assembler.close(1)) == {run_id(1): "finished"}


@pytest.mark.parametrize(("late_us", "expected"), [(2 * SECOND - 1, {}), (2 * SECOND, {run_id(1): "grace"})])
def test_an_ended_run_waits_its_grace_for_what_is_missing(late_us: int, expected: dict[str, str]) -> None:
    assembler = Assembler(LIMITS, core=CORE)
    start, _, *rest = whole_run(1)
    assembler.take(shares([start, *rest]), now_us=0)
    assert reasons(assembler.close(late_us)) == expected


def test_what_comes_within_the_grace_completes_the_run() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    start, step, *rest = whole_run(1)
    assembler.take(shares([start, *rest]), now_us=0)
    assembler.take(shares([step], first_offset=1), now_us=SECOND)
    assert verdicts(assembler.close(SECOND)) == ["complete"]


def test_a_step_that_the_end_names_is_waited_for_though_its_emitter_is_unknown_yet() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    events = [event("run_started"), event("run_finished", seq=1, expected_steps=["custom:s"])]
    assembler.take(shares(events), now_us=0)
    assert assembler.close(SECOND).keys == ()
    assembler.take(shares([event("step_finished", emitter="other")], first_offset=1), now_us=SECOND)
    assert verdicts(assembler.close(SECOND)) == ["complete"]


@pytest.mark.parametrize(("idle_us", "expected"), [(60 * SECOND - 1, {}), (60 * SECOND, {run_id(1): "idle"})])
def test_a_run_without_an_event_for_too_long_is_closed(idle_us: int, expected: dict[str, str]) -> None:
    assembler = Assembler(LIMITS, core=CORE)
    start, step, *_ = whole_run(1)
    assembler.take(shares([start]), now_us=0)
    assembler.take(shares([step], first_offset=1), now_us=30 * SECOND)
    assert reasons(assembler.close(30 * SECOND + idle_us)) == expected


def test_a_run_open_for_too_long_is_closed_though_it_goes_on() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    assembler.take(shares([event("run_started")]), now_us=0)
    for minute in range(1, 11):
        now_us = 30 * minute * SECOND
        assembler.take(shares([event("step_finished", seq=minute)], first_offset=minute), now_us=now_us)
        if minute < 10:
            assert assembler.close(now_us).keys == ()
    closed = assembler.close(300 * SECOND)
    assert reasons(closed) == {run_id(1): "max_open"}
    assert verdicts(closed) == ["unfinished"]


def test_clocks_of_producers_neither_close_nor_hold_a_run() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    day = 86_400 * SECOND
    for number, skew in ((1, day), (2, -day)):
        events = [each | {"occurred_at": int(str(each["occurred_at"])) + skew} for each in whole_run(number)]
        assembler.take(shares(events[:-1], first_offset=number), now_us=0)
    assert assembler.close(59 * SECOND).keys == ()
    assert len(assembler.close(60 * SECOND).keys) == 2


def test_a_run_with_too_many_events_is_closed_as_it_is() -> None:
    assembler = Assembler(Limits(max_run_events=3), core=CORE)
    assembler.take(shares(whole_run(1)[:3]), now_us=0)
    closed = assembler.close(0)
    assert reasons(closed) == {run_id(1): "overflow"}
    assert verdicts(closed) == ["partial"]


def test_duplicates_do_not_fill_a_run() -> None:
    assembler = Assembler(Limits(max_run_events=10), core=CORE)
    events = whole_run(1)[:-1]
    for offset in range(20):
        assembler.take(shares(events, first_offset=offset), now_us=0)
    closed = assembler.close(0)
    assert closed.keys == ()
    assert (assembler.open_events, closed.duplicates) == (4, 76)


def test_with_too_many_open_events_the_oldest_runs_are_closed() -> None:
    assembler = Assembler(Limits(max_open_events=8), core=CORE)
    for number in (1, 2, 3):
        assembler.take(shares(whole_run(number)[:-1], first_offset=number), now_us=number)
    assert reasons(assembler.close(3)) == {run_id(1): "overflow"}
    assert assembler.open_events == 8


def test_a_run_whose_start_never_came_is_a_fragment() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    _, *rest = whole_run(1)
    assembler.take(shares(rest), now_us=0)
    closed = assembler.close(2 * SECOND)
    assert closed.written == []
    [(key, parts)] = closed.fragments
    assert key == (0, run_id(1))
    assert [wire.event_id_of(item) for item in CORE.items(parts)] == [each["event_id"] for each in rest]
    assert closed.keys == ((0, run_id(1)),)


def test_the_next_deadline_is_when_something_closes() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    assert assembler.next_deadline_us() is None
    start, *rest = whole_run(1)
    assembler.take(shares([start]), now_us=5)
    assert assembler.next_deadline_us() == 60 * SECOND + 5
    assembler.take(shares(rest[1:], first_offset=1), now_us=7)
    assert assembler.next_deadline_us() == 2 * SECOND + 7
    assembler.take(shares(rest[:1], first_offset=2), now_us=8)
    assert assembler.next_deadline_us() == 0


def test_a_forgotten_partition_leaves_nothing_behind() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    assembler.take(shares(whole_run(1), partition=0), now_us=0)
    assembler.take(shares(whole_run(2)[:-1], partition=1), now_us=0)
    assembler.forget([0])
    assert assembler.open_events == 4
    assert assembler.close(0).keys == ()
    assembler.forget()
    assert (assembler.open_runs, assembler.open_events, assembler.next_deadline_us()) == (0, 0, None)


def test_one_straggler_does_not_keep_the_events_of_closed_runs() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    events = [each for number in range(2, 40) for each in whole_run(number)]
    assembler.take(shares([event("run_started", run=1), *events]), now_us=0)
    assert len(assembler.close(0).written) == 38
    (run,) = assembler._open.values()
    assert [len(part) for part in run.parts] == [1]
    assert [wire.run_id_of(item) for item in CORE.items(run.parts)] == [run_id(1)]


def test_of_an_event_that_comes_again_with_something_else_to_say_the_first_is_kept() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    start, step, end = whole_run(1, steps=1)
    other = step | {"step_name": "other", "seq": 5}
    assembler.take(shares([start, step], [step], [other], [end]), now_us=0)
    assert assembler.open_events == 4, "by its number it is another"
    closed = assembler.close(2 * SECOND)
    assert (closed.duplicates, closed.conflicting) == (2, 1)
    assert [each["step_name"] for run in runs(closed) for each in run["steps"]] == ["s0"]


def said(run: Mapping[str, Any]) -> dict[str, Any]:
    """What does not depend on when and where the events came."""
    drop = ("first_offset", "last_offset", "close_reason", "verdict")
    return {name: value for name, value in run.items() if name not in drop}


@given(mixed_events(), st.data())
@tried(60)
def test_however_events_are_split_over_messages_the_runs_are_the_same(events: Sequence[Record], data: Any) -> None:
    assembler = Assembler(Limits(grace_s=1000, idle_timeout_s=1, max_open_s=1000), core=CORE)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    bounds = [0, *cuts, len(events)]
    batches = [events[a:b] for a, b in pairwise(bounds) if a < b]
    for offset, each in enumerate(batches):
        assembler.take(shares(each, first_offset=offset), now_us=0)
    closed = assembler.close(SECOND)
    expected = defined(as_claims(events), closed_at=SECOND)
    started = {str(record["run_id"]) for record in events if record["event_type"] == "run_started"}
    assert {run["run_id"]: said(run) for run in runs(closed)} == {name: said(expected[name]) for name in started}


PATIENT = Policy.model_validate(
    {"version": 1, "workflow": {"slow": {"idle_timeout_s": 600, "max_open_s": 3600}, "quick": {"idle_timeout_s": 5}}}
)


def test_how_long_a_run_may_wait_is_its_workflows_own() -> None:
    assembler = Assembler(LIMITS, PATIENT, core=CORE)
    names = {1: "slow", 2: "quick", 3: "other"}
    assembler.take(shares([event("run_started", run=n, workflow=name) for n, name in names.items()]), now_us=0)
    assert assembler.next_deadline_us() == 5 * SECOND
    for moment_s, closes in ((5, 2), (60, 3), (600, 1)):
        assert assembler.close(moment_s * SECOND - 1).keys == ()
        assert assembler.close(moment_s * SECOND).keys == ((0, run_id(closes)),)
    assert assembler.next_deadline_us() is None


def test_a_run_keeps_the_waits_it_was_opened_under() -> None:
    assembler = Assembler(LIMITS, PATIENT, core=CORE)
    assembler.take(shares([event("run_started", workflow="slow")]), now_us=0)
    assembler.policy = DEFAULT_POLICY
    assembler.take(shares([event("step_started", seq=1, workflow="slow")], first_offset=1), now_us=SECOND)
    assert assembler.close(600 * SECOND).keys == ()
    assert reasons(assembler.close(601 * SECOND)) == {run_id(1): "idle"}


def test_a_busy_run_is_closed_when_its_workflow_lets_it_be_open_no_longer() -> None:
    assembler = Assembler(LIMITS, PATIENT, core=CORE)
    for turn in range(7):  # an event every 540 s, 3240 s in all
        kind = "step_started" if turn else "run_started"
        assembler.take(shares([event(kind, seq=turn, workflow="slow")], first_offset=turn), now_us=540 * turn * SECOND)
        assert assembler.close(540 * turn * SECOND).keys == ()
    assert assembler.next_deadline_us() == 3600 * SECOND
    assert reasons(assembler.close(3600 * SECOND)) == {run_id(1): "max_open"}


def test_of_many_runs_that_are_due_some_are_closed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes has other things to do in between: heartbeats, messages."""
    monkeypatch.setattr(assembler_module, "_CLOSED_AT_ONCE", 10)
    assembler = Assembler(LIMITS, core=CORE)
    assembler.take(shares(*(whole_run(number) for number in range(1, 6))), now_us=0)
    given = [assembler.close(0) for _ in range(3)]
    assert [(len(closed.keys), closed.are_more_due) for closed in given] == [(2, True), (2, True), (1, False)]
    assert {key for closed in given for key in closed.keys} == {(0, run_id(number)) for number in range(1, 6)}
    assert assembler.open_events == 0


def test_a_run_of_many_small_messages_holds_few_parts_and_loses_nothing() -> None:
    assembler = Assembler(LIMITS, core=CORE)
    events = whole_run(1, steps=200)
    for offset, each in enumerate(events):
        assembler.take(shares([each], first_offset=offset), now_us=0)
        (run,) = assembler._open.values()
        assert len(run.parts) <= offset // 8 + 8
    closed = assembler.close(0)
    assert [(run["events"], run["verdict"]) for run in runs(closed)] == [(202, "complete")]
