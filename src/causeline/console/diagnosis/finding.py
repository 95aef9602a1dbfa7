"""How rules say what they found: one way of making findings and facts from steps, evidence and reviews."""

from collections.abc import Iterable
from dataclasses import fields as fields_of

from causeline.console.diagnosis.model import Fact, Finding, Health, Question
from causeline.console.diagnosis.record import FieldState, base, makes, reads
from causeline.schemas.run import Evidence, Review, Run, Step
from causeline.schemas.vocabulary import StepKind

_STEP_FIELDS = frozenset(field.name for field in fields_of(Step))


def step_fact(step: Step, name: str, value: object = None) -> Fact:
    """A fact that stands in a step: one of its fields, or a measure among its labels."""
    if value is None:
        value = getattr(step, name) if name in _STEP_FIELDS else step.labels.get(name)
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


def side_facts(run: Run, field_path: str) -> tuple[Fact, ...]:
    """The sides of the conflicts over a field, each with what it weighed."""
    return tuple(
        Fact(
            f"source {side.source_ref}",
            side.source_kind or "kind never recorded",
            f"{'won' if side.won else 'lost'}, {side.reason or 'nobody recorded why'}",
            side.event_id,
        )
        for side in run.conflict_sides
        if side.field_path == field_path
    )


def fallback_facts(run: Run) -> tuple[Fact, ...]:
    """What the run did in place of what it meant to do; what the workflow did not say itself is marked."""
    return tuple(
        Fact(
            f"fallback {each.kind}",
            "inferred from" if each.inferred else "reason",
            each.reason or "never recorded",
            each.event_id or each.step_id,
        )
        for each in run.fallbacks
    )


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


def about_field(
    state: FieldState,
    *,
    rule: str,
    health: Health,
    headline: str,
    fix: str,
    boundary: StepKind = StepKind.EVIDENCE,
    facts: tuple[Fact, ...] = (),
) -> Finding:
    """A finding about the support of one field, as its last check found it."""
    last = state.last
    return Finding(
        rule=rule,
        question=Question.SUPPORT,
        health=health,
        boundary=boundary,
        headline=headline,
        fix=fix,
        facts=facts or (evidence_fact(last, "provenance_score"),),
        step_id=last.step_id,
        fields=frozenset({state.field_path}),
        reads=frozenset(base(ref) for ref in (*last.evidence_refs, *last.conflicting_refs)),
    )


def who(step: Step) -> str:
    """Who gave an answer: the model by its name and step, else the step."""
    if step.step_kind != StepKind.MODEL_CALL:
        return f"Step {step.full_name}"
    return f"Model {step.model_name or '(never recorded)'} (step {step.step_name})"


def prompt_of(step: Step) -> str:
    """The prompt of a model call, with its version."""
    return f"Prompt {step.prompt_id or '(never recorded)'} version {step.prompt_version or '(never recorded)'}"


def listed(names: Iterable[str]) -> str:
    """Names as prose: `a`, `a and b`, `a, b and c`."""
    found = sorted(names)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else "nothing"
