"""One walk over a span's attributes: each is a field, content, a label, or left out.

The walk is much of what a span costs, so what a key is good for is looked up once, in tables made from those of
`aliases`.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from causeline.producers.otlp import kinds
from causeline.producers.otlp.telemetry import Attributes, Value
from causeline.producers.otlp.values import READERS, member, plain
from causeline.schemas import otel_names as aliases
from causeline.schemas.events import MAX_LABEL_CHARS, MAX_LABELS
from causeline.schemas.otel_names import Alias

Fields: TypeAlias = dict[str, Any]


class _Use(NamedTuple):
    """What an attribute is good for: a field of a table, if no attribute of a lower rank says it."""

    table: int
    name: str
    field: int
    """A number of its own for each name of each table."""
    rank: int
    read: Callable[[Value], Any]
    inner: str


class _Label(NamedTuple):
    """An attribute that is mapped to nothing: a label of that name, if its key allows it at all."""

    name: str
    is_allowed: bool


_TABLES: Final[tuple[Mapping[str, Alias], ...]] = (
    aliases.STEP, aliases.EVIDENCE, aliases.FALLBACK, aliases.REVIEW, aliases.EVAL,
)  # fmt: skip
_INPUT, _OUTPUT, _RETRIEVED, _ASIDE = "input", "output", "retrieved", "aside"


def _uses() -> dict[str, tuple[_Use, ...]]:
    found: dict[str, tuple[_Use, ...]] = {}
    number = itertools.count()
    for table, fields in enumerate(_TABLES):
        for name, alias in fields.items():
            field_number = next(number)
            for rank, key in enumerate(alias.keys):
                outer, _, inner = key.partition("#")
                use = _Use(table, name, field_number, rank, READERS[alias.read], inner)
                found[outer] = (*found.get(outer, ()), use)
    return found


_USES: Final = _uses()
_PLACE: Final = {
    **dict.fromkeys(aliases.known_keys() - _USES.keys(), _ASIDE),
    **dict.fromkeys((key for key, _ in kinds.BY_KEY), _ASIDE),
    **dict.fromkeys(aliases.INPUT_CONTENT, _INPUT),
    **dict.fromkeys(aliases.OUTPUT_CONTENT, _OUTPUT),
}
_PREFIXES: Final = (
    *((prefix, _RETRIEVED) for prefix in aliases.RETRIEVED_PREFIXES),
    *((prefix, _INPUT) for prefix in aliases.INPUT_CONTENT_PREFIXES),
    *((prefix, _OUTPUT) for prefix in aliases.OUTPUT_CONTENT_PREFIXES),
)
_FIRST_WORDS: Final = frozenset(prefix.partition(".")[0] for prefix, _ in _PREFIXES)


@dataclass(slots=True)
class Sorted:
    """A span's attributes by what they are good for: the fields of each table, content, labels, and what is left."""

    step: Fields = field(default_factory=dict)
    evidence: Fields = field(default_factory=dict)
    fallback: Fields = field(default_factory=dict)
    review: Fields = field(default_factory=dict)
    eval: Fields = field(default_factory=dict)
    inputs: list[tuple[str, Value]] = field(default_factory=list)
    outputs: list[tuple[str, Value]] = field(default_factory=list)
    retrieved: list[tuple[str, Value]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def sort_out(attributes: Attributes) -> Sorted:
    """Each attribute in its place; of several that say one field, the first of its aliases that fits stands."""
    found = Sorted()
    tables = (found.step, found.evidence, found.fallback, found.review, found.eval)
    lists = {_INPUT: found.inputs, _OUTPUT: found.outputs, _RETRIEVED: found.retrieved}
    ranks: dict[int, int] = {}
    for key, value in attributes.items():
        use = _use_of(key) if len(key) <= MAX_LABEL_CHARS else _looked_up(key)
        if isinstance(use, str):
            if use is not _ASIDE:
                lists[use].append((key, value))
        elif isinstance(use, _Label):
            _label(key, use, value, found)
        else:
            for table, name, number, rank, read, inner in use:
                if ranks.get(number, rank) < rank:
                    continue
                fitting = read(member(value, inner) if inner else plain(value))
                if fitting is not None:
                    tables[table][name] = fitting
                    ranks[number] = rank
    return found


def _looked_up(key: str) -> str | _Label | tuple[_Use, ...]:
    """What an attribute of this key is good for."""
    if key in _USES:
        return _USES[key]
    place = _PLACE.get(key) or _by_prefix(key)
    if place is not None:
        return place
    name = key.removeprefix(aliases.LABEL_PREFIX)
    is_named = 0 < len(name) <= MAX_LABEL_CHARS
    return _Label(name, is_named and (name is not key or not key.lower().endswith(aliases.NEVER_LABELS)))


_use_of = lru_cache(maxsize=4096)(_looked_up)
"""The same, remembered: an application says few keys, and says them in every span."""


def _by_prefix(key: str) -> str | None:
    if key.partition(".")[0] not in _FIRST_WORDS:
        return None
    return next((place for prefix, place in _PREFIXES if key.startswith(prefix)), None)


def _label(key: str, label: _Label, value: Value, found: Sorted) -> None:
    value = plain(value)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str | int | float):
        text = str(value)
    else:
        found.dropped.append(key)
        return
    if label.is_allowed and len(text) <= MAX_LABEL_CHARS and len(found.labels) < MAX_LABELS:
        found.labels[label.name] = text
    else:
        found.dropped.append(key)
