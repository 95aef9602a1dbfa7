"""Proof by contrast: runs that share something with this one go wrong, the others do not.

Two questions are asked of a cohort. *What did a release change?* A version that came at some time, and the measures and
findings that moved with it. *What do the runs with this symptom have in common?* Predicates over traits, ranked as
statistical debugging does (Liblit et al., PLDI 2005): the share that fails where the predicate holds, less the share
that fails at all, with its interval; Ochiai breaks ties. Both have a floor for the effect and are corrected for the
number of things that were looked at (Bonferroni).
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from causeline.diagnosis.answers import ANOTHER
from causeline.diagnosis.cohort import Cohort, is_time
from causeline.diagnosis.statistics import beyond, choices, fisher, increase, quantile, runs_needed, superiority
from causeline.diagnosis.traits import Row, Value

_MIN_AFTER = 4
_MIN_BEFORE = 12
_EFFECT = 0.25
_SHIFT = 0.6
_SURE = 0.01
_MIN_FAILING = 3
_MAX_VALUES = 40
_CLOCK_S = 0.005
"""Differences of time below this are the clock's and the machine's."""
_SLOWER = 3.0
_WORSE_UP = (
    "cost_usd",
    "tokens",
    "retry_count",
    "seconds",
    "times",
    "errors",
    "steps",
    "validation_errors",
    "conflicts",
    ANOTHER,
)
_WORSE_DOWN = ("score", "confidence", "quality", "matches", "shown", "sources", "context_refs", "evidence_refs")
_IS_ANCHOR = (
    "prompt_id", "prompt_version", "model_provider", "model_name", "model_policy", "system_fingerprint",
    "parser_version", "schema_version", "route_policy_version", "temperature", "top_p", "release",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """Something that is otherwise since a release: a trait's numbers or words, or a finding."""

    what: str
    """The trait, or the key of the finding."""
    effect: float
    """Cliff's delta of numbers, the difference of shares else; its sign is that of the newer runs."""
    before: str
    after: str
    is_worse: bool
    finding: bool = False

    @property
    def place(self) -> str:
        """Where it shows."""
        parts = self.what.split("|")
        return parts[1] if self.finding else parts[0]


@dataclass(frozen=True, slots=True)
class Release:
    """Runs since some time differ from those before: with an anchor that changed then, or with none on record."""

    trait: str | None
    """The anchor's trait; None where only the time tells."""
    new: str
    old: str
    since: float
    after_runs: int
    before_runs: int
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """A predicate that runs with a symptom have in common."""

    trait: str
    says: str
    hits: int
    of: int
    others: int
    of_others: int
    least: float
    """The least by which the share is greater, 95 % sure."""
    ochiai: float


def is_anchor(trait: str) -> bool:
    """Whether a trait names a version under which something ran."""
    name = trait.partition("|")[2]
    if name in _IS_ANCHOR:
        return True
    key = name.removeprefix("label ")
    return key != name and _names_a_version(key)


def _names_a_version(key: str) -> bool:
    last = key.lower().replace("-", ".").replace("_", ".").rpartition(".")[2]
    return last in ("version", "release", "index", "revision", "snapshot", "template", "model", "variant", "build")


# --- releases

_COUNTS_UP = 0.9
"""Share of steps from run to run by which a counter goes up, such as the number of a batch."""


def releases(cohort: Cohort, row: Row) -> list[Release]:
    """The releases that the run came after and that moved something for the worse, those that moved most first."""
    found = list(_by_anchor(cohort, row))
    if not found:
        found = list(_by_time(cohort, row))
    return sorted(found, key=lambda release: -max(_weight(moved) for moved in release.moved))


def _weight(moved: Moved) -> float:
    return abs(moved.effect) + (0.5 if moved.is_worse else 0.0)


def _by_anchor(cohort: Cohort, row: Row) -> Iterator[Release]:
    for trait, value in row.traits.items():
        if not is_anchor(trait):
            continue
        after = [each for each in cohort.rows if each.traits.get(trait) == value]
        before = [each for each in cohort.rows if each.traits.get(trait, value) != value]
        if len(after) < _MIN_AFTER or len(before) < _MIN_BEFORE:
            continue
        since = after[0].started_at
        came_before = sum(each.started_at < since for each in before)
        if came_before < 0.9 * len(before):
            continue  # both were in use at once: no release, but a choice
        old = _commonest(each.traits[trait] for each in before)
        moved = _moved(before, after, row, trait)
        if moved:
            yield Release(trait, _word(value), _word(old), since, len(after), len(before), moved)


