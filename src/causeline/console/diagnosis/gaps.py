"""Gaps that were left open: each is a finding, and many of one kind at once are one, about the check itself.

That the answer was given all the same is what the workflow, or nobody in review, did about a gap: findings of their
own, at their own boundaries.
"""

from collections.abc import Iterator

from causeline.console.diagnosis.finding import (
    about_field,
    about_step,
    evidence_fact,
    listed,
    prompt_of,
    review_fact,
    run_fact,
    side_facts,
    who,
)
from causeline.console.diagnosis.model import Fact, Finding, Health, Question
from causeline.console.diagnosis.record import FieldState, Record, base
from causeline.schemas.judge import Judgement
from causeline.schemas.run import Review
from causeline.schemas.vocabulary import GapKind, ReviewOutcome, StepKind

_SAYS = {
    GapKind.MISSING_CITATION: "has no source",
    GapKind.WEAK_PROVENANCE: "is supported only weakly by its source",
    GapKind.UNSUPPORTED_FIELD: "is not supported by the source it cites",
    GapKind.SOURCE_CONFLICT: "rests on sources that disagree",
}
_FIX = {
    GapKind.MISSING_CITATION: "Why nothing is cited for {path}: retrieval, or a document that does not say",
    GapKind.WEAK_PROVENANCE: "What {path} is held against, and how it is matched",
    GapKind.UNSUPPORTED_FIELD: "What the model is asked for {path}, and what it is held against",
    GapKind.SOURCE_CONFLICT: "Which source stands for {path}: the policy's authority, or whoever decides",
}
_MANY = 2
"""Values of a run that are all found unsupported, from which on the check itself is in question."""


def findings(record: Record) -> Iterator[Finding]:
    """The gaps that were left open."""
    unsupported = _none_supported(record)
    if unsupported:
        yield _check_in_question(record, unsupported)
    for path, state in record.open_gaps.items():
        if state.gap is not None and path not in unsupported:
            yield _gap(record, state, state.gap)
            yield from _contradicted(record, state)


def _none_supported(record: Record) -> dict[str, FieldState]:
    """The fields that cite a source, where none of several is well supported and most not at all; empty elsewhere."""
    citing = {path: state for path, state in record.fields.items() if state.last.evidence_refs}
    doubtful = [path for path, state in citing.items() if record.is_doubtful(state.last)]
    none = all(state.gap is not None for state in citing.values())
    return citing if none and len(citing) >= _MANY and len(doubtful) * 2 > len(citing) else {}


def _check_in_question(record: Record, states: dict[str, FieldState]) -> Finding:
    approved = [review for state in states.values() for review in _approved(record, state)]
    last = [state.last for state in states.values()]
    return Finding(
        rule="none_supported",
        question=Question.SUPPORT,
        health=Health.SUSPECT,
        boundary=StepKind.EVIDENCE,
        headline=(
            f"Not one of {len(states)} values is well supported by the source it cites: {listed(states)}"
            f"{', and a reviewer approved' if approved else ''}."
        ),
        fix="How values are held against their sources: which part of the source, and how it is matched.",
        facts=(
            *(evidence_fact(evidence, "provenance_score") for evidence in last),
            *_outcomes(approved),
            run_fact(record.run, "final_state"),
        ),
        step_id=last[0].step_id,
        fields=frozenset(states),
        reads=frozenset(
            base(ref) for evidence in last for ref in (*evidence.evidence_refs, *evidence.conflicting_refs)
        ),
    )


def _gap(record: Record, state: FieldState, gap: Judgement) -> Finding:
    given = ", and was given as an answer all the same" if record.answered and not record.run.reviews else ""
    approved = _approved(record, state)
    kind = gap.kind
    if approved and kind is not GapKind.MISSING_CITATION:
        given = ", and a reviewer approved"
        kind = GapKind.WEAK_PROVENANCE if kind is GapKind.UNSUPPORTED_FIELD else kind  # what was held against it is
    return about_field(
        state,
        rule=f"gap_{gap.kind.value}",
        health=Health.SUSPECT,
        headline=f"The value of {state.field_path} {_SAYS[gap.kind]}{given}.",
        fix=(
            f"{_FIX[kind].format(path=state.field_path)}; "
            f"evidence rule: threshold {gap.threshold:g}, next step {gap.next_step.value}."
        ),
        facts=(
            evidence_fact(state.last, "provenance_score"),
            evidence_fact(state.last, "evidence_refs"),
            evidence_fact(state.last, "conflicting_refs"),
            *side_facts(record.run, state.field_path),
            *_outcomes(approved),
            run_fact(record.run, "final_state"),
        ),
    )


def _contradicted(record: Record, state: FieldState) -> Iterator[Finding]:
    """Sources may disagree by themselves; a value that not even its own source bears out is whose gave it."""
    author = record.author_of(state.last)
    if author is None or not state.last.conflicting_refs or not record.is_doubtful(state.last):
        return
    if state.field_path in record.shape_errors:
        return  # what has the wrong shape is wrong
    yield about_step(
        author,
        rule="contradicted",
        question=Question.SUPPORT,
        health=Health.SUSPECT,
        headline=(
            f"{who(author)} gave a value for {state.field_path} that its source hardly supports "
            "and another contradicts."
        ),
        fix=f"{prompt_of(author)}, or the model for it.",
        facts=(evidence_fact(state.last, "provenance_score"), evidence_fact(state.last, "conflicting_refs")),
        fields=(state.field_path,),
    )


def _approved(record: Record, state: FieldState) -> list[Review]:
    """The reviews that found the field, or all of the answer, as it should be."""
    if state.field_path in record.corrections:
        return []
    return [
        review
        for review in record.run.reviews
        if review.outcome == ReviewOutcome.APPROVED and review.field_path in (None, state.field_path)
    ]


def _outcomes(reviews: list[Review]) -> tuple[Fact, ...]:
    """Each review once, though it may be about many fields."""
    return tuple(review_fact(review, "outcome") for review in {review.event_id: review for review in reviews}.values())
