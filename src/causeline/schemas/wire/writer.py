"""The event writer: from fields to the bytes of one batch item, checked on the way.

Emission spends its time here. The writer derives from the committed schema and the event models: each field has a slot
in the record and an encoder that checks and encodes its value. What is constant within a run is encoded once a run, and
an event whose set of fields recurs is written by a function generated for that very set (`generated`).
What a generated function does not take goes field by field, which accepts it after all or says what is wrong with it.
Where the compiled core is installed its pen stands in the place of the generated functions (`native`).

The event models are the contract and fastavro is the oracle: property tests hold all ways to accept what the models
accept, refuse what they refuse, and write what fastavro writes.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_type_hints

from causeline.schemas import catalogue
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import EVENT_MODELS, TraceEvent
from causeline.schemas.ids import EventIds, draw_event_ids
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.codec import MAX_EVENT_BYTES
from causeline.schemas.wire.generated import Generated, Slot
from causeline.schemas.wire.native import CORE, Core, Layout
from causeline.schemas.wire.values import (
    NULL,
    SOME,
    Encoder,
    Hexadecimal,
    Integer,
    Moment,
    Remembered,
    Text,
    Together,
    encoder_of,
)

_ITEM: Final = catalogue.latest("trace-batch").item or {"fields": []}
_PREFIX: Final = (
    "event_id", "run_id", "project", "workflow", "emitter_id", "seq", "event_type", "run_started_at", "occurred_at",
)  # fmt: skip
"""What every event says, in the schema's order; the slots are what comes after."""
_SLOTS: Final = {field["name"]: slot for slot, field in enumerate(_ITEM["fields"][len(_PREFIX) :])}
_LEADS: Final = {field["name"]: SOME if isinstance(field["type"], list) else b"" for field in _ITEM["fields"]}
_EMPTY: Final = [NULL] * len(_SLOTS)
_RECUR: Final = frozenset({"parent_step_id"})
"""Ids that many events repeat."""

