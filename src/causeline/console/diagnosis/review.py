"""Question 5: did review correct the system?"""

from collections.abc import Iterator

from causeline.console.diagnosis.finding import review_fact, run_fact
from causeline.console.diagnosis.model import Finding, Health, Question
from causeline.console.diagnosis.record import Record
from causeline.schemas.run import Review
from causeline.schemas.vocabulary import NextStep, StepKind

_Q = Question.REVIEW
_ASK_A_PERSON = (NextStep.REVIEW, NextStep.ESCALATE)


def findings(record: Record) -> Iterator[Finding]:
    """What the record says against review, and against what becomes of it."""
    run = record.run
    linked = bool(run.evals) or run.eval_case_id is not None
    for path, review in record.corrections.items():
        what = path or "the answer"
        fields = frozenset({path}) if path else frozenset()
        verb = "rejected" if review.outcome == "rejected" else "corrected"
        if review.outcome == "overridden" and review.override_ref is None:
            yield Finding(
                rule="correction_lost",
                question=_Q,
                health=Health.FAILED,
                boundary=StepKind.REVIEW,
                headline=f"A reviewer corrected {what}, and the correction was not recorded.",
                fix="The review tool: record override_ref with the outcome.",
                facts=(review_fact(review, "outcome"), review_fact(review, "override_ref")),
                fields=fields,
            )
        if not linked:
            yield Finding(
                rule="no_eval_case",
                question=_Q,
                health=Health.FAILED,
                boundary=StepKind.REVIEW,
                headline=f"A reviewer {verb} {what}, and no eval case keeps it from happening again.",
                fix="Make an eval case of the run and record it: tracer.record_eval(run_id, workflow, case_id).",
                facts=(review_fact(review, "outcome"), run_fact(run, "eval_case_id")),
                fields=fields,
            )
    if run.reviews and run.reviews[-1].outcome == "escalated":
        yield Finding(
            rule="undecided",
            question=_Q,
            health=Health.SUSPECT,
            boundary=StepKind.REVIEW,
            headline="A reviewer escalated the run, and nobody has decided yet.",
            fix="The review queue: who decides what reviewers pass on, and by when.",
            facts=(review_fact(run.reviews[-1], "outcome"),),
            fields=_passed_on(record, run.reviews[-1]),
        )
    if not run.reviews:
        yield from _awaited(record)


def _passed_on(record: Record, review: Review) -> frozenset[str]:
    """What an escalation is about: its field, else those about which the policy asks for a person."""
    asked = {path for path, state in record.open_gaps.items() if state.gap and state.gap.next_step in _ASK_A_PERSON}
    return frozenset({review.field_path} if review.field_path else asked)


def _awaited(record: Record) -> Iterator[Finding]:
    for path, state in record.open_gaps.items():
        if state.gap is not None and state.gap.next_step in _ASK_A_PERSON:
            yield Finding(
                rule="review_missing",
                question=_Q,
                health=Health.FAILED if record.answered else Health.SUSPECT,
                boundary=StepKind.REVIEW,
                headline=f"The policy wants a person to look at {path}, and nobody has.",
                fix="The review queue: who takes the items of this rule, and by when.",
                facts=(run_fact(record.run, "review_outcome"),),
                fields=frozenset({path}),
            )
