"""How a table fits into a terminal: which columns are shown, and how wide; pure.

1. A row is one line. What is too long is cut at its end, and marked.
2. Ids, numbers and moments are whole, or their column is left out.
3. No column is squeezed below what can be read: before that the least important ones are left out, and named.
"""

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

GAP: Final = 3
"""Characters between two columns."""
_WORD: Final = re.compile(r"[^\W\d_]{2}")
LEAST: Final = 14
"""A column of words is never narrower than this, unless all that is in it is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns that are shown, by place, with their widths; and whether something in them is cut."""

    widths: dict[int, int]
    is_cut: bool

    def left_out(self, columns: Sequence[str]) -> list[str]:
        """The names of the others."""
        return [name for place, name in enumerate(columns) if place not in self.widths]


def layout(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    width: int,
    *,
    optional: Sequence[str] = (),
    whole: Set[str] = frozenset(),
) -> Layout:
    """A table in `width` characters. `optional` names the columns to leave out, the last first, before any other.

    Columns that are `whole`, and the first, are not cut. The first is always shown.
    """
    natural = [max([len(name), *(len(row[place]) for row in cells)]) for place, name in enumerate(columns)]
    least = [
        full
        if place == 0 or name in whole or not _has_words(row[place] for row in cells)
        else min(full, max(len(name), LEAST))
        for place, (name, full) in enumerate(zip(columns, natural, strict=True))
    ]
    shown = list(range(len(columns)))
    goes = [columns.index(name) for name in optional if name in columns[1:]]  # the last goes first
    goes = [place for place in shown[1:] if place not in goes] + goes
    while len(shown) > 1 and _taken([least[place] for place in shown]) > width:
        shown.remove(goes.pop())
    widths = {place: natural[place] for place in shown}
    while (excess := _taken(list(widths.values())) - width) > 0:
        wide = [place for place in shown if widths[place] > least[place]]
        if not wide:
            break
        widest = max(wide, key=lambda place: widths[place])
        second = max((widths[place] for place in wide if place != widest), default=0)
        widths[widest] = max(least[widest], min(widths[widest] - 1, max(second, widths[widest] - excess)))
    return Layout(widths, any(widths[place] < natural[place] for place in shown))


def _has_words(column: Iterable[str]) -> bool:
    return any(_WORD.search(cell) for cell in column)


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
