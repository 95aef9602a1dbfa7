"""What the policy makes of a field's evidence: a pure decision from what an event of it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from causeline.schemas.events import ConflictSide
from causeline.schemas.judge import judge, weigh
from causeline.schemas.policy import Rules
from causeline.schemas.vocabulary import GapKind, NextStep

_CONFLICT: Final = 2
"""So many values make a conflict."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy makes of a field's evidence: a gap and the next step, or neither."""

    kind: GapKind | None = None
    next_step: NextStep | None = None
    threshold: float | None = None
    stands: ConflictSide | None = None
    """Of a conflict, the side that the policy's authority lets stand."""
    is_lost: bool = False
    """Whether its event was not taken: then nobody can check later what was decided, and it is for a review."""

    @property
    def ok(self) -> bool:
        """Whether the evidence suffices."""
        return self.kind is None


UNCLEAR: Final = Decision(GapKind.UNSUPPORTED_FIELD, NextStep.REVIEW)
"""Where the score is no number: it supports nothing."""
LOST: Final = Decision(GapKind.UNSUPPORTED_FIELD, NextStep.REVIEW, is_lost=True)


def decided(said: Mapping[str, Any], rules: Rules, score: object) -> Decision:
    """The decision about the fields of an `evidence_checked` as the contract takes them, what is not said absent.

    `score` is as it was given.
    """
    if score is not None and "provenance_score" not in said:
        return UNCLEAR
    sides = said.get("conflict_sides") or ()
    found = judge(
        required=said.get("evidence_required", True),
        score=said.get("provenance_score"),
        evidence_refs=said.get("evidence_refs") or (),
        conflicting_refs=said.get("conflicting_refs") or (),
        attempts=said.get("retry_count") or 0,
        standard=rules.standard(said.get("field_path", "?")),
    )
    stands = _standing(sides, rules.authority) if sides else None
    return Decision() if found is None else Decision(found.kind, found.next_step, found.threshold, stands)


def conflicting(refs: Sequence[str], sides: Sequence[ConflictSide]) -> Sequence[str]:
    """The sources that speak against what is used: of sides that give different values, those that `refs` lack."""
    if len({side.value_ref for side in sides}) < _CONFLICT:
        return ()
    against = [side.source_ref for side in sides if side.source_ref not in refs]
    return against or [side.source_ref for side in sides[1:]]


def _standing(sides: Sequence[ConflictSide], authority: Sequence[str]) -> ConflictSide | None:
    weights = weigh([side.source_kind for side in sides], authority)
    return next((side for side, weight in zip(sides, weights, strict=True) if weight.won), None)