_run_id: Final = Hexadecimal(b"", 32)
_name: Final = Remembered(Text(b"", 1, 256))
_constants: Final = Together([(_name, True)] * 3)
_moment: Final = Moment(b"")
_sequence: Final = Integer(b"", 0, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class _Layout:
    """One event type: its word as bytes, where each of its fields goes, and the functions generated for it."""

    type_text: bytes
    slots: Mapping[str, Slot]
    required: frozenset[str]
    generated: Generated
    native: Layout | None


def _layout_of(kind: EventType, model: type[TraceEvent]) -> _Layout:
    hints = get_type_hints(model, include_extras=True)
    slots = {
        name: Slot(_SLOTS[name], encoder_of(hints[name], _LEADS[name], recurs=name in _RECUR), field.is_required())
        for name, field in model.model_fields.items()
        if name in _SLOTS
    }
    type_text = _name(kind.value)
    return _Layout(
        type_text=type_text,
        slots=slots,
        required=frozenset(name for name, slot in slots.items() if slot.required),
        generated=Generated(type_text, slots, len(_SLOTS), sequence=_sequence, moment=_moment),
        native=_native(type_text, slots),
    )


def _native(type_text: bytes, slots: Mapping[str, Slot], fixed: tuple[str, ...] = ()) -> Layout | None:
    """The layout as the compiled pen has it."""
    if CORE is None:
        return None
    fields = [
        (sys.intern(name), slot.place, _LEADS[name], slot.encode.plan, slot.encode, slot.required)
        for name, slot in slots.items()
    ]
    return CORE.Layout(type_text, fields, len(_SLOTS), fixed, MAX_EVENT_BYTES)


_LAYOUTS: Final = {kind: _layout_of(kind, model) for kind, model in EVENT_MODELS.items()}
OF_EVERY_STEP: Final = ("started_at", "step_id", "parent_step_id", "step_kind", "step_name", "status")
"""Fields that the end of every step says."""
_FINISHED: Final = _LAYOUTS[EventType.STEP_FINISHED]
_STEPS: Final = Generated(
    _FINISHED.type_text, _FINISHED.slots, len(_SLOTS), sequence=_sequence, moment=_moment, fixed=OF_EVERY_STEP
)
"""Functions for the end of a step, which has its own way in: by far the most frequent event."""
_NATIVE_STEPS: Final = _native(_FINISHED.type_text, _FINISHED.slots, OF_EVERY_STEP)


def slots_of(kind: EventType) -> Mapping[str, Slot]:
    """The fields that an event of a type may say, with their encoders; what every event says is none of them."""
    return _LAYOUTS[kind].slots


class RunWriter:
    """Writes the events of one run: what is constant within it is checked and encoded once.

    Raises InvalidEvent naming the first field that is wrong, never its value. Safe for threads.
    """

    __slots__ = ("_ids", "_pen", "_run", "_start")

    def __init__(
        self,
        *,
        run_id: str,
        project: str,
        workflow: str,
        emitter_id: str,
        run_started_at: int,
        core: Core | None = CORE,
    ) -> None:
        try:
            constants = _constants[project, workflow, emitter_id]
        except (TypeError, ValueError):  # one of them is wrong; which one is said here
            names = {"project": project, "workflow": workflow, "emitter_id": emitter_id}
            constants = b"".join(_checked(name, _name, value) for name, value in names.items())
        self._run = _checked("run_id", _run_id, run_id) + constants
        self._start = _checked("run_started_at", _moment, run_started_at)
        self._ids = EventIds()
        self._pen = None if core is None else core.RunPen(self._run, self._start, draw_event_ids)

    def write(self, kind: EventType, *, seq: int, occurred_at: int, fields: Mapping[str, object]) -> tuple[str, bytes]:
        """An event with a new id, and the item of a batch that it is; a field that is None is not said.

        Raises InvalidEvent, EventTooLarge.
        """
        layout = _LAYOUTS[kind].native
        if self._pen is not None and layout is not None:
            written = self._pen.write(layout, seq, occurred_at, fields)
            if written is not None:
                return written
        if type(occurred_at) is not int:
            raise InvalidEvent(f"{kind}: occurred_at: should be microseconds since the epoch.")
        event_id = self._ids.new(occurred_at)
        return event_id, self._encode(kind, event_id, seq, occurred_at, fields)

    def write_step(
        self, seq: int, occurred_at: int, of_every_step: tuple[object, ...], fields: Mapping[str, object]
    ) -> tuple[str, bytes]:
        """As `write`, the end of a step that is `started_at, step_id, parent_step_id, step_kind, step_name, status`.

        What `fields` says goes before that.
        """
        if self._pen is not None and _NATIVE_STEPS is not None:
            written = self._pen.write(_NATIVE_STEPS, seq, occurred_at, fields, of_every_step)
            if written is not None:
                return written
        write = _STEPS[tuple(fields)]
        if write is not None and type(occurred_at) is int:
            event_id = self._ids.new(occurred_at)
            identity = b"\x40" + event_id.encode()
            try:
                item = write(identity, self._run, self._start, seq, occurred_at, fields.values(), *of_every_step)
            except Exception:  # noqa: BLE001 - whatever it was, the way field by field takes it or names it
                item = b""
            if 0 < len(item) <= MAX_EVENT_BYTES:
                return event_id, item
        said = {**dict(zip(OF_EVERY_STEP, of_every_step, strict=True)), **fields}
        return self.write(EventType.STEP_FINISHED, seq=seq, occurred_at=occurred_at, fields=said)

    def encode(
        self, kind: EventType, *, event_id: str, seq: int, occurred_at: int, fields: Mapping[str, object]
    ) -> bytes:
        """As `write`, for an event that has its id already."""
        try:
            _run_id(event_id)
        except ValueError as error:
            raise InvalidEvent(f"{kind}: event_id: should be {error}.") from None
        layout = _LAYOUTS[kind].native
        if self._pen is not None and layout is not None:
            item = self._pen.encode(layout, event_id, seq, occurred_at, fields)
            if item is not None:
                return item
        return self._encode(kind, event_id, seq, occurred_at, fields)

    def _encode(
        self, kind: EventType, event_id: str, seq: int, occurred_at: int, fields: Mapping[str, object]
    ) -> bytes:
        layout = _LAYOUTS[kind]
        identity = b"\x40" + event_id.encode()
        write = layout.generated[tuple(fields)]
        item = None
        if write is not None:
            try:
                item = write(identity, self._run, self._start, seq, occurred_at, fields.values())
            except Exception:  # noqa: BLE001 - whatever it was, the way field by field takes it or names it
                item = None
        if item is None:
            item = self._encode_each(kind, identity, seq, occurred_at, fields)
        if len(item) > MAX_EVENT_BYTES:
            raise EventTooLarge(
                f"An event of {len(item)} bytes is larger than the {MAX_EVENT_BYTES} that one may have."
            )
        return item

    def _encode_each(
        self,
        kind: EventType,
        identity: bytes,
        seq: int,
        occurred_at: int,
        fields: Mapping[str, object],
    ) -> bytes:
        layout, slots = _LAYOUTS[kind], _EMPTY.copy()
        name = "seq"
        try:
            number = _sequence(seq)
            name = "occurred_at"
            moment = _moment(occurred_at)
            for name, value in fields.items():
                if value is not None:
                    slot = layout.slots[name]
                    slots[slot.place] = slot.encode(value)
        except KeyError:
            raise InvalidEvent(f"{kind}: {name[:64]}: not a field of this event.") from None
        except ValueError as error:
            raise InvalidEvent(f"{kind}: {name}: should be {error}.") from None
        for name in sorted(layout.required):
            if fields.get(name) is None:
                raise InvalidEvent(f"{kind}: {name}: is required.")
        return b"".join((identity, self._run, number, layout.type_text, self._start, moment, *slots))


def _checked(name: str, encode: Encoder, value: object) -> bytes:
    try:
        return encode(value)
    except ValueError as error:
        raise InvalidEvent(f"run: {name}: should be {error}.") from None
