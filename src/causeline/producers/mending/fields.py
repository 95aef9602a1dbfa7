"""One field's odd value as one that its encoder takes, by the kind of value that the contract gives the field.

What is left out is noted, and so is what is cut: a list to its first items, the name of a step. Any other text that is
too long is left out, for a part of it may be content as well as the whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

from causeline.producers.mending import plain
from causeline.schemas import events
from causeline.schemas.events import MAX_LABEL_CHARS, MAX_LABELS, MAX_LIST, MAX_SIDES, ConflictSide
from causeline.schemas.references import WHAT
from causeline.schemas.vocabulary import EventType, FinalState, Status
from causeline.schemas.wire.values import Encoder, encoder_of

_MAX_SHOWN: Final = 64


class Faults:
    """What was left out and what was cut of one event, by field, with what it should be."""

    def __init__(self) -> None:
        self.dropped: dict[str, str] = {}
        self.cut: dict[str, str] = {}

    def drop(self, name: object, should_be: str) -> None:
        """A field, or a part of it, is left out."""
        self.dropped.setdefault(_shown(name), should_be)

    def shorten(self, name: object, should_be: str) -> None:
        """A field is cut."""
        self.cut.setdefault(_shown(name), should_be)

    def __bool__(self) -> bool:
        return bool(self.dropped or self.cut)

    def sentences(self, kind: EventType) -> list[str]:
        """One for each field; it names the field and never its value."""
        told = [f"{kind}: {name}: left out; it should be {what}." for name, what in self.dropped.items()]
        return told + [f"{kind}: {name}: cut; it should be {what}." for name, what in self.cut.items()]


def _shown(name: object) -> str:
    """The name of a field, where it is a name: what an application gives as one may be content."""
    is_name = isinstance(name, str) and name.isascii() and name.replace(".", "_").isidentifier()
    return str(name) if is_name and len(str(name)) <= _MAX_SHOWN else "?"


Mend: TypeAlias = Callable[[str, Any, Faults], Any]
"""(field, value, notes) -> a value for the field's encoder, empty where nothing was said; may raise anything."""


def fits(encode: Encoder, value: Any) -> bool:
    """Whether an encoder takes a value as it is."""
    try:
        encode(value)
    except Exception:  # noqa: BLE001 - a subclass of str or int may raise anything
        return False
    return True


def should_be(encode: Encoder, value: Any) -> str:
    """What an encoder that refuses a value would have."""
    try:
        encode(value)
    except ValueError as error:
        return str(error)
    except Exception:  # noqa: BLE001 - as above
        return "a plain value"
    return "a plain value"


def cut_to(longest: int, name: str, text: str, faults: Faults) -> str:
    """A text of at most so many characters."""
    if len(text) <= longest:
        return text
    faults.shorten(name, f"at most {longest} characters")
    return text[: longest - 1] + "…"


def _simply(mend: Callable[[Any], Any]) -> Mend:
    return lambda _name, value, _faults: mend(value)


def _id(value: Any) -> str:
    return plain.text(value).strip().replace("-", "").lower()


def _list(item: Callable[[Any], Any], hint: object, what: str) -> Mend:
    encode = encoder_of(hint, b"")

    def mend(name: str, value: Any, faults: Faults) -> list[Any]:
        given = plain.listed(value)
        if len(given) > MAX_LIST:
            faults.shorten(name, f"at most {MAX_LIST} items")
        usable = []
        for each in given[:MAX_LIST]:
            try:
                found = each if fits(encode, each) else item(each)
                encode(found)
                usable.append(found)
            except Exception:  # noqa: BLE001 - an odd object may raise anything when it is looked at
                faults.drop(name, what)
        return usable

    return mend


