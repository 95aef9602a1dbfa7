"""Proof by contrast: runs that share something with this one go wrong, the others do not.

Two questions are asked of a cohort. *What did a release change?* A version that came at some time, and the measures and
findings that moved with it. *What do the runs with this symptom have in common?* Predicates over traits, ranked as
statistical debugging does (Liblit et al., PLDI 2005): the share that fails where the predicate holds, less the share
that fails at all, with its interval; Ochiai breaks ties. Both have a floor for the effect and are corrected for the
number of things that were looked at (Bonferroni).
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate, compress, islice, pairwise
from operator import truediv
from typing import TypeVar, cast

from causeline.diagnosis.answers import ANOTHER
from causeline.diagnosis.cohort import Cohort, is_time
from causeline.diagnosis.columns import Bits, Columns, bits_of
from causeline.diagnosis.statistics import beyond, choices, fisher, increase, quantile, runs_needed, superiority
from causeline.diagnosis.traits import Row, Value

_T = TypeVar("_T")
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


@lru_cache(maxsize=16_384)
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
        sides = _remembered(cohort, (trait, value), partial(_sides_of_anchor, cohort, trait, value))
        if sides is not None and (moved := sides.moved(row, trait)):
            yield Release(trait, _word(value), sides.old, sides.since, len(sides.after), len(sides.before), moved)


def _remembered(cohort: Cohort, key: object, make: Callable[[], _T]) -> _T:
    """What is the same for all runs that are held against a cohort, and is made when the first of them asks."""
    if key not in cohort.contrasts:
        cohort.contrasts[key] = make()
    return cast("_T", cohort.contrasts[key])


def _sides_of_anchor(cohort: Cohort, trait: str, value: Value) -> "_Sides | None":
    """The runs with another value of an anchor, and those with this one that came after them; None where none did."""
    after = [n for n, each in enumerate(cohort.rows) if each.traits.get(trait) == value]
    before = [n for n, each in enumerate(cohort.rows) if each.traits.get(trait, value) != value]
    if len(after) < _MIN_AFTER or len(before) < _MIN_BEFORE:
        return None
    since = cohort.starts[after[0]]
    came_before = sum(cohort.starts[n] < since for n in before)
    if came_before < 0.9 * len(before):
        return None  # both were in use at once: no release, but a choice
    old = _commonest(cohort.rows[n].traits[trait] for n in before)
    return _Sides(cohort, before, after, _word(old))


def _by_time(cohort: Cohort, row: Row) -> Iterator[Release]:
    """Where no version is on record: the time since which something is otherwise, all at once."""
    place = bisect_right(cohort.starts, row.started_at)
    at = _split_of(cohort, row, place)
    if at is None:
        return
    sides = _remembered(cohort, at, lambda: _Sides(cohort, range(at), range(at, len(cohort.rows))))
    moved = tuple(each for each in sides.moved(row, "") if abs(each.effect) >= 0.8)
    moved = tuple(each for each in moved if not _counts_up(cohort, each.what))
    if any(not each.finding for each in moved):
        yield Release(None, "", "", sides.since, len(sides.after), len(sides.before), moved)


def _split_of(cohort: Cohort, row: Row, place: int) -> int | None:
    """Where the trait that changed its level most did so before the run; times are asked where nothing else did."""
    best: tuple[float, int] | None = None
    best_in_time: tuple[float, int] | None = None
    splits = _remembered(cohort, "splits", partial(_splits, cohort))
    for trait, value in row.traits.items():
        split = splits.get(trait)
        if split is None or isinstance(value, str) or split[0] >= place:
            continue
        at, strength = split
        if is_time(trait):
            if best_in_time is None or strength > best_in_time[0]:
                best_in_time = (strength, at)
        elif best is None or strength > best[0]:
            best = (strength, at)
    best = best or best_in_time
    return None if best is None else best[1]


def _splits(cohort: Cohort) -> Mapping[str, tuple[int, float]]:
    """Where the numbers of traits change their level, and how clearly; only those with enough runs on both sides."""
    return {
        trait: split
        for trait in cohort.columns.traits
        if trait in cohort.habits
        and not is_anchor(trait)
        and (split := _split_in(cohort, trait)) is not None
        and _MIN_BEFORE <= split[0] <= len(cohort.rows) - _MIN_AFTER
    }


def _counts_up(cohort: Cohort, trait: str) -> bool:
    """Whether a number only counts runs or time: it differs between early and late, whatever was released."""
    values = cohort.columns.numbers(trait).values
    changes = [after - before for before, after in pairwise(values) if after != before]
    return len(changes) > len(values) // 4 and sum(change > 0 for change in changes) >= _COUNTS_UP * len(changes)


def _split_in(cohort: Cohort, trait: str) -> tuple[int, float] | None:
    """The row from which on a trait's numbers are otherwise, and how clearly; None for a counter."""
    column = cohort.columns.numbers(trait)
    split = _split(column.values)
    return None if split is None or _counts_up(cohort, trait) else (column.places[split[0]], split[1])


