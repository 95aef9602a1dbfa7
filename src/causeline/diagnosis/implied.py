"""What goes with what in a workflow: `payout over 5,000` and a review, a route and its prompt, learnt from its runs.

A rule says that all runs for which a condition holds have a step, or a word, that not all runs have. It is learnt only
where chance would hardly make it: the share of runs that have it anyway, to the power of the runs for which it held.
Sets of runs are bits of a number, so that learning looks at thousands of pairs in milliseconds.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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


def learn(rows: Sequence[Row]) -> tuple[Rule, ...]:
    """The rules that the rows keep, the surest first; at most one for each target and condition's trait."""
    count = len(rows)
    if count < 3 * _LEAST_RUNS:
        return ()
    words, numbers = _gathered(rows)
    targets = list(_targets(rows, words, count))
    conditions = [
        (trait, word, bits)
        for trait, by_word in words.items()
        if len(by_word) <= _MOST_WORDS
        for word, bits in by_word.items()
        if _LEAST_RUNS <= bits.bit_count() <= count - _LEAST_RUNS
    ]
    looked_at = math.log2(max(2, (len(conditions) + len(numbers)) * len(targets)))
    found: list[tuple[float, Rule]] = []
    for trait, word, holds in targets:
        cost = -math.log2(holds.bit_count() / count)
        place = trait.partition("|")[0]
        for given, given_word, bits in conditions:
            broken = bits & ~holds
            runs = bits.bit_count()
            if given.partition("|")[0] == place or broken.bit_count() > 1 or runs * cost < _SURE_BITS + looked_at:
                continue
            but_for = broken.bit_length() - 1 if broken else None
            found.append((runs * cost, Rule(trait, word, given, given_word=given_word, runs=runs, but_for=but_for)))
        for given, values in numbers.items():
            if given.partition("|")[0] != place:
                found += [
                    (rule.runs * cost, rule)
                    for rule in _beyond(trait, word, holds, given, values)
                    if rule.runs * cost >= _SURE_BITS + looked_at
                ]
    found.sort(key=lambda each: (-each[0], each[1].trait, each[1].given))
    return tuple(rule for _, rule in found[:_MOST_RULES] if _comes_before(rule, rows))


def _comes_before(rule: Rule, rows: Sequence[Row]) -> bool:
    """Whether the condition is known before the step: traits stand in the order in which steps began."""
    given, place = rule.given.partition("|")[0], rule.trait.partition("|")[0]
    if given == "run":
        return True
    for row in rows:
        if f"{given}|times" in row.traits and f"{place}|times" in row.traits:
            order = list(row.traits)
            return order.index(f"{given}|times") < order.index(f"{place}|times")
    return False


def _gathered(
    rows: Sequence[Row],
) -> tuple[dict[str, dict[str, int]], dict[str, list[tuple[float, int]]]]:
    """Bits of rows by trait and word, and numbers with their row by trait, in order."""
    words: dict[str, dict[str, int]] = {}
    numbers: dict[str, list[tuple[float, int]]] = {}
    for place, row in enumerate(rows):
        for trait, value in row.traits.items():
            if isinstance(value, str):
                by_word = words.setdefault(trait, {})
                by_word[value] = by_word.get(value, 0) | 1 << place
            elif not any(word in trait.partition("|")[2] for word in _CONSEQUENCES):
                numbers.setdefault(trait, []).append((value, place))
    return words, {trait: sorted(values) for trait, values in numbers.items() if len({v for v, _ in values}) > 1}


def _targets(
    rows: Sequence[Row], words: Mapping[str, Mapping[str, int]], count: int
) -> Iterator[tuple[str, str | None, int]]:
    ran: dict[str, int] = {}
    for number, row in enumerate(rows):
        for trait in row.traits:
            place, _, name = trait.partition("|")
            if name == "times":
                ran[place] = ran.get(place, 0) | 1 << number
    for place, bits in ran.items():
        if ":" in place and _LEAST_RUNS <= bits.bit_count() <= count - _LEAST_RUNS:
            yield f"{place}|times", None, bits
    for trait, by_word in words.items():
        if 1 < len(by_word) <= _MOST_WORDS:
            for word, bits in by_word.items():
                if _LEAST_RUNS <= bits.bit_count() <= count - _LEAST_RUNS:
                    yield trait, word, bits


def _beyond(
    trait: str, word: str | None, holds: int, given: str, values: Sequence[tuple[float, int]]
) -> Iterator[Rule]:
    """The rules by which all runs past some number have it: from above and from below, each but for one run."""
    ordered = [value for value, _ in values]
    lacking = [(value, row) for value, row in values if not holds >> row & 1]
    if not lacking:
        return
    for edge, but_for in _edges(lacking[::-1]):
        runs = len(ordered) - bisect_right(ordered, edge)
        if runs >= _LEAST_RUNS:
            yield Rule(trait, word, given, given_over=edge, runs=runs, but_for=but_for)
    for edge, but_for in _edges(lacking):
        runs = sum(value < edge for value in ordered)
        if runs >= _LEAST_RUNS:
            yield Rule(trait, word, given, given_under=edge, runs=runs, but_for=but_for)


def _edges(lacking: Sequence[tuple[float, int]]) -> Iterator[tuple[float, int | None]]:
    """The number up to which runs lack it, and the same but for the farthest of them."""
    yield lacking[0][0], None
    if len(lacking) > 1 and lacking[1][0] != lacking[0][0]:
        yield lacking[1][0], lacking[0][1]
