"""What goes with what in a workflow: `payout over 5,000` and a review, a route and its prompt, learnt from its runs.

A rule says that all runs for which a condition holds have a step, or a word, that not all runs have. It is learnt only
where chance would hardly make it: the share of runs that have it anyway, to the power of the runs for which it held.
Sets of runs are bits of a number, so that learning looks at thousands of pairs in milliseconds.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from causeline.diagnosis.columns import Bits, Columns, Numbers
from causeline.diagnosis.traits import Row, Value

_SURE_BITS = 14.0
_LEAST_RUNS = 8
_MOST_WORDS = 8
_MOST_RULES = 400
_CONSEQUENCES = (
    "seconds",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "retry_count",
    "steps",
    "errors",
    "times",
    "tokens",
    "token_count",
    "chars",
    "members",
)
"""Numbers that come of what a run did: nothing goes by them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`trait` is `word` (None: is there) in all `runs` for which the condition holds, but for one perhaps."""

    trait: str
    word: str | None
    given: str
    given_word: str | None = None
    given_over: float | None = None
    given_under: float | None = None
    runs: int = 0
    but_for: int | None = None
    """The place among the rows of the one run that breaks it."""

    def applies(self, traits: Mapping[str, Value]) -> bool:
        """Whether the condition holds for a run."""
        value = traits.get(self.given)
        if value is None:
            return False
        if isinstance(value, str):
            return value == self.given_word
        if self.given_over is not None:
            return value > self.given_over
        return self.given_under is not None and value < self.given_under

    def is_kept(self, traits: Mapping[str, Value]) -> bool:
        """Whether what the rule says is so in a run for which it applies."""
        value = traits.get(self.trait)
        return value is not None if self.word is None else value == self.word

    @property
    def says(self) -> str:
        """The condition in words."""
        place, _, name = self.given.partition("|")
        what = f"{name.removeprefix('label ')} of {place}"
        if self.given_word is not None:
            return f"{what} = {self.given_word}"
        return (
            f"{what} over {self.given_over:.4g}"
            if self.given_over is not None
            else f"{what} under {self.given_under:.4g}"
        )


def learn(rows: Sequence[Row], columns: Columns | None = None) -> tuple[Rule, ...]:
    """The rules that the rows keep, the surest first; at most one for each target and condition's trait.

    `columns` are those of the rows, where somebody has them.
    """
    count = len(rows)
    if count < 3 * _LEAST_RUNS:
        return ()
    columns = columns or Columns([row.traits for row in rows])
    words = {trait: columns.words(trait) for trait in columns.traits if _has_few_words(columns, trait)}
    numbers = {
        trait: columns.in_order(trait) for trait in columns.traits if _may_condition(trait) and _varies(columns, trait)
    }
    targets = [
        _Target(trait, word, holds, -math.log2(holds.bit_count() / count))
        for trait, word, holds in _targets(columns, words, count)
    ]
    conditions = [
        (trait, word, bits)
        for trait, by_word in words.items()
        for word, bits in by_word.items()
        if _LEAST_RUNS <= bits.bit_count() <= count - _LEAST_RUNS
    ]
    sure = _SURE_BITS + math.log2(max(2, (len(conditions) + len(numbers)) * len(targets)))
    found: list[tuple[float, Rule]] = []
    for target in targets:
        fewest = max(_LEAST_RUNS, math.ceil(sure / target.worth) - 1)
        rules = chain(_where_words(target, conditions, fewest), _where_numbers(target, numbers, fewest))
        found += [(rule.runs * target.worth, rule) for rule in rules if rule.runs * target.worth >= sure]
    found.sort(key=lambda each: (-each[0], each[1].trait, each[1].given))
    before: dict[tuple[str, str], bool] = {}
    kept = []
    for _, rule in found[:_MOST_RULES]:
        pair = rule.given.partition("|")[0], rule.trait.partition("|")[0]
        if pair not in before:
            before[pair] = _comes_before(*pair, rows)
        if before[pair]:
            kept.append(rule)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Target:
    """What rules may ask for, the runs that have it, and how many bits each run is worth for which a rule holds."""

    trait: str
    word: str | None
    holds: Bits
    worth: float

    @property
    def place(self) -> str:
        return self.trait.partition("|")[0]


def _where_words(target: _Target, conditions: Sequence[tuple[str, str, Bits]], fewest: int) -> Iterator[Rule]:
    """The rules by which all runs with some word have it, but for one perhaps."""
    for given, word, bits in conditions:
        broken, runs = bits & ~target.holds, bits.bit_count()
        if runs >= fewest and not broken & (broken - 1) and given.partition("|")[0] != target.place:
            but_for = broken.bit_length() - 1 if broken else None
            yield Rule(target.trait, target.word, given, given_word=word, runs=runs, but_for=but_for)


def _comes_before(given: str, place: str, rows: Sequence[Row]) -> bool:
    """Whether the condition is known before the step: traits stand in the order in which steps began."""
    if given == "run":
        return True
    for row in rows:
        if f"{given}|times" in row.traits and f"{place}|times" in row.traits:
            order = list(row.traits)
            return order.index(f"{given}|times") < order.index(f"{place}|times")
    return False


@lru_cache(maxsize=16_384)
def _may_condition(trait: str) -> bool:
    name = trait.partition("|")[2]
    return not any(word in name for word in _CONSEQUENCES)


def _has_few_words(columns: Columns, trait: str) -> bool:
    return 0 < sum(isinstance(value, str) for value in set(columns.values(trait))) <= _MOST_WORDS


def _varies(columns: Columns, trait: str) -> bool:
    return len(set(columns.numbers(trait).values)) > 1


def _targets(
    columns: Columns, words: Mapping[str, Mapping[str, Bits]], count: int
) -> Iterator[tuple[str, str | None, Bits]]:
    for trait in columns.traits:
        place, _, name = trait.partition("|")
        if name == "times" and ":" in place:
            bits = columns.having(trait)
            if _LEAST_RUNS <= bits.bit_count() <= count - _LEAST_RUNS:
                yield trait, None, bits
    for trait, by_word in words.items():
        if len(by_word) > 1:
            for word, bits in by_word.items():
                if _LEAST_RUNS <= bits.bit_count() <= count - _LEAST_RUNS:
                    yield trait, word, bits


def _where_numbers(target: _Target, numbers: Mapping[str, Numbers], fewest: int) -> Iterator[Rule]:
    """The rules by which all runs past some number have it: from above and from below, each but for one run."""
    for given, ordered in numbers.items():
        values, count = ordered.values, len(ordered.values)
        if count < fewest or given.partition("|")[0] == target.place:
            continue
        for number, but_for in _edges(ordered, target.holds, reversed(range(count))):
            runs = count - bisect_right(values, number)
            if runs >= fewest:
                yield Rule(target.trait, target.word, given, given_over=number, runs=runs, but_for=but_for)
        for number, but_for in _edges(ordered, target.holds, iter(range(count))):
            runs = bisect_left(values, number)
            if runs >= fewest:
                yield Rule(target.trait, target.word, given, given_under=number, runs=runs, but_for=but_for)


def _edges(ordered: Numbers, holds: Bits, order: Iterator[int]) -> Iterator[tuple[float, int | None]]:
    """The number up to which runs lack it, and the same but for the farthest of them; none where all have it."""
    values, places = ordered.values, ordered.places
    lacking = (n for n in order if not holds >> places[n] & 1)
    first = next(lacking, None)
    if first is None:
        return
    yield values[first], None
    second = next(lacking, None)
    if second is not None and values[second] != values[first]:
        yield values[second], places[first]
