"""The judge: what a piece of evidence lacks, and what should happen next.

One pure function, asked in the workflow before its next step and in the stream for every evidence event, so that both
give the same answer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from causeline.schemas.vocabulary import GapKind, NextStep, SideStanding

DEFAULT_NEXT_STEPS: Mapping[GapKind, tuple[NextStep, ...]] = MappingProxyType(
    {
        GapKind.MISSING_CITATION: (NextStep.SEARCH, NextStep.RETRY, NextStep.PARTIAL_OUTPUT),
        GapKind.WEAK_PROVENANCE: (NextStep.REVIEW,),
        GapKind.UNSUPPORTED_FIELD: (NextStep.RETRY, NextStep.PARTIAL_OUTPUT),
        GapKind.SOURCE_CONFLICT: (NextStep.ESCALATE,),
    }
)
"""What to do about a gap, in order: the next is for when the last did not help."""


@dataclass(frozen=True, slots=True)
class Standard:
    """What is asked of one field's evidence. Scores are 0 to 1."""

    threshold: float = 0.7
    """A score under it is weak provenance."""
    support_floor: float = 0.3
    """A score under it is no support at all."""
    next_steps: Mapping[GapKind, tuple[NextStep, ...]] = field(default_factory=lambda: DEFAULT_NEXT_STEPS)
    required: bool | None = None
    """Whether a citation is needed; None leaves it to the event."""


DEFAULT_STANDARD = Standard()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A gap, and the next step that the standard names for it."""

    kind: GapKind
    next_step: NextStep
    threshold: float


def judge(
    *,
    required: bool,
    score: float | None,
    evidence_refs: Collection[str],
    conflicting_refs: Collection[str],
    attempts: int = 0,
    standard: Standard = DEFAULT_STANDARD,
) -> Judgement | None:
    """The gap in a field's evidence, or None when it suffices.

    Sources that disagree come first, then their absence, then how well they support the value: a reference whose
    score was never taken is held to support it. `attempts` is how many next steps for this field came before: each
    asks for the next of the standard's list, and past its end the last one stands.
    """
    if standard.required is not None:
        required = standard.required
    kind = _kind(required, score, evidence_refs, conflicting_refs, standard)
    if kind is None:
        return None
    steps = standard.next_steps[kind]
    return Judgement(kind, steps[min(attempts, len(steps) - 1)], standard.threshold)


@dataclass(frozen=True, slots=True)
class Weight:
    """What the authority makes of one side of a conflict; `rank` 1 comes first, None is not ranked."""

    rank: int | None
    won: bool
    why: SideStanding


def weigh(kinds: Sequence[str | None], authority: Sequence[str]) -> list[Weight]:
    """What an order of authority makes of the sides of a conflict, which are given by their kinds of source.

    A side wins when it alone has the best rank: two sources of equal rank that disagree settle nothing.
    """
    ranks = [authority.index(kind) + 1 if kind in authority else None for kind in kinds]
    ranked = [rank for rank in ranks if rank is not None]
    best = min(ranked, default=None)
    tied = ranked.count(best) > 1 if best is not None else False
    return [_weight(rank, best, tied=tied) for rank in ranks]


def _weight(rank: int | None, best: int | None, *, tied: bool) -> Weight:
    if rank is None:
        return Weight(None, won=False, why=SideStanding.UNRANKED)
    if rank != best:
        return Weight(rank, won=False, why=SideStanding.OUTRANKED)
    return Weight(rank, won=not tied, why=SideStanding.TIED if tied else SideStanding.FIRST)


def _kind(
    required: bool,
    score: float | None,
    evidence_refs: Collection[str],
    conflicting_refs: Collection[str],
    standard: Standard,
) -> GapKind | None:
    if conflicting_refs:
        return GapKind.SOURCE_CONFLICT
    if not evidence_refs:
        return GapKind.MISSING_CITATION if required else None
    if score is None or score >= standard.threshold:
        return None
    return GapKind.UNSUPPORTED_FIELD if score < standard.support_floor else GapKind.WEAK_PROVENANCE
