"""Values of events as Avro bytes, checked on the way: one encoder for each kind of value that the event models name.

An encoder does two things. Called, it checks a value and gives its bytes, with the branch of a nullable union already
in front, or raises ValueError saying what the value should be. Asked for `inline`, it gives the same as an expression
for a generated function: one that need not know every good value, but raises for every bad one or hands it to the call.
Its `plan` says the same to the compiled pen (`native`): a word and its bounds; None where the pen has no rule for it.
"""

import re
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, Final, Protocol, TypeAlias, Union, get_args, get_origin

from causeline.schemas import events
from causeline.schemas.events import MAX_LABEL_CHARS, MAX_LABELS, MAX_LIST, MAX_SIDES, ConflictSide
from causeline.schemas.references import MAX_REFERENCE, WHAT, WHO, is_persons_id, is_reference
from causeline.schemas.wire.codec import encode_long

NULL: Final = b"\x00"
SOME: Final = b"\x02"
"""The branch of a nullable union that is not null."""

Bind: TypeAlias = Callable[[object], str]
"""Makes an object known to a generated function; gives the name that it has there."""

Plan: TypeAlias = tuple[object, ...]
"""What the compiled pen is told of an encoder."""

_REMEMBERED: Final = 2048
_REMEMBERED_BYTES: Final = 300
_LENGTHS: Final = tuple(encode_long(n) for n in range(1 << 14))
_LAST_MICROSECOND: Final = 253_402_300_799_999_999
_LARGEST: Final = sys.float_info.max
_SHORT_MOMENT: Final = 1 << 13
"""Moments from here on have more than two bytes."""
_LISTS: Final = (tuple, list)
_MOST_SCHEMES: Final = 8
_utf8 = str.encode
_double = struct.Struct("<d").pack
_double_some = struct.Struct("<Bd").pack


@cache
def _small_numbers(lead: bytes) -> tuple[bytes, ...]:
    return tuple(lead + number for number in _LENGTHS)


@cache
def _pairs(lead: bytes) -> tuple[bytes, ...]:
    """Two continued bytes of a variable-length number behind a lead, by their 14 bits."""
    return tuple(lead + bytes(((n & 0x7F) | 0x80, (n >> 7) | 0x80)) for n in range(1 << 14))


class Encoder(Protocol):
    """Checks and encodes the values of one field."""

    plan: Plan | None

    def __call__(self, value: Any) -> bytes:
        """The bytes of a value; raises ValueError saying what it should be."""

    def inline(self, value: str, bind: Bind) -> str:
        """An expression for the bytes of the variable `value`; whatever it raises, the call then explains."""


class _Called:
    """An encoder that has no shorter way than its call."""

    plan: Plan | None = None

    def inline(self, value: str, bind: Bind) -> str:
        """A call."""
        return f"{bind(self)}({value})"


class Text(_Called):
    """A string of so many characters."""

    def __init__(self, lead: bytes, shortest: int, longest: int) -> None:
        self._lead, self._shortest, self._longest = lead, shortest, longest
        self.plan = ("text", shortest, longest)
        self._lengths = _small_numbers(lead)
        self.lengths: tuple[Any, ...] = (None if shortest else lead + NULL, *self._lengths[1 : longest + 1])
        """By the number of bytes, for texts that need no other check than to have so few."""

    def __call__(self, value: Any) -> bytes:
        """Its UTF-8 behind its length, whatever a class derived of `str` says of both: what is remembered of a text is
        found again by every text that equals it."""
        if not isinstance(value, str) or not self._shortest <= str.__len__(value) <= self._longest:
            raise ValueError(f"a string of {self._shortest} to {self._longest} characters")
        try:
            raw = _utf8(value)
        except UnicodeEncodeError:
            raise ValueError("text without lone surrogates") from None
        return self._lengths[len(raw)] + raw if len(raw) < len(_LENGTHS) else self._lead + encode_long(len(raw)) + raw

    def inline(self, value: str, bind: Bind) -> str:
        """Bytes that are no more than the characters allowed need no other check; length 0 has no prefix to add."""
        return f"{bind(self.lengths)}[len(raw := {bind(_utf8)}({value}))] + raw"


