"""Attribute values as the contract wants them: what does not fit is None, so that one bad value costs no span."""

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json

from causeline.otlp.receiver import plain_words
from causeline.otlp.receiver.telemetry import Attributes, Value
from causeline.schemas.events import MAX_LIST
from causeline.schemas.references import named
from causeline.schemas.vocabulary import NextStep

_NAME, _PHRASE, _REF = 256, 1024, 2048
_NEXT_STEPS: Final = frozenset(word.value for word in NextStep)
_MOST_DIGITS: Final = 9
"""A longer whole number may be a card's, a phone's or an account's."""


def plain(value: Value) -> Value:
    """A value without the JSON quotes that some clients put round every text."""
    if type(value) is str and value[:1] == '"' and value[-1] == '"' and len(value) > 1:
        try:
            inner: Value = from_json(value)
        except ValueError:
            return value
        return inner
    return value


def find(attributes: Attributes, keys: tuple[str, ...]) -> Value:
    """The value of the first of `keys` that says something."""
    for key in keys:
        value = attributes.get(key)
        if value is not None and value != "":
            return plain(value)
    return None


def as_json(value: Value) -> str:
    """A value as canonical JSON: equal values are equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_bytes_as_hex)


def _bytes_as_hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def parsed(value: Value) -> dict[str, Value]:
    """The members of a JSON text, or of a value that is an object already; none for anything else."""
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _text(value: Value) -> str | None:
    if type(value) is str:
        return value[:_NAME] or None
    if isinstance(value, bool | bytes | list | dict) or value is None:
        return None
    return str(value)[:_NAME]


_word_of = lru_cache(maxsize=4096)(plain_words.word)
_name_of = lru_cache(maxsize=4096)(plain_words.name)


def _word(value: Value) -> str | None:
    if type(value) is str:
        return (_word_of(value) if len(value) <= _NAME else None) if value else None
    if type(value) is int and abs(value) < 10**_MOST_DIGITS:
        return str(value)
    return None


def step_name(name: str, *models: str | None) -> str:
    """The template of a span's name, in which the names of its models stay as they are; may be empty."""
    return _templates(name, models) if len(name) <= _NAME else plain_words.name(name, models)


_templates = lru_cache(maxsize=4096)(plain_words.name)


def _named(value: Value) -> str | None:
    if type(value) is str:
        return (_name_of(value) if len(value) <= _NAME else plain_words.name(value)) or None
    return None


def _phrase(value: Value) -> str | None:
    said = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    return plain_words.phrase(said[:_PHRASE]) if isinstance(said, str) and said else None


def _own_text(value: Value) -> str | None:
    said = _text(value)
    return plain_words.phrase(said) if said else None


def _reference(value: Value) -> str | None:
    found = plain_words.reference(value) if isinstance(value, str) else None
    return named(found, "document") if found else None


def _own_reference(value: Value) -> str | None:
    is_one = isinstance(value, str) and 0 < len(value) <= _REF and not any(each.isspace() for each in value)
    return plain_words.phrase(value) if isinstance(value, str) and is_one else None


def number(value: Value) -> float | None:
    """A finite number, from a number or a text."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value)  # type: ignore[arg-type] # what is no number is told by the exception
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _amount(value: Value) -> float | None:
    found = number(value)
    return found if found is not None and found >= 0 else None


def _score(value: Value) -> float | None:
    found = number(value)
    return found if found is not None and 0 <= found <= 1 else None


def _whole(value: Value) -> int | None:
    found = value if isinstance(value, int) and not isinstance(value, bool) else number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 2**63 else None


def _count(value: Value) -> int | None:
    found = _whole(value)
    return found if found is not None and 0 <= found < 2**31 else None


def _flag(value: Value) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _list(read: Callable[[Value], str | None]) -> Callable[[Value], tuple[str, ...] | None]:
    def read_all(value: Value) -> tuple[str, ...] | None:
        if isinstance(value, str) and value.startswith("["):
            try:
                value = from_json(value)
            except ValueError:
                return None
        items = value if isinstance(value, list) else [value]
        found = [said for item in items if isinstance(item, str) and (said := read(item)) is not None]
        return tuple(found)[:MAX_LIST] or None

    return read_all


def _next_step(value: Value) -> str | None:
    return value if isinstance(value, str) and value in _NEXT_STEPS else None


def _finish(value: Value) -> str | None:
    """The first of a list of reasons, or a lone one."""
    reasons = _list(_word)(value)
    return reasons[0].lower() if reasons else None


def _tags(value: Value) -> tuple[str, ...] | None:
    if isinstance(value, str) and not value.startswith("["):
        value = [each.strip() for each in value.split(",")]
    return _list(_word)(value)


def label(value: Value) -> str | None:
    """What a label of a known key may say: a word, a number, true or false."""
    if type(value) is str:
        return _word(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return small_number(value)


def small_number(value: Value) -> str | None:
    """A number that says how much of something, and not who."""
    if type(value) is int:
        return str(value) if abs(value) < 10**_MOST_DIGITS else None
    if type(value) is float:
        return str(value) if math.isfinite(value) else None
    return None


def _session(value: Value) -> str | None:
    """A session as it is: whether it may travel so is decided where it is kept."""
    return _text(value)


READERS: Final[Mapping[str, Callable[[Value], Any]]] = {
    "word": _word,
    "name": _named,
    "text": _own_text,
    "phrase": _phrase,
    "ref": _reference,
    "own_ref": _own_reference,
    "number": number,
    "amount": _amount,
    "score": _score,
    "whole": _whole,
    "count": _count,
    "flag": _flag,
    "refs": _list(_own_reference),
    "phrases": _list(_phrase),
    "finish": _finish,
    "next_step": _next_step,
    "tags": _tags,
    "label": label,
    "session": _session,
    "user": _session,
    "content": plain,
}
"""How the types of the table are read."""
