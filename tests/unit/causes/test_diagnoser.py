"""Every run that closes is told once to a reader, at once and with its last word, whatever dies on the way."""

from dataclasses import replace

import pytest

from causeline.causes.neighbourhood import MOST
from causeline.causes.record import version_of
from causeline.console.neighbours import BEFORE
from causeline.diagnosis import Cohort, DriftAlert, Reading, diagnose, may_speak, row_of
from causeline.schemas.errors import Unreachable
from causeline.schemas.policy import Policy
from causeline.schemas.run import Run
from tests.unit.causes.build import HOUR_US, START_US, Bench, failed, message
from tests.unit.diagnosis.test_neighbours import a_run

WELL = [a_run(number) for number in range(1, 61)]


def test_a_run_that_broke_is_told_at_once_with_its_cause() -> None:
    bench = Bench()
    bench.close(*WELL, failed(70))

    told = bench.topic.shown()[failed(70).run_id]
    assert (told["layer"], told["step"], told["kind"]) == ("retrieve", "retrieve:kb", "step_error")
    assert (told["certainty"], told["blemished"], told["settled"]) == ("certain", True, False)
    assert "IndexGone" in told["sentence"]
    assert told["neighbours"] == 61
    assert told["symptoms"]


def test_a_run_that_went_well_is_told_too_and_again_as_it_was_without_being_read_again() -> None:
    bench = Bench(settle_s=60)
    bench.close(*WELL)
    first = bench.topic.shown()[WELL[30].run_id]
    assert (first["kind"], first["settled"], first["blemished"]) == (None, False, False)
    assert first["sentence"].startswith("Nothing went wrong")

    bench.close(*(a_run(number) for number in range(61, 81)))
    bench.later(seconds=61)
    assert bench.diagnoser.turn() == 80

    last = bench.topic.shown()[WELL[30].run_id]
    assert (last["settled"], last["neighbours"], last["diagnosed_at"]) == (True, 80, bench.now_us)
    assert last["version"] > first["version"]
    changed = {"settled", "neighbours", "diagnosed_at", "version"}
    assert {**last, **{name: first[name] for name in changed}} == first
    assert bench.store.read_whole == []
    assert len(bench.diagnoser.waiting) == 0
    assert bench.diagnoser.turn() == 0


RELEASED = [a_run(number, version="13", score=0.1) for number in range(301, 342)]
"""Runs of a release that makes their evidence worse."""


def test_a_run_that_was_fine_when_it_closed_and_is_odd_beside_those_after_it_is_told_so_in_its_last_word() -> None:
    before = [a_run(number, found=4 + number % 4) for number in range(1, 300)]
    first = a_run(300, found=4)
    after = [a_run(number, found=2 + number % 3) for number in range(301, 361)]
    bench = Bench(settle_s=60)
    bench.close(*before, first)
    assert bench.topic.shown()[first.run_id]["kind"] is None

    bench.close(*after)
    bench.later(seconds=61)
    while bench.diagnoser.turn():
        bench.later(seconds=2)

    told = bench.topic.shown()[first.run_id]
    assert (told["kind"], told["step"], told["settled"]) == ("release", "retrieve:kb", True)
    assert first.run_id in bench.store.read_whole
    assert len(bench.store.read_whole) < 100


def test_runs_past_those_that_may_wait_have_their_last_word_sooner() -> None:
    bench = Bench(settle_s=600, max_waiting_runs=50)
    bench.close(*WELL[:48])
    assert bench.diagnoser.turn() == 3
    assert [told["run_id"] for told in bench.topic.records if told["settled"]] == [run.run_id for run in WELL[:3]]
    assert bench.diagnoser.counters.given_up == 0


def test_a_run_that_is_about_to_be_forgotten_has_its_last_word_sooner() -> None:
    bench = Bench(settle_s=600)
    runs = [a_run(number) for number in range(1, MOST + 101)]
    for start in range(0, len(runs), 20):
        bench.close(*runs[start : start + 20])
        bench.later(seconds=2)
        bench.diagnoser.turn()

    settled = {told["run_id"]: told["neighbours"] for told in bench.topic.records if told["settled"]}
    assert [run.run_id for run in runs if run.run_id in settled] == [run.run_id for run in runs[: BEFORE + 101]]
    assert settled[runs[BEFORE + 90].run_id] > BEFORE


