"""The event writer: from fields to the bytes of one batch item, checked on the way.

Emission spends its time here, so the writer is made from the committed schema and the event models when the module is
loaded: each field has a slot in the record and one small function that checks and encodes its value. What is constant
within a run is encoded once a run; a field that an event does not have keeps the null that its slot starts with; a
word or a name met before is looked up, not encoded again.

The event models are the contract and fastavro is the oracle: property tests hold this writer to accept what the models
accept, refuse what they refuse, and write what fastavro writes.
"""

import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from causeline.schemas import catalogue, events, ids
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import (
    EVENT_MODELS,
    MAX_LABEL_CHARS,
    MAX_LABELS,
    MAX_LIST,
    MAX_SIDES,
    ConflictSide,
    TraceEvent,
)
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire import MAX_EVENT_BYTES, encode_long

Encode: TypeAlias = Callable[[Any], bytes]
"""Checks a value and gives its bytes; raises ValueError saying what the value should be."""

_NULL: Final = b"\x00"
_SOME: Final = b"\x02"
"""The branch of a nullable union that is not null."""
_CACHE_SIZE: Final = 8192
_LENGTHS: Final = tuple(encode_long(n) for n in range(4096))
_PAIRS: Final = tuple(bytes(((n & 0x7F) | 0x80, (n >> 7) | 0x80)) for n in range(1 << 14))
"""Two continued bytes of a variable-length number, by their 14 bits."""
_LAST_MICROSECOND: Final = 253_402_300_799_999_999
_LARGEST: Final = sys.float_info.max
_RUN_ID_FORM: Final = "32 lower-case hex digits, not all zero"
_STEP_ID_FORM: Final = "16 lower-case hex digits, not all zero"
_double = struct.Struct("<d").pack


# --- values: each function is made for its field, with the branch of a nullable union already in its `lead`


def _long(value: int) -> bytes:
    return _LENGTHS[value] if 0 <= value < len(_LENGTHS) else encode_long(value)


def _text(value: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise ValueError("text without lone surrogates") from None
    return _long(len(raw)) + raw


def _string(lead: bytes, shortest: int, longest: int) -> Encode:
    lengths = tuple(lead + length for length in _LENGTHS)

    def encode(value: Any) -> bytes:
        if not isinstance(value, str) or not shortest <= len(value) <= longest:
            raise ValueError(f"a string of {shortest} to {longest} characters")
        try:
            raw = value.encode()
        except UnicodeEncodeError:
            raise ValueError("text without lone surrogates") from None
        return lengths[len(raw)] + raw if len(raw) < len(lengths) else lead + encode_long(len(raw)) + raw

    return encode


def _hexadecimal(lead: bytes, valid: Callable[[str], bool], what: str) -> Encode:
    def encode(value: Any) -> bytes:
        if not isinstance(value, str) or not valid(value):
            raise ValueError(what)
        return lead + _LENGTHS[len(value)] + value.encode("ascii")

    return encode


def _integer(lead: bytes, least: int, most: int) -> Encode:
    small = tuple(lead + length for length in _LENGTHS)

    def encode(value: Any) -> bytes:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return small[value] if 0 <= value < len(small) else lead + encode_long(value)

    return encode


def _micros(lead: bytes) -> Encode:
    high_parts: dict[int, bytes] = {}

    def encode(value: Any) -> bytes:
        if type(value) is not int or not 0 <= value <= _LAST_MICROSECOND:
            raise ValueError("microseconds since the epoch")
        zigzag = value << 1
        high = zigzag >> 28
        if high == 0:
            return lead + encode_long(value)
        # The high bits are those of a span of 134 s: one look-up for all the times of a run.
        tail = high_parts.get(high)
        if tail is None:
            if len(high_parts) >= _CACHE_SIZE:
                high_parts.clear()
            tail = high_parts[high] = _unsigned(high)
        return lead + _PAIRS[zigzag & 0x3FFF] + _PAIRS[(zigzag >> 14) & 0x3FFF] + tail

    return encode


def _unsigned(rest: int) -> bytes:
    out = bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _number(lead: bytes, most: float) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) not in (float, int) or not 0.0 <= value <= most:
            raise ValueError(f"a finite number from 0 to {most}")
        return lead + _double(value)

    return encode


def _boolean(lead: bytes) -> Encode:
    written = {False: lead + b"\x00", True: lead + b"\x01"}

    def encode(value: Any) -> bytes:
        if type(value) is not bool:
            raise ValueError("true or false")
        return written[value]

    return encode


