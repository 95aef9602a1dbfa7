"""One walk over a span's attributes: each is a field, content, a label, or left out.

The walk is most of what a span costs, so each key is looked up once in tables made from those of `aliases`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from causeline.producers.otlp import aliases
from causeline.producers.otlp.aliases import Alias
from causeline.producers.otlp.telemetry import Attributes, Value
from causeline.producers.otlp.values import READERS, find, plain
from causeline.schemas.events import MAX_LABEL_CHARS, MAX_LABELS

_INPUT, _OUTPUT, _RETRIEVED, _ASIDE = "input", "output", "retrieved", "aside"
_TABLES: Final = (aliases.STEP, aliases.EVIDENCE, aliases.FALLBACK, aliases.REVIEW, aliases.EVAL)
_NESTED: Final = frozenset(
    key.partition("#")[0] for table in _TABLES for alias in table.values() for key in alias.keys if "#" in key
)


def _places() -> dict[str, str]:
    named = dict.fromkeys(aliases.known_keys(), _ASIDE)
    named |= dict.fromkeys((key for key, _ in _kinds()), _ASIDE)
    named |= dict.fromkeys(aliases.INPUT_CONTENT, _INPUT)
    named |= dict.fromkeys(aliases.OUTPUT_CONTENT, _OUTPUT)
    return named


def _kinds() -> tuple[tuple[str, Mapping[str, object]], ...]:
    from causeline.producers.otlp.kinds import BY_KEY  # noqa: PLC0415 - kinds imports aliases, as we do

    return BY_KEY


_PLACE: Final = _places()
_PREFIXES: Final = (
    *((prefix, _RETRIEVED) for prefix in aliases.RETRIEVED_PREFIXES),
    *((prefix, _INPUT) for prefix in aliases.INPUT_CONTENT_PREFIXES),
    *((prefix, _OUTPUT) for prefix in aliases.OUTPUT_CONTENT_PREFIXES),
)
_FIRST_WORDS: Final = frozenset(prefix.partition(".")[0] for prefix, _ in _PREFIXES)
_MAX_LABEL_NAME: Final = MAX_LABEL_CHARS


@dataclass(slots=True)
class Sorted:
    """A span's attributes by what they are good for."""

    inputs: list[tuple[str, Value]] = field(default_factory=list)
    outputs: list[tuple[str, Value]] = field(default_factory=list)
    retrieved: list[tuple[str, Value]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def sort_out(attributes: Attributes) -> Sorted:
    """Content, labels and what is left out; mapped fields are read by `read`."""
    found = Sorted()
    for key, value in attributes.items():
        place = _PLACE.get(key) or _by_prefix(key)
        if place is None:
            _label(key, value, found)
        elif place is _INPUT:
            found.inputs.append((key, value))
        elif place is _OUTPUT:
            found.outputs.append((key, value))
        elif place is _RETRIEVED:
            found.retrieved.append((key, value))
    return found


def read(table: Mapping[str, Alias], attributes: Attributes) -> dict[str, Any]:
    """The fields of a table that the attributes say; what does not fit its field is not said."""
    fields = {}
    said = attributes.keys()
    for name, alias in table.items():
        # Most spans say few of the names: asking for the intersection first is cheaper than each name in turn.
        if said.isdisjoint(_OUTER[name, alias.keys]):
            continue
        value = READERS[alias.read](find(attributes, alias.keys))
        if value is not None:
            fields[name] = value
    return fields


_OUTER: Final = {
    (name, alias.keys): frozenset(key.partition("#")[0] for key in alias.keys)
    for table in _TABLES
    for name, alias in table.items()
}


def _by_prefix(key: str) -> str | None:
    if key.partition(".")[0] not in _FIRST_WORDS:
        return None
    return next((place for prefix, place in _PREFIXES if key.startswith(prefix)), None)


def _label(key: str, value: Value, found: Sorted) -> None:
    value = plain(value)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str | int | float):
        text = str(value)
    else:
        found.dropped.append(key)
        return
    ours = key.startswith(aliases.LABEL_PREFIX)
    name = key.removeprefix(aliases.LABEL_PREFIX)
    fits = 0 < len(name) <= _MAX_LABEL_NAME and len(text) <= MAX_LABEL_CHARS and len(found.labels) < MAX_LABELS
    if fits and (ours or not key.lower().endswith(aliases.NEVER_LABELS)):
        found.labels[name] = text
    else:
        found.dropped.append(key)
