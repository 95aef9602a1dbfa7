"""Why a dimension moved: because the mix of an anchor changed, or because the same anchor behaves differently.

The decomposition is Kitagawa's (1955), over the values of one anchor: with s the share of a value of the anchor and p
the distribution of the dimension under it, the shift is Σ Δs·p̄ (between) + Σ s̄·Δp (within). What an anchor's new or
departed value would have done on the other side is not known: its p is taken to be the same there, so that its coming
or going is a change of mix.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from causeline.drift.counts import ANCHORS, Counts, Floats, Pooling

_TIE = 0.8
"""Anchors that explain at least this much of what the best explains are told apart by how little they changed."""


@dataclass(frozen=True, slots=True)
class Move:
    """An anchor's value whose share of the runs changed: 0 to 1 before, and after."""

    value: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """One anchor and its part in a shift."""

    anchor: str
    between: float
    """Part of the shift that comes with the changed mix of the anchor: 1 is all of it, 0 none."""
    mix_change: float
    """Total variation of the anchor itself between the windows."""
    moves: tuple[Move, ...]
    """The values whose share changed, the greatest change first."""

    @property
    def within(self) -> float:
        """The rest: under the same value of the anchor, runs went differently."""
        return 1 - self.between


def attributions(
    before: Counts, after: Counts, pooled: Pooling, anchors: Iterable[str] = ANCHORS
) -> tuple[Attribution, ...]:
    """Every anchor's part, the likeliest cause first.

    Of anchors that explain about the same, the one that changed least comes first: the runs that it leaves alone did
    not move, which speaks for it; of one that changed for all runs nothing can be held against it, nor for it.
    """
    found = [_attribution(anchor, before, after, pooled) for anchor in anchors]
    best = max((each.between for each in found), default=0.0)

    def rank(each: Attribution) -> tuple[bool, float, float]:
        tied = best > 0 and each.between >= _TIE * best
        return (not tied, each.mix_change if tied else -each.between, -each.between)

    return tuple(sorted(found, key=rank))


def _attribution(anchor: str, before: Counts, after: Counts, pooled: Pooling) -> Attribution:
    names = sorted(before.anchor_values(anchor) | after.anchor_values(anchor))
    left, right = before.matrix(anchor, names, pooled), after.matrix(anchor, names, pooled)
    s_left, s_right = left.sum(axis=1) / left.sum(), right.sum(axis=1) / right.sum()
    p_left, p_right = _shares(left), _shares(right)
    gone, new = s_right == 0, s_left == 0
    p_left[new], p_right[gone] = p_right[new], p_left[gone]
    shift = right.sum(axis=0) / right.sum() - left.sum(axis=0) / left.sum()
    between = (s_right - s_left) @ ((p_left + p_right) / 2)
    size = float(shift @ shift)
    change = s_right - s_left
    order = np.argsort(-np.abs(change), kind="stable")
    return Attribution(
        anchor=anchor,
        between=float(between @ shift) / size if size > 0 else 0.0,
        mix_change=float(np.abs(change).sum() / 2),
        moves=tuple(Move(names[at], float(s_left[at]), float(s_right[at])) for at in order if abs(change[at]) > 1e-9),
    )


def _shares(matrix: Floats) -> Floats:
    totals = matrix.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)
    return shares