def _one_of(lead: bytes, words: tuple[str, ...]) -> Encode:
    table = {word: lead + _text(word) for word in words}

    def encode(value: Any) -> bytes:
        found = table.get(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"one of {', '.join(table)}")
        return found

    return encode


def _strings(item: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        if not isinstance(value, tuple | list) or len(value) > MAX_LIST:
            raise ValueError(f"a list of at most {MAX_LIST}")
        if not value:
            return _NULL
        return b"".join((_LENGTHS[len(value)], *map(item, value), _NULL))

    return encode


def _labels(value: Any) -> bytes:
    if not isinstance(value, Mapping) or len(value) > MAX_LABELS:
        raise ValueError(f"at most {MAX_LABELS} labels")
    if not value:
        return _NULL
    pairs = [_label(key) + _label(text) for key, text in value.items()]
    return b"".join((_LENGTHS[len(pairs)], *pairs, _NULL))


def _sides(value: Any) -> bytes:
    if not isinstance(value, tuple | list) or len(value) > MAX_SIDES:
        raise ValueError(f"a list of at most {MAX_SIDES} sides")
    if not value:
        return _NULL
    return b"".join((_LENGTHS[len(value)], *map(_side, value), _NULL))


def _side(side: Any) -> bytes:
    if type(side) is not ConflictSide:
        raise ValueError("made of ConflictSide")
    return b"".join(
        _NULL if value is None and name != "source_ref" else encode(value)
        for name, encode in _SIDE_FIELDS.items()
        for value in (getattr(side, name),)
    )


class _Remembered:
    """An encoder that remembers what it has encoded: names, versions and words recur from event to event."""

    __slots__ = ("encode", "seen")

    def __init__(self, encode: Encode) -> None:
        self.encode = encode
        self.seen: dict[object, bytes] = {}

    def __call__(self, value: Any) -> bytes:
        # A text is equal to nothing but a text, so a hit needs no further check.
        try:
            found = self.seen.get(value)
        except TypeError:
            found = None
        if found is None:
            found = self.encode(value)
            if len(self.seen) >= _CACHE_SIZE:
                self.seen.clear()
            self.seen[value] = found
        return found


_label = _Remembered(_string(b"", 0, MAX_LABEL_CHARS))
_name = _Remembered(_string(b"", 1, 256))
_run_id = _hexadecimal(b"", ids.is_run_id, _RUN_ID_FORM)
_moment = _micros(b"")
_sequence = _integer(b"", 0, 2**63 - 1)

_SIDE_FIELDS: Final[Mapping[str, Encode]] = {
    "source_ref": _string(b"", 1, 2048),
    "value_ref": _string(_SOME, 1, 2048),
    "source_kind": _Remembered(_string(_SOME, 1, 256)),
    "score": _number(_SOME, 1.0),
}

# --- fields: an encoder for each kind of value that the models are made of

_BY_KIND: Final[tuple[tuple[object, Callable[[bytes], Encode]], ...]] = (
    (events.RunId, lambda lead: _hexadecimal(lead, ids.is_run_id, _RUN_ID_FORM)),
    (events.StepId, lambda lead: _Remembered(_hexadecimal(lead, ids.is_step_id, _STEP_ID_FORM))),
    (events.Micros, _micros),
    (events.Name, lambda lead: _Remembered(_string(lead, 1, 256))),
    (events.Phrase, lambda lead: _Remembered(_string(lead, 1, 1024))),
    (events.Ref, lambda lead: _string(lead, 1, 2048)),
    (events.Refs, lambda _: _strings(_string(b"", 1, 2048))),
    (events.Phrases, lambda _: _strings(_Remembered(_string(b"", 1, 1024)))),
    (events.StepNames, lambda _: _strings(_Remembered(_string(b"", 1, 300)))),
    (events.Score, lambda lead: _number(lead, 1.0)),
    (events.Amount, lambda lead: _number(lead, _LARGEST)),
    (events.Count, lambda lead: _integer(lead, 0, 2**31 - 1)),
    (events.Positive, lambda lead: _integer(lead, 1, 2**31 - 1)),
    (events.BigCount, lambda lead: _integer(lead, 0, 2**63 - 1)),
    (events.Whole, lambda lead: _integer(lead, -(2**63), 2**63 - 1)),
    (events.Labels, lambda _: _labels),
    (events.Sides, lambda _: _sides),
    (bool, _boolean),
)


def _encoder(hint: object, lead: bytes) -> Encode:
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        hint = next(part for part in get_args(hint) if part is not type(None))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _Remembered(_one_of(lead, tuple(word.value for word in hint)))
    return next(make(lead) for kind, make in _BY_KIND if kind == hint)


_ITEM: Final = catalogue.latest("trace-batch").item or {"fields": []}
_PREFIX: Final = (
    "event_id", "run_id", "project", "workflow", "emitter_id", "seq", "event_type", "run_started_at", "occurred_at",
)  # fmt: skip
"""What every event says, in the schema's order; the slots are what comes after."""
_SLOTS: Final = {field["name"]: slot for slot, field in enumerate(_ITEM["fields"][len(_PREFIX) :])}
_LEADS: Final = {field["name"]: _SOME if isinstance(field["type"], list) else b"" for field in _ITEM["fields"]}
_EMPTY: Final = [_NULL] * len(_SLOTS)


@dataclass(frozen=True, slots=True)
class _Shape:
    """One event type: for each of its fields the slot, the encoder, what it remembers, and 1 if it is required."""

    type_text: bytes
    fields: Mapping[str, tuple[int, Encode, Mapping[object, bytes], int]]
    required: frozenset[str]


def _shape_of(kind: EventType, model: type[TraceEvent]) -> _Shape:
    hints = get_type_hints(model, include_extras=True)
    required = frozenset(name for name, field in model.model_fields.items() if field.is_required() and name in _SLOTS)
    encoders = {name: _encoder(hints[name], _LEADS[name]) for name in model.model_fields if name in _SLOTS}
    return _Shape(
        type_text=_text(kind.value),
        fields={
            name: (_SLOTS[name], encode, encode.seen if isinstance(encode, _Remembered) else {}, int(name in required))
            for name, encode in encoders.items()
        },
        required=required,
    )


_SHAPES: Final = {kind: _shape_of(kind, model) for kind, model in EVENT_MODELS.items()}


class RunWriter:
    """Writes the events of one run: what is constant within it is checked and encoded once.

    Raises InvalidEvent naming the first field that is wrong, never its value.
    """

    __slots__ = ("_run", "_types")

    def __init__(self, *, run_id: str, project: str, workflow: str, emitter_id: str, run_started_at: int) -> None:
        self._run = b"".join(
            (
                _checked("run_id", _run_id, run_id),
                _checked("project", _name, project),
                _checked("workflow", _name, workflow),
                _checked("emitter_id", _name, emitter_id),
            )
        )
        start = _checked("run_started_at", _moment, run_started_at)
        self._types = {kind: shape.type_text + start for kind, shape in _SHAPES.items()}

    def encode(
        self, kind: EventType, *, event_id: str, seq: int, occurred_at: int, fields: Mapping[str, object]
    ) -> bytes:
        """One event as the item of a batch; a field that is None is not said. Raises InvalidEvent, EventTooLarge."""
        shape = _SHAPES[kind]
        table = shape.fields
        slots = _EMPTY.copy()
        required = len(shape.required)
        name = "event_id"
        try:
            identity = _run_id(event_id)
            name = "seq"
            number = _sequence(seq)
            name = "occurred_at"
            moment = _moment(occurred_at)
            for name, value in fields.items():
                if value is None:
                    continue
                slot, encode, seen, counts = table[name]
                required -= counts
                slots[slot] = (seen and type(value) is str and seen.get(value)) or encode(value)
        except KeyError:
            raise InvalidEvent(f"{kind}: {name[:64]}: not a field of this event.") from None
        except ValueError as error:
            raise InvalidEvent(f"{kind}: {name}: should be {error}.") from None
        if required:
            lacking = next(name for name in sorted(shape.required) if fields.get(name) is None)
            raise InvalidEvent(f"{kind}: {lacking}: is required.")
        item = b"".join((identity, self._run, number, self._types[kind], moment, *slots))
        if len(item) > MAX_EVENT_BYTES:
            raise EventTooLarge(
                f"An event of {len(item)} bytes is larger than the {MAX_EVENT_BYTES} that one may have."
            )
        return item


def _checked(name: str, encode: Encode, value: object) -> bytes:
    try:
        return encode(value)
    except ValueError as error:
        raise InvalidEvent(f"run: {name}: should be {error}.") from None
