"""The neighbours of a run: what its workflow usually does, and how far off a run is. Pure, over rows of traits.

1. What is usual is learnt from the runs that nothing on record speaks against.
2. How odd a value is, is said in bits: one run in 2^bits would be as far off. A number's tail is measured by the
   workflow's own spread, so that what varies by nature may vary.
3. How odd a run must be before that alone is a symptom is set by the workflow's own runs, each held against the others
   (conformal prediction, Vovk et al. 2005): about one in a hundred of them is as odd.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from causeline.diagnosis.answers import ANOTHER, Known
from causeline.diagnosis.columns import Columns
from causeline.diagnosis.implied import Rule, learn
from causeline.diagnosis.sizes import BESIDE, Line
from causeline.diagnosis.sizes import learn as lines_of
from causeline.diagnosis.statistics import quantile
from causeline.diagnosis.traits import Row, Value

MIN_RUNS = 20
"""Fewer runs than this say nothing of what is usual."""
USUAL = 0.03
"""What this share of a workflow's runs has is usual there."""
LEAST_BITS = 4.0
"""What is less odd than this is not told at all."""
_A_SPREAD = 4.32
"""Bits of a number that is as far from the middle as the one in twenty that is farthest to its side."""
_SEVERAL = 4
_SELDOM = 8
"""Fewer runs than this with a trait say nothing of its values."""
_FEW_VALUES = 12
_ALWAYS = 0.9
_CALM = 0.992
_MARGIN = 0.5
_TOO_ODD = 15.0
_SURPRISE = 16.0
_SECONDS_FLOOR = 0.02
_ON_THE_LINE = 4.0
_BEGAN = 0.6
_LINE_FLOOR = 0.02
_Counts: TypeAlias = tuple[Counter[str], Counter[str]]
"""How many runs have each, of all and of the older half."""
_READ = "input_ref is"
_GAVE = ("raw_output_ref is", "parsed_artifact_ref is")


@dataclass(frozen=True, slots=True)
class Odd:
    """One trait of a run that is far off: `usual` says in words what others have."""

    trait: str
    value: Value | None
    bits: float
    usual: str
    of: int
    higher: bool | None = None
    given: str = ""
    """What it goes with, where only that says that it is odd."""

    @property
    def place(self) -> str:
        """Where it stands: kind:name of a step, or `run`."""
        return self.trait.partition("|")[0]

    @property
    def name(self) -> str:
        """What it is."""
        return self.trait.partition("|")[2]


@dataclass(frozen=True, slots=True)
class Began:
    """Runs have a finding since some time: `runs` of `of` since then, and none of `before`."""

    since: float
    runs: int
    of: int
    before: int


