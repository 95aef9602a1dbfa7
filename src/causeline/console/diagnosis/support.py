"""Question 4: was the answer unsupported?"""

from collections.abc import Iterator, Mapping

from causeline.console.diagnosis import gaps
from causeline.console.diagnosis.finding import (
    about_field,
    about_step,
    evidence_fact,
    fallback_facts,
    prompt_of,
    run_fact,
    side_facts,
    who,
)
from causeline.console.diagnosis.model import Finding, Health, Question
from causeline.console.diagnosis.record import FieldState, Record
from causeline.schemas.judge import Judgement
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import FinalState, NextStep, StepKind

_Q = Question.SUPPORT
_STOPS = {
    NextStep.SAFE_STOP: {FinalState.STOPPED},
    NextStep.PARTIAL_OUTPUT: {FinalState.PARTIAL, FinalState.STOPPED, FinalState.HANDED_OVER},
    NextStep.ESCALATE: {FinalState.HANDED_OVER, FinalState.STOPPED},
}
"""The ends of a run that keep to a last next step; the others are steps, not ends."""
_ASKS = {
    NextStep.SEARCH: "another search for",
    NextStep.RETRY: "another try at",
    NextStep.PARTIAL_OUTPUT: "an answer without",
    NextStep.REVIEW: "a review of",
    NextStep.APPLY_AUTHORITY: "authority to settle",
    NextStep.ESCALATE: "a person to decide on",
    NextStep.SAFE_STOP: "a stop over",
}
_ENDED: Mapping[str, str] = {
    FinalState.ANSWERED: "answered all the same",
    FinalState.PARTIAL: "gave a partial answer",
    FinalState.STOPPED: "stopped",
    FinalState.FAILED: "failed",
    FinalState.HANDED_OVER: "handed over",
}


def findings(record: Record) -> Iterator[Finding]:
    """What the record says against the support of the answer."""
    yield from gaps.findings(record)
    for state in record.fields.values():
        gap = state.gap
        yield from _another_way(state)
        if gap is not None:
            yield from _ignored(record, state, gap)
        elif state.mended and (call := _first_author(record, state)) is not None:
            yield _put_right(state, call)
        elif state.mended:
            yield about_field(
                state,
                rule="gap_mended",
                health=Health.SUSPECT,
                headline=f"The evidence for {state.field_path} had a gap that was mended on the way.",
                fix=f"Evidence requirement of {state.field_path}.",
                facts=(evidence_fact(state.last, "provenance_score"), *side_facts(record.run, state.field_path)),
            )
        elif _close_call(record, state):
            yield about_field(
                state,
                rule="close_call",
                health=Health.SUSPECT,
                headline=f"The evidence for {state.field_path} is only just good enough.",
                fix=f"Provenance matching for {state.field_path}.",
            )


def _put_right(state: FieldState, call: Step) -> Finding:
    return about_step(
        call,
        rule="value_mended",
        question=_Q,
        health=Health.SUSPECT,
        headline=f"{who(call)} first gave a value for {state.field_path} that its source does not support.",
        fix=f"{prompt_of(call)}, or the model for it.",
        facts=tuple(evidence_fact(evidence, "provenance_score") for evidence, _ in state.checks),
        fields=(state.field_path,),
    )


def _first_author(record: Record, state: FieldState) -> Step | None:
    """The call that gave a value against which its own source speaks; None where no check found that."""
    doubtful = next((evidence for evidence, _ in state.checks if record.is_doubtful(evidence)), None)
    return None if doubtful is None else record.author_of(doubtful)


def _ignored(record: Record, state: FieldState, gap: Judgement) -> Iterator[Finding]:
    said = state.last.next_step
    ends = _STOPS.get(gap.next_step)
    another_way = said is not None and said != gap.next_step.value
    went_on = ends is not None and record.run.final_state is not None and record.run.final_state not in ends
    gave_up = _gave_up(record, state, gap)
    if another_way or went_on or gave_up:
        did = f"decided for {said}" if another_way else _ENDED.get(record.run.final_state or "", "went on")
        yield about_field(
            state,
            rule="decision_ignored",
            health=Health.FAILED if record.answered or another_way else Health.SUSPECT,
            headline=f"The policy asked for {_ASKS[gap.next_step]} {state.field_path}, and the workflow {did}.",
            fix=f"What the workflow does after the evidence for {state.field_path}: follow decision.next_step.",
            boundary=StepKind.FALLBACK,
            facts=(
                evidence_fact(state.last, "next_step"),
                run_fact(record.run, "final_state"),
                *fallback_facts(record.run),
            ),
        )


def _another_way(state: FieldState) -> Iterator[Finding]:
    """Checks before the last at which the workflow decided otherwise than the policy: it went on, but another way."""
    for evidence, judgement in state.checks[:-1]:
        if judgement is not None and evidence.next_step not in (None, judgement.next_step.value):
            yield about_field(
                state,
                rule="another_way",
                health=Health.SUSPECT,
                headline=(
                    f"The policy asked for {_ASKS[judgement.next_step]} {state.field_path},"
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