def _by_time(cohort: Cohort, row: Row) -> Iterator[Release]:
    """Where no version is on record: the time since which something is otherwise, all at once."""
    place = next((n for n, each in enumerate(cohort.rows) if each.started_at > row.started_at), len(cohort.rows))
    best = _split_of(cohort, row, place, [each for each in _numeric_traits(cohort, row) if not is_time(each)])
    if best is None:  # clocks are rough, and are asked only where nothing else is otherwise
        best = _split_of(cohort, row, place, [each for each in _numeric_traits(cohort, row) if is_time(each)])
    if best is None:
        return
    before, after = cohort.rows[: best[1]], cohort.rows[best[1] :]
    moved = tuple(each for each in _moved(before, after, row, "") if abs(each.effect) >= 0.8)
    moved = tuple(each for each in moved if not _counts_up(cohort, each.what))
    if any(not each.finding for each in moved):
        yield Release(None, "", "", after[0].started_at, len(after), len(before), moved)


def _split_of(cohort: Cohort, row: Row, place: int, traits: Sequence[str]) -> tuple[float, int] | None:
    best: tuple[float, int] | None = None
    for trait in traits:
        if trait not in cohort.splits:
            cohort.splits[trait] = _split_in(cohort, trait)
        split = cohort.splits[trait]
        if split is None:
            continue
        at, strength = split
        if _MIN_BEFORE <= at < place and len(cohort.rows) - at >= _MIN_AFTER and (best is None or strength > best[0]):
            best = (strength, at)
    return best


def _counts_up(cohort: Cohort, trait: str) -> bool:
    """Whether a number only counts runs or time: it differs between early and late, whatever was released."""
    values = [value for each in cohort.rows if isinstance(value := each.traits.get(trait), float)]
    changes = [after - before for before, after in pairwise(values) if after != before]
    return len(changes) > len(values) // 4 and sum(change > 0 for change in changes) >= _COUNTS_UP * len(changes)


def _split_in(cohort: Cohort, trait: str) -> tuple[int, float] | None:
    """The row from which on a trait's numbers are otherwise, and how clearly; None for a counter."""
    if _counts_up(cohort, trait):
        return None
    values = [(n, value) for n, each in enumerate(cohort.rows) if isinstance(value := each.traits.get(trait), float)]
    split = _split([value for _, value in values])
    return None if split is None else (values[split[0]][0], split[1])


def _numeric_traits(cohort: Cohort, row: Row) -> list[str]:
    return [
        trait
        for trait, value in row.traits.items()
        if isinstance(value, float) and not is_anchor(trait) and trait in cohort.habits
    ]


def _split(values: Sequence[float]) -> tuple[int, float] | None:
    """Where a series changes its level most, by the sum of ranks: the first place of the new level, and how much.

    None where no place stands out: the statistic must be past what any order of the same values reaches in a thousand.
    """
    count = len(values)
    if count < _MIN_BEFORE + _MIN_AFTER or len(set(values)) < 2:
        return None
    order = sorted(range(count), key=values.__getitem__)
    ranks = [0.0] * count
    start = 0
    while start < count:
        end = start
        while end + 1 < count and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in range(start, end + 1):
            ranks[order[place]] = (start + end) / 2
        start = end + 1
    ordered = sorted(values)
    least, most = _ends(values)
    mean = (count - 1) / 2
    spread = math.sqrt(sum((rank - mean) ** 2 for rank in ranks) / count) or 1.0
    total, best, at = 0.0, 0.0, 0
    for place in range(count - 1):
        total += ranks[place] - mean
        n = place + 1
        statistic = abs(total) / (spread * math.sqrt(n * (count - n) / count))
        if _MIN_AFTER <= count - n < _FEW_AFTER:  # so few that the sum of ranks has no room: asked exactly
            as_high, as_low = count - bisect_left(ordered, least[n]), bisect_right(ordered, most[n])
            chance = choices(min(as_high, as_low), count - n) - choices(count, count - n)
            statistic = max(statistic, math.sqrt(-2 * min(0.0, chance)))
        if n >= _MIN_BEFORE and count - n >= _MIN_AFTER and statistic > best:
            best, at = statistic, n
    return (at, best) if best > 5.5 else None


