"""The same question, another answer; and how large an answer is for what was asked: the step that departs is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from causeline.console.views.why_view import first_line
from causeline.diagnosis import Cohort, diagnose, row_of
from causeline.diagnosis.answers import ANOTHER
from causeline.diagnosis.layer import layer_of
from causeline.diagnosis.sizes import learn
from causeline.diagnosis.traits import Row
from causeline.schemas.run import Run, Step

START = datetime(2026, 5, 1, tzinfo=UTC)


def a_run(
    number: int, *, asked: int | None = None, edition: str = "v1", pages: int | None = None, read: float = 1.0
) -> Run:
    """One of many: a document is parsed, a register asked, a model given both."""
    dice = Random(number)
    asked = dice.randint(0, 5) if asked is None else asked
    begun = START + timedelta(minutes=number)
    size = 900 * (dice.randint(1, 6) if pages is None else pages) + dice.randint(0, 90)
    made = round(read * size * 0.8 + dice.randint(-9, 9))
    parse = Step(step_id="a" * 16, step_kind="parse", step_name="ocr", status="ok", started_at=begun,
                 labels={"input.chars": f"{size}", "output.chars": f"{made}"})  # fmt: skip
    tool = Step(step_id="b" * 16, step_kind="tool", step_name="register", status="ok",
                started_at=begun + timedelta(seconds=1), input_ref=f"artifact:sha256/customer-{asked}",
                raw_output_ref=f"artifact:sha256/{edition}-entry-{asked}")  # fmt: skip
    call = Step(step_id="c" * 16, step_kind="model_call", step_name="answer", status="ok", model_name="m",
                input_ref=f"artifact:sha256/{number}-{edition}", raw_output_ref=f"artifact:sha256/{number}-said",
                input_tokens=made // 4 + 50, output_tokens=dice.randint(20, 60),
                started_at=begun + timedelta(seconds=2))  # fmt: skip
    return Run(run_id=f"{number:032x}", workflow="desk", verdict="complete", final_state="answered", started_at=begun,
               steps=(parse, tool, call))  # fmt: skip


WELL = [row_of(a_run(number)) for number in range(1, 201)]


def test_a_step_that_answers_the_same_question_otherwise_is_named() -> None:
    run = a_run(900, asked=2, edition="v0")

    found = diagnose(run, cohort=Cohort(WELL))

    assert found.first_cause is not None
    assert found.first_cause.finding.step == "tool:register"
    assert "for what it was asked it gave another answer than in the runs before" in first_line(found)


def test_a_question_that_nobody_asked_before_tells_nothing() -> None:
    assert diagnose(a_run(900, asked=77, edition="v0"), cohort=Cohort(WELL)).first_cause is None


def test_a_step_whose_answers_vary_by_nature_accuses_nobody() -> None:
    varied = [row_of(a_run(number, edition=f"v{number % 7}")) for number in range(1, 201)]

    assert diagnose(a_run(900, asked=2, edition="v9"), cohort=Cohort(varied)).first_cause is None


def test_answers_that_are_otherwise_since_a_time_are_a_release_of_the_step_that_gives_them() -> None:
    bad = [replace(a_run(number, edition="v2"), labels={"feedback": "down"}) for number in range(201, 209)]

    found = diagnose(bad[-1], cohort=Cohort([*WELL, *map(row_of, bad)]))

    assert found.first_cause is not None
    assert found.first_cause.finding.step == "tool:register"


def test_answers_are_kept_with_the_row() -> None:
    row = WELL[0]
    assert row.answers
    assert Row.from_text(row.run_id, row.started_at, row.to_text(), well=row.well).answers == row.answers
    assert Row.from_text("a", 0.0, '{"t":{},"m":[],"h":[]}', well=True).answers == {}  # of a release before this


def test_what_others_asked_is_told_of_the_run_itself_once() -> None:
    cohort = Cohort(WELL)

    assert cohort.beside(WELL[100]).traits[f"tool:register|{ANOTHER}"] == 0.0


def test_a_step_that_gives_less_than_goes_with_what_it_was_given_is_named_and_not_the_one_after_it() -> None:
    run = replace(a_run(900, pages=6, read=0.5), labels={"feedback": "down"})

    found = diagnose(run, cohort=Cohort(WELL))

    assert found.first_cause is not None
    assert found.first_cause.finding.step == "parse:ocr"
    assert "less than goes with input.chars of parse:ocr" in first_line(found)


def test_each_number_goes_with_the_one_before_it_that_explains_it_best() -> None:
    lines = {line.trait: line.given for line in learn(WELL)}

    assert lines["parse:ocr|label output.chars"] == "parse:ocr|label input.chars"
    assert lines["model_call:answer|input_tokens"] == "parse:ocr|label output.chars"


@pytest.mark.parametrize(
    ("kind", "name", "layer"),
    [
        ("custom", "tone guard", "guardrail"),
        ("chain", "rerankPassages", "reranker"),
        ("custom", "payout", "custom"),
        ("tool", "search", "tool"),
        ("chain", "answer prompt", "prompt"),
    ],
)
def test_a_step_without_a_telling_kind_belongs_to_the_layer_its_name_speaks_of(
    kind: str, name: str, layer: str
) -> None:
    assert layer_of(Step(step_id="a" * 16, step_kind=kind, step_name=name)) == layer
