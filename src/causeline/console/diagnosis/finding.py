"""How rules say what they found: one way of making findings and facts from steps, evidence and reviews."""

from collections.abc import Iterable

from causeline.console.diagnosis.model import Fact, Finding, Health, Question
from causeline.console.diagnosis.record import makes, reads
from causeline.schemas.run import Evidence, Review, Run, Step
from causeline.schemas.vocabulary import StepKind


def step_fact(step: Step, name: str, value: object = None) -> Fact:
    """A fact that stands in a step: one of its fields, or a measure among its labels."""
    if value is None:
        value = step.labels.get(name) if name in step.labels else getattr(step, name, None)
    return Fact(step.full_name, name, "never recorded" if value is None else f"{value}", step.step_id)


def evidence_fact(evidence: Evidence, name: str) -> Fact:
    """A fact that stands in an evidence event."""
    value = getattr(evidence, name)
    shown = ", ".join(value) if isinstance(value, tuple) else value
    return Fact(
        f"evidence for {evidence.field_path}", name, "none" if shown in (None, "") else f"{shown}", evidence.event_id
    )


def review_fact(review: Review, name: str) -> Fact:
    """A fact that stands in a review event."""
    value = getattr(review, name)
    return Fact("review", name, "never recorded" if value is None else f"{value}", review.event_id)


def run_fact(run: Run, name: str) -> Fact:
    """A fact of the run as a whole."""
    value = getattr(run, name)
    return Fact("run", name, "never recorded" if value is None else f"{value}", run.run_id)


def about_step(
    step: Step,
    *,
    rule: str,
    question: Question,
    health: Health,
    headline: str,
    fix: str,
    facts: Iterable[Fact] = (),
    fields: Iterable[str] = (),
    boundary: StepKind | None = None,
) -> Finding:
    """A finding at a step's boundary; what the step read and made ties it to others."""
    return Finding(
        rule=rule,
        question=question,
        health=health,
        boundary=boundary or StepKind(step.step_kind),
        headline=headline,
        fix=fix,
        facts=tuple(facts),
        step_id=step.step_id,
        fields=frozenset(fields),
        reads=reads(step),
        makes=makes(step),
    )


def listed(names: Iterable[str]) -> str:
    """Names as prose: `a`, `a and b`, `a, b and c`."""
    found = sorted(names)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else "nothing"