class _Habit:
    """What the well runs of a workflow have for one trait."""

    def __init__(self, trait: str, values: Sequence[Value], of: int) -> None:
        self.of = of
        self.seen = len(values)
        counted = Counter(values)
        self.words: Counter[str] = Counter()
        self.numbers = sorted(value for value in values if not isinstance(value, str))
        if len(self.numbers) < len(values):
            self.words.update({word: times for word, times in counted.items() if isinstance(word, str)})
        distinct = len(counted) - len(self.words)
        self.few = Counter(self.numbers) if 0 < distinct <= _FEW_VALUES else None
        self.singles = list(self.words.values()).count(1)
        self.names_each_run = len(self.words) > max(8, 0.3 * (len(values) - len(self.numbers)))
        self.trait = trait
        self.is_time = is_time(trait)
        self.deviating = len(values) - max(counted.values(), default=0)
        self.is_constant = len(values) >= MIN_RUNS and self.deviating <= 1
        self._near: Mapping[bool, dict[str, bool]] = {False: {}, True: {}}
        self.middle = 0.0
        if self.numbers:
            self.low, self.middle, self.high = (quantile(self.numbers, share) for share in (0.05, 0.5, 0.95))
            self.whole = all(number == int(number) for number in self.numbers[:50])
        self.least = 0.0
        """The least spread that is taken for a difference: of what is off a line a share of the number itself."""
        self.surprise = 0.0
        """What a first departure from what never changed is worth, in bits: set by the cohort from all such traits."""

    def is_near(self, value: Value, *, own: bool) -> bool:
        """Whether a value is surely not so odd that it is told: most are not, and this is asked of all."""
        if isinstance(value, str):
            known = self._near[own].get(value)
            if known is None:
                odd = self.odd(value, own=own)
                known = self._near[own][value] = odd is None or odd.bits < LEAST_BITS
            return known
        if not self.numbers or self.seen < MIN_RUNS:
            return False
        spread = self._spread_up if value > self.middle else self._spread_down
        return _A_SPREAD * abs(value - self.middle) / spread < LEAST_BITS and (
            self.is_time or value == self.middle or self.numbers[0] != self.numbers[-1]
        )

    @cached_property
    def _spread_up(self) -> float:
        return self._spread(self.high)

    @cached_property
    def _spread_down(self) -> float:
        return self._spread(self.low)

    def _spread(self, edge: float) -> float:
        spread = max(abs(edge - self.middle), 0.15 * abs(self.middle), _SECONDS_FLOOR if self.is_time else 1e-6)
        if self.whole and not self.is_time:
            spread = max(spread, 0.5)
        return max(spread, self.least)

    def odd(self, value: Value | None, *, own: bool) -> Odd | None:
        """How far off a value is; `own` says that it is one of those that the habit was learnt from."""
        less = 1 if own else 0
        of = self.of - less
        if value is None:
            if self.seen < _ALWAYS * self.of:
                return None
            absent = self.of - self.seen
            bits = max(_rare(absent, of), self.surprise if absent == 0 else 0.0)
            return self._odd(None, bits, f"there in {self.seen} of {self.of}")
        if self.seen < MIN_RUNS and (self.seen < _SELDOM or self.trait.endswith("|times")):
            bits = _rare(self.seen - less, of)
            shown = f"not there in {of - self.seen + less} of {of}"
            return self._odd(value, bits, shown) if of >= MIN_RUNS and not self.names_each_run else None
        if isinstance(value, str):
            if self.names_each_run or not self.words:
                return None
            return self._word(value, of, less)
        return self._number(value, of, less)

    def _word(self, value: str, of: int, less: int) -> Odd:
        times = self.words[value] - less
        here = min(of, self.seen)
        bits = _rare(times, here) if times or not self.singles else math.log2((here + 1) / (self.singles + 0.5))
        if self.trait.endswith("_ref is"):
            bits *= 0.8 if self.trait.endswith("input_ref is") else 0.9
        if times == 0 and self.is_constant and self.seen == self.of:
            bits = max(bits, self.surprise)
        return self._odd(value, max(0.0, bits), self._common)

    @cached_property
    def _common(self) -> str:
        return ", ".join(f"{word} in {n}" for word, n in self.words.most_common(3))

    def _number(self, value: float, of: int, less: int) -> Odd | None:
        if not self.numbers:
            return None
        low, middle, high = self.low, self.middle, self.high
        higher = value > middle
        bits = _A_SPREAD * abs(value - middle) / (self._spread_up if higher else self._spread_down)
        first, last = self.numbers[0], self.numbers[-1]
        if first <= value <= last:
            inside = (
                bisect_right(self.numbers, value)
                if not higher
                else len(self.numbers) - bisect_left(self.numbers, value)
            )
            bits = min(bits, math.log2((len(self.numbers) + 1) / max(inside - less, 0.5)))
        if self.few is not None and first <= value <= last:
            bits = min(bits, _rare(self.few[value] - less, of))
        if first == last != value and not self.is_time:
            bits = max(bits, self.surprise)
        usual = f"{_shown(low)} to {_shown(high)}" if high > low else _shown(middle)
        return self._odd(value, min(bits, 60.0), usual, higher=higher)

    def _odd(self, value: Value | None, bits: float, usual: str, *, higher: bool | None = None) -> Odd:
        return Odd(self.trait, value, bits, usual, self.of, higher)


def _rare(times: int, of: int) -> float:
    return math.log2((of + 1) / (max(times, 0) + 0.5))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e12 else f"{value:.3g}"