def test_a_run_that_became_known_as_another_revision_is_not_told_again_as_it_was() -> None:
    bench = Bench(settle_s=0)
    bench.close(*WELL)
    bench.store.runs[WELL[5].run_id] = replace(WELL[5], revision=4)
    bench.later(hours=2)
    bench.diagnoser.turn()

    assert not bench.topic.shown()[WELL[5].run_id]["settled"]
    assert bench.topic.shown()[WELL[6].run_id]["settled"]


def test_alerts_that_came_since_are_in_the_last_word() -> None:
    bench = Bench(settle_s=0)
    bench.close(*WELL)
    alert = DriftAlert("a1", "final_state", {"workflow": "desk"})
    bench.diagnoser._drift_of = lambda _store, _workflow: [alert]
    bench.later(hours=2)
    bench.diagnoser.turn()

    assert bench.topic.shown()[WELL[5].run_id]["alerts"] == ["a1"]


def test_a_last_word_that_the_broker_did_not_take_is_told_again() -> None:
    bench = Bench(settle_s=0)
    bench.close(*WELL)
    bench.later(hours=2)
    bench.topic.away = True
    with pytest.raises(Unreachable):
        bench.diagnoser.turn()
    bench.topic.away = False
    bench.later(seconds=2)

    assert bench.diagnoser.turn() == len(WELL)
    assert all(told["settled"] for told in bench.topic.shown().values())


def test_what_a_row_does_not_speak_against_no_diagnosis_does() -> None:
    every = [*WELL, failed(70), *RELEASED, *(a_run(number, found=1) for number in range(400, 404))]
    every += [replace(a_run(number), duration_us=9_000_000 * number) for number in range(410, 414)]
    rows = [row_of(run) for run in every]
    for cohort in (Cohort(rows), Cohort(rows[:60]), Cohort(rows[:5])):
        quiet = [run for run, row in zip(every, rows, strict=True) if not may_speak(row, cohort)]
        assert [run.run_id for run in quiet if diagnose(run, cohort=cohort).symptoms] == []
        assert len(quiet) >= 40


def test_the_first_runs_of_a_workflow_wait_for_neighbours() -> None:
    bench = Bench(settle_s=60)
    bench.close(*WELL[:5])
    assert [told["settled"] for told in bench.topic.records] == [False] * 5

    bench.close(*WELL[5:])
    bench.later(seconds=61)
    assert bench.diagnoser.turn() == 60

    shown = bench.topic.shown()
    assert all(shown[run.run_id]["settled"] and shown[run.run_id]["neighbours"] == 60 for run in WELL[:5])


def test_a_run_has_its_last_word_when_enough_came_after_it_or_an_hour_passed() -> None:
    bench = Bench(settle_s=0)
    bench.now_us = START_US + HOUR_US + 10 * 60_000_000  # the run began ten minutes ago
    bench.close(*WELL[:59], failed(60))
    assert bench.diagnoser.turn() == 10
    assert not bench.topic.shown()[failed(60).run_id]["settled"]

    bench.later(minutes=51)
    assert bench.diagnoser.turn() == 50
    assert bench.topic.shown()[failed(60).run_id]["settled"]
    assert bench.diagnoser.turn() == 0


def test_of_two_revisions_the_higher_stands_also_when_the_last_word_of_the_lower_comes_later() -> None:
    assert version_of(2, 1_000_000) > version_of(1, 9_000_000_000_000)
    bench = Bench(settle_s=0)
    mended = replace(a_run(70), revision=9)
    bench.close(*WELL, replace(failed(70), revision=3))
    bench.close(mended)
    bench.later(hours=2)
    bench.diagnoser.turn()

    assert bench.topic.shown()[mended.run_id]["kind"] is None


def test_a_rejudged_run_of_the_same_revision_replaces_what_was_told_before() -> None:
    bench = Bench()
    bench.close(*WELL, failed(70))
    bench.later(seconds=1)
    bench.close(a_run(70))

    assert bench.topic.shown()[failed(70).run_id]["kind"] is None


