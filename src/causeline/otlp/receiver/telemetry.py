"""What OTLP says, in Python's own types, whichever form it came in.

Ids are lower-case hex, times microseconds since the epoch, attribute values str, int, float, bool, bytes, list or
dict. Source: opentelemetry-proto 1.x, `trace.proto`, `logs.proto` and `common.proto`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, TypeAlias

from causeline.schemas.errors import CauselineError

Value: TypeAlias = str | int | float | bool | bytes | list["Value"] | dict[str, "Value"] | None
Attributes: TypeAlias = Mapping[str, Value]
LAST_MICROSECOND: Final = 253_402_300_799_999_999


class StatusCode(IntEnum):
    """How a span ended, as its instrumentation sees it."""

    UNSET = 0
    OK = 1
    ERROR = 2


class SpanKind(IntEnum):
    """Which side of a call a span is."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200


def is_remote(flags: int) -> bool | None:
    """Whether a span's parent is in another process, by its flags; None where they do not say."""
    return bool(flags & _IS_REMOTE) if flags & _HAS_IS_REMOTE else None


def span_kind(number: object) -> SpanKind:
    """The kind of that number; UNSPECIFIED for any other."""
    return _KINDS.get(number, SpanKind.UNSPECIFIED) if isinstance(number, int | str) else SpanKind.UNSPECIFIED


_KINDS: Final[Mapping[object, SpanKind]] = {
    **{kind.value: kind for kind in SpanKind},
    **{str(kind.value): kind for kind in SpanKind},
    **{f"SPAN_KIND_{kind.name}": kind for kind in SpanKind},
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose telemetry it is: the attributes of the resource, and the scope (the instrumentation's name)."""

    resource: Attributes
    scope: str = ""
    scope_attributes: Attributes = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was made of it once, for all its spans."""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    at_us: int
    attributes: Attributes


@dataclass(slots=True, eq=False)
class Span:
    """One span. `trace_id` is 32 hex digits, `span_id` and `parent_id` 16; `parent_id` is None for a root."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_us: int
    end_us: int
    status: StatusCode
    attributes: Attributes
    origin: Origin
    events: Sequence[SpanEvent] = ()
    links: Sequence[tuple[str, str]] = ()
    kind: SpanKind = SpanKind.UNSPECIFIED
    is_remote: bool | None = None
    """Whether the parent is in another process; None where nobody says."""
    said_besides: Sequence[tuple[str, Value]] = ()
    """The status's message, the trace state, what links say: kept with the rest."""


@dataclass(slots=True, eq=False)
class LogRecord:
    """One log record that belongs to a span; `span_id` is empty for an evaluation of the whole trace."""

    trace_id: str
    span_id: str
    name: str
    at_us: int
    body: Value
    attributes: Attributes
    origin: Origin
    identity: str = ""
    """What makes it the same record however often and whenever it comes; empty: all that it says."""


@dataclass(slots=True)
class Received:
    """What a request held: what can be used, and why the rest cannot; `rejected` counts the items of `reasons`."""

    spans: list[Span] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    hint: str = ""
    """What the sender should know though all was taken."""

    def take(self, span: Span) -> None:
        """Take in a span, unless no moment of it is known or can be."""
        if span.start_us == span.end_us == 0:
            self.reject("a span without a time")
        elif max(span.start_us, span.end_us) > LAST_MICROSECOND:
            self.reject("a span after the year 9999")
        else:
            self.spans.append(span)

    def reject(self, reason: str, items: int = 1) -> None:
        """Count items that cannot be used."""
        self.rejected += items
        self.reasons[reason] = self.reasons.get(reason, 0) + items

    def message(self) -> str:
        """The reasons in one sentence, the most frequent first."""
        told = sorted(self.reasons.items(), key=lambda each: -each[1])
        sentences = [f"{count} of: {reason}" for reason, count in told]
        return "; ".join([*sentences, self.hint] if self.hint else sentences)


class Malformed(CauselineError):
    """The request as a whole cannot be read."""


class WrongSignal(Malformed):
    """The request is one of another signal than its path says."""
