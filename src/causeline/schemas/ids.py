"""Ids: W3C trace and span ids as lower-case hex, UUIDv7 where they are ours.

Source: W3C Trace Context (trace-id, parent-id), RFC 9562 (UUIDv7).
"""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator

import uuid_utils

from causeline.schemas.errors import MalformedId

_RUN_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_STEP_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_NO_RUN = "0" * 32
_NO_STEP = "0" * 16
_STEP_DIGITS = 16
_STEPS_AT_ONCE = 512
_SECOND_BITS = 20
_VARIANTS = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}
_NUMBERS = tuple(f"{number:03x}" for number in range(1 << 12))
_step_ids: list[str] = []
"""Drawn ahead: asking the system for 8 random bytes costs more than all else that a step does."""
os.register_at_fork(after_in_child=_step_ids.clear)


def new_run_id() -> str:
    """A UUIDv7 as 32 hex digits: a valid W3C trace id that carries its own start time."""
    return uuid_utils.uuid7().hex


def new_event_id() -> str:
    """A UUIDv7 as 32 hex digits."""
    return uuid_utils.uuid7().hex


def new_step_id() -> str:
    """8 random bytes, not all zero, as 16 hex digits: a valid W3C span id."""
    while True:
        try:
            return _step_ids.pop()
        except IndexError:
            drawn = secrets.token_hex(_STEPS_AT_ONCE * _STEP_DIGITS // 2)
            ids = (drawn[at : at + _STEP_DIGITS] for at in range(0, len(drawn), _STEP_DIGITS))
            _step_ids.extend(step_id for step_id in ids if step_id != _NO_STEP)


def draw_event_ids() -> str:
    """The first 29 of the 32 hex digits of 4096 event ids; the last three count."""
    # Times of the ids are those of the machine, whatever clock the run has.
    drawn = new_step_id()
    return f"{time.time_ns() // 1_000_000:012x}7{drawn[:3]}{_VARIANTS[drawn[3]]}{drawn[4:]}"


class EventIds:
    """UUIDv7 for the events of one run: drawn once, counted on within a second of the run's clock.

    The last 12 bits count, and 62 before them are random: the fixed-length counter of RFC 9562, section 6.2. A fork
    needs another object. Safe for threads.
    """

    __slots__ = ("_drawn",)

    def __init__(self) -> None:
        self._drawn: tuple[int, str, Iterator[str]] = (-1, "", iter(()))

    def new(self, at_us: int) -> str:
        """32 hex digits; `at_us` is the present of the run, microseconds."""
        second, prefix, numbers = self._drawn
        if at_us >> _SECOND_BITS == second:
            for number in numbers:
                return prefix + number
        return self._draw(at_us >> _SECOND_BITS)

    def _draw(self, second: int) -> str:
        prefix = draw_event_ids()
        numbers = iter(_NUMBERS)
        self._drawn = (second, prefix, numbers)
        return prefix + next(numbers)


def derived_id(*parts: str) -> str:
    """The same 32 hex digits for the same parts: for records that must be one however often they are made."""
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def is_run_id(text: str) -> bool:
    """Whether `text` is a non-zero W3C trace id in lower-case hex."""
    return _RUN_ID.fullmatch(text) is not None and text != _NO_RUN


def is_step_id(text: str) -> bool:
    """Whether `text` is a non-zero W3C span id in lower-case hex."""
    return _STEP_ID.fullmatch(text) is not None and text != _NO_STEP


def parse_run_id(text: str) -> str:
    """`text` as a run id; upper case and the dashes of a UUID are forgiven.

    Raises MalformedId otherwise.
    """
    candidate = text.strip().replace("-", "").lower()
    if not is_run_id(candidate):
        shown = text if len(text) <= 40 else text[:40] + "…"
        raise MalformedId(f"{shown!r} is not a run id.", hint="A run id is 32 hex digits; `causeline runs` lists some.")
    return candidate
