"""An event with odd values becomes one that can be written: a value whose meaning is certain is mended, any other is
left out alone, and the event says which.

1. Each field is mended by its kind and held against its own encoder (causeline.producers.mending.fields).
2. What cannot be mended is as if it had not been said; the label `fields.dropped` names it.
3. A list that is too long is cut to its first items, and the name of a step; the label `fields.cut` names them.
4. What an event must say and does not is what says least: `custom` for a kind of step, `?` for a name.

`Run` calls it for the events that the writer refuses, which are few. ADR 35 says why they live.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, get_type_hints

from causeline.producers.mending import plain
from causeline.producers.mending.fields import Faults, Mend, cut_to, fits, mend_of, should_be, word
from causeline.schemas import ids
from causeline.schemas.events import EVENT_MODELS, MAX_LABEL_CHARS, MAX_LABELS, MAX_NAME
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    NextStep,
    ReviewOutcome,
    Status,
    StepKind,
)
from causeline.schemas.wire import MAX_EVENT_BYTES
from causeline.schemas.wire.generated import Slot
from causeline.schemas.wire.writer import slots_of

DROPPED_LABEL: Final = "fields.dropped"
"""Label of an event: the fields that were said and could not be used."""
CUT_LABEL: Final = "fields.cut"
"""Label of an event: the fields that were too long, and stand there in part."""

_ROOM: Final = MAX_EVENT_BYTES - 16 * 1024
"""Bytes for the fields of an event; the rest is for what every event says."""
_UNKNOWN: Final = "?"
_ESSENTIAL: Final[Mapping[str, StepKind]] = {
    "fallback_taken": StepKind.FALLBACK,
    "review_outcome": StepKind.REVIEW,
    "eval_case_id": StepKind.EVAL,
}
"""Fields without which their event says nothing, and the kind of step that it is then."""

_AS_THEY_ARE: Final = frozenset(
    {
        str,
        int,
        float,
        bool,
        list,
        tuple,
        dict,
        StepKind,
        Status,
        FinalState,
        NextStep,
        FallbackKind,
        ReviewOutcome,
        EvalOutcome,
    }
)
"""Types whose values need no mending where their encoder takes them; what is derived of them may be odd elsewhere."""
_MENDS: Final[Mapping[EventType, Mapping[str, Mend]]] = {
    kind: {
        name: mend_of(hint)
        for name, hint in get_type_hints(model, include_extras=True).items()
        if name in slots_of(kind)
    }
    | {"step_name": lambda name, value, faults: name_of(value, name, faults)}
    for kind, model in EVENT_MODELS.items()
}


class Mended(NamedTuple):
    """An event that the writer takes."""

    kind: EventType
    fields: dict[str, Any]
    faults: Faults


def mended(kind: EventType, fields: Mapping[str, Any], occurred_at: int) -> Mended:
    """An event with these fields as far as they can be used, and what of them can not.

    A fallback, review or eval that does not say which it was becomes a step of that kind that was skipped.
    """
    slots = slots_of(kind)
    found, faults = usable(kind, fields)
    for name in sorted(name for name, slot in slots.items() if slot.required and name not in found):
        faults.drop(name, "said")
        if name in _ESSENTIAL:
            kind, found = EventType.STEP_FINISHED, _skipped(_ESSENTIAL[name], occurred_at, found)
            break
        found[name] = _least(name, found, occurred_at)
    _cut_to_size(found, slots_of(kind), faults)
    if faults:
        found["labels"] = marked(found.get("labels"), faults)
    return Mended(kind, found, faults)


def usable(kind: EventType, fields: Mapping[str, Any]) -> tuple[dict[str, Any], Faults]:
    """Of some fields of an event those that can be said, mended, and what of them can not."""
    slots, faults = slots_of(kind), Faults()
    found: dict[str, Any] = {}
    for name, value in fields.items():
        slot = slots.get(name) if isinstance(name, str) else None
        if slot is None:
            faults.drop(name, "a field of this event")
        elif (said := _usable(kind, name, slot, value, faults)) is not None:
            found[name] = said
    return found, faults


def is_sayable(kind: EventType, fields: Mapping[str, Any]) -> bool:
    """Whether an event can say what it is about, mended if need be."""
    slots = slots_of(kind)
    return all(
        _usable(kind, name, slots[name], fields.get(name), Faults()) is not None for name in _ESSENTIAL if name in slots
    )


def name_of(value: Any, field: str, faults: Faults) -> str:
    """The name of a project, a workflow or a step: as given, mended, cut, or `?`."""
    try:
        return cut_to(MAX_NAME, field, plain.text(value), faults) or _UNKNOWN
    except Exception:  # noqa: BLE001 - whatever an odd object does, there is a name
        faults.drop(field, "a text")
        return _UNKNOWN


def run_id_of(value: Any, faults: Faults) -> str | None:
    """A run's id; its case and dashes are forgiven, and it may be a `uuid.UUID`. None, and noted, for what is none."""
    try:
        return ids.parse_run_id(plain.text(value))
    except Exception:  # noqa: BLE001 - as above
        faults.drop("run_id", "32 hex digits, not all zero")
        return None


