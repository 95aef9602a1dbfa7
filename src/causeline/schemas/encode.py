"""The event writer: from fields to the bytes of one batch item, checked on the way.

Emission spends its time here, so the writer is made from the committed schema and the event models when the module is
loaded: each field has a slot in the record and one small function that checks and encodes its value. What is constant
within a run is encoded once a run; a field that an event does not have keeps the null that its slot starts with; a
word or a name met before is looked up, not encoded again.

The event models are the contract and fastavro is the oracle: property tests hold this writer to accept what the models
accept, refuse what they refuse, and write what fastavro writes.
"""

import struct
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

from causeline.schemas import catalogue, events, ids
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import EVENT_MODELS, MAX_LABEL_CHARS, MAX_LABELS, MAX_LIST, TraceEvent
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
_double = struct.Struct("<d").pack


# --- values


def _long(value: int) -> bytes:
    return _LENGTHS[value] if 0 <= value < len(_LENGTHS) else encode_long(value)


def _text(value: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise ValueError("text without lone surrogates") from None
    return _long(len(raw)) + raw


def _string(shortest: int, longest: int) -> Encode:
    def encode(value: Any) -> bytes:
        if not isinstance(value, str) or not shortest <= len(value) <= longest:
            raise ValueError(f"a string of {shortest} to {longest} characters")
        return _text(value)

    return encode


def _hexadecimal(valid: Callable[[str], bool], what: str) -> Encode:
    def encode(value: Any) -> bytes:
        if not isinstance(value, str) or not valid(value):
            raise ValueError(what)
        return _LENGTHS[len(value)] + value.encode("ascii")

    return encode


def _integer(least: int, most: int) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return _long(value)

    return encode


def _micros(value: Any) -> bytes:
    if type(value) is not int or not 0 <= value <= _LAST_MICROSECOND:
        raise ValueError("microseconds since the epoch")
    zigzag = value << 1
    high = zigzag >> 28
    if high == 0:
        return encode_long(value)
    return _PAIRS[zigzag & 0x3FFF] + _PAIRS[(zigzag >> 14) & 0x3FFF] + _high_part(high)


def _number(most: float) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) not in (float, int) or not 0.0 <= value <= most:
            raise ValueError(f"a finite number from 0 to {most}")
        return _double(value)

    return encode


def _boolean(value: Any) -> bytes:
    if type(value) is not bool:
        raise ValueError("true or false")
    return b"\x01" if value else b"\x00"


def _words(vocabulary: type) -> Encode:
    table = {word.value: _text(word.value) for word in vocabulary}  # type: ignore[attr-defined]

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
        return b"".join((_long(len(value)), *map(item, value), _NULL))

    return encode


def _labels(value: Any) -> bytes:
    if not isinstance(value, Mapping) or len(value) > MAX_LABELS:
        raise ValueError(f"at most {MAX_LABELS} labels")
    if not value:
        return _NULL
    return b"".join((_long(len(value)), *(_label(k) + _label(v) for k, v in value.items()), _NULL))


# --- caches: names, versions and words recur from event to event


def _cached(encode: Encode) -> Encode:
    seen: dict[Any, bytes] = {}

    def lookup(value: Any) -> bytes:
        # The type is part of the question: 1, 1.0 and True are one key and three values.
        found = seen.get(value) if type(value) is str else None
        if found is None:
            found = encode(value)
            if len(seen) >= _CACHE_SIZE:
                seen.clear()
            if type(value) is str:
                seen[value] = found
        return found

    return lookup


def _high_parts() -> Callable[[int], bytes]:
    seen: dict[int, bytes] = {}

    def lookup(high: int) -> bytes:
        found = seen.get(high)
        if found is None:
            if len(seen) >= _CACHE_SIZE:
                seen.clear()
            out = bytearray()
            rest = high
            while rest > 0x7F:
                out.append((rest & 0x7F) | 0x80)
                rest >>= 7
            out.append(rest)
            found = seen[high] = bytes(out)
        return found

    return lookup


_high_part = _high_parts()
_label = _cached(_string(0, MAX_LABEL_CHARS))
_name = _cached(_string(1, 256))

# --- fields: one encoder for each kind that the models are made of

_BY_KIND: Final[tuple[tuple[object, Encode], ...]] = (
    (events.RunId, _hexadecimal(ids.is_run_id, "32 lower-case hex digits, not all zero")),
    (events.StepId, _hexadecimal(ids.is_step_id, "16 lower-case hex digits, not all zero")),
    (events.Micros, _micros),
    (events.Name, _name),
    (events.Phrase, _cached(_string(1, 1024))),
    (events.Ref, _string(1, 2048)),
    (events.Refs, _strings(_string(1, 2048))),
    (events.Phrases, _strings(_cached(_string(1, 1024)))),
    (events.StepNames, _strings(_cached(_string(1, 300)))),
    (events.Score, _number(1.0)),
    (events.Amount, _number(1.7976931348623157e308)),
    (events.Count, _integer(0, 2**31 - 1)),
    (events.Positive, _integer(1, 2**31 - 1)),
    (events.BigCount, _integer(0, 2**63 - 1)),
    (events.Whole, _integer(-(2**63), 2**63 - 1)),
    (events.Labels, _labels),
    (bool, _boolean),
)