class Cohort:
    """Runs of one workflow, the oldest first; its questions are answered once and remembered.

    `before` is a cohort of mostly the same runs: how odd one of them is is not asked again while the cohort was nearly
    as large.
    """

    def __init__(self, rows: Sequence[Row], before: "Cohort | None" = None) -> None:
        ordered = sorted(rows, key=lambda row: row.started_at)
        self.answers = Known()
        said = self.answers.learn([row.answers for row in ordered])
        self.rows = tuple(
            replace(row, traits={**row.traits, **more}) if more else row
            for row, more in zip(ordered, said, strict=True)
        )
        self._known = before.measured if before is not None else {}
        self.by_id: Mapping[str, Row] = {row.run_id: row for row in self.rows}
        self.contrasts: dict[object, object] = {}
        """What runs differ in since a time, or with a symptom, as far as it was asked for: filled by who asks."""

    @cached_property
    def columns(self) -> Columns:
        """The traits of all runs, trait by trait."""
        return Columns([row.traits for row in self.rows])

    @cached_property
    def starts(self) -> Sequence[float]:
        """When the runs began."""
        return [row.started_at for row in self.rows]

    def beside(self, row: Row) -> Row:
        """A run with what only the others tell of it: where it was asked what they were, and answers otherwise."""
        known = self.by_id.get(row.run_id)
        if known is not None:
            more = {trait: value for trait, value in known.traits.items() if trait.endswith(ANOTHER)}
        else:
            more = dict(self.answers.ask(row.answers))
        return replace(row, traits={**row.traits, **more}) if more else row

    @cached_property
    def well(self) -> tuple[Row, ...]:
        """The runs that nothing on record speaks against but what is usual."""
        return tuple(row for row in self.rows if row.well and all(self.is_usual(mark) for mark in row.marks))

    @cached_property
    def well_ids(self) -> frozenset[str]:
        """Their ids."""
        return frozenset(row.run_id for row in self.well)

    @cached_property
    def _of_the_well(self) -> Columns:
        """The traits of the well runs, trait by trait."""
        return self.columns.only([row.run_id in self.well_ids for row in self.rows])

    @property
    def can_tell(self) -> bool:
        """Whether there are runs enough to say what is usual."""
        return len(self.well) >= MIN_RUNS

    @cached_property
    def _marks(self) -> _Counts:
        return (
            Counter(mark for row in self.rows for mark in (*row.marks, *row.hints)),
            Counter(mark for row in self._older for mark in row.marks | row.hints),
        )

    @cached_property
    def _places(self) -> _Counts:
        return (
            Counter(place for row in self.rows for place in _places_of(row)),
            Counter(place for row in self._older for place in _places_of(row)),
        )

    @property
    def _older(self) -> Sequence[Row]:
        return self.rows[: len(self.rows) // 2]

    def is_usual(self, mark: str, share: float = USUAL) -> bool:
        """Whether so many runs have a finding, in the older half of them as in the newer, that it tells nothing."""
        return self._is_usual(self._marks, mark, share)

    def is_usual_at(self, place: str, share: float) -> bool:
        """The same of what a rule says of a step, whatever it says: each time another field of an answer."""
        return self._is_usual(self._places, place, share)

    def _is_usual(self, counts: _Counts, key: str, share: float) -> bool:
        of, having, older = len(self.rows), counts[0][key], counts[1][key]
        return of >= MIN_RUNS and having >= share * of and min(older, having - older) * 2 >= share / 2 * of

    def began(self, mark: str) -> Began | None:
        """Since when runs have a finding that none had before; None where it comes and goes, or hardly came."""
        having = [place for place, row in enumerate(self.rows) if mark in row.marks]
        if len(having) < _SEVERAL or having[0] < MIN_RUNS:
            return None
        since = len(self.rows) - having[0]
        if len(having) < _BEGAN * since:
            return None
        return Began(self.rows[having[0]].started_at, len(having), since, having[0])

    @cached_property
    def habits(self) -> Mapping[str, _Habit]:
        """What is usual, by trait."""
        columns, of = self._of_the_well, len(self.well)
        habits = {}
        for trait in columns.traits:
            habits[trait] = _Habit(trait, [value for value in columns.values(trait) if value is not None], of)
        for line in self.lines:
            offs = [off for row in self.well if (off := line.off(row.traits)) is not None]
            habits[line.name] = _Habit(line.name, offs, of)
        for line in self.lines:
            if line.name in habits and line.trait in habits:
                habits[line.name].least = _LINE_FLOOR * abs(habits[line.trait].middle)
        constant = [habit for habit in habits.values() if habit.is_constant and habit.seen == habit.of]
        departed = sum(habit.deviating for habit in constant)
        surprise = math.log2((len(constant) * len(self.well) + 1) / (departed + 0.5)) if constant else 0.0
        for habit in constant:
            habit.surprise = min(surprise, _SURPRISE)
        return habits

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Which numbers go with which before them."""
        return lines_of(self.well)

    def _sized(self, traits: Mapping[str, Value]) -> dict[str, Value]:
        """A run's traits, and how far off the lines its numbers are."""
        off = ((line.name, line.off(traits)) for line in self.lines)
        return {**traits, **{name: value for name, value in off if value is not None}}

    def _passed_on(self, odds: Sequence[Odd]) -> list[Odd]:
        """A number that is as what came before it makes it is no odder than that."""
        if not odds:
            return []
        bits = {odd.trait: odd.bits for odd in odds}
        new = {odd.place for odd in odds if odd.name == _READ}
        odds = [odd for odd in odds if odd.place not in new or odd.name not in _GAVE]  # a new question has a new answer
        given = {line.trait: line.given for line in self.lines if bits.get(line.name, 0.0) < _ON_THE_LINE}
        found = []
        for odd in odds:
            source_bits = bits.get(given.get(odd.trait) or "", 0.0)
            explained = source_bits >= _ON_THE_LINE
            found.append(replace(odd, bits=min(odd.bits, source_bits - _MARGIN)) if explained else odd)
        return found

    @cached_property
    def _always(self) -> tuple[str, ...]:
        return tuple(
            trait for trait, habit in self.habits.items() if habit.seen >= _ALWAYS * habit.of and not is_beside(trait)
        )

    def oddities(self, traits: Mapping[str, Value], *, own: bool) -> list[Odd]:
        """What is far off in a run, the farthest first."""
        if not self.can_tell:
            return []
        found = []
        traits = self._sized(traits)
        habits = self.habits
        for trait, value in traits.items():
            habit = habits.get(trait)
            if habit is None:
                odd: Odd | None = Odd(
                    trait, value, _rare(0, len(self.well)), f"in none of {len(self.well)}", len(self.well)
                )
            elif habit.is_near(value, own=own):
                continue
            else:
                odd = habit.odd(value, own=own)
            if odd is not None and odd.bits >= LEAST_BITS:
                odd = self._not_so_odd(odd, own=own)
                if odd.bits >= LEAST_BITS:
                    found.append(odd)
        lacking = (self.habits[trait].odd(None, own=own) for trait in self._always if trait not in traits)
        found += [odd for odd in lacking if odd is not None and odd.bits >= LEAST_BITS]
        found += self._lacking_where_it_ran(traits, own=own)
        found += self._out_of_step(traits, own=own)
        return sorted(self._passed_on(found), key=lambda odd: -odd.bits)

    def _not_so_odd(self, odd: Odd, *, own: bool) -> Odd:
        """What several of the others have, the unwell ones counted, is no rarer than among all of them."""
        habit = self.habits.get(odd.trait)
        by_being_there = habit is None or habit.seen < MIN_RUNS
        if not isinstance(odd.value, str) and not by_being_there:
            return odd
        word = odd.value if isinstance(odd.value, str) and habit is not None else None
        times = self._times(odd.trait, word) - (1 if own else 0)
        return odd if times < _SEVERAL else replace(odd, bits=min(odd.bits, _rare(times, len(self.rows))))

    def _times(self, trait: str, word: str | None) -> int:
        """In how many rows a trait is, or a word of it."""
        columns = self.columns
        return (columns.having(trait) if word is None else columns.words(trait).get(word, 0)).bit_count()

    @cached_property
    def _sometimes(self) -> tuple[tuple[str, str, int], ...]:
        """Traits that a step has nearly always when it runs, where it does not always run: (trait, step, runs)."""
        return tuple(
            (trait, ran, self.habits[ran].seen)
            for trait, habit in self.habits.items()
            if (ran := f"{trait.partition('|')[0]}|times") in self.habits
            and not is_beside(trait)
            and habit.seen < _ALWAYS * habit.of
            and habit.seen >= max(MIN_RUNS, 0.95 * self.habits[ran].seen)
        )

    def _lacking_where_it_ran(self, traits: Mapping[str, Value], *, own: bool) -> list[Odd]:
        less = 1 if own else 0
        return [
            Odd(
                trait,
                None,
                _rare(runs - self.habits[trait].seen - less, runs - less),
                f"there in {self.habits[trait].seen} of {runs}",
                runs,
            )
            for trait, ran, runs in self._sometimes
            if ran in traits and trait not in traits
        ]

    @cached_property
    def implied(self) -> tuple[Rule, ...]:
        """What goes with what."""
        return learn(self.well, self._of_the_well)

    @cached_property
    def _rules(self) -> Sequence[tuple[str, str | None, Sequence[tuple[int, Rule]]]]:
        """The rules by what they ask for, with their places: a run that has what they ask for keeps them all."""
        found: dict[tuple[str, str | None], list[tuple[int, Rule]]] = {}
        for place, rule in enumerate(self.implied):
            found.setdefault((rule.trait, rule.word), []).append((place, rule))
        return [(trait, word, rules) for (trait, word), rules in found.items()]

    def _out_of_step(self, traits: Mapping[str, Value], *, own: bool) -> list[Odd]:
        """What a run lacks, or has otherwise, though all runs of its kind have it: the surest rule of each trait."""
        broken: list[tuple[int, Rule]] = []
        for trait, word, rules in self._rules:
            value = traits.get(trait)
            if value == word if word is not None else value is not None:
                continue
            if word is not None and value is None:
                continue  # whether the step runs is asked for itself
            broken += [(place, rule) for place, rule in rules if rule.applies(traits)]
        found: dict[str, Odd] = {}
        for _, rule in sorted(broken, key=lambda each: each[0]):
            if rule.trait in found or (own and rule.but_for is None):
                continue
            exceptions = 1 if rule.but_for is not None and not own else 0
            value = traits.get(rule.trait)
            found[rule.trait] = Odd(
                rule.trait,
                value,
                min(_rare(exceptions, rule.runs), _SURPRISE),
                f"{rule.word or 'there'} in all {rule.runs} with {rule.says}",
                rule.runs,
                given=rule.says,
            )
        return list(found.values())

    def calm(self, run_id: str) -> float:
        """The oddity in bits past which a run is a symptom by itself; the run itself is not asked."""
        odds = _without(self._odds[0], self.measured.get(run_id), "odd")
        if not odds:
            return _TOO_ODD
        near = quantile(odds, 0.9)
        return min(max(quantile(odds, _CALM) + _MARGIN, near + 1.0), near + _TOO_ODD)

    def calm_in_time(self, run_id: str) -> float:
        """The same for how long things take, which has a calm of its own: clocks are rougher than counts."""
        odds = _without(self._odds[1], self.measured.get(run_id), "slow")
        return 1.5 * quantile(odds, 0.99) + 4 if odds else _TOO_ODD

    @cached_property
    def _odds(self) -> tuple[Sequence[float], Sequence[float]]:
        """How odd and how slow the well runs are beside the others, each the calmest first."""
        for row in self.well[-_CALIBRATING:]:
            known = self._known.get(row.run_id)
            if known is None or known.of < _NEARLY * len(self.well):
                odds = self.oddities(row.traits, own=True)
                known = Measured(most_odd(odds), slowest(odds), len(self.well))
            self.measured[row.run_id] = known
        return sorted(each.odd for each in self.measured.values()), sorted(each.slow for each in self.measured.values())

    @cached_property
    def measured(self) -> "dict[str, Measured]":
        """How odd the runs are that were asked, by their ids."""
        return {}


@dataclass(frozen=True, slots=True)
class Measured:
    """How odd and how slow a run is in bits, beside how many."""

    odd: float
    slow: float
    of: int


def _without(ordered: Sequence[float], known: "Measured | None", name: str) -> Sequence[float]:
    """How odd the others are."""
    if known is None:
        return ordered
    place = bisect_left(ordered, getattr(known, name))
    return [*ordered[:place], *ordered[place + 1 :]]


_NEARLY = 0.8
_CALIBRATING = 300


def is_beside(trait: str) -> bool:
    """Whether a trait is told by other runs or other numbers, and lacks wherever these do."""
    return BESIDE in trait or trait.endswith(ANOTHER)


def is_time(trait: str) -> bool:
    """Whether a trait is how long something took."""
    return trait.endswith("|seconds")


def slowest(odds: Sequence[Odd]) -> float:
    """How far off the run is in time, where it took longer."""
    return max((odd.bits for odd in odds if is_time(odd.trait) and odd.higher), default=0.0)


def most_odd(odds: Sequence[Odd]) -> float:
    """How odd a run is as a whole: its oddest trait, and a little of the next at other places."""
    best: dict[str, float] = {"": 0.0}
    for odd in odds:
        if is_time(odd.trait) or odd.name == _READ:
            continue  # a question that nobody asked before is no fault
        best[odd.place] = max(best.get(odd.place, 0.0), odd.bits)
    ordered = sorted(best.values(), reverse=True)
    return ordered[0] + 0.25 * sum(ordered[1:3])


def _places_of(row: Row) -> set[str]:
    return {"|".join(mark.split("|", 2)[:2]) for mark in (*row.marks, *row.hints)}
