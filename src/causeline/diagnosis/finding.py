"""How rules say what they found: one way of making findings and facts from steps, evidence and reviews."""

from collections.abc import Iterable
from dataclasses import fields as fields_of

from causeline.diagnosis.layer import layer_of
from causeline.diagnosis.model import Fact, Finding, Proof, Role
from causeline.diagnosis.record import FieldState
from causeline.schemas.run import Evidence, Review, Run, Step
from causeline.schemas.vocabulary import StepKind

_STEP_FIELDS = frozenset(field.name for field in fields_of(Step))


def step_fact(step: Step, name: str, value: object = None) -> Fact:
    """A fact that stands in a step: one of its fields, or a measure among its labels."""
    if value is None:
        value = getattr(step, name) if name in _STEP_FIELDS else step.labels.get(name)
    if isinstance(value, tuple):
        value = ", ".join(value[:5])
    return Fact(step.full_name, name, "none" if value in (None, "") else f"{value}", step.step_id)


def evidence_fact(evidence: Evidence, name: str) -> Fact:
    """A fact that stands in an evidence event."""
    value = getattr(evidence, name)
    shown = ", ".join(value[:5]) if isinstance(value, tuple) else value
    return Fact(
        f"evidence for {evidence.field_path}", name, "none" if shown in (None, "") else f"{shown}", evidence.event_id
    )


def review_fact(review: Review, name: str) -> Fact:
    """A fact that stands in a review event."""
    value = getattr(review, name)
    return Fact("review", name, "none" if value is None else f"{value}", review.event_id)


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
            each.reason or "none",
            each.event_id or each.step_id,
        )
        for each in run.fallbacks
    )


def run_fact(run: Run, name: str) -> Fact:
    """A fact of the run as a whole."""
    value = getattr(run, name)
    return Fact("run", name, "none" if value is None else f"{value}", run.run_id)


def about_step(
    step: Step,
    *,
    rule: str,
    proof: Proof,
    role: Role,
    strength: float,
    headline: str,
    fix: str = "",
    facts: Iterable[Fact] = (),
    fields: Iterable[str] = (),
    boundary: str | None = None,
    mark: str = "",
) -> Finding:
    """A finding at a step's boundary; its fix ends with all that is on record of what to touch there."""
    return Finding(
        rule=rule,
        proof=proof,
        role=role,
        boundary=boundary or layer_of(step),
        headline=headline,
        fix=f"{touch(step)}{f': {fix}' if fix else ''}.",
        thing=thing_of(step),
        strength=strength,
        facts=tuple(facts),
        step_id=step.step_id,
        step=step.full_name,
        fields=frozenset(fields),
        mark=mark,
    )


def about_field(
    state: FieldState,
    *,
    rule: str,
    role: Role,
    strength: float,
    headline: str,
    fix: str,
    facts: tuple[Fact, ...] = (),
) -> Finding:
    """A finding about the support of one field, as its last check found it."""
    last = state.last
    return Finding(
        rule=rule,
        proof=Proof.CONTRADICTION if last.conflicting_refs else Proof.MEASURE,
        role=role,
        boundary=StepKind.EVIDENCE,
        headline=headline,
        fix=fix,
        thing=f"evidence {state.field_path}",
        strength=strength,
        facts=facts or (evidence_fact(last, "provenance_score"),),
        step_id=last.step_id,
        fields=frozenset({state.field_path}),
        mark=state.field_path,
    )


def version_labels(step: Step) -> list[str]:
    """Labels that name a version, a release, an index: `index.version=2026-10`; a keyed mark names nothing."""
    return [f"{key}={text}" for key, text in step.labels.items() if is_version(key) and text[:1] != "~"][:4]


def is_version(key: str) -> bool:
    """Whether a label names which one of something was used, by its key's last word."""
    last = key.lower().replace("-", ".").replace("_", ".").rpartition(".")[2]
    return last in _VERSIONS or key.lower() in _VERSIONS


_VERSIONS = frozenset(
    {"version", "release", "index", "revision", "snapshot", "template", "model", "collection", "variant", "build"}
)


def thing_of(step: Step) -> str:
    """What a step is made by, as a name: its prompt, parser, rules or schema with version, else the step itself."""
    if step.prompt_id and step.step_kind in (StepKind.MODEL_CALL, StepKind.PROMPT):
        return f"prompt {step.prompt_id}:{step.prompt_version}" if step.prompt_version else f"prompt {step.prompt_id}"
    if step.step_kind == StepKind.MODEL_CALL and step.model_name:
        return f"model {step.model_name} in {step.full_name}"
    return step.full_name


def touch(step: Step) -> str:
    """All that is on record of what to touch at a step: its name, and the versions that it ran under."""
    kind = step.step_kind.replace("_", " ")
    said = [f"{kind} {step.step_name} ({step.full_name})"]
    if step.prompt_id:
        version = (
            f" version {step.prompt_version} ({step.prompt_id}:{step.prompt_version})" if step.prompt_version else ""
        )
        said.append(f"prompt {step.prompt_id}{version}")
    elif step.prompt_version:
        said.append(f"prompt version {step.prompt_version}")
    if step.model_name:
        said.append(f"model {step.model_name}{f' of {step.model_provider}' if step.model_provider else ''}")
    if step.model_policy:
        said.append(f"model policy {step.model_policy}")
    if step.parser_version:
        said.append(f"parser {step.parser_version}")
    if step.schema_version:
        said.append(f"schema {step.schema_version}")
    if step.route_policy_version:
        said.append(f"route rules {step.route_policy_version}")
    said += version_labels(step)
    text = ", ".join(said)
    return text[:1].upper() + text[1:]


def who(step: Step) -> str:
    """Who gave an answer: the model by its name and step, else the step."""
    if step.step_kind != StepKind.MODEL_CALL:
        return f"Step {step.full_name}"
    return f"Model {step.model_name} (step {step.step_name})" if step.model_name else f"The model in {step.step_name}"


def is_verdict(place: str) -> bool:
    """Whether a step says how good the answer is, a person's or a judge's: what it finds is a symptom."""
    kind, _, name = place.partition(":")
    return kind in (StepKind.EVAL, StepKind.REVIEW) or any(
        word in name.lower() for word in ("judge", "evaluat", "score", "grade", "review", "feedback")
    )


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names as prose: `a`, `a and b`, `a, b and c`; past `most` their number."""
    found = sorted(set(names))
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else "nothing"
