"""Whether two windows differ: the G-test, the size of the difference, and how many runs it would take to tell.

The statistics are scipy's: `chi2_contingency(lambda_="log-likelihood")`, `false_discovery_control`, `ncx2`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from causeline.drift.counts import Floats


@dataclass(frozen=True, slots=True)
class GTest:
    """G, its degrees of freedom, and the chance of a G as large when nothing moved."""

    g: float
    degrees: int
    p: float


def g_test(before: Floats, after: Floats) -> GTest:
    """The G-test of homogeneity of two rows of counts over the same values; with one value there is nothing to tell."""
    if len(before) < 2 or not before.sum() or not after.sum():
        return GTest(0.0, 0, 1.0)
    from scipy import stats  # noqa: PLC0415 - over a second to import, and a watch may wait long for its first window

    found = stats.chi2_contingency(np.vstack([before, after]), correction=False, lambda_="log-likelihood")
    return GTest(max(0.0, float(found.statistic)), int(found.dof), float(found.pvalue))


def total_variation(before: Floats, after: Floats) -> float:
    """The share of runs that would have to change their value to make the windows alike: 0 to 1."""
    if not before.sum() or not after.sum():
        return 0.0
    return float(np.abs(before / before.sum() - after / after.sum()).sum() / 2)


def adjusted(chances: Sequence[float]) -> tuple[float, ...]:
    """Benjamini and Hochberg's correction over everything tested in one window."""
    from scipy import stats  # noqa: PLC0415

    return tuple(float(p) for p in stats.false_discovery_control(chances, method="bh")) if chances else ()


@lru_cache(maxsize=4096)
def _noncentrality(alpha: float, power: float, degrees: int) -> float:
    from scipy import optimize, stats  # noqa: PLC0415

    critical = float(stats.chi2.isf(alpha, degrees))

    def lacking(value: float) -> float:
        return float(stats.ncx2.sf(critical, degrees, value)) - power

    return float(optimize.brentq(lacking, 1e-6, 1000.0))


def runs_needed(before: Floats, after: Floats, *, effect: float, alpha: float, power: float) -> int:
    """Runs that each of two equal windows needs so that a move of `effect` is found with `power` at level `alpha`.

    The move is of the share that is hardest to tell, the one nearest to one half, at the cost of all others alike.
    """
    pooled = before + after
    shares = pooled / pooled.sum()
    hardest = float(shares[np.argmin(np.abs(shares - 0.5))])
    spread = max(hardest * (1 - hardest), effect * (1 - effect))
    needed = _noncentrality(alpha, power, max(1, len(shares) - 1)) * spread / effect**2
    return math.ceil(2 * needed)


def effective_runs(before: float, after: float) -> float:
    """Size of the two equal windows that tell as much as these two: their harmonic mean."""
    return 2 * before * after / (before + after) if before and after else 0.0
