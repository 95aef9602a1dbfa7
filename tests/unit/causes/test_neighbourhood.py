"""The neighbours of a workflow: by time, bounded, and learnt anew only when something came."""

from dataclasses import replace

from causeline.causes.neighbourhood import MOST, Neighbourhood
from causeline.causes.waiting import Waiting
from causeline.console.neighbours import AFTER, BEFORE
from causeline.diagnosis import row_of
from causeline.diagnosis.traits import Row
from tests.unit.diagnosis.test_neighbours import a_run

ROW = row_of(a_run(1))


def at(second: float, number: int | None = None) -> Row:
    name = int(second) if number is None else number
    return replace(ROW, run_id=f"{name:032x}", started_at=second)


def known(*seconds: float) -> Neighbourhood:
    near = Neighbourhood()
    for second in seconds:
        near.add(at(second))
    return near


def test_it_keeps_the_newest_runs_and_no_more() -> None:
    near = known(*range(MOST + 100))
    assert len(near) == MOST
    [(cohort, _)] = near.cohorts([at(MOST + 99)])
    assert [row.started_at for row in cohort.rows] == list(range(MOST + 99 - BEFORE, MOST + 100))


def test_a_run_in_the_middle_has_neighbours_on_both_sides_within_the_hour() -> None:
    near = known(*range(0, 500 * 60, 60))
    [(cohort, _)] = near.cohorts([at(300 * 60)])
    times = [row.started_at / 60 for row in cohort.rows]
    assert (min(times), max(times)) == (300 - BEFORE, 360)
    assert near.after(300 * 60) == 60
    assert near.after(499 * 60) == 0
    assert known(*range(200)).after(0) == AFTER


def test_a_run_that_comes_again_replaces_itself_also_at_another_time() -> None:
    near = known(1, 2, 3)
    near.add(at(9, number=2))
    [(cohort, _)] = near.cohorts([at(9, number=2)])
    assert [row.started_at for row in cohort.rows] == [1, 3, 9]


def test_what_the_store_knows_fills_in_and_replaces_nothing_that_is_known() -> None:
    near = known(1_000_000)
    near.know([at(1_000_000), *(at(second) for second in range(BEFORE + AFTER + 60))], 5)
    [(cohort, _)] = near.cohorts([at(1_000_000)])
    assert len(cohort.rows) == BEFORE + 1 + 61
    assert near.read_us == 5


def test_runs_near_each_other_share_a_cohort_until_a_fifth_of_it_is_new() -> None:
    near = known(*range(100))
    [(first, _)] = near.cohorts([at(90), at(95)])
    near.add(at(101))
    [(second, _)] = near.cohorts([at(101)])
    assert second is first
    for number in range(102, 130):
        near.add(at(number))
    [(third, _)] = near.cohorts([at(129)])
    assert third is not first
    assert len(list(near.cohorts([at(0), at(129)]))) == 2


def test_a_last_word_is_told_beside_a_cohort_that_lacks_hardly_anybody() -> None:
    near = known(*range(100))
    [(first, _)] = near.cohorts([at(95)])
    for number in range(100, 110):
        near.add(at(number))
    [(same, _)] = near.cohorts([at(105)])
    [(last, _)] = near.cohorts([at(95)], last=True)
    assert same is first
    assert (len(first.rows), len(last.rows)) == (100, 110)
    assert next(near.cohorts([at(98)], last=True))[0] is last


def test_cohorts_of_the_newest_and_of_those_before_them_are_kept_beside_each_other() -> None:
    near = known(*range(600))
    [(newest, _)] = near.cohorts([at(599)])
    [(earlier, _)] = near.cohorts([at(400)], last=True)
    near.add(at(600))
    assert next(near.cohorts([at(600)]))[0] is newest
    assert next(near.cohorts([at(410)], last=True))[0] is earlier


def test_no_more_runs_wait_than_may_and_the_oldest_keep_their_first_word() -> None:
    waiting = Waiting(settle_us=0, most=2)
    for number in range(3):
        waiting.want(str(number), workflow="w", partition=number, started_us=0, revision=1, now_us=10)
    assert [each.run_id for each in waiting.each()] == ["1", "2"]
    assert waiting.given_up == 1
    waiting.forget({1})
    assert [each.run_id for each in waiting.each()] == ["2"]


def test_a_clock_that_is_ahead_makes_no_run_wait_for_years() -> None:
    waiting = Waiting(settle_us=5, most=2)
    waiting.want("a", workflow="w", partition=0, started_us=10**17, revision=1, now_us=10)
    [run] = waiting.each()
    assert run.is_due(15, after=0)
    assert not run.is_due(14, after=0)
