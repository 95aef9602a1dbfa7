"""The documents: text with pages, made of boilerplate and facts, the same for the same seed and index.

Only the generator knows the truth; the workflows read the text. Nature is not a fault: a document may lack a fact,
print one badly, or contradict another document, and a good workflow copes.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

PAGE_BREAK = "\f"
_LINES_A_PAGE = 8
_NAMES = ("Ada Brook", "Ben Okafor", "Carla Reyes", "Dmitri Anders", "Eva Lindqvist", "Farid Nasser")
_PLACES = ("Leeds", "Porto", "Ghent", "Turin", "Graz", "Aarhus")
_FIRMS = ("Norden Freight", "Halley Tools", "Quarry Hosting", "Ostara Print", "Pell and Sons", "Vantage Optics")
_BOILERPLATE = (
    "Please keep this document with your other papers and read it with care.",
    "The parties have agreed the terms below and any later change must be in writing.",
    "Words in the singular include the plural unless the context says otherwise.",
    "Nothing in this section limits a right that cannot be limited by law.",
    "Questions may be sent to the address on the last page at any time.",
    "This page is left without entries on purpose and forms part of the whole.",
    "Charges are stated without discount and are due on receipt of this paper.",
    "The general conditions apply in the version that was in force at signature.",
)
_CONFUSED = str.maketrans({"0": "O", "1": "l", "5": "S"})
DEBLUR = str.maketrans({"O": "0", "l": "1", "S": "5"})
"""What a careful reader makes of digits that print as letters."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field to extract: its path, what kind of value it is, and how the document calls it on each route."""

    path: str
    kind: str
    labels: Mapping[str, str]
    """By route; `` for all routes."""

    def label(self, route: str) -> str | None:
        """What the field is called on a route; None when that route does not know it."""
        return self.labels.get("") or self.labels.get(route)


@dataclass(frozen=True, slots=True)
class Source:
    """One document: what kind it is, and its text."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """What one run is about. `truth` is what a person would read, None where the documents do not say."""

    workflow: str
    index: int
    route: str
    sources: tuple[Source, ...]
    truth: Mapping[str, str | None]
    records: tuple[Mapping[str, str], ...] = ()
    """What the company's own systems hold, for tools to look up."""
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Nature:
    """What a document is like, planted or not: a missing fact, one printed badly or wrong, sources that disagree."""

    absent: str | None = None
    smudged: str | None = None
    conflict: str | None = None
    misprint: str | None = None
    scan_noise: float = 0.0


@dataclass(slots=True)
class Paper:
    """A document in the making."""

    kind: str
    facts: list[str] = field(default_factory=list)
    pages: int = 2

    def source(self, rng: random.Random, noise: float) -> Source:
        """The finished document: facts spread over pages, boilerplate between them."""
        lines = [rng.choice(_BOILERPLATE) for _ in range(self.pages * _LINES_A_PAGE - len(self.facts))]
        step = max(1, len(lines) // (len(self.facts) + 1))
        for number, fact in enumerate(self.facts):
            lines.insert(min(len(lines), 1 + number * (step + 1)), fact)
        if noise:
            lines = [_blot(line, rng) if rng.random() < noise else line for line in lines]
        head = f"{self.kind.replace('_', ' ').upper()} for {rng.choice(_NAMES)}, {rng.choice(_PLACES)}"
        size = -(-len(lines) // self.pages)
        pages = ["\n".join(lines[at : at + size]) for at in range(0, len(lines), size)]
        return Source(self.kind, PAGE_BREAK.join([f"{head}\n{pages[0]}", *pages[1:]]))


def _blot(line: str, rng: random.Random) -> str:
    if ":" in line:
        return line
    words = line.split()
    words[rng.randrange(len(words))] = "¬~"
    return " ".join(words)


def value_of(kind: str, rng: random.Random) -> str:
    """A value of a kind, as a document prints it."""
    if kind == "money":
        return f"{rng.randint(101, 9899)}.{rng.choice((10, 15, 50, 51))} EUR"
    if kind == "date":
        return f"20{rng.randint(20, 29)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    if kind == "number":
        return str(rng.randint(12, 95))
    if kind == "place":
        return rng.choice(_PLACES)
    if kind == "firm":
        return rng.choice(_FIRMS)
    return f"{rng.choice('ABCDEFGH')}{rng.choice('KLMNPQRT')}-{rng.randint(100_000, 999_999)}"


def printed(value: str, *, smudged: bool) -> str:
    """How a value stands on paper; smudged, some digits look like letters."""
    return value.translate(_CONFUSED) if smudged else value
