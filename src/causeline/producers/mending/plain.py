"""Odd values as plain ones, where what they mean is certain: numpy's scalars, decimals, enumerations, ids, paths.

Each function gives the plain value, or raises Unclear, a ValueError, where there is more than one thing that the value
may mean. None of them calls `str` on an object that it does not know: its text may be content.
"""

import datetime
import enum
import math
import operator
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from typing import Any, Final

from causeline.schemas.events import MAX_LIST, MAX_NAME

_ROUNDING: Final = 1e-5
"""A score that is so far outside 0 to 1 is one that was rounded there; a cosine of 32-bit floats is off by 1e-7."""
_WELL_KNOWN: Final = (int, float, Decimal, Fraction, uuid.UUID, PurePath, datetime.date, datetime.time)
_NO_LISTS: Final = (str, bytes, bytearray, memoryview, Mapping)


class Unclear(ValueError):
    """What a value means is not certain."""


def unwrapped(value: Any) -> Any:
    """The value of an enumeration's member or of an array of one, as numpy and torch have them; others as they are."""
    if isinstance(value, enum.Enum):
        return value.value
    return value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value


def number(value: Any) -> float:
    """A number, also one that stands in a text."""
    value = unwrapped(value)
    if isinstance(value, bool) or not (isinstance(value, str) or hasattr(value, "__float__")):
        raise Unclear
    found = float(value)
    if not math.isfinite(found):
        raise Unclear
    return found


def score(value: Any) -> float:
    """A number from 0 to 1; what rounding has put just outside is brought back."""
    found = number(value)
    if not -_ROUNDING <= found <= 1 + _ROUNDING:
        raise Unclear
    return min(max(found, 0.0), 1.0)


def whole(value: Any) -> int:
    """A whole number, also as a float or a text that is one."""
    value = unwrapped(value)
    if isinstance(value, bool):
        raise Unclear
    if hasattr(value, "__index__"):
        return operator.index(value)
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return int(value)
    found = number(value)
    if not found.is_integer():
        raise Unclear
    return int(found)


def truth(value: Any) -> bool:
    """True or false, also as 1 and 0 or in a text."""
    value = unwrapped(value)
    value = value.strip().lower() if isinstance(value, str) else value
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise Unclear


def text(value: Any) -> str:
    """A text that can be written: of an exception or a class its name, of numbers, ids, paths and times what they read
    as."""
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return str.encode(value, "utf-8", "replace").decode()
    if isinstance(value, BaseException):
        value = type(value)
    if isinstance(value, type):
        return text(value.__name__)[:MAX_NAME]
    value = unwrapped(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or not isinstance(value, _WELL_KNOWN):
        raise Unclear
    return str(value)


def label(value: Any) -> str:
    """The text of a label: as `text`, and of a float no more digits than it needs, of a truth its word."""
    value = unwrapped(value)
    if isinstance(value, bool):
        return str(value)
    return f"{value:g}" if isinstance(value, float) else text(value)


def reference(value: Any) -> str:
    """The text of a reference; of a whole path its `file:` address."""
    if isinstance(value, PurePath):
        return value.as_uri()
    return text(value)


def validation_error(value: Any) -> str:
    """A code and a path, of what pydantic gives for an error; never its message, which may hold the value."""
    if not isinstance(value, Mapping):
        return text(value)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{text(part)}" for part in listed(value.get("loc", ())))
    return f"{text(value.get('type', 'invalid'))}:${path}"


def listed(value: Any) -> list[Any]:
    """The items of anything that has some, one more than a list may have at most; a single text is a list of one."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, _NO_LISTS) or not isinstance(value, Iterable):
        raise Unclear
    items = list(islice(value, MAX_LIST + 1))
    return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
