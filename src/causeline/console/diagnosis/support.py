"""Question 4: was the answer unsupported?"""

from collections.abc import Iterator

from causeline.console.diagnosis.finding import evidence_fact, run_fact
from causeline.console.diagnosis.model import Fact, Finding, Health, Question
from causeline.console.diagnosis.record import FieldState, Record, base
from causeline.schemas.judge import Judgement
from causeline.schemas.vocabulary import FinalState, GapKind, NextStep, StepKind

_Q = Question.SUPPORT
_SAYS = {
    GapKind.MISSING_CITATION: "has no source",
    GapKind.WEAK_PROVENANCE: "is supported only weakly by its source",
    GapKind.UNSUPPORTED_FIELD: "is not supported by the source it cites",
    GapKind.SOURCE_CONFLICT: "rests on sources that disagree",
}
_STOPS = {
    NextStep.SAFE_STOP: {FinalState.STOPPED},
    NextStep.PARTIAL_OUTPUT: {FinalState.PARTIAL, FinalState.STOPPED, FinalState.HANDED_OVER},
    NextStep.ESCALATE: {FinalState.HANDED_OVER, FinalState.STOPPED},
}
"""The ends of a run that keep to a last next step; the others are steps, not ends."""


def findings(record: Record) -> Iterator[Finding]:
    """What the record says against the support of the answer."""
    for state in record.fields.values():
        gap = state.gap
        yield from _another_way(state)
        if gap is not None:
            yield _open(record, state, gap)
            yield from _ignored(record, state, gap)
        elif state.mended:
            yield _finding(
                state,
                rule="gap_mended",
                health=Health.SUSPECT,
                headline=f"The evidence for {state.field_path} had a gap that was mended on the way.",
                fix=f"Evidence requirement of {state.field_path}.",
            )
        elif _close_call(record, state):
            yield _finding(
                state,
                rule="close_call",
                health=Health.SUSPECT,
                headline=f"The evidence for {state.field_path} is only just good enough.",
                fix=f"Provenance matching for {state.field_path}.",
            )


def _open(record: Record, state: FieldState, gap: Judgement) -> Finding:
    """The gap itself. That the answer was given all the same is what the workflow, or nobody in review, did about it:
    findings of their own, at their own boundaries."""
    given = ", and was given as an answer all the same" if record.answered and not record.run.reviews else ""
    return _finding(
        state,
        rule=f"gap_{gap.kind.value}",
        health=Health.SUSPECT,
        headline=f"The value of {state.field_path} {_SAYS[gap.kind]}{given}.",
        fix=f"Evidence rule of {state.field_path}: threshold {gap.threshold:g}, next step {gap.next_step.value}.",
        facts=(
            evidence_fact(state.last, "provenance_score"),
            evidence_fact(state.last, "evidence_refs"),
            evidence_fact(state.last, "conflicting_refs"),
            run_fact(record.run, "final_state"),
        ),
    )


def _ignored(record: Record, state: FieldState, gap: Judgement) -> Iterator[Finding]:
    said = state.last.next_step
    ends = _STOPS.get(gap.next_step)
    another_way = said is not None and said != gap.next_step.value
    went_on = ends is not None and record.run.final_state is not None and record.run.final_state not in ends
    gave_up = _gave_up(record, state, gap)
    if another_way or went_on or gave_up:
        did = f"decided for {said}" if another_way else f"ended {record.run.final_state}"
        yield _finding(
            state,
            rule="decision_ignored",
            health=Health.FAILED if record.answered or another_way else Health.SUSPECT,
            headline=f"The policy asked for {gap.next_step.value} about {state.field_path}, and the workflow {did}.",
            fix=f"What the workflow does after the evidence for {state.field_path}: follow decision.next_step.",
            boundary=StepKind.FALLBACK,
            facts=(evidence_fact(state.last, "next_step"), run_fact(record.run, "final_state")),
        )


def _another_way(state: FieldState) -> Iterator[Finding]:
    """Checks before the last at which the workflow decided otherwise than the policy: it went on, but another way."""
    for evidence, judgement in state.checks[:-1]:
        if judgement is not None and evidence.next_step not in (None, judgement.next_step.value):
            yield _finding(
                state,
                rule="another_way",
                health=Health.SUSPECT,
                headline=(
                    f"The policy asked for {judgement.next_step.value} about {state.field_path},"
                    f" and the workflow decided for {evidence.next_step} first."
                ),
                fix=f"What the workflow does after the evidence for {state.field_path}: follow decision.next_step.",
                boundary=StepKind.FALLBACK,
                facts=(evidence_fact(evidence, "next_step"), evidence_fact(evidence, "provenance_score")),
            )


def _gave_up(record: Record, state: FieldState, gap: Judgement) -> bool:
    """The policy wanted another try, and the workflow answered without one."""
    return record.answered and gap.next_step in (NextStep.SEARCH, NextStep.RETRY)


def _close_call(record: Record, state: FieldState) -> bool:
    score = state.last.provenance_score
    if score is None:
        return False
    threshold = record.rules.standard(state.field_path).threshold
    band = next((bound for bound in record.rules.provenance_bands if bound > threshold), 1.0)
    return threshold <= score < min(band, threshold + 0.05)


def _finding(
    state: FieldState,
    *,
    rule: str,
    health: Health,
    headline: str,
    fix: str,
    boundary: StepKind = StepKind.EVIDENCE,
    facts: tuple[Fact, ...] = (),
) -> Finding:
    last = state.last
    return Finding(
        rule=rule,
        question=_Q,
        health=health,
        boundary=boundary,
        headline=headline,
        fix=fix,
        facts=facts or (evidence_fact(last, "provenance_score"),),
        step_id=last.step_id,
        fields=frozenset({state.field_path}),
        reads=frozenset(base(ref) for ref in (*last.evidence_refs, *last.conflicting_refs)),
    )
