"""What is left to do about a run: things that people or workflows still owe it. None of them is a cause."""

from collections.abc import Iterator

from causeline.diagnosis.model import Duty
from causeline.diagnosis.record import FieldState, Record
from causeline.schemas.judge import Judgement
from causeline.schemas.vocabulary import FinalState, NextStep, ReviewOutcome

_ASK_A_PERSON = (NextStep.REVIEW, NextStep.ESCALATE)
_STOPS = {
    NextStep.SAFE_STOP: {FinalState.STOPPED},
    NextStep.PARTIAL_OUTPUT: {FinalState.PARTIAL, FinalState.STOPPED, FinalState.HANDED_OVER},
    NextStep.ESCALATE: {FinalState.HANDED_OVER, FinalState.STOPPED},
}
"""The ends of a run that keep to a last next step; the others are steps, not ends."""
ASKS = {
    NextStep.SEARCH: "another search for",
    NextStep.RETRY: "another try at",
    NextStep.PARTIAL_OUTPUT: "an answer without",
    NextStep.REVIEW: "a review of",
    NextStep.APPLY_AUTHORITY: "authority to settle",
    NextStep.ESCALATE: "a person to decide on",
    NextStep.SAFE_STOP: "a stop over",
}


def duties(record: Record) -> Iterator[Duty]:
    """What a run still asks for, by the policy and by what reviewers did."""
    run = record.run
    linked = run.eval_case_id is not None or any(each.outcome is None for each in run.evals) or bool(run.evals)
    for path, review in record.corrections.items():
        fields = frozenset({path}) if path else frozenset[str]()
        what = path or "the answer"
        if review.outcome == ReviewOutcome.OVERRIDDEN and review.override_ref is None:
            yield Duty(
                "correction_lost",
                f"A reviewer corrected {what}, and the correction is not on record.",
                "Record override_ref with the outcome.",
                fields,
            )
        if not linked:
            yield Duty(
                "no_eval_case",
                f"No eval case keeps {what} from going wrong again.",
                f"causeline eval export --run {run.run_id} --to cases",
                fields,
            )
    if run.reviews and run.reviews[-1].outcome == ReviewOutcome.ESCALATED:
        yield Duty("undecided", "A reviewer passed the run on, and nobody has decided yet.", "causeline reviews list")
    for path, state in record.open_gaps.items():
        if state.gap is None:
            continue
        yield from _asked_for(record, path, state, state.gap)


def _asked_for(record: Record, path: str, state: FieldState, gap: Judgement) -> Iterator[Duty]:
    run = record.run
    if gap.next_step in _ASK_A_PERSON and not run.reviews:
        yield Duty(
            "review_missing",
            f"The policy wants a person to look at {path}, and nobody has.",
            "causeline reviews list",
            frozenset({path}),
        )
    ends = _STOPS.get(gap.next_step)
    went_on = ends is not None and run.final_state is not None and run.final_state not in ends
    gave_up = record.answered and gap.next_step in (NextStep.SEARCH, NextStep.RETRY)
    another = state.last.policy_hash == record.rules.policy_hash and state.last.next_step not in (
        None,
        gap.next_step.value,
    )
    if (went_on or gave_up or another) and gap.next_step not in _ASK_A_PERSON:
        did = f"decided for {state.last.next_step}" if another else f"ended as {run.final_state or 'unknown'}"
        yield Duty(
            "decision_ignored",
            f"The policy asks for {ASKS[gap.next_step]} {path}, and the workflow {did}.",
            "What the workflow does after the evidence: follow decision.next_step.",
            frozenset({path}),
        )