class Reference(Text):
    """A text that is a reference. Schemes are few: one that was found good is known, and all that is left to look at is
    whether a text that begins with it has a blank."""

    def __init__(self, lead: bytes, is_one: Callable[[str], bool] = is_reference, what: str = WHAT) -> None:
        super().__init__(lead, 1, MAX_REFERENCE)
        self._is_one, self._what = is_one, what
        self.plan = ("reference" if is_one is is_reference else "person", MAX_REFERENCE)
        self.schemes: tuple[str, ...] = ()
        """Those that were found good, with their colons."""

    def __call__(self, value: Any) -> bytes:
        """Its UTF-8 behind its length."""
        encoded = super().__call__(value)
        if not self._is_one(value):
            raise ValueError(self._what)
        scheme = str(value[: value.find(":") + 1])
        if self._is_one is is_reference and scheme not in self.schemes and len(self.schemes) < _MOST_SCHEMES:
            self.schemes += (scheme,)
        return encoded

    def inline(self, value: str, bind: Bind) -> str:
        """Split where there is no blank, a text is the only part and itself."""
        call = bind(self)
        known = f"{value}.startswith({call}.schemes) and {value}.split(None, 1)[0] is {value}"
        return f"({super().inline(value, bind)} if {known} else {call}({value}))"

    def each(self, values: Sequence[Any]) -> list[bytes]:
        """The bytes of several; raises as the call does, or TypeError or AttributeError for what is no text."""
        schemes, lengths = self.schemes, self.lengths
        return [
            lengths[len(raw := _utf8(text))] + raw
            if text.startswith(schemes) and text.split(None, 1)[0] is text
            else self(text)
            for text in values
        ]


class Hexadecimal(_Called):
    """So many lower-case hex digits, not all zero."""

    def __init__(self, lead: bytes, digits: int) -> None:
        self._lead = lead + _LENGTHS[digits]
        self.plan = ("hexadecimal", digits)
        self._what = f"{digits} lower-case hex digits, not all zero"
        self._matches = re.compile(rf"(?!0{{{digits}}})[0-9a-f]{{{digits}}}", re.ASCII).fullmatch

    def __call__(self, value: Any) -> bytes:
        """Its digits behind their number."""
        if not isinstance(value, str) or not self._matches(value):
            raise ValueError(self._what)
        return self._lead + value.encode("ascii")

    def inline(self, value: str, bind: Bind) -> str:
        """The same pattern; what does not match goes to the call, which refuses it."""
        encoded = f"{bind(self._lead)} + {bind(_utf8)}({value})"
        return f"({encoded} if {bind(self._matches)}({value}) else {bind(self)}({value}))"


class Integer(_Called):
    """A whole number."""

    def __init__(self, lead: bytes, least: int, most: int) -> None:
        self._lead, self._least, self._most = lead, least, most
        self.plan = ("integer", least, most)
        self._small = _small_numbers(lead)

    def __call__(self, value: Any) -> bytes:
        """Zig-zag, 7 bits a byte."""
        if type(value) is not int or not self._least <= value <= self._most:
            raise ValueError(f"a whole number from {self._least} to {self._most}")
        return self._small[value] if 0 <= value < len(_LENGTHS) else self._lead + encode_long(value)

    def inline(self, value: str, bind: Bind) -> str:
        """Small numbers are looked up."""
        small = f"type({value}) is int and {max(0, self._least) - 1} < {value} < {len(_LENGTHS)}"
        return f"({bind(self._small)}[{value}] if {small} else {bind(self)}({value}))"


class _HighBits(dict[int, bytes]):
    """The bytes of a moment's bits from the 14th on: those of a span of 8 ms, so that a busy process finds most."""

    def __missing__(self, high: int) -> bytes:
        if not 0 <= high <= (_LAST_MICROSECOND << 1) >> 14:
            raise ValueError("microseconds since the epoch")
        if len(self) >= _REMEMBERED:
            self.clear()
        tail = self[high] = _unsigned(high)
        return tail


def _unsigned(rest: int) -> bytes:
    out = bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_HIGH_BITS: Final = _HighBits()