def _split(values: Sequence[float]) -> tuple[int, float] | None:
    """Where a series changes its level most, by the sum of ranks: the first place of the new level, and how much.

    None where no place stands out: the statistic must be past what any order of the same values reaches in a thousand.
    """
    count = len(values)
    if count < _MIN_BEFORE + _MIN_AFTER or len(set(values)) < 2:
        return None
    ordered = sorted(values)
    rank_of: dict[float, float] = {}
    start = 0
    for value, times in Counter(ordered).items():
        rank_of[value] = (start + start + times - 1) / 2
        start += times
    mean = (count - 1) / 2
    offs = [rank_of[value] - mean for value in values]
    spread = math.sqrt(sum(off**2 for off in offs) / count) or 1.0
    first, last = _MIN_BEFORE, count - _MIN_AFTER
    totals = islice(accumulate(offs), first - 1, last)
    statistics = list(map(truediv, map(abs, totals), map(spread.__mul__, _roots(count)[first : last + 1])))
    best = max(statistics)
    at = first + statistics.index(best)
    least, most = _ends(values[-_FEW_AFTER:])
    for n in range(max(_MIN_BEFORE, count - _FEW_AFTER + 1), count - _MIN_AFTER + 1):
        few = count - n  # so few that the sum of ranks has no room: asked exactly
        as_high, as_low = count - bisect_left(ordered, least[-few]), bisect_right(ordered, most[-few])
        statistic = math.sqrt(-2 * min(0.0, choices(min(as_high, as_low), few) - choices(count, few)))
        if statistic > best or (statistic == best and n < at):
            best, at = statistic, n
    return (at, best) if best > _CLEAR else None


@lru_cache(maxsize=1_024)
def _roots(count: int) -> Sequence[float]:
    """By how many runs come before: what the spread of a sum of ranks grows with."""
    return [math.sqrt(n * (count - n) / count) for n in range(count + 1)]


