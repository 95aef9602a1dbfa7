"""What a span or a log record becomes: events that still lack their content's references, and what was left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from causeline.producers.otlp.telemetry import Value
from causeline.producers.otlp.values import as_json
from causeline.schemas.ids import derived_id
from causeline.schemas.vocabulary import EventType


@dataclass(slots=True, eq=False)
class Content:
    """Content that stands where its reference will: the attributes that carried it, in order of their keys."""

    parts: tuple[tuple[str, Value], ...]

    @classmethod
    def of(cls, parts: Iterable[tuple[str, Value]]) -> "Content | None":
        """The content of these attributes; None when there are none."""
        found = tuple(sorted((part for part in parts if part[1] not in (None, "")), key=lambda part: part[0]))
        return cls(found) if found else None

    def data(self) -> bytes:
        """The bytes to keep: a lone text as it is, anything else as one JSON object."""
        if len(self.parts) == 1 and isinstance(self.parts[0][1], str):
            text = self.parts[0][1]
        else:
            text = as_json(dict(self.parts))
        return text.encode("utf-8", "surrogatepass")


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
    dropped: list[str] = field(default_factory=list)
    """Keys of attributes that are neither mapped nor fit to be labels."""

    def add(self, kind: EventType, at_us: int, fields: dict[str, Any], told_apart: str = "") -> None:
        """One more event."""
        self.events.append(DraftEvent(kind, at_us, fields, told_apart))

    def event_id(self, event: DraftEvent) -> str:
        """The same id for the same event, however often it is delivered."""
        return derived_id(self.trace_id, self.span_id, event.kind.value, event.told_apart)
