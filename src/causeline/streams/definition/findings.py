"""What else a run holds: evidence, its gaps and conflicts, reviews, evals, evaluations; each in order of its events."""

from collections.abc import Iterable, Iterator

from causeline.schemas.judge import Judgement, judge, weigh
from causeline.schemas.policy import Policy
from causeline.schemas.vocabulary import EventType
from causeline.streams.definition.records import (
    ConflictSideRecord,
    EvalRecord,
    EvaluationRecord,
    Event,
    EvidenceRecord,
    GapRecord,
    ReviewRecord,
)


def evidence(checks: Iterable[Event]) -> list[EvidenceRecord]:
    """The fields checked."""
    return [
        {
            "event_id": event.event_id,
            "step_id": event.step_id,
            "field_path": event.field_path,
            "evidence_required": event.evidence_required,
            "provenance_score": event.provenance_score,
            "evidence_refs": event.evidence_refs,
            "conflicting_refs": event.conflicting_refs,
            "next_step": event.next_step,
            "policy_hash": event.policy_hash,
            "occurred_at": event.occurred_at,
            "retry_count": event.retry_count,
        }
        for event in checks
    ]


def gaps(checks: Iterable[Event], policy: Policy) -> list[GapRecord]:
    """The gaps that the policy finds in the evidence: it is asked what the workflow asked it."""
    return [gap for event in checks if (gap := _gap(event, policy)) is not None]


def judged(event: Event, policy: Policy) -> Judgement | None:
    """The gap that the policy finds in a piece of evidence, if any: by the workflow's rules for the field, and with as
    many attempts as the event says came before.
    """
    return judge(
        required=bool(event.evidence_required),
        score=event.provenance_score,
        evidence_refs=event.evidence_refs,
        conflicting_refs=event.conflicting_refs,
        attempts=event.retry_count or 0,
        standard=policy.rules(event.workflow).standard(event.field_path),
    )


def _gap(event: Event, policy: Policy) -> GapRecord | None:
    found = judged(event, policy)
    if found is None:
        return None
    return {
        "event_id": event.event_id,
        "kind": found.kind.value,
        "field_path": event.field_path,
        "provenance_score": event.provenance_score,
        "next_step": found.next_step.value,
        "threshold": found.threshold,
        "decided_next_step": event.next_step,
    }


def gap_kinds(gaps: Iterable[GapRecord]) -> list[str]:
    """Kinds of evidence gap, distinct."""
    return sorted({kind for gap in gaps if (kind := gap["kind"]) is not None})


def conflict_sides(checks: Iterable[Event], policy: Policy) -> list[ConflictSideRecord]:
    """The sides of every conflict between sources, weighed by the policy's authority."""
    return [side for event in checks if event.conflict_sides for side in _sides(event, policy)]


def _sides(event: Event, policy: Policy) -> Iterator[ConflictSideRecord]:
    authority = policy.rules(event.workflow).authority
    weights = weigh([side["source_kind"] for side in event.conflict_sides], authority)
    for side, weight in zip(event.conflict_sides, weights, strict=True):
        yield {
            "event_id": event.event_id,
            "field_path": event.field_path,
            "source_ref": side["source_ref"],
            "value_ref": side["value_ref"],
            "source_kind": side["source_kind"],
            "score": side["score"],
            "authority_rank": weight.rank,
            "won": weight.won,
            "reason": weight.why.value,
        }


def reviews(events: Iterable[Event]) -> list[ReviewRecord]:
    """The reviews."""
    return [
        {
            "event_id": event.event_id,
            "outcome": event.review_outcome,
            "field_path": event.field_path,
            "reviewer_ref": event.reviewer_ref,
            "override_ref": event.override_ref,
            "note_ref": event.review_note_ref,
            "occurred_at": event.occurred_at,
        }
        for event in events
        if event.event_type == EventType.REVIEW_RECORDED
    ]


def evals(events: Iterable[Event]) -> list[EvalRecord]:
    """The eval results."""
    return [
        {
            "event_id": event.event_id,
            "case_id": event.eval_case_id,
            "outcome": event.eval_outcome,
            "occurred_at": event.occurred_at,
        }
        for event in events
        if event.event_type == EventType.EVAL_RECORDED
    ]


def evaluations(events: Iterable[Event]) -> list[EvaluationRecord]:
    """What evaluators said of the run and its steps."""
    return [
        {
            "event_id": event.event_id,
            "step_id": event.step_id,
            "name": event.evaluation_name,
            "score": event.evaluation_score,
            "scale": event.evaluation_scale,
            "label": event.evaluation_label,
            "evaluator": event.evaluator,
            "explanation_ref": event.explanation_ref,
            "occurred_at": event.occurred_at,
        }
        for event in events
        if event.event_type == EventType.EVALUATION_RECORDED
    ]