def step_label(kind: Any, name: Any) -> str:
    """kind:name of a step, as its event says both."""
    try:
        known = word(StepKind, kind)
    except Exception:  # noqa: BLE001 - as above
        known = StepKind.CUSTOM
    return f"{known}:{name_of(name, 'step_name', Faults())}"


def _usable(kind: EventType, name: str, slot: Slot, value: Any, faults: Faults) -> Any:
    """The value, mended where it must be; None where there is nothing to say."""
    if value is None or (type(value) in _AS_THEY_ARE and fits(slot.encode, value)):
        return value
    noted = len(faults.dropped)
    try:
        said = _MENDS[kind][name](name, value, faults)
        if isinstance(said, str | list | dict) and not said:
            return None  # nothing was said, or what was is named already
        slot.encode(said)
    except Exception:  # noqa: BLE001 - an odd object may raise anything when it is looked at
        if len(faults.dropped) == noted:
            faults.drop(name, should_be(slot.encode, value))
        return None
    return said


def _least(name: str, found: Mapping[str, Any], occurred_at: int) -> Any:
    failed = found.get("error_type") is not None or found.get("status") == Status.ERROR
    return {
        "started_at": occurred_at,
        "status": Status.ERROR if failed else Status.OK,
        "final_state": FinalState.FAILED if failed else FinalState.ANSWERED,
        "step_id": ids.new_step_id(),
        "step_kind": StepKind.CUSTOM,
        "evidence_required": True,
    }.get(name, _UNKNOWN)


def _skipped(kind: StepKind, occurred_at: int, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step_id": ids.new_step_id(),
        "step_kind": kind,
        "step_name": _UNKNOWN,
        "started_at": occurred_at,
        "status": Status.SKIPPED,
        "labels": found.get("labels"),
    }


def _cut_to_size(found: dict[str, Any], slots: Mapping[str, Slot], faults: Faults) -> None:
    """Halve the longest list until the event is no larger than one may be; its other fields are bounded far below."""
    sizes = {name: len(slots[name].encode(value)) for name, value in found.items() if value is not None}
    while sum(sizes.values()) > _ROOM:
        longest = max((name for name in sizes if isinstance(found[name], list | tuple)), key=sizes.__getitem__)
        found[longest] = found[longest][: len(found[longest]) // 2]
        sizes[longest] = len(slots[longest].encode(found[longest]))
        faults.shorten(longest, f"so small that its event has at most {MAX_EVENT_BYTES} bytes")


def marked(labels: Mapping[str, str] | None, faults: Faults) -> dict[str, str]:
    """Labels with what was left out and what was cut; those that there is no room for go."""
    labels = labels or {}
    marks = {DROPPED_LABEL: list(faults.dropped), CUT_LABEL: list(faults.cut)}
    others = {key: text for key, text in labels.items() if key not in marks}
    if len(others) > MAX_LABELS - len(marks):
        others = dict(list(others.items())[: MAX_LABELS - len(marks)])
        marks[DROPPED_LABEL].append("labels")
    for key, names in marks.items():
        if names := list(dict.fromkeys([*filter(None, labels.get(key, "").split(",")), *names])):
            others[key] = _listed(names)
    return others


def _listed(names: Iterable[str]) -> str:
    text = ",".join(names)
    return text if len(text) <= MAX_LABEL_CHARS else text[: MAX_LABEL_CHARS - 1] + "…"
