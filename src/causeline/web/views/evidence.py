"""What each checked field of a run rests on: its score against what was asked, and both sides of a conflict."""

from collections.abc import Sequence
from dataclasses import dataclass

from causeline.console.answers import LiveGap
from causeline.schemas.run import Evidence, Run, RunConflictSide


@dataclass(frozen=True, slots=True)
class CheckedField:
    """One check of one field. `asked` is what the policy wanted done about the gap; `did` what the workflow did."""

    event_id: str
    field_path: str
    is_required: bool
    step_id: str | None
    step_name: str
    refs: tuple[str, ...]
    conflicting: tuple[str, ...]
    score: float | None
    threshold: float | None
    gap: str | None
    asked: str | None
    did: str | None
    sides: tuple[RunConflictSide, ...]
    is_last: bool
    """Whether no later check of the same field followed."""


def evidence_view(run: Run, live: Sequence[LiveGap], *, only: str = "") -> tuple[CheckedField, ...]:
    """Every check of the run in its order, or those of one field path."""
    names = {step.step_id: step.full_name for step in run.steps}
    gaps = {gap.event_id: gap for gap in run.gaps}
    told = {gap.event_id: gap for gap in live}
    sides: dict[str, list[RunConflictSide]] = {}
    for side in run.conflict_sides:
        sides.setdefault(side.event_id, []).append(side)
    last = {each.field_path: each.event_id for each in run.evidence}

    def checked(each: Evidence) -> CheckedField:
        gap, live_gap = gaps.get(each.event_id), told.get(each.event_id)
        kind = gap.kind if gap else live_gap.kind if live_gap else None
        known = (gap.threshold if gap else None, live_gap.threshold if live_gap else None)
        return CheckedField(
            event_id=each.event_id,
            field_path=each.field_path or "the answer",
            is_required=bool(each.evidence_required),
            step_id=each.step_id if each.step_id in names else None,
            step_name=names.get(each.step_id or "", ""),
            refs=each.evidence_refs,
            conflicting=each.conflicting_refs,
            score=each.provenance_score,
            threshold=next((value for value in known if value is not None), None),
            gap=kind,
            asked=(gap.next_step if gap else None) or (live_gap.next_step if live_gap else None),
            did=each.next_step,
            sides=tuple(sides.get(each.event_id, ())),
            is_last=last.get(each.field_path) == each.event_id,
        )

    return tuple(checked(each) for each in run.evidence if not only or each.field_path == only)
