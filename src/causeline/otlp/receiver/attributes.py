"""One walk over a span's attributes: each is a field, content, a label, or part of the rest.

The walk is much of what a span costs, so what a key is good for is looked up once, in tables made from `otel_keys.tsv`.
What no row names is a label only where it is a number or true or false, and its key one that a program writes; all
other values are the rest, which is kept whole and never travels.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from causeline.otlp.receiver import plain_words
from causeline.otlp.receiver.telemetry import Attributes, Value
from causeline.otlp.receiver.values import READERS, label, parsed, plain, small_number
from causeline.schemas import otel_names as names
from causeline.schemas.events import MAX_LABEL_CHARS, MAX_LABELS
from causeline.schemas.otel_names import Row

Fields: TypeAlias = dict[str, Any]


_Use: TypeAlias = tuple[int, str, int, int, Callable[[Value], Any]]
"""A field that an attribute may say: its table, its name, a number of its own, the key's rank, and how it is read."""


@dataclass(frozen=True, slots=True)
class _Members:
    """An attribute that is a JSON text: the fields that its members say."""

    of: tuple[tuple[str, _Use], ...]


@dataclass(frozen=True, slots=True)
class _Label:
    """An attribute that may be a label of that name; `read` gives its text, or None."""

    name: str
    read: Callable[[Value], str | None]


_TABLES: Final = ("step", "evidence", "fallback", "review", "eval", "evaluation", "run", "call")
_PLACES: Final = {
    "content.input": "input", "content.output": "output", "content.documents": "retrieved",
    "content.description": "rest", "content.documents_by_id": "aside", "aside": "aside",
}  # fmt: skip
_ASIDE: Final = "aside"
_REST: Final = "rest"


def _uses() -> dict[str, tuple[_Use, ...] | _Members]:
    plainly: dict[str, tuple[_Use, ...]] = {}
    members: dict[str, tuple[tuple[str, _Use], ...]] = {}
    ranks: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for row in names.ROWS:
        table, _, name = row.goes.partition(".")
        if table in _TABLES:
            outer, _, inner = row.key.partition("#")
            rank = ranks[row.goes] = ranks.get(row.goes, -1) + 1
            use = (_TABLES.index(table), name, numbers.setdefault(row.goes, len(numbers)), rank, READERS[row.type])
            if inner:
                members[outer] = (*members.get(outer, ()), (inner, use))
            else:
                plainly[outer] = (*plainly.get(outer, ()), use)
    return {**plainly, **{key: _Members(uses) for key, uses in members.items()}}


def _places() -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    rows = [(row, _PLACES[row.goes]) for row in names.ROWS if row.goes in _PLACES]
    exact = {row.key: place for row, place in rows if not row.is_prefix}
    return exact, tuple((row.key[:-1], place) for row, place in rows if row.is_prefix)


_USES: Final = _uses()
_PLACE, _PREFIXES = _places()
_LABELS: Final = {row.key for row in names.ROWS if row.goes == "label"}
_FIRST_WORDS: Final = frozenset(prefix.partition(".")[0] for prefix, _ in _PREFIXES)
_WORDS_OF: Final = {
    key: frozenset(row.word for row in names.KIND_ROWS if row.key == key)
    for key in {row.key for row in names.KIND_ROWS}
}
_OWN_WORDS: Final = frozenset(row.key for row in names.ROWS if row.goes == "aside")


