"""Rows of traits turned on their side: of each trait its words and its numbers, and which runs have them. Pure.

A set of runs is the bits of a number, one for each place among the rows: what is counted over all runs of a cohort is
then counted in one step. Each column is made when it is first asked for, and once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import TypeAlias

from causeline.diagnosis.traits import Value

Bits: TypeAlias = int
"""A set of rows: bit n is set where the row of place n is in it."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one trait and the places of the rows that have them."""

    places: Sequence[int]
    values: Sequence[float]


_NONE = Numbers((), ())


class Columns:
    """The traits of rows, trait by trait."""

    def __init__(self, rows: Sequence[Mapping[str, Value]]) -> None:
        self._rows = rows
        self._all: Columns | None = None
        self._chosen: Sequence[bool] = ()
        self._values: dict[str, list[Value | None]] = {}
        self._words: dict[str, dict[str, Bits]] = {}
        self._numbers: dict[str, Numbers] = {}
        self._having: dict[str, Bits] = {}
        self._ordered: dict[str, Numbers] = {}

    def only(self, chosen: Sequence[bool]) -> "Columns":
        """The columns of some of the rows, told by a flag a row."""
        found = Columns(list(compress(self._rows, chosen)))
        found._all, found._chosen = self, chosen
        return found

    @cached_property
    def traits(self) -> Sequence[str]:
        """All traits, in the order in which rows have them."""
        found: dict[str, Value] = {}
        for traits in self._rows:
            found.update(traits)
        return tuple(found)

    @property
    def all(self) -> Bits:
        """All rows."""
        return (1 << len(self._rows)) - 1

    def values(self, trait: str) -> Sequence[Value | None]:
        """What each row has for a trait."""
        found = self._values.get(trait)
        if found is None:
            if self._all is not None:
                found = list(compress(self._all.values(trait), self._chosen))
            else:
                found = [traits.get(trait) for traits in self._rows]
            self._values[trait] = found
        return found

    def words(self, trait: str) -> Mapping[str, Bits]:
        """By word the rows that have it, in the order in which they came."""
        found = self._words.get(trait)
        if found is None:
            found = {}
            values = self.values(trait)
            first = next((value for value in values if value is not None), None)
            if isinstance(first, str) and set(values) <= {first, None}:
                found[first] = self.having(trait)
            else:
                for place, value in enumerate(values):
                    if isinstance(value, str):
                        found[value] = found.get(value, 0) | 1 << place
            self._words[trait] = found
        return found

    def numbers(self, trait: str) -> Numbers:
        """The numbers of a trait."""
        found = self._numbers.get(trait)
        if found is None:
            values = self.values(trait)
            if float not in set(map(type, values)):
                found = _NONE
            else:
                pairs = [(place, value) for place, value in enumerate(values) if isinstance(value, float)]
                found = Numbers([place for place, _ in pairs], [value for _, value in pairs])
            self._numbers[trait] = found
        return found

    def having(self, trait: str) -> Bits:
        """The rows that have a trait, as a word or as a number."""
        found = self._having.get(trait)
        if found is None:
            digits = "".join("0" if value is None else "1" for value in reversed(self.values(trait)))
            found = self._having[trait] = int(digits or "0", 2)
        return found

    def over(self, trait: str, edge: float) -> Bits:
        """The rows whose number of a trait is greater."""
        ordered = self.in_order(trait)
        return bits_of(ordered.places[bisect_right(ordered.values, edge) :])

    def under(self, trait: str, edge: float) -> Bits:
        """The rows whose number of a trait is less."""
        ordered = self.in_order(trait)
        return bits_of(ordered.places[: bisect_left(ordered.values, edge)])

    def in_order(self, trait: str) -> Numbers:
        """The numbers of a trait from the least to the greatest, equal ones by row."""
        found = self._ordered.get(trait)
        if found is None:
            column = self.numbers(trait)
            order = sorted(range(len(column.values)), key=column.values.__getitem__)
            found = Numbers([column.places[n] for n in order], [column.values[n] for n in order])
            self._ordered[trait] = found
        return found


def bits_of(places: Iterable[int]) -> Bits:
    """A set of rows, from their places."""
    found = 0
    for place in places:
        found |= 1 << place
    return found
