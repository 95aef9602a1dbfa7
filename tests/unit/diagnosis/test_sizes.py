"""Numbers go with those that came before them, and what is odd of several attempts is told of the one that shows it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from causeline.diagnosis import Cohort, Diagnosis, diagnose, row_of
from causeline.diagnosis.sizes import Line, learn
from causeline.diagnosis.traits import Row, traits_of
from causeline.schemas.measures import FINISH_REASON
from causeline.schemas.run import Run, Step

BEGAN = datetime(2026, 5, 1, tzinfo=UTC)
ROOT = "0" * 16
DOWN = {"feedback": "down"}


def a_step(place: int, name: str, *, parent: str | None = ROOT, **labels: object) -> Step:
    """The step of a place, `kind:name`, with numbers as labels."""
    kind, _, said = name.partition(":")
    told = {key.replace("_", "."): f"{value}" for key, value in labels.items()}
    return Step(step_id=f"{place:016x}", step_kind=kind, step_name=said, status="ok", parent_step_id=parent,
                started_at=BEGAN + timedelta(seconds=place), duration_us=1_000_000, labels=told)  # fmt: skip


def a_run(number: int, steps: Sequence[Step], labels: dict[str, str] | None = None) -> Run:
    """A run of these steps."""
    return Run(run_id=f"{number:032x}", workflow="desk", verdict="complete", final_state="answered",
               started_at=BEGAN + timedelta(minutes=number), steps=tuple(steps), labels=labels or {})  # fmt: skip


def beside(run: Run, others: Sequence[Run]) -> Diagnosis:
    """A run beside others."""
    return diagnose(run, cohort=Cohort([row_of(each) for each in others]))


def blamed(found: Diagnosis) -> str:
    """The step of the first cause."""
    assert found.first_cause is not None
    return found.first_cause.finding.step


# --- what an enclosing step gives comes after all within it


def a_letter(number: int, *, loses: bool = False) -> Run:
    answer = 60 + Random(number).randrange(200)
    letter = 40 if loses else answer + 30
    steps = (
        a_step(0, "chain:desk", parent=None, input_chars=50 + number % 40, output_chars=letter),
        a_step(1, "model_call:answer", output_chars=answer),
        a_step(2, "custom:letter", output_chars=letter),
    )
    return a_run(number, steps, DOWN if loses else None)


def test_a_step_that_shortens_what_the_model_gave_is_blamed_and_not_the_model() -> None:
    found = beside(a_letter(900, loses=True), [a_letter(number) for number in range(80)])

    assert blamed(found) == "custom:letter"


def test_traits_stand_in_the_order_in_which_they_come_about() -> None:
    steps = (
        a_step(0, "chain:desk", parent=None, output_chars=9, input_chars=1),
        a_step(1, "chain:part", output_chars=3, input_chars=2),
        a_step(2, "tool:inner", parent=f"{1:016x}", output_chars=2),
        a_step(3, "tool:last", output_chars=8),
    )

    numbers = [trait.replace("|label ", " ") for trait in traits_of(a_run(1, steps)) if "chars" in trait]
    assert numbers == [
        "chain:desk input.chars", "chain:part input.chars", "tool:inner output.chars", "chain:part output.chars",
        "tool:last output.chars", "chain:desk output.chars",
    ]  # fmt: skip


def test_steps_that_enclose_each_other_in_a_circle_are_told_all_the_same() -> None:
    one, two = f"{1:016x}", f"{2:016x}"
    steps = (
        a_step(1, "chain:one", parent=two, output_chars=3),
        a_step(2, "chain:two", parent=one, output_chars=4),
        a_step(3, "tool:own", parent=f"{3:016x}", output_chars=5),
    )

    assert {trait for trait in traits_of(a_run(1, steps)) if "chars" in trait} == {
        "chain:one|label output.chars", "chain:two|label output.chars", "tool:own|label output.chars"
    }  # fmt: skip


# --- several attempts


def an_errand(number: int, *, finds_nothing: bool = False) -> Run:
    dice = Random(number)
    steps = (
        a_step(0, "agent:errand", parent=None),
        a_step(1, "model_call:decide", output_chars=38),
        a_step(2, "tool:search", output_chars=10 if finds_nothing else 300 + dice.randrange(90)),
        a_step(3, "model_call:decide", output_chars=21 if finds_nothing else 38),
    )
    return a_run(number, steps, DOWN if finds_nothing else None)


def test_a_call_that_is_odd_after_a_search_that_is_odd_did_not_lead_to_it() -> None:
    found = beside(an_errand(900, finds_nothing=True), [an_errand(number) for number in range(80)])

    assert blamed(found) == "tool:search"


def test_numbers_of_several_attempts_are_held_against_nothing() -> None:
    rows = [
        Row(
            f"{n}",
            float(n),
            {"tool:a|times": times, "tool:a|size": float(n), "tool:b|times": 1.0, "tool:b|size": 2.0 * n},
        )
        for n in range(40)
        for times in [1.0]
    ]
    (line,) = learn(rows)

    assert line == Line("tool:b|size", "tool:a|size", line.slope, line.level)
    assert line.off(rows[7].traits) is not None
    assert line.off({**rows[7].traits, "tool:a|times": 2.0}) is None
    assert not learn([Row(row.run_id, row.started_at, {**row.traits, "tool:b|times": 3.0}) for row in rows])


def a_form(number: int, *, attempts: int = 1) -> Run:
    dice = Random(number)
    steps = [a_step(0, "chain:forms", parent=None)]
    for place in range(attempts):
        steps.append(a_step(2 * place + 1, "model_call:fill", output_chars=100 + dice.randrange(50)))
        steps.append(a_step(2 * place + 2, "tool:store", output_chars=5))
    return a_run(number, steps, DOWN if attempts > 1 else None)


def test_a_step_that_ran_oftener_is_not_told_to_be_slow() -> None:
    found = beside(a_form(900, attempts=9), [a_form(number) for number in range(80)])

    said = [fact.name for cause in found.causes for fact in cause.finding.facts if cause.finding.step]
    assert "runs of the step" in said
    assert "seconds" not in said


def test_an_answer_that_was_cut_off_leads_to_the_error_of_who_reads_it() -> None:
    cut = replace(a_step(1, "model_call:fill"), labels={FINISH_REASON: "length"})
    failing = replace(a_step(2, "custom:read"), status="error", error_type="SyntaxError")

    found = diagnose(a_run(1, (a_step(0, "chain:forms", parent=None), cut, failing)))

    assert blamed(found) == "model_call:fill"
