"""Questions that people ask, what they mean by them, and the right SQL for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from benchmarks.zoo.open.analyst.warehouse import (
    CATEGORIES,
    CHANNELS,
    DIMENSIONS,
    MEASURES,
    MONTHS,
    REGIONS,
    SEGMENTS,
    TABLES,
)

NAMES = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")
SPOKEN = dict(zip((*NAMES, "December"), MONTHS, strict=True))
SALES = ("net revenue", "gross revenue", "order count", "average order value", "units sold")
VALUES = {
    "region": tuple(REGIONS),
    "category": CATEGORIES,
    "segment": SEGMENTS,
    "channel": CHANNELS,
    "country": ("de", "at", "it"),
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a question is about. `shape` is total, ranking, trend or share."""

    shape: str
    measure: str
    dimension: str = ""
    months: tuple[str, str] = ("2025-01", "2025-12")
    only: tuple[str, str] | None = None
    """A dimension and the one value of it that counts."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it is asked, with the one before it where it follows on."""

    text: str
    meaning: Meaning
    before: str = ""


def draw(random: Random, want: str = "") -> Question:
    """A question; `want` narrows what traffic is drawn from: a shape, `follow`, `joined` or `late`."""
    shape = want if want in ("total", "ranking", "trend", "share") else random.choice(("total", "ranking", "trend"))
    if not want and random.random() < 0.12:
        shape = "share"
    measure = random.choice(SALES if shape != "trend" or random.random() < 0.7 else tuple(MEASURES))
    if measure == "average order value" and shape == "share":
        measure = "net revenue"
    fits = ("region", "channel", "segment", "country", *(("category",) if measure == "units sold" else ()))
    if measure not in SALES:
        fits = ("segment", "country")
    dimension = random.choice(fits) if shape in ("ranking", "share") else ""
    first = random.randrange(7, 10) if want == "late" else random.randrange(0, 10)
    last = first if shape == "total" and random.random() < 0.5 else min(11, first + random.randint(2, 4))
    only = None
    if shape in ("total", "trend") and measure in SALES and (want == "joined" or random.random() < 0.5):
        by = random.choice(("region", "segment") if want == "joined" else ("region", "segment", "channel", "country"))
        only = (by, random.choice(VALUES[by]))
    meaning = Meaning(shape, measure, dimension, (MONTHS[first], MONTHS[last]), only)
    if want == "follow" or (not want and random.random() < 0.15):
        month = random.randrange(0, 12)
        later = replace(meaning, months=(MONTHS[month], MONTHS[month]))
        if shape == "trend":
            later = replace(later, shape="total")
            meaning = replace(meaning, shape="total")
        return Question(f"And in {list(SPOKEN)[month]}?", later, spoken(meaning, random))
    return Question(spoken(meaning, random), meaning)


def spoken(meaning: Meaning, random: Random) -> str:
    """A meaning in somebody's words."""
    month = {number: name for name, number in SPOKEN.items()}
    first, last = (month[m] for m in meaning.months)
    when = f"in {first}" if first == last else f"from {first} to {last}"
    what = f"{meaning.measure} of {meaning.only[0]} {meaning.only[1]}" if meaning.only else meaning.measure
    said = {
        "total": ("What was the {what} {when}?", "Give me the {what} {when}, please.", "Total {what} {when}?"),
        "ranking": ("Which {by} had the highest {what} {when}?", "Rank each {by} by {what} {when}."),
        "trend": ("How did the {what} develop {when}?", "Show me the {what} month by month {when}."),
        "share": ("What share of the {what} did each {by} have {when}?",),
    }
    return random.choice(said[meaning.shape]).format(what=what, when=when, by=meaning.dimension)


def understood(text: str) -> Meaning:
    """What somebody who knows the company hears in a question (a later `And in …?` changes the months)."""
    low = text.lower()
    measure = next((m for m in MEASURES if m in low), "")
    marks = {"share": ("share of",), "trend": ("develop", "month by month"), "ranking": ("which", "rank each")}
    shape = next((s for s, words in marks.items() if any(w in low for w in words)), "total")
    by = re.search(r"(?:each|which) (\w+)", low)
    dimension = by.group(1) if by and by.group(1) in DIMENSIONS else ""
    only = next(((d, v) for d, all_of in VALUES.items() for v in all_of if f"of {d} {v}" in low), None)
    named = [SPOKEN[word] for word in re.findall(r"[A-Z][a-z]+", text) if word in SPOKEN]
    if "And in" in text and named:
        named = named[-1:]
    months = (named[0], named[-1]) if named else ("2025-01", "2025-12")
    return Meaning(shape, measure, dimension, months, only)


def path(start: str, end: str, tables: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str]] | None:
    """How to come from a table to another by ids that both have: (table, table, column); None where there is no way."""
    ways: list[list[tuple[str, str, str]]] = [[]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        at = way[-1][1] if way else start
        if at == end:
            return way
        for other, columns in tables.items():
            shared = [c for c in columns if c.endswith("_id") and c in tables[at]]
            if other not in seen and shared and not other.endswith("_archive"):
                seen.add(other)
                ways.append([*way, (at, other, shared[0])])
    return None


def sql(meaning: Meaning, definition: str, tables: Mapping[str, Sequence[str]]) -> str:
    """SQL for a meaning, by a measure's definition and the tables that one knows of."""
    found = re.match(r"(.+) where (.+) by (.+)", definition)
    value, condition, dated = found.groups() if found else (definition, "1 = 1", "orders.ordered_on")
    base = (re.search(r"(\w+)\.", value) or re.search(r"(\w+)", value)).group(1)  # type: ignore[union-attr]
    group = f"substr({dated}, 1, 7)" if meaning.shape == "trend" else ""
    if meaning.dimension:
        group = _column(meaning.dimension, base, tables)
    only = f"{_column(meaning.only[0], base, tables)} = '{meaning.only[1]}'" if meaning.only else ""
    joined = {base}
    text = f"FROM {base}"
    for wanted in re.findall(r"(\w+)\.", f"{condition} {dated} {group} {only}"):
        for one, other, by in path(base, wanted, tables) or [] if base in tables and wanted in tables else []:
            if other not in joined:
                joined.add(other)
                text += f" JOIN {other} ON {one}.{by} = {other}.{by}"
    first, last = meaning.months
    where = [condition, f"substr({dated}, 1, 7) BETWEEN '{first}' AND '{last}'", *([only] if only else [])]
    ending = {"": "", "ranking": " GROUP BY 1 ORDER BY 2 DESC", "share": " GROUP BY 1 ORDER BY 1"}
    tail = ending.get(meaning.shape if group else "", " GROUP BY 1 ORDER BY 1")
    shown = f"{group} AS bucket, round({value}, 2) AS value" if group else f"round({value}, 2) AS value"
    return f"SELECT {shown} {text} WHERE {' AND '.join(where)}{tail}"


def _column(dimension: str, base: str, tables: Mapping[str, Sequence[str]]) -> str:
    """Where a dimension stands among the tables; where none has it, one guesses that the base table does."""
    by_name = DIMENSIONS.get(dimension, f"{base}.{dimension}")
    table, column = by_name.split(".")
    if column in tables.get(table, ()):
        return by_name
    near = next((f"{t}.{column}" for t, columns in tables.items() if column in columns and t != "targets"), "")
    return near or f"{base}.{column}"


ALL = {name: columns.split() for name, (columns, _) in TABLES.items()}


def right_sql(meaning: Meaning) -> str:
    """What the controllers would have run."""
    return sql(meaning, MEASURES[meaning.measure], ALL)
