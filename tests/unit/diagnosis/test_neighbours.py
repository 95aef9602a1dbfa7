"""A run beside its neighbours: what is usual accuses nobody, what is far off does, and a release is told in numbers."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from causeline.console.views.why_view import first_line
from causeline.diagnosis import Certainty, Cohort, diagnose, row_of
from causeline.diagnosis.statistics import beyond, fisher, increase, superiority, wilson
from causeline.diagnosis.traits import MAX_TRAITS, Row, traits_of
from causeline.schemas.run import Evidence, Run, Step

START = datetime(2026, 5, 1, tzinfo=UTC)


def a_run(number: int, *, found: int | None = None, version: str = "12", score: float | None = None) -> Run:
    """One of many: a search and a call, with what varies by nature."""
    dice = Random(number)
    found = dice.randint(3, 6) if found is None else found
    begun = START + timedelta(minutes=number)
    search = Step(step_id="a" * 16, step_kind="retrieve", step_name="kb", status="ok", started_at=begun,
                  context_refs=tuple(f"doc:{n}" for n in range(found)))  # fmt: skip
    call = Step(step_id="b" * 16, step_kind="model_call", step_name="answer", status="ok", prompt_id="answer",
                prompt_version=version, input_tokens=100 + 40 * found + dice.randint(0, 20),
                output_tokens=dice.randint(20, 60), started_at=begun + timedelta(seconds=1))  # fmt: skip
    score = dice.uniform(0.72, 0.98) if score is None else score
    evidence = Evidence(event_id="e", field_path="$.answer", evidence_required=True, provenance_score=score,
                        evidence_refs=("doc:0",))  # fmt: skip
    return Run(run_id=f"{number:032x}", workflow="desk", verdict="complete", final_state="answered", started_at=begun,
               steps=(search, call), evidence=(evidence,))  # fmt: skip


WELL = [row_of(a_run(number)) for number in range(1, 301)]


def test_a_run_like_the_others_is_accused_of_nothing() -> None:
    cohort = Cohort(WELL)

    accused = [number for number in range(1000, 1200) if diagnose(a_run(number), cohort=cohort).first_cause]
    assert len(accused) <= 4


def test_a_search_that_finds_far_less_than_usual_is_told_with_what_is_usual() -> None:
    found = diagnose(replace(a_run(1000, found=1), labels={"feedback": "down"}), cohort=Cohort(WELL))

    assert found.first_cause is not None
    assert found.first_cause.finding.step == "retrieve:kb"
    assert "sources in its context is 1, and 3 to 6 is usual in 300 runs" in first_line(found)
    assert found.first_cause.certainty is Certainty.LIKELY


def test_a_gap_that_is_usual_in_the_workflow_is_no_symptom_of_this_run() -> None:
    often = [row_of(a_run(number, score=0.6 if number % 5 == 0 else None)) for number in range(1, 301)]
    run = a_run(1000, score=0.6)

    assert diagnose(run).first_cause is not None
    assert diagnose(run, cohort=Cohort(often)).first_cause is None


def test_a_release_is_told_in_numbers() -> None:
    worse = [a_run(number, version="13", score=0.1) for number in range(301, 342)]
    cohort = Cohort([*WELL, *map(row_of, worse)])
    found = diagnose(worse[-1], cohort=cohort)

    assert found.first_cause is not None
    assert found.first_cause.finding.rule == "release"
    assert "Since prompt_version 13 of model_call:answer replaced 12" in first_line(found)
    assert "(41 runs with it, 300 with 12)" in first_line(found)
    assert "answer:13" in found.first_cause.finding.fix


def test_two_versions_that_were_in_use_at_once_are_no_release() -> None:
    mixed = [a_run(number, version="13" if number % 3 == 0 else "12") for number in range(1, 301)]
    found = diagnose(mixed[-1], cohort=Cohort(list(map(row_of, mixed))))

    assert found.first_cause is None


def test_too_few_neighbours_tell_nothing_and_what_is_needed_is_said() -> None:
    few = Cohort(WELL[:10])
    assert not few.can_tell
    bad = replace(a_run(1000), labels={"feedback": "down"})
    assert diagnose(bad, cohort=few).nearest is None
    told = diagnose(bad, cohort=Cohort(WELL))
    assert any("too few runs" in sentence and "needed" in sentence for sentence in told.unknown)
    assert told.nearest is not None


def test_a_row_reads_back_as_it_was_written() -> None:
    row = row_of(a_run(7, score=0.1))

    assert Row.from_text(row.run_id, row.started_at, row.to_text(), well=row.well) == row


def test_the_traits_of_a_run_are_bounded() -> None:
    step = Step(step_id="a" * 16, step_kind="tool", step_name="x", labels={f"k{n}": "1" for n in range(30)})
    steps = tuple(replace(step, step_name="".join(chr(97 + (n // 26**p) % 26) for p in range(3))) for n in range(999))

    assert len(traits_of(Run(steps=steps))) == MAX_TRAITS


def test_the_statistics_agree_with_published_values() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998, Table I
    share, least = increase(56, 70, 48, 80)
    assert (share, least) == pytest.approx((0.2, 0.0524), abs=5e-4)  # Newcombe 1998, method 10
    assert fisher(3, 1, 1, 3) == pytest.approx(0.2429, abs=1e-4)  # the lady tasting tea
    delta, chance = superiority([3, 4, 5], [1, 2])
    assert (delta, chance < 0.1) == (1.0, True)


def test_a_cohort_answers_quickly() -> None:
    cohort = Cohort(WELL)
    diagnose(a_run(1000, found=1), cohort=cohort)
    begun = time.process_time()
    for number in range(1000, 1020):
        diagnose(a_run(number, found=1), cohort=cohort)
    assert (time.process_time() - begun) / 20 < 0.1


def test_an_output_that_no_other_run_gave_is_odd_where_few_different_ones_are_usual() -> None:
    def looked_up(number: int, ref: str) -> Run:
        run = a_run(number)
        tool = Step(step_id="c" * 16, step_kind="tool", step_name="register", status="ok", raw_output_ref=ref)
        return replace(run, steps=(tool, *run.steps))

    known = [row_of(looked_up(number, f"artifact:sha256/0{number % 3}")) for number in range(1, 301)]
    bad = replace(looked_up(1000, "artifact:sha256/ff"), labels={"feedback": "down"})

    found = diagnose(bad, cohort=Cohort(known))
    assert found.first_cause is not None
    assert found.first_cause.finding.step == "tool:register"


def test_six_slow_runs_after_a_release_are_told_from_eighty_before() -> None:
    def lasting(number: int, seconds: float) -> Run:
        run = a_run(number)
        micros = int(seconds * 1e6)
        call = replace(run.steps[1], duration_us=micros)
        return replace(run, steps=(run.steps[0], call), duration_us=micros + 1000)

    before = [lasting(number, 0.2 + 0.1 * (number % 5)) for number in range(1, 81)]
    after = [lasting(number, 4.0) for number in range(81, 87)]
    found = diagnose(after[-1], cohort=Cohort([row_of(run) for run in (*before, *after)]))

    assert found.first_cause is not None
    assert (found.first_cause.finding.rule, found.first_cause.finding.step) == ("release", "model_call:answer")


def test_a_few_beyond_many_are_as_likely_as_the_ways_to_choose_them() -> None:
    assert beyond([9.0, 8.0], [1.0, 2.0, 3.0]) == pytest.approx(2 / 10)
    assert beyond([9.0, 2.5], [1.0, 2.0, 3.0]) == pytest.approx(2 * 3 / 10)
    assert beyond([], [1.0]) == 1.0


def test_what_a_finding_says_and_where_it_stands_are_counted_apart_whatever_a_step_is_called() -> None:
    rows = [Row(f"{n:032x}", float(n), {}, frozenset({"odd|tool:a|b"}), frozenset()) for n in range(40)]
    cohort = Cohort(rows)

    assert cohort.is_usual("odd|tool:a|b", 0.12)
    assert not cohort.is_usual_at("odd|tool:a|b", 0.12), "the place is odd|tool:a, and b is what it says there"
    assert cohort.is_usual_at("odd|tool:a", 0.12)
