"""Two versions of a workflow: what share of runs went which way, with what can be said for certain. Pure.

Shares are compared with an interval of 95 % for their difference: Newcombe's, which is made of the two Wilson intervals
(R. G. Newcombe, Statistics in Medicine 17, 1998, method 10) and holds for few runs and for shares near 0 and 1. Of one
or two runs it is too narrow all the same: a difference is certain only where Fisher's exact test sees it, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import binomtest, fisher_exact, t

_FEWEST = 2
_SURE = 0.05
_ENOUGH = 55
"""Runs of each version that tell shares 25 points apart, 95 % sure in 8 of 10 tries."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of runs in both versions; `low` and `high` bound the difference right - left at 95 %."""

    name: str
    left: int
    left_of: int
    right: int
    right_of: int
    low: float
    high: float
    bad: bool | None
    """Whether more of it is worse; None where neither is."""

    @property
    def difference(self) -> float:
        """right - left, -1 to 1."""
        return self.right / self.right_of - self.left / self.left_of

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves no difference out of question, and chance would hardly make it."""
        if self.low <= 0 <= self.high:
            return False
        table = [[self.left, self.left_of - self.left], [self.right, self.right_of - self.right]]
        return float(fisher_exact(np.array(table))[1]) < _SURE


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure in both versions, as the store computes it; None where no run says it.

    `low` and `high` bound the difference right - left of two means at 95 % (Welch); a quantile has none.
    """

    name: str
    left: float | None
    right: float | None
    low: float | None = None
    high: float | None = None

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves no difference out of question."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Versions:
    """Two versions of a workflow by an anchor, or by release."""

    workflow: str
    by: str
    left: str
    right: str
    left_runs: int
    right_runs: int
    shares: tuple[Share, ...]
    measures: tuple[Measured, ...]

    @property
    def verdict(self) -> str:
        """What can be said for certain, in one line."""
        if not self.left_runs or not self.right_runs:
            none = self.left if not self.left_runs else self.right
            return f"No run of {self.workflow} has {self.by} {none}: there is nothing to compare."
        certain = [share for share in self.shares if share.is_certain]
        worse = [each for each in certain if each.bad is not None and each.bad == (each.difference > 0)]
        better = [each for each in certain if each.bad is not None and each.bad == (each.difference < 0)]
        moved = [each for each in certain if each.bad is None]
        said = [
            f"{word} {', '.join(f'{each.name} ({each.difference:+.1%})' for each in shares)}"
            for word, shares in (("is worse in", worse), ("is better in", better), ("takes other routes:", moved))
            if shares
        ]
        if not said and min(self.left_runs, self.right_runs) < _ENOUGH:
            return (
                f"Too few runs to tell: {self.left_runs:,d} with {self.by} {self.left} and {self.right_runs:,d} with "
                f"{self.right}; {_ENOUGH} of each show a difference of 25 points."
            )
        if not said:
            return f"No certain difference in {self.left_runs:,d} and {self.right_runs:,d} runs."
        return f"Compared with {self.left}, {self.by} {self.right} {'; '.join(said)}."


def share(name: str, left: int, left_of: int, right: int, right_of: int, *, bad: bool | None) -> Share:
    """A share with its interval; both versions have runs."""
    low, high = newcombe(left, left_of, right, right_of)
    return Share(name, left, left_of, right, right_of, low, high, bad)


def newcombe(left: int, left_of: int, right: int, right_of: int) -> tuple[float, float]:
    """The 95 % interval of right/right_of - left/left_of."""
    one, other = left / left_of, right / right_of
    one_low, one_high = wilson(left, left_of)
    other_low, other_high = wilson(right, right_of)
    difference = other - one
    return (
        difference - sqrt((other - other_low) ** 2 + (one_high - one) ** 2),
        difference + sqrt((other_high - other) ** 2 + (one - one_low) ** 2),
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of hits/of."""
    interval = binomtest(hits, of).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of `count` values with their variance."""

    mean: float
    variance: float
    count: int


def measured(name: str, left: Mean | None, right: Mean | None) -> Measured:
    """A mean in both versions, with Welch's interval where both have at least two values."""
    if left is None or right is None:
        return Measured(name, left.mean if left else None, right.mean if right else None)
    terms = [each.variance / each.count for each in (left, right)]
    if min(left.count, right.count) < _FEWEST or sum(terms) == 0:
        return Measured(name, left.mean, right.mean)
    freedom = sum(terms) ** 2 / sum(term**2 / (each.count - 1) for term, each in zip(terms, (left, right), strict=True))
    reach = float(t.ppf(0.975, freedom)) * sqrt(sum(terms))
    difference = right.mean - left.mean
    return Measured(name, left.mean, right.mean, difference - reach, difference + reach)


BAD: Mapping[str, bool] = {
    "answered": False,
    "with a gap": True,
    "with a fallback": True,
    "invalid in shape": True,
    "in error": True,
    "corrected by review": True,
    "refused": True,
}
"""The shares that are compared, and whether more of one is worse."""
