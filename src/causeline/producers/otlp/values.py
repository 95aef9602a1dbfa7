"""Attribute values as the contract wants them: what does not fit is None, so that one bad value costs no span."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import from_json

from causeline.producers.otlp.telemetry import Attributes, Value
from causeline.schemas.events import MAX_LIST

_NAME, _PHRASE, _REF = 256, 1024, 2048


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


def member(value: Value, name: str) -> Value:
    """A member of a JSON text, or of a value that is an object already; None when it has none of that name."""
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError:
            return None
    return value.get(name) if isinstance(value, dict) else None


def _text(longest: int) -> Callable[[Value], str | None]:
    def read(value: Value) -> str | None:
        if type(value) is str:
            return value[:longest] or None
        if isinstance(value, bool | bytes | list | dict) or value is None:
            return None
        text = str(value)
        return text[:longest] or None

    return read


def _reference(value: Value) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _REF else None


def _number(value: Value) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value)  # type: ignore[arg-type] # what is no number is told by the exception
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _amount(value: Value) -> float | None:
    found = _number(value)
    return found if found is not None and found >= 0 else None


def _score(value: Value) -> float | None:
    found = _number(value)
    return found if found is not None and 0 <= found <= 1 else None


def _whole(value: Value) -> int | None:
    found = value if isinstance(value, int) and not isinstance(value, bool) else _number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 2**63 else None


def _count(value: Value) -> int | None:
    found = _whole(value)
    return found if found is not None and 0 <= found < 2**31 else None


def _flag(value: Value) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _list(longest: int) -> Callable[[Value], tuple[str, ...] | None]:
    def read(value: Value) -> tuple[str, ...] | None:
        if isinstance(value, str) and value.startswith("["):
            try:
                value = from_json(value)
            except ValueError:
                return None
        items = value if isinstance(value, list) else [value]
        return tuple(item for item in items if isinstance(item, str) and 0 < len(item) <= longest)[:MAX_LIST] or None

    return read


READERS: Final[Mapping[str, Callable[[Value], Any]]] = {
    "text": _text(_NAME),
    "phrase": _text(_PHRASE),
    "ref": _reference,
    "number": _number,
    "amount": _amount,
    "score": _score,
    "whole": _whole,
    "count": _count,
    "flag": _flag,
    "refs": _list(_REF),
    "phrases": _list(_PHRASE),
}