class Moment(_Called):
    """Microseconds since the epoch."""

    def __init__(self, lead: bytes) -> None:
        self._lead = lead
        self.plan = ("integer", 0, _LAST_MICROSECOND)
        self._pairs = _pairs(lead)

    def __call__(self, value: Any) -> bytes:
        """Zig-zag, 7 bits a byte."""
        if type(value) is not int or not 0 <= value <= _LAST_MICROSECOND:
            raise ValueError("microseconds since the epoch")
        if value < _SHORT_MOMENT:
            return self._lead + encode_long(value)
        return self._pairs[(value << 1) & 0x3FFF] + _HIGH_BITS[value >> 13]

    def inline(self, value: str, bind: Bind) -> str:
        """14 bits by one look-up and the rest by another; the first 8 ms of 1970 are shorter than that."""
        bits = f"{bind(self._pairs)}[({value} << 1) & 0x3FFF] + {bind(_HIGH_BITS)}[{value} >> 13]"
        known = f"type({value}) is int and {_SHORT_MOMENT} <= {value} <= {_LAST_MICROSECOND}"
        return f"({bits} if {known} else {bind(self)}({value}))"


class Number(_Called):
    """A finite number between two bounds."""

    def __init__(self, lead: bytes, most: float, least: float = 0.0) -> None:
        self._lead, self._most, self._least = lead, most, least
        self.plan = ("number", least, most)

    def __call__(self, value: Any) -> bytes:
        """8 bytes, the least first."""
        if type(value) not in (float, int) or not self._least <= value <= self._most:
            raise ValueError(f"a finite number from {self._least:g} to {self._most}")
        return self._lead + _double(value)

    def inline(self, value: str, bind: Bind) -> str:
        """A float with its branch in one packing."""
        if self._lead != SOME:
            return super().inline(value, bind)
        known = f"type({value}) is float and {bind(self._least)} <= {value} <= {bind(self._most)}"
        return f"({bind(_double_some)}(2, {value}) if {known} else {bind(self)}({value}))"


class Boolean(_Called):
    """True or false."""

    def __init__(self, lead: bytes) -> None:
        self._false, self._true = lead + b"\x00", lead + b"\x01"
        self.plan = ("boolean",)

    def __call__(self, value: Any) -> bytes:
        """One byte."""
        if type(value) is not bool:
            raise ValueError("true or false")
        return self._true if value else self._false

    def inline(self, value: str, bind: Bind) -> str:
        """By identity: 1 is not True."""
        false = f"{bind(self._false)} if {value} is False else {bind(self)}({value})"
        return f"({bind(self._true)} if {value} is True else {false})"


class Word(_Called):
    """A word of a vocabulary, as its member or as text."""

    def __init__(self, lead: bytes, words: tuple[str, ...]) -> None:
        text = Text(lead, 1, 256)
        self._table = {word: text(word) for word in words}
        self.plan = ("words", [(word, str(word)) for word in words])

    def __call__(self, value: Any) -> bytes:
        """As text."""
        found = self._table.get(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"one of {', '.join(self._table)}")
        return found


class Strings(_Called):
    """A list of texts."""

    def __init__(self, item: "Reference | Remembered") -> None:
        self._item = item
        self._each = item.each
        self.plan = ("list", item.plan, MAX_LIST)

    def __call__(self, value: Any) -> bytes:
        """One block and its end; an empty list is only its end."""
        if not isinstance(value, _LISTS) or len(value) > MAX_LIST:
            raise ValueError(f"a list of at most {MAX_LIST}")
        if not value:
            return NULL
        try:
            return b"".join((_LENGTHS[len(value)], *self._each(value), NULL))
        except (AttributeError, IndexError, TypeError):  # one of them is no text, or too long, which the call says
            return b"".join((_LENGTHS[len(value)], *map(self._item, value), NULL))


class Remembered(dict[object, bytes]):
    """An encoder that remembers what it has encoded: names, versions and words recur from event to event.

    A text is equal to nothing but a text, so what is found needs no further check.
    """

    def __init__(self, encode: Encoder, *, steady: bool = False) -> None:
        super().__init__()
        self._encode = encode
        self.plan = encode.plan
        self.steady = steady
        """Whether there are so few different values that neighbours may be remembered together."""

    def __missing__(self, value: object) -> bytes:
        found = self._encode(value)
        if len(found) <= _REMEMBERED_BYTES:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[value] = found
        return found

    def __call__(self, value: Any) -> bytes:
        """The bytes of a value, found or made."""
        try:
            return self[value]
        except TypeError:  # it cannot be hashed, so it is no text
            return self._encode(value)

    def each(self, values: Sequence[Any]) -> list[bytes]:
        """The bytes of several; raises as the call does, or TypeError for what cannot be hashed."""
        return [self[value] for value in values]

    def inline(self, value: str, bind: Bind) -> str:
        """A look-up, which makes what it does not find."""
        return f"{bind(self)}[{value}]"


