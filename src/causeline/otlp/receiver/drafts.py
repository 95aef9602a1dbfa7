"""What a span or a log record becomes: events that still lack their content's references, and what was left out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from causeline.otlp.receiver.telemetry import Value
from causeline.otlp.receiver.values import as_json
from causeline.schemas.vocabulary import EventType


@dataclass(slots=True, eq=False)
class Content:
    """Content that stands where its reference will: the attributes that carried it, in order of their keys."""

    parts: tuple[tuple[str, "Value | Content"], ...]
    """A value that is content itself has a reference of its own, and stands by it."""
    is_object: bool = False
    """Written as one JSON object even where it is a lone text."""

    @classmethod
    def of(cls, parts: Iterable[tuple[str, "Value | Content"]], *, is_object: bool = False) -> "Content | None":
        """The content of these attributes; None when there are none."""
        found = [part for part in parts if part[1] is not None and part[1] != ""]
        if len(found) > 1:
            found.sort(key=_key_of)
        return cls(tuple(found), is_object) if found else None

    def data(self, refs: "Mapping[Content, str]" = MappingProxyType({})) -> bytes:
        """The bytes to keep: a lone text as it is, anything else as one JSON object; `refs` name the content in it."""
        if not self.is_object and len(self.parts) == 1 and isinstance(self.parts[0][1], str):
            text = self.parts[0][1]
        else:
            text = as_json({key: refs.get(value) if isinstance(value, Content) else value for key, value in self.parts})
        return text.encode("utf-8", "surrogatepass")


_key_of = itemgetter(0)


@dataclass(slots=True, eq=False)
class DraftEvent:
    """One event to be: `told_apart` makes its id differ from that of its kin of the same span and type."""

    kind: EventType
    at_us: int
    fields: dict[str, Any]
    told_apart: str = ""


@dataclass(slots=True)
class Draft:
    """The events of one span or log record, and what they have in common."""

    trace_id: str
    span_id: str
    project: str
    workflow: str
    started_us: int
    events: list[DraftEvent] = field(default_factory=list)
    identity: str = ""
    """What its events' ids are made of, where not of all that they say."""
    of_all: dict[str, Any] = field(default_factory=dict)
    """Fields that each of its events says."""

    def add(self, kind: EventType, at_us: int, fields: dict[str, Any], told_apart: str = "") -> None:
        """One more event."""
        fields.update(self.of_all)
        self.events.append(DraftEvent(kind, at_us, fields, told_apart))

    def event_id(self, event: DraftEvent, said: bytes) -> str:
        """The id of an event that says this: the same however often it is delivered, another where it says more."""
        if self.identity:
            said = f"{event.kind}:{self.identity}".encode()
        return blake2b(said + self.span_id.encode() + event.told_apart.encode(), digest_size=16).hexdigest()