def _kind_of(hint: object) -> object:
    if (get_origin(hint) is not Annotated and isinstance(hint, UnionType)) or str(hint).startswith("typing.Optional"):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


def _encoder(hint: object) -> Encode:
    kind = _kind_of(hint)
    if isinstance(kind, type) and kind is not bool:
        return _words(kind)
    return next(encode for known, encode in _BY_KIND if known == kind)


def _some(encode: Encode) -> Encode:
    def encode_some(value: Any) -> bytes:
        return _SOME + encode(value)

    return encode_some


_ITEM: Final = catalogue.latest("trace-batch").item or {"fields": []}
_PREFIX: Final = (
    "event_id", "run_id", "project", "workflow", "emitter_id", "seq", "event_type", "run_started_at", "occurred_at",
)  # fmt: skip
"""What every event says, in the schema's order; the slots are what comes after."""
_SLOTS: Final = {field["name"]: slot for slot, field in enumerate(_ITEM["fields"][len(_PREFIX) :])}
_NULLABLE: Final = {field["name"] for field in _ITEM["fields"] if isinstance(field["type"], list)}
_EMPTY: Final = [_NULL] * len(_SLOTS)


def _fields_of(model: type[TraceEvent]) -> dict[str, tuple[int, Encode]]:
    hints = get_type_hints(model, include_extras=True)
    return {
        name: (_SLOTS[name], _some(_encoder(hints[name])) if name in _NULLABLE else _encoder(hints[name]))
        for name in model.model_fields
        if name in _SLOTS
    }


_FIELDS: Final = {kind: _fields_of(model) for kind, model in EVENT_MODELS.items()}
_REQUIRED: Final = {
    kind: frozenset(name for name, field in model.model_fields.items() if field.is_required() and name in _SLOTS)
    for kind, model in EVENT_MODELS.items()
}
_TYPE_TEXT: Final = {kind: _text(kind.value) for kind in EventType}


class RunWriter:
    """Writes the events of one run: what is constant within it is checked and encoded once.

    Raises InvalidEvent naming the first field that is wrong, never its value.
    """

    __slots__ = ("_after", "_before")

    def __init__(self, *, run_id: str, project: str, workflow: str, emitter_id: str, run_started_at: int) -> None:
        constant = {"run_id": run_id, "project": project, "workflow": workflow, "emitter_id": emitter_id}
        encoders = dict.fromkeys(constant, _name) | {"run_id": _BY_KIND[0][1]}
        self._before = b"".join(_checked("run", name, encoders[name], value) for name, value in constant.items())
        start = _checked("run", "run_started_at", _micros, run_started_at)
        self._after = {kind: text + start for kind, text in _TYPE_TEXT.items()}

    def encode(
        self, kind: EventType, *, event_id: str, seq: int, occurred_at: int, fields: Mapping[str, object]
    ) -> bytes:
        """One event as the item of a batch; a field that is None is not said. Raises InvalidEvent, EventTooLarge."""
        table = _FIELDS[kind]
        slots = _EMPTY.copy()
        said = 0
        required = _REQUIRED[kind]
        name = "event_id"
        try:
            head = _event_id(event_id), self._before
            name = "seq"
            number = _sequence(seq)
            name = "occurred_at"
            tail = number, self._after[kind], _micros(occurred_at)
            for name, value in fields.items():
                if value is None:
                    continue
                slot, encode = table[name]
                slots[slot] = encode(value)
                said += name in required
        except KeyError:
            raise InvalidEvent(f"{kind}: {name[:64]}: not a field of this event.") from None
        except ValueError as error:
            raise InvalidEvent(f"{kind}: {name}: should be {error}.") from None
        if said < len(required):
            lacking = next(name for name in sorted(required) if fields.get(name) is None)
            raise InvalidEvent(f"{kind}: {lacking}: is required.")
        item = b"".join((*head, *tail, *slots))
        if len(item) > MAX_EVENT_BYTES:
            raise EventTooLarge(
                f"An event of {len(item)} bytes is larger than the {MAX_EVENT_BYTES} that one may have."
            )
        return item


_event_id: Final = _BY_KIND[0][1]
_sequence: Final = _integer(0, 2**63 - 1)


def _checked(kind: str, name: str, encode: Encode, value: object) -> bytes:
    try:
        return encode(value)
    except ValueError as error:
        raise InvalidEvent(f"{kind}: {name}: should be {error}.") from None