def _ends(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The least and the greatest of the values from each place on."""
    least, most = list(values), list(values)
    for place in range(len(values) - 2, -1, -1):
        least[place] = min(least[place], least[place + 1])
        most[place] = max(most[place], most[place + 1])
    return least, most


_FEW_AFTER = 30


def _moved(before: Sequence[Row], after: Sequence[Row], row: Row, anchor: str) -> tuple[Moved, ...]:
    place = anchor.partition("|")[0]
    traits = [trait for trait in row.traits if not is_anchor(trait)]
    marks = sorted(row.marks)
    looked_at = max(1, len(traits) + len(marks))
    found = []
    for trait in traits:
        value = row.traits[trait]
        moved = _numbers_moved(trait, value, before, after, looked_at) if isinstance(value, float) else None
        if isinstance(value, str):
            moved = _words_moved(trait, value, before, after, looked_at)
        if moved is not None:
            found.append(moved)
    for mark in marks:
        hits, others = sum(mark in each.marks for each in after), sum(mark in each.marks for each in before)
        share, least = increase(hits, len(after), others, len(before))
        if least > 0.1 and share >= _EFFECT and _p(hits, after, others, before) * looked_at < _SURE:
            found.append(
                Moved(mark, share, f"{others} of {len(before)}", f"{hits} of {len(after)}", is_worse=True, finding=True)
            )
    found.sort(key=lambda moved: (-_weight(moved), moved.place != place))
    return tuple(found)


def _p(hits: int, after: Sequence[Row], others: int, before: Sequence[Row]) -> float:
    return fisher(hits, len(after) - hits, others, len(before) - others)


def _numbers_moved(  # noqa: PLR0911 - each return is a reason of its own
    trait: str, value: float, before: Sequence[Row], after: Sequence[Row], looked_at: int
) -> Moved | None:
    old = [number for each in before if isinstance(number := each.traits.get(trait), float)]
    new = [number for each in after if isinstance(number := each.traits.get(trait), float)]
    if len(old) < _MIN_BEFORE or len(new) < _MIN_AFTER:
        return None
    delta, p = superiority(new, old)
    p = min(p, beyond(new, old))
    if abs(delta) < _SHIFT or p * looked_at > _SURE:
        return None
    was, now = quantile(sorted(old), 0.5), quantile(sorted(new), 0.5)
    if (value - was) * delta <= 0:
        return None  # this run is not among those that moved
    name = trait.partition("|")[2]
    if name.endswith("seconds") and (abs(now - was) < _CLOCK_S or now < _SLOWER * was or value < _SLOWER * was):
        return None
    if abs(now - was) < 0.1 * abs(was):
        return None
    up, down = any(word in name for word in _WORSE_UP), any(word in name for word in _WORSE_DOWN)
    worse = (up and delta > 0) or (down and not up and delta < 0)
    if (up or down) and not worse:
        return None
    return Moved(trait, delta, f"{was:.4g}", f"{now:.4g}", is_worse=worse)


def _words_moved(trait: str, value: str, before: Sequence[Row], after: Sequence[Row], looked_at: int) -> Moved | None:
    old = [each for each in before if trait in each.traits]
    new = [each for each in after if trait in each.traits]
    if len({each.traits[trait] for each in old}) > _MAX_VALUES:
        return None
    hits, others = (sum(each.traits[trait] == value for each in side) for side in (new, old))
    share, least = increase(hits, len(new), others, len(old))
    if len(new) < _MIN_AFTER or len(old) < _MIN_BEFORE or least < 0.1 or share < _EFFECT:
        return None
    if _p(hits, new, others, old) * looked_at > _SURE:
        return None
    return Moved(trait, share, f"{others} of {len(old)}", f"{hits} of {len(new)}", is_worse=False)


def _commonest(values: Iterator[Value]) -> Value:
    counted: dict[Value, int] = {}
    for value in values:
        counted[value] = counted.get(value, 0) + 1
    return max(counted, key=lambda value: counted[value])


def _word(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else value


# --- what runs with a symptom have in common


def shared(cohort: Cohort, row: Row, mark: str) -> tuple[list[Shared], str | None]:
    """What sets the runs with a finding apart, the most telling first; or why that cannot be told."""
    failing = [each for each in cohort.rows if mark in each.marks and each.run_id != row.run_id]
    others = [each for each in cohort.rows if mark not in each.marks]
    if len(failing) < _MIN_FAILING or len(others) < _MIN_BEFORE:
        needed = max(_MIN_BEFORE, runs_needed(0.5, 0.1))
        return [], f"too few runs to hold it against: {len(failing)} others with this symptom, {needed} needed"
    predicates = list(_predicates(cohort, row))
    found = []
    for trait, says, holds in predicates:
        a = sum(holds(each.traits.get(trait)) for each in failing)
        b = sum(holds(each.traits.get(trait)) for each in others)
        of, rest = a + b, len(failing) + len(others) - a - b
        if a < _MIN_FAILING:
            continue
        share, least = increase(a, of, len(failing) - a, rest)
        if (
            share < _EFFECT
            or least <= 0.05
            or fisher(a, b, len(failing) - a, len(others) - b) * len(predicates) > _SURE
        ):
            continue
        found.append(Shared(trait, says, a, of, len(failing) - a, rest, least, a / math.sqrt(len(failing) * of)))
    return sorted(found, key=lambda each: (-round(each.ochiai, 2), -each.least)), None


def _predicates(cohort: Cohort, row: Row) -> "Iterator[tuple[str, str, _Holds]]":  # noqa: C901 - a list of kinds
    for trait, value in row.traits.items():
        if trait.startswith(("run|final_state", "run|fallback", "eval:", "field:")) or trait.endswith(
            ("|errors", "|error_type")
        ):
            continue  # these are symptoms
        habit = cohort.habits.get(trait)
        if isinstance(value, str):
            if habit is None or not habit.names_each_run:
                yield trait, f"= {value}", _Holds(word=value)
        elif habit is not None and len(habit.numbers) >= _MIN_BEFORE:
            low, high = quantile(habit.numbers, 0.1), quantile(habit.numbers, 0.9)
            if trait.endswith("|seconds") and value < high + 0.02:
                continue  # that something was quick explains nothing
            if value > high:
                yield trait, f"over {high:.4g}", _Holds(over=high)
            elif value < low:
                yield trait, f"under {low:.4g}", _Holds(under=low)
    for trait, habit in cohort.habits.items():
        if trait not in row.traits and trait.endswith("|times") and habit.seen >= 0.5 * habit.of:
            yield trait, "did not run", _Holds(absent=True)


@dataclass(frozen=True, slots=True)
class _Holds:
    word: str | None = None
    over: float | None = None
    under: float | None = None
    absent: bool = False

    def __call__(self, value: Value | None) -> bool:
        if self.absent:
            return value is None
        if value is None:
            return False
        if self.word is not None:
            return value == self.word
        if isinstance(value, str):
            return False
        return value > self.over if self.over is not None else self.under is not None and value < self.under


# --- the nearest run that went well


def nearest(
    cohort: Cohort, row: Row, most: int = 300
) -> tuple[Row, list[tuple[str, Value | None, Value | None]]] | None:
    """The run most like this one that went well, and the traits in which they differ: (trait, here, there)."""
    spreads: Mapping[str, float] = {
        trait: max(quantile(habit.numbers, 0.95) - quantile(habit.numbers, 0.05), 1e-9)
        for trait, habit in cohort.habits.items()
        if habit.numbers
    }
    best: tuple[float, Row] | None = None
    for other in cohort.well[-most:]:
        if other.run_id == row.run_id:
            continue
        distance = 0.0
        for trait in row.traits.keys() | other.traits.keys():
            distance += _apart(trait, row.traits.get(trait), other.traits.get(trait), spreads)
        if best is None or distance < best[0]:
            best = (distance, other)
    if best is None:
        return None
    other = best[1]
    differs = [
        (apart, trait, row.traits.get(trait), other.traits.get(trait))
        for trait in row.traits.keys() | other.traits.keys()
        if (apart := _apart(trait, row.traits.get(trait), other.traits.get(trait), spreads)) >= 0.5
    ]
    differs.sort(key=lambda each: (-each[0], each[1]))
    return other, [(trait, here, there) for _, trait, here, there in differs]


def _apart(trait: str, here: Value | None, there: Value | None, spreads: Mapping[str, float]) -> float:
    if here == there:
        return 0.0
    if isinstance(here, float) and isinstance(there, float):
        return min(3.0, abs(here - there) / spreads.get(trait, max(abs(there), 1.0)))
    return 1.0
