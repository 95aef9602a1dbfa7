"""Where causes stand on the waterfall: at steps, and at checks and fallbacks that belong to no step."""

from datetime import UTC, datetime

from causeline.console.views.run_page import StepPanel, run_page, step_columns
from causeline.diagnosis import Diagnosis, Finding
from causeline.diagnosis.model import Cause, Certainty, Consequence, Link, Proof, Role
from causeline.schemas.run import Evidence, Fallback, Run, Step

BEGAN = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
RUN = Run(
    run_id="1" * 32, workflow="w", verdict="complete", started_at=BEGAN,
    steps=(Step(step_id="a" * 16, step_kind="tool", step_name="look up", status="ok", started_at=BEGAN),),
    evidence=(Evidence(event_id="check", step_id="e" * 16, field_path="$.total", occurred_at=BEGAN),),
    fallbacks=(
        Fallback(event_id="guess", kind="stop", inferred=True, occurred_at=BEGAN),
        Fallback(event_id="took", kind="human_review", occurred_at=BEGAN),
    ),
)  # fmt: skip


def finding(boundary: str, thing: str, step_id: str | None = None) -> Finding:
    return Finding(
        rule="r", proof=Proof.ERROR, role=Role.FAILURE, boundary=boundary, headline="It broke.", fix="Mend it.",
        thing=thing, strength=1.0, step_id=step_id,
    )  # fmt: skip


def told(*causes: Cause) -> Diagnosis:
    return Diagnosis(RUN.run_id, "w", "It ended.", causes=causes)


CHECK = Cause(finding("evidence", "evidence $.total", "e" * 16), Certainty.CERTAIN)
FALLBACK = Cause(finding("fallback", "fallback human_review"), Certainty.CERTAIN)
NOWHERE = Cause(finding("fallback", "fallback stop"), Certainty.CERTAIN)


def test_a_cause_stands_at_the_check_or_the_fallback_that_it_is_about() -> None:
    diagnosis = told(CHECK, FALLBACK, NOWHERE)
    page = run_page(RUN, (), diagnosis)

    assert [(each.step_id, each.step_name) for each in page.causes] == [
        ("check", "evidence:$.total"), ("took", "fallback:human_review"), (None, ""),
    ]  # fmt: skip
    columns = step_columns(RUN, diagnosis)
    ids = list(columns["id"])  # type: ignore[call-overload]
    assert columns["marks"] == {ids.index("check"): (1,), ids.index("took"): (2,)}
    shown = StepPanel(RUN, (), diagnosis).details("check")
    assert shown is not None
    assert [each.number for each in shown.causes] == [1]


def test_what_follows_at_the_step_of_its_own_cause_is_not_marked_there_again() -> None:
    here = finding("tool", "tool:look up", "a" * 16)
    then = Consequence(CHECK.finding, Link("step", "tool:look up"))
    diagnosis = told(Cause(here, Certainty.CERTAIN, (Consequence(here, Link("step", "tool:look up")), then)))

    columns = step_columns(RUN, diagnosis)
    ids = list(columns["id"])  # type: ignore[call-overload]
    assert columns["follows"] == {ids.index("check"): (1,)}