def _ends(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The least and the greatest of the values from each place on."""
    least, most = list(values), list(values)
    for place in range(len(values) - 2, -1, -1):
        least[place] = min(least[place], least[place + 1])
        most[place] = max(most[place], most[place + 1])
    return least, most


_FEW_AFTER = 30
_CLEAR = 5.5
"""What any order of the same values reaches in a thousand."""


@dataclass(frozen=True, slots=True)
class _Shift:
    """What is otherwise between two sides, whichever run asks, and how likely chance makes it so."""

    moved: Moved
    p: float
    was: float = 0.0


class _Sides:
    """The runs before and after something, told by their places: what is otherwise is asked once of each trait."""

    def __init__(self, cohort: Cohort, before: Sequence[int], after: Sequence[int], old: str = "") -> None:
        self.before, self.after, self.old = before, after, old
        self.since = cohort.starts[after[0]]
        self._cohort = cohort
        count = range(len(cohort.rows))
        self._flags = [[n in places for n in count] for places in (set(before), set(after))]
        self._values: dict[str, list[list[Value]]] = {}
        self._numbers: dict[str, _Shift | None] = {}
        self._words: dict[tuple[str, str], _Shift | None] = {}
        self._marks: dict[str, _Shift | None] = {}

    def moved(self, row: Row, anchor: str) -> tuple[Moved, ...]:
        """What moved, as far as a run shows it."""
        place = anchor.partition("|")[0]
        traits = [trait for trait in row.traits if not is_anchor(trait)]
        marks = sorted(row.marks)
        looked_at = max(1, len(traits) + len(marks))
        found = []
        for trait in traits:
            value = row.traits[trait]
            shift = self._of_word(trait, value) if isinstance(value, str) else self._of_number(trait)
            if shift is None or shift.p * looked_at > _SURE:
                continue
            if isinstance(value, str) or _is_among(value, shift):
                found.append(shift.moved)
        for mark in marks:
            shift = self._of_mark(mark)
            if shift is not None and shift.p * looked_at < _SURE:
                found.append(shift.moved)
        found.sort(key=lambda moved: (-_weight(moved), moved.place != place))
        return tuple(found)

    def _of_number(self, trait: str) -> _Shift | None:
        if trait not in self._numbers:
            old, new = ([value for value in side if not isinstance(value, str)] for side in self._on_both(trait))
            self._numbers[trait] = _numbers_moved(trait, old, new)
        return self._numbers[trait]

    def _of_word(self, trait: str, word: str) -> _Shift | None:
        key = (trait, word)
        if key not in self._words:
            self._words[key] = self._words_moved(trait, word)
        return self._words[key]

    def _words_moved(self, trait: str, word: str) -> _Shift | None:
        old, new = self._on_both(trait)
        if len(new) < _MIN_AFTER or len(old) < _MIN_BEFORE:
            return None
        hits, others = new.count(word), old.count(word)
        share, least = increase(hits, len(new), others, len(old))
        if least < 0.1 or share < _EFFECT or len(set(old)) > _MAX_VALUES:
            return None
        moved = Moved(trait, share, f"{others} of {len(old)}", f"{hits} of {len(new)}", is_worse=False)
        return _Shift(moved, fisher(hits, len(new) - hits, others, len(old) - others))

    def _on_both(self, trait: str) -> list[list[Value]]:
        """What the runs before have for a trait, and those after."""
        found = self._values.get(trait)
        if found is None:
            values = self._cohort.columns.values(trait)
            found = [[value for value in compress(values, side) if value is not None] for side in self._flags]
            self._values[trait] = found
        return found

    def _of_mark(self, mark: str) -> _Shift | None:
        if mark not in self._marks:
            rows = self._cohort.rows
            hits, others = (sum(mark in rows[n].marks for n in side) for side in (self.after, self.before))
            new, old = len(self.after), len(self.before)
            share, least = increase(hits, new, others, old)
            shift = None
            if least > 0.1 and share >= _EFFECT:
                moved = Moved(mark, share, f"{others} of {old}", f"{hits} of {new}", is_worse=True, finding=True)
                shift = _Shift(moved, fisher(hits, new - hits, others, old - others))
            self._marks[mark] = shift
        return self._marks[mark]


def _is_among(value: float, shift: _Shift) -> bool:
    """Whether a run is among those whose numbers moved."""
    if (value - shift.was) * shift.moved.effect <= 0:
        return False
    return not shift.moved.what.endswith("seconds") or value >= _SLOWER * shift.was


def _numbers_moved(trait: str, old: Sequence[float], new: Sequence[float]) -> _Shift | None:
    if len(old) < _MIN_BEFORE or len(new) < _MIN_AFTER:
        return None
    was, now = quantile(sorted(old), 0.5), quantile(sorted(new), 0.5)
    name = trait.partition("|")[2]
    if abs(now - was) < 0.1 * abs(was) or (
        name.endswith("seconds") and (abs(now - was) < _CLOCK_S or now < _SLOWER * was)
    ):
        return None
    delta, p = superiority(new, old)
    if abs(delta) < _SHIFT:
        return None
    up, down = any(word in name for word in _WORSE_UP), any(word in name for word in _WORSE_DOWN)
    worse = (up and delta > 0) or (down and not up and delta < 0)
    if (up or down) and not worse:
        return None
    moved = Moved(trait, delta, f"{was:.4g}", f"{now:.4g}", is_worse=worse)
    return _Shift(moved, min(p, beyond(new, old)), was)


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
    failing = bits_of(n for n, each in enumerate(cohort.rows) if mark in each.marks and each.run_id != row.run_id)
    others = bits_of(n for n, each in enumerate(cohort.rows) if mark not in each.marks)
    failed, passed = failing.bit_count(), others.bit_count()
    if failed < _MIN_FAILING or passed < _MIN_BEFORE:
        needed = max(_MIN_BEFORE, runs_needed(0.5, 0.1))
        return [], f"too few runs to hold it against: {failed} others with this symptom, {needed} needed"
    predicates = list(_predicates(cohort, row))
    found = []
    for trait, says, holds in predicates:
        a, b = (holds & failing).bit_count(), (holds & others).bit_count()
        of, rest = a + b, failed + passed - a - b
        if a < _MIN_FAILING:
            continue
        share, least = increase(a, of, failed - a, rest)
        if share < _EFFECT or least <= 0.05 or fisher(a, b, failed - a, passed - b) * len(predicates) > _SURE:
            continue
        found.append(Shared(trait, says, a, of, failed - a, rest, least, a / math.sqrt(failed * of)))
    return sorted(found, key=lambda each: (-round(each.ochiai, 2), -each.least)), None


def _predicates(cohort: Cohort, row: Row) -> Iterator[tuple[str, str, Bits]]:
    """What a run has, in words, and the runs that have it too."""
    columns = cohort.columns
    for trait, value in row.traits.items():
        if trait.startswith(_AT_THE_END) or trait.endswith(("|errors", "|error_type")):
            continue  # these are symptoms
        habit = cohort.habits.get(trait)
        if isinstance(value, str):
            if habit is None or not habit.names_each_run:
                yield trait, f"= {value}", columns.words(trait).get(value, 0)
        elif habit is not None and len(habit.numbers) >= _MIN_BEFORE:
            yield from _far_out(columns, trait, value, habit.numbers)
    for trait, habit in cohort.habits.items():
        if trait not in row.traits and trait.endswith("|times") and habit.seen >= 0.5 * habit.of:
            yield trait, "did not run", columns.all & ~columns.having(trait)


_AT_THE_END = ("run|final_state", "run|fallback", "eval:", "field:")


def _far_out(columns: Columns, trait: str, value: float, usual: Sequence[float]) -> Iterator[tuple[str, str, Bits]]:
    """Where a number is among the tenth that is greatest or least, the runs whose number is."""
    low, high = quantile(usual, 0.1), quantile(usual, 0.9)
    if is_time(trait) and value < high + 0.02:
        return  # that something was quick explains nothing
    if value > high:
        yield trait, f"over {high:.4g}", columns.over(trait, high)
    elif value < low:
        yield trait, f"under {low:.4g}", columns.under(trait, low)


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
        distance = _distance(row.traits, other.traits, spreads, math.inf if best is None else best[0])
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


def _distance(
    here: Mapping[str, Value], there: Mapping[str, Value], spreads: Mapping[str, float], farthest: float
) -> float:
    """How far two runs are apart; no farther than `farthest` is gone on with."""
    distance = 0.0
    for trait in here.keys() | there.keys():
        one, other = here.get(trait), there.get(trait)
        if one != other:
            distance += _apart(trait, one, other, spreads)
            if distance >= farthest:
                break
    return distance


def _apart(trait: str, here: Value | None, there: Value | None, spreads: Mapping[str, float]) -> float:
    if here == there:
        return 0.0
    if isinstance(here, float) and isinstance(there, float):
        return min(3.0, abs(here - there) / spreads.get(trait, max(abs(there), 1.0)))
    return 1.0
