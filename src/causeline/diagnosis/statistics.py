"""The few statistics that comparing runs needs: shares with intervals, exact tests, ranks. No dependencies."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The interval in which a share lies, 95 % sure (Wilson 1927); (0, 1) where nothing was seen."""
    if of == 0:
        return 0.0, 1.0
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def increase(hits: int, of: int, others: int, of_others: int) -> tuple[float, float]:
    """By how much a share is greater than another, and the least it is, 95 % sure (Newcombe 1998)."""
    first, second = hits / max(of, 1), others / max(of_others, 1)
    low, _ = wilson(hits, of)
    _, high = wilson(others, of_others)
    return first - second, first - second - math.hypot(first - low, high - second)


def fisher(a: int, b: int, c: int, d: int) -> float:
    """One-sided exact p: how likely at least `a` of a + b is, where c of c + d is as it is (Fisher 1922)."""
    hits, others, row = a + c, b + d, a + b
    total = choices(hits + others, row)
    return min(
        1.0, sum(math.exp(choices(hits, k) + choices(others, row - k) - total) for k in range(a, min(row, hits) + 1))
    )


@lru_cache(maxsize=65_536)
def choices(n: int, k: int) -> float:
    """The logarithm of how many ways there are to take k of n."""
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value under which so much of an ordered, non-empty sequence lies; between two, their mix."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def superiority(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """How often one of `first` is above one of `second`, less how often below (Cliff's delta), and its two-sided p.

    The p is that of Mann and Whitney's normal approximation, without the correction for ties, which makes it greater.
    """
    ordered = sorted(second)
    above = below = 0
    for value, times in Counter(first).items():
        above += times * bisect_left(ordered, value)
        below += times * (len(ordered) - bisect_right(ordered, value))
    pairs = len(first) * len(ordered)
    if pairs == 0:
        return 0.0, 1.0
    delta = (above - below) / pairs
    spread = math.sqrt((len(first) + len(ordered) + 1) / (3 * pairs))
    return delta, math.erfc(abs(delta) / spread / math.sqrt(2))


def beyond(first: Sequence[float], second: Sequence[float]) -> float:
    """How likely chance puts all of `first` as high, or as low, among both: exact, for a few against many."""
    both = sorted((*first, *second))
    count, few = len(both), len(first)
    if not few or few == count:
        return 1.0
    high = count - bisect_left(both, min(first))
    low = bisect_right(both, max(first))
    return min(1.0, 2 * math.exp(choices(min(high, low), few) - choices(count, few)))


def runs_needed(share: float, others: float) -> int:
    """How many runs a side tell two shares apart, 95 % sure in 8 of 10 tries."""
    gap = abs(share - others)
    if gap < 0.01:
        return 10_000
    spread = share * (1 - share) + others * (1 - others)
    return max(8, math.ceil((1.96 + 0.84) ** 2 * max(spread, 0.05) / gap**2))
