"""How often each value of a dimension came up in a window, by what decided: all that drift is judged from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ANCHORS: tuple[str, ...] = (
    "prompt_version",
    "model_name",
    "model_provider",
    "system_fingerprint",
    "parser_version",
    "schema_version",
    "route_policy_version",
    "model_policy",
    "release",
    "index",
)
"""What decides how a run goes, in the order of `Combination`; appended to, never changed. `release` is the
label of that name, `index` what a step's label names as the index that it searched."""

RARE = "(rare)"
"""The values too rare to be judged one by one, together."""
NONE = "(none)"
"""What was never recorded, or did not happen."""

Combination = tuple[str, ...]
"""One value for each of `ANCHORS`."""


def combination(stored: Iterable[str]) -> Combination:
    """A combination as it was stored; by a version that knew fewer anchors, the others were not recorded."""
    known = tuple(stored)
    return known + (NONE,) * (len(ANCHORS) - len(known))


@dataclass(frozen=True, slots=True)
class Counts:
    """Runs by combination of anchors and value of one dimension."""

    cells: Mapping[tuple[Combination, str], int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def runs(self) -> int:
        """Runs counted."""
        return sum(self.cells.values())

    def __add__(self, other: "Counts") -> "Counts":
        total = Counter(self.cells)
        total.update(other.cells)
        return Counts(total)

    def by_value(self) -> Mapping[str, int]:
        """Runs by value, whatever decided."""
        total: Counter[str] = Counter()
        for (_, value), runs in self.cells.items():
            total[value] += runs
        return total

    def where(self, anchor: str, value: str) -> "Counts":
        """Only the runs that an anchor says this of."""
        place = ANCHORS.index(anchor)
        return Counts({cell: runs for cell, runs in self.cells.items() if cell[0][place] == value})

    def matrix(self, anchor: str, anchor_values: Iterable[str], pooling: "Pooling") -> Floats:
        """Runs by value of an anchor (rows) and kept value of the dimension (columns)."""
        rows = {name: row for row, name in enumerate(anchor_values)}
        place = ANCHORS.index(anchor)
        found = np.zeros((len(rows), len(pooling.values)))
        for (combination, value), runs in self.cells.items():
            found[rows[combination[place]], pooling.column(value)] += runs
        return found

    def anchor_values(self, anchor: str) -> frozenset[str]:
        """What an anchor was, over all runs."""
        place = ANCHORS.index(anchor)
        return frozenset(combination[place] for combination, _ in self.cells)


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which values of a dimension are judged by themselves; all others are one, `(rare)`, in the last column."""

    values: tuple[str, ...]
    pooled: int
    """How many values `(rare)` stands for; 0 when there is no such column."""

    def column(self, value: str) -> int:
        """The place of a value."""
        return self.values.index(value) if value in self.values else len(self.values) - 1

    def vector(self, counts: Counts) -> Floats:
        """Runs by kept value."""
        found = np.zeros(len(self.values))
        for value, runs in counts.by_value().items():
            found[self.column(value)] += runs
        return found


def pooling(before: Counts, after: Counts, *, expected: float = 5.0, share: float = 0.01) -> Pooling:
    """What is judged by itself: what either window expects `expected` runs of, and what makes up `share` of both.

    The first is Cochran's rule for tests on counts; the second keeps a dimension with thousands of values readable,
    and is far above what a roll-up folds, so that a value is never there in one window and folded in the other.
    """
    left, right = before.by_value(), after.by_value()
    n_left, n_right = before.runs, after.runs
    total = n_left + n_right
    if not n_left or not n_right:
        return Pooling(tuple(sorted({*left, *right})), 0)
    smaller = min(n_left, n_right) / total
    kept: list[tuple[int, str]] = []
    rare: list[tuple[int, str]] = []
    for value in sorted({*left, *right} - {RARE}):
        both = left.get(value, 0) + right.get(value, 0)
        (kept if both * smaller >= expected and both / total >= share else rare).append((both, value))
    pooled_runs = sum(both for both, _ in rare) + left.get(RARE, 0) + right.get(RARE, 0)
    if pooled_runs and pooled_runs * smaller < expected and kept:
        # Too few even together: the least of the others joins them.
        rare.append(kept.pop(kept.index(min(kept))))
    values = [value for _, value in kept]
    folded = RARE in left or RARE in right
    if rare or folded:
        values.append(RARE)
    return Pooling(tuple(values), len(rare) + folded)