@dataclass(slots=True)
class Sorted:
    """A span's attributes by what they are good for: the fields of each table, content, labels, and the rest."""

    step: Fields = field(default_factory=dict)
    evidence: Fields = field(default_factory=dict)
    fallback: Fields = field(default_factory=dict)
    review: Fields = field(default_factory=dict)
    eval: Fields = field(default_factory=dict)
    evaluation: Fields = field(default_factory=dict)
    run: Fields = field(default_factory=dict)
    """What a span says of its whole run: `workflow`, `agent`, `session`, `user`, `tags`."""
    call: Fields = field(default_factory=dict)
    """What content says of a model call."""
    inputs: list[tuple[str, Value]] = field(default_factory=list)
    outputs: list[tuple[str, Value]] = field(default_factory=list)
    retrieved: list[tuple[str, Value]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    rest: list[tuple[str, Value]] = field(default_factory=list)
    unheard: list[tuple[str, Value]] = field(default_factory=list)
    """Of the rest the texts and lists whose key a program wrote and nobody documents."""


def sort_out(attributes: Attributes, more_labels: Collection[str] = ()) -> Sorted:  # noqa: C901, PLR0912 - the hot walk
    """Each attribute in its place; of several that say one field, the first of its keys that fits stands.

    `more_labels` are keys, or beginnings of keys that end in `*`, that somebody allows to be labels besides.
    """
    found = Sorted()
    lists = {"input": found.inputs, "output": found.outputs, "retrieved": found.retrieved, _REST: found.rest}
    tables = (
        found.step, found.evidence, found.fallback, found.review, found.eval, found.evaluation, found.run, found.call,
    )  # fmt: skip
    ranks: dict[int, int] = {}
    for key, value in attributes.items():
        uses = _use_of(key) if len(key) <= MAX_LABEL_CHARS else _REST
        if isinstance(uses, tuple):
            said = plain(value) if type(value) is str and value[:1] == '"' else value
            is_whole = False
            for table, name, number, rank, read in uses:
                fitting = read(said)
                if fitting is None:
                    continue
                is_whole = is_whole or fitting == said or _is_whole(fitting, said)
                if ranks.get(number, rank) >= rank:
                    tables[table][name] = fitting
                    ranks[number] = rank
            if key in _PLACE:
                if _PLACE[key] is not _ASIDE:
                    lists[_PLACE[key]].append((key, value))
            elif not is_whole and value is not None and value != "":
                found.rest.append((key, value))
        elif isinstance(uses, str):
            if uses is not _ASIDE:
                lists[uses].append((key, value))
            elif not _is_known(key, value):
                found.rest.append((key, value))
        elif isinstance(uses, _Members):
            if not _take_members(uses, parsed(value), tables, ranks) and key not in _PLACE:
                found.rest.append((key, value))
            elif key in _PLACE and _PLACE[key] is not _ASIDE:
                lists[_PLACE[key]].append((key, value))
        else:
            if more_labels and _is_among(key, more_labels):
                uses = _Label(uses.name, label)
            _label(key, uses, value, found)
    return found


def _take_members(
    uses: "_Members", members: dict[str, Value], tables: tuple[Fields, ...], ranks: dict[int, int]
) -> bool:
    """Give what a JSON text's members say to the fields they may say; whether that is all it says."""
    for inner, (table, name, number, rank, read) in uses.of:
        fitting = read(members.get(inner))
        if fitting is not None and ranks.get(number, rank) >= rank:
            tables[table][name] = fitting
            ranks[number] = rank
    return bool(members) and members.keys() <= {inner for inner, _ in uses.of}


def _is_whole(fitting: object, said: Value) -> bool:
    """Whether a field says all that its attribute did: a text may be cut, of a list only some may fit."""
    if isinstance(fitting, str):
        return said == [fitting] if isinstance(said, list) else fitting.lower() == str(said).lower()
    if isinstance(fitting, tuple):
        return not isinstance(said, list) or len(fitting) == len(said)
    return True


def _is_known(key: str, value: Value) -> bool:
    """Whether what the value says is read elsewhere: a word for a kind, an id of ours."""
    said = plain(value)
    if key in _WORDS_OF:
        return isinstance(said, str) and said.lower() in _WORDS_OF[key]
    if key == names.STEP_NAME:
        return READERS["phrase"](said) is not None
    return key not in _OWN_WORDS or isinstance(said, list) or label(said) is not None


def _looked_up(key: str) -> str | _Label | _Members | tuple[_Use, ...]:
    """What an attribute of this key is good for."""
    found: str | _Label | _Members | tuple[_Use, ...] | None = _USES.get(key) or _PLACE.get(key)
    if found is None and key in _LABELS:
        found = _Label(key, label)
    if found is None and key in _WORDS_OF:
        found = _ASIDE
    return found or _by_prefix(key) or _of_nobodys(key)


def _of_nobodys(key: str) -> str | _Label:
    """What an attribute is good for that no row names."""
    name = key.removeprefix(names.LABEL_PREFIX)
    if name is not key:
        return _Label(name, _own_label) if name else _REST
    if plain_words.key(key) and not key.lower().endswith(names.NEVER_LABELS):
        return _Label(name, _measure)
    return _REST


_use_of = lru_cache(maxsize=4096)(_looked_up)
"""The same, remembered: an application says few keys, and says them in every span."""


def _by_prefix(key: str) -> str | None:
    if key.partition(".")[0] not in _FIRST_WORDS:
        return None
    return next((place for prefix, place in _PREFIXES if key.startswith(prefix)), None)


def _is_among(key: str, allowed: Collection[str]) -> bool:
    return any(key.startswith(each[:-1]) if each.endswith("*") else key == each for each in allowed)


def _measure(value: Value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return small_number(value)


def _own_label(value: Value) -> str | None:
    """What the application says to Causeline as a label: it may be a phrase."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = READERS["phrase"](value)
    return text if text is not None and len(text) <= MAX_LABEL_CHARS else None


def _label(key: str, use: _Label, value: Value, found: Sorted) -> None:
    text = use.read(plain(value))
    if text is not None and len(found.labels) < MAX_LABELS:
        found.labels[use.name] = text
    elif value not in (None, ""):
        found.rest.append((key, value))
        if use.read is _measure and isinstance(value, str | list | dict):
            found.unheard.append((use.name, plain(value)))


def resource_label(row: Row, attributes: Attributes) -> str | None:
    """What a resource's attribute of that row says as a label of the run."""
    return label(plain(attributes.get(row.key)))
