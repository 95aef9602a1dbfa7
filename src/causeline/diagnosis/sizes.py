"""How large what a step gives is for what it was given: so a step that departs is told from one that only passes it on.

Of every number of a step (tokens, characters, members, sources) the number before it is sought that goes with it in a
straight line in the workflow's runs: the page that a parser reads and the text that it makes of it. Off the line, the
step itself departs; on the line, what is odd came from before it. Pure; bounded in runs and numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Line:
    """`trait` is `level + slope * given` in the runs that a workflow has had."""

    trait: str
    given: str
    slope: float
    level: float

    @property
    def name(self) -> str:
        """The trait of how far off the line a run is."""
        name = self.given.partition("|")[2]
        return f"{self.trait}{BESIDE}{name} of {self.given.partition('|')[0]}"

    def off(self, traits: Mapping[str, Value]) -> float | None:
        """How far off the line a run is, in the trait's own unit; None where it lacks either number of one attempt."""
        value, given = _of_one_attempt(traits, self.trait), _of_one_attempt(traits, self.given)
        if value is None or given is None:
            return None
        return value - self.level - self.slope * given


def _of_one_attempt(traits: Mapping[str, Value], trait: str) -> float | None:
    """A number of a step that ran once: of several attempts one number may be of the first, another of the last."""
    value = traits.get(trait)
    if not isinstance(value, float) or traits.get(f"{trait.partition('|')[0]}|times", 1.0) != 1.0:
        return None
    return value


def learn(rows: Sequence[Row]) -> tuple[Line, ...]:
    """The lines that hold in the runs, at most one for each number, in the order of steps."""
    rows = rows[-_MOST_RUNS:]
    names = list(_numbers(rows))[:_MOST_NUMBERS]
    columns = {name: [_of_one_attempt(row.traits, name) for row in rows] for name in names}
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
            place, _, name = trait.partition("|")
            if isinstance(value, float) and ":" in place and not any(word in name for word in _NO_SIZES):
                seen.setdefault(trait, set()).add(value)
    order = {moment: n for n, moment in enumerate(dict.fromkeys(map(_moment, seen)))}
    varying = [trait for trait, values in seen.items() if len(values) > 3]
    yield from sorted(varying, key=lambda trait: order[_moment(trait)])


def _moment(trait: str) -> tuple[str, bool]:
    place, _, name = trait.partition("|")
    return place, is_output(name)


def _fit(name: str, given: str, columns: Mapping[str, Sequence[float | None]]) -> tuple[float, Line] | None:
    pairs = [(x, y) for x, y in zip(columns[given], columns[name], strict=True) if x is not None and y is not None]
    count = len(pairs)
    if count < _LEAST_RUNS:
        return None
    mean_x, mean_y = sum(x for x, _ in pairs) / count, sum(y for _, y in pairs) / count
    xx = sum((x - mean_x) ** 2 for x, _ in pairs)
    yy = sum((y - mean_y) ** 2 for _, y in pairs)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    if xx <= 0 or yy <= 0 or xy * xy < _STRAIGHT * xx * yy:
        return None
    slope = xy / xx
    offs = sorted(y - slope * x for x, y in pairs)
    return xy * xy / (xx * yy), Line(name, given, slope, quantile(offs, 0.5))