def _labels(name: str, value: Any, faults: Faults) -> dict[str, str]:
    labels: dict[str, str] = {}
    for key, given in dict(value).items():
        if given is None:
            continue
        try:
            said, text = plain.label(key), plain.label(given)
        except Exception:  # noqa: BLE001 - as above
            faults.drop(f"{name}.{key}" if isinstance(key, str) else name, "a text")
            continue
        if max(len(said), len(text)) > MAX_LABEL_CHARS:
            faults.drop(f"{name}.{said}", f"at most {MAX_LABEL_CHARS} characters")
        elif len(labels) == MAX_LABELS:
            faults.drop(name, f"at most {MAX_LABELS} pairs")
        else:
            labels[said] = text
    return labels


_SIDE: Final[Mapping[str, tuple[Encoder, Callable[[Any], Any]]]] = {
    "source_ref": (encoder_of(events.Ref, b""), plain.reference),
    "value_ref": (encoder_of(events.Ref, b""), plain.reference),
    "source_kind": (encoder_of(events.Name, b""), plain.text),
    "score": (encoder_of(events.Score, b""), plain.score),
}


def _sides(name: str, value: Any, faults: Faults) -> list[ConflictSide]:
    given = [value] if isinstance(value, ConflictSide | Mapping) else plain.listed(value)
    if len(given) > MAX_SIDES:
        faults.shorten(name, f"at most {MAX_SIDES} sides")
    sides = []
    for each in given[:MAX_SIDES]:
        try:
            said = dict(each) if isinstance(each, Mapping) else {f.name: getattr(each, f.name) for f in fields_of(each)}
        except Exception:  # noqa: BLE001 - as above
            said = {}
        usable = {field: _of_side(name, field, said.get(field), faults) for field in _SIDE}
        if usable["source_ref"] is None:
            faults.drop(name, f"made of ConflictSide, whose source_ref is {WHAT}")
        else:
            sides.append(ConflictSide(**usable))
    return sides


def _of_side(name: str, field: str, value: Any, faults: Faults) -> Any:
    encode, mend = _SIDE[field]
    if value is None or fits(encode, value):
        return value
    try:
        usable = mend(value)
        encode(usable)
    except Exception:  # noqa: BLE001 - as above
        faults.drop(f"{name}.{field}", should_be(encode, value))
        return None
    return usable


_SYNONYMS: Final[Mapping[type[StrEnum], Mapping[str, str]]] = {
    Status: {"success": "ok", "succeeded": "ok", "failed": "error", "failure": "error"},
    FinalState: {"success": "answered", "completed": "answered", "error": "failed", "failure": "failed"},
}


def word(words: type[StrEnum], value: Any) -> str:
    """The word of a vocabulary that is meant, whatever its case and its separators; raises for none."""
    text = plain.text(value).strip().lower().replace("-", "_").replace(" ", "_")
    return words(_SYNONYMS.get(words, {}).get(text, text))


_BY_KIND: Final[tuple[tuple[object, Mend], ...]] = (
    (events.StepId, _simply(_id)),
    (events.Micros, _simply(plain.whole)),
    (events.Name, _simply(plain.text)),
    (events.Phrase, _simply(plain.text)),
    (events.Ref, _simply(plain.reference)),
    (events.PersonRef, _simply(plain.reference)),
    (events.Refs, _list(plain.reference, events.Ref, WHAT)),
    (events.Phrases, _list(plain.validation_error, events.Phrase, "codes and paths")),
    (events.StepNames, _list(plain.text, events.StepLabel, "texts")),
    (events.Score, _simply(plain.score)),
    (events.Amount, _simply(plain.number)),
    (events.Finite, _simply(plain.number)),
    (events.Count, _simply(plain.whole)),
    (events.Positive, _simply(plain.whole)),
    (events.BigCount, _simply(plain.whole)),
    (events.Whole, _simply(plain.whole)),
    (events.Labels, _labels),
    (events.Sides, _sides),
    (bool, _simply(plain.truth)),
)


def mend_of(hint: object) -> Mend:
    """How values of a field are mended that its model annotates with `hint`."""
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        hint = next(part for part in get_args(hint) if part is not type(None))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        words = hint
        return lambda _name, value, _faults: word(words, value)
    return next(mend for kind, mend in _BY_KIND if kind == hint)
