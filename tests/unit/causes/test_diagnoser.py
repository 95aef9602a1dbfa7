"""Every run that closes is told once to a reader, at once and with its last word, whatever dies on the way."""

from dataclasses import replace

import pytest

from causeline.causes.record import version_of
from causeline.diagnosis import row_of
from causeline.diagnosis.traits import Row
from causeline.schemas.errors import Unreachable
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


def test_a_run_that_went_well_is_told_too_and_that_is_its_last_word() -> None:
    bench = Bench()
    bench.close(*WELL)

    told = bench.topic.shown()[WELL[30].run_id]
    assert (told["kind"], told["settled"], told["blemished"]) == (None, True, False)
    assert told["sentence"].startswith("Nothing went wrong")
    assert len(bench.diagnoser.waiting) == 0


def test_the_first_runs_of_a_workflow_wait_for_neighbours() -> None:
    bench = Bench(settle_s=60)
    bench.close(*WELL[:5])
    assert [told["settled"] for told in bench.topic.records] == [False] * 5

    bench.close(*WELL[5:])
    bench.later(seconds=61)
    assert bench.diagnoser.turn() == 5

    shown = bench.topic.shown()
    assert all(shown[run.run_id]["settled"] and shown[run.run_id]["neighbours"] == 60 for run in WELL[:5])


def test_a_run_has_its_last_word_when_enough_came_after_it_or_an_hour_passed() -> None:
    bench = Bench(settle_s=0)
    bench.now_us = START_US + HOUR_US + 10 * 60_000_000  # the run began ten minutes ago
    bench.close(*WELL, failed(60))
    assert bench.diagnoser.turn() == 0

    bench.later(minutes=51)
    assert bench.diagnoser.turn() == 1
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

    assert len(bench.topic.records) == 60
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
    def breaks(run: object, *rest: object) -> Row:
        if getattr(run, "run_id", "") == WELL[3].run_id:
            raise ZeroDivisionError
        return row_of(run, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("causeline.causes.diagnoser.row_of", breaks)
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