def test_what_the_broker_did_not_take_is_given_again_and_shown_once() -> None:
    bench = Bench()
    bench.topic.away = True
    held = [message(*WELL, failed(70))]
    with pytest.raises(Unreachable):
        bench.diagnoser.take(held)
    assert bench.topic.records == []

    bench.topic.away = False
    bench.diagnoser.take(held)
    assert len(bench.topic.shown()) == 61


def test_a_store_that_is_away_is_waited_for() -> None:
    bench = Bench()
    bench.store.away = True
    with pytest.raises(Unreachable):
        bench.close(failed(70))
    bench.store.away = False
    bench.close(failed(70))
    assert len(bench.topic.shown()) == 1


def test_a_diagnoser_started_after_one_that_was_killed_tells_the_last_words_that_one_owed() -> None:
    bench = Bench(settle_s=0)
    bench.close(*WELL, failed(60))
    owed = bench.topic.shown()[failed(60).run_id]
    bench.store.neighbours = [row_of(run) for run in WELL]
    bench.store.unsettled = [
        {"run_id": owed["run_id"], "workflow": "desk", "started_us": owed["run_started_at"], "revision": 0}
    ]

    bench.later(hours=2)
    bench.diagnoser = bench.another(settle_s=0)
    assert bench.diagnoser.turn() == 1
    assert bench.topic.shown()[owed["run_id"]]["settled"]


def test_a_run_that_was_erased_meanwhile_has_no_last_word() -> None:
    bench = Bench(settle_s=0)
    bench.close(*WELL, failed(60))
    del bench.store.runs[failed(60).run_id]
    bench.later(hours=2)
    bench.diagnoser.turn()
    bench.later(hours=2)
    bench.diagnoser.turn()

    assert not bench.topic.shown()[failed(60).run_id]["settled"]
    assert len(bench.topic.records) == 60 + 59
    assert len(bench.diagnoser.waiting) == 0


def test_neighbours_of_before_the_start_are_read_from_the_store() -> None:
    bench = Bench()
    bench.store.neighbours = [row_of(run) for run in WELL]
    bench.close(failed(70))

    assert bench.topic.records[0]["neighbours"] == 61


def test_what_is_read_far_too_late_is_thinned_out_and_counted() -> None:
    bench = Bench(max_lag_s=600)
    bench.close(*WELL, produced_us=bench.now_us - 599_000_000)
    assert bench.diagnoser.counters.passed_over == 0

    bench.close(*WELL, produced_us=bench.now_us - 1_000_000_000)
    assert 10 < bench.diagnoser.counters.passed_over < 50


def test_while_it_reads_what_is_long_published_no_word_is_the_last() -> None:
    bench = Bench(settle_s=60)
    bench.close(*WELL, failed(70), produced_us=bench.now_us - 11_000_000)
    assert not any(told["settled"] for told in bench.topic.records)
    bench.later(seconds=59)
    assert bench.diagnoser.turn() == 0

    bench.later(seconds=2)
    assert bench.diagnoser.turn() == 61
    assert all(told["settled"] for told in bench.topic.shown().values())


def test_a_run_that_cannot_be_diagnosed_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(run: Run, *rest: Policy) -> Reading:
        if run.run_id == WELL[3].run_id:
            raise ZeroDivisionError
        return Reading(run, *rest)

    monkeypatch.setattr("causeline.causes.diagnoser.Reading", breaks)
    bench = Bench()
    bench.close(*WELL)

    assert len(bench.topic.records) == 59
    assert bench.diagnoser.counters.failed == 1


def test_a_message_that_cannot_be_read_is_told_and_gone_over() -> None:
    bench = Bench()
    bench.diagnoser.take([replace(message(WELL[0]), value=b"\x00garbage"), message(WELL[1], offset=1)])

    assert [told["run_id"] for told in bench.topic.records] == [WELL[1].run_id]
    assert bench.diagnoser.counters.unreadable == 1


def test_workflows_that_rest_are_forgotten_and_read_again() -> None:
    bench = Bench(max_rows=1_000)
    for number in range(30):
        bench.close(*(replace(run, workflow=f"w{number}", run_id=f"{number:016x}{run.run_id[16:]}") for run in WELL))
    assert len(bench.diagnoser._near) <= 17