class Together(dict[tuple[object, ...], bytes]):
    """Neighbouring fields that are remembered as one: (encoder, whether it must be said) of each."""

    def __init__(self, fields: Sequence[tuple[Remembered, bool]]) -> None:
        super().__init__()
        self._fields = fields

    def __missing__(self, values: tuple[object, ...]) -> bytes:
        found = b"".join(
            NULL if value is None and not required else encode[value]
            for (encode, required), value in zip(self._fields, values, strict=True)
        )
        if len(found) <= _REMEMBERED_BYTES:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[values] = found
        return found


_label = Remembered(Text(b"", 0, MAX_LABEL_CHARS))


class Labels(_Called):
    """Pairs of texts."""

    plan: Plan | None = ("labels", MAX_LABELS, MAX_LABEL_CHARS)

    def __call__(self, value: Any) -> bytes:
        """One block of pairs and its end."""
        if (type(value) is not dict and not isinstance(value, Mapping)) or len(value) > MAX_LABELS:
            raise ValueError(f"at most {MAX_LABELS} labels")
        if not value:
            return NULL
        out = _LENGTHS[len(value)]
        try:
            for key, text in value.items():
                out += _label[key] + _label[text]
        except TypeError:  # it cannot be hashed, so it is no text
            raise ValueError("pairs of texts") from None
        return out + NULL


class Sides(_Called):
    """The sides of a conflict."""

    _FIELDS: Final[Mapping[str, Encoder]] = {
        "source_ref": Reference(b""),
        "value_ref": Reference(SOME),
        "source_kind": Remembered(Text(SOME, 1, 256)),
        "score": Number(SOME, 1.0),
    }

    def __call__(self, value: Any) -> bytes:
        """One block of records and its end."""
        if not isinstance(value, _LISTS) or len(value) > MAX_SIDES:
            raise ValueError(f"a list of at most {MAX_SIDES} sides")
        if not value:
            return NULL
        return b"".join((_LENGTHS[len(value)], *map(self._side, value), NULL))

    def _side(self, side: Any) -> bytes:
        if type(side) is not ConflictSide:
            raise ValueError("made of ConflictSide")
        return b"".join(
            NULL if value is None and name != "source_ref" else encode(value)
            for name, encode in self._FIELDS.items()
            for value in (getattr(side, name),)
        )


_BY_KIND: Final[tuple[tuple[object, Callable[[bytes], Encoder]], ...]] = (
    (events.RunId, lambda lead: Hexadecimal(lead, 32)),
    (events.StepId, lambda lead: Hexadecimal(lead, 16)),
    (events.Micros, Moment),
    (events.Name, lambda lead: Remembered(Text(lead, 1, 256), steady=True)),
    (events.Phrase, lambda lead: Remembered(Text(lead, 1, 1024))),
    (events.StepLabel, lambda lead: Remembered(Text(lead, 1, 300))),
    (events.Ref, Reference),
    (events.PersonRef, lambda lead: Remembered(Reference(lead, is_persons_id, WHO))),
    (events.Refs, lambda _: Strings(Reference(b""))),
    (events.Phrases, lambda _: Strings(Remembered(Text(b"", 1, 1024)))),
    (events.StepNames, lambda _: Strings(Remembered(Text(b"", 1, 300)))),
    (events.Score, lambda lead: Number(lead, 1.0)),
    (events.Amount, lambda lead: Number(lead, _LARGEST)),
    (events.Finite, lambda lead: Number(lead, _LARGEST, -_LARGEST)),
    (events.Count, lambda lead: Integer(lead, 0, 2**31 - 1)),
    (events.Positive, lambda lead: Integer(lead, 1, 2**31 - 1)),
    (events.BigCount, lambda lead: Integer(lead, 0, 2**63 - 1)),
    (events.Whole, lambda lead: Integer(lead, -(2**63), 2**63 - 1)),
    (events.Labels, lambda _: Labels()),
    (events.Sides, lambda _: Sides()),
    (bool, Boolean),
)


def encoder_of(hint: object, lead: bytes, *, recurs: bool = False) -> Encoder:
    """The encoder of a field that its model annotates with `hint`; `recurs` for ids that many events repeat."""
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        hint = next(part for part in get_args(hint) if part is not type(None))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Remembered(Word(lead, tuple(hint)), steady=True)
    made = next(make(lead) for kind, make in _BY_KIND if kind == hint)
    return Remembered(made) if recurs else made
