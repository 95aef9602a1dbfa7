"""How large what a step gives is for what it was given: so a step that departs is told from one that only passes it on.

Of every number of a step (tokens, characters, members, sources) the number before it is sought that goes with it in a
straight line in the workflow's runs: the page that a parser reads and the text that it makes of it. Off the line, the
step itself departs; on the line, what is odd came from before it. Pure; bounded in runs and numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress
from operator import mul

from causeline.diagnosis.statistics import quantile
from causeline.diagnosis.traits import Row, Value, is_output

_MOST_RUNS = 160
_MOST_NUMBERS = 48
_LEAST_RUNS = 24
_STRAIGHT = 0.9
"""Least share of a number's variance that the line explains."""
_NO_SIZES = (
    "seconds",
    "times",
    "errors",
    "retry_count",
    "at most",
    "at least",
    "cost",
    "score",
    "confidence",
    "quality",
)
BESIDE = " beside "


@dataclass(frozen=True)
class Line:
    """`trait` is `level + slope * given` in the runs that a workflow has had."""

    trait: str
    given: str
    slope: float
    level: float

    @cached_property
    def name(self) -> str:
        """The trait of how far off the line a run is."""
        name = self.given.partition("|")[2]
        return f"{self.trait}{BESIDE}{name} of {self.given.partition('|')[0]}"

    def off(self, traits: Mapping[str, Value]) -> float | None:
        """How far off the line a run is, in the trait's own unit; None where it lacks either number of one attempt."""
        value, given = traits.get(self.trait), traits.get(self.given)
        if not isinstance(value, float) or not isinstance(given, float):
            return None
        if any(traits.get(times, 1.0) != 1.0 for times in self._times):
            return None  # of several attempts one number may be of the first, another of the last
        return value - self.level - self.slope * given

    @cached_property
    def _times(self) -> tuple[str, str]:
        return _times_of(self.trait), _times_of(self.given)


def _times_of(trait: str) -> str:
    return f"{trait.partition('|')[0]}|times"


def _of_one_attempt(rows: Sequence[Row], trait: str) -> "_Column":
    """The numbers of a step in the runs in which it ran once."""
    times = _times_of(trait)
    return _Column(
        tuple(
            value if isinstance(value := row.traits.get(trait), float) and row.traits.get(times, 1.0) == 1.0 else None
            for row in rows
        )
    )


class _Column:
    """Numbers of runs, None where a run has none, and their sums where all of them count."""

    def __init__(self, values: tuple[float | None, ...]) -> None:
        self.values = values
        self.lacks = tuple(value is None for value in values)
        self.known = [value for value in values if value is not None]
        if self.known:
            mean = sum(self.known) / len(self.known)
            self.offs = [value - mean for value in self.known]
            self.squares = sum(off**2 for off in self.offs)


def learn(rows: Sequence[Row]) -> tuple[Line, ...]:
    """The lines that hold in the runs, at most one for each number, in the order of steps."""
    rows = rows[-_MOST_RUNS:]
    names = list(_numbers(rows))[:_MOST_NUMBERS]
    columns = {name: _of_one_attempt(rows, name) for name in names}
    found = []
    for place, name in enumerate(names):
        best: tuple[float, Line] | None = None
        for given in reversed(names[:place]):
            fitted = _fit(name, given, columns)
            if fitted is not None and (best is None or fitted[0] > best[0] + 0.01):
                best = fitted
        if best is not None:
            found.append(best[1])
    return tuple(found)


def _numbers(rows: Sequence[Row]) -> Iterator[str]:
    """Numbers of steps that vary, in the order in which they come about: what came out of a step is later than all that
    went on within it."""
    seen: dict[str, set[float]] = {}
    for row in sorted(rows, key=lambda each: -len(each.traits)):
        for trait, value in row.traits.items():
            if isinstance(value, float):
                if trait in seen:
                    seen[trait].add(value)
                elif _is_size(trait):
                    seen[trait] = {value}
    order = {moment: n for n, moment in enumerate(dict.fromkeys(map(_moment, seen)))}
    varying = [trait for trait, values in seen.items() if len(values) > 3]
    yield from sorted(varying, key=lambda trait: order[_moment(trait)])


@lru_cache(maxsize=16_384)
def _is_size(trait: str) -> bool:
    place, _, name = trait.partition("|")
    return ":" in place and not any(word in name for word in _NO_SIZES)


def _moment(trait: str) -> tuple[str, bool]:
    place, _, name = trait.partition("|")
    return place, is_output(name)


def _fit(name: str, given: str, columns: Mapping[str, "_Column"]) -> tuple[float, Line] | None:
    first, second = columns[given], columns[name]
    if first.lacks != second.lacks:
        both = [not (one or other) for one, other in zip(first.lacks, second.lacks, strict=True)]
        first, second = (_Column(tuple(compress(each.values, both))) for each in (first, second))
    count = len(first.known)
    if count < _LEAST_RUNS:
        return None
    xx, yy, xy = first.squares, second.squares, sum(map(mul, first.offs, second.offs))
    if xx <= 0 or yy <= 0 or xy * xy < _STRAIGHT * xx * yy:
        return None
    slope = xy / xx
    offs = sorted(y - slope * x for x, y in zip(first.known, second.known, strict=True))
    return xy * xy / (xx * yy), Line(name, given, slope, quantile(offs, 0.5))
