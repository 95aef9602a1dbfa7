"""What OTLP says, in Python's own types, whichever form it came in.

Ids are lower-case hex, times microseconds since the epoch, attribute values str, int, float, bool, bytes, list or
dict. Source: opentelemetry-proto 1.x, `trace.proto`, `logs.proto` and `common.proto`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

from causeline.schemas.errors import CauselineError

Value: TypeAlias = str | int | float | bool | bytes | list["Value"] | dict[str, "Value"] | None
Attributes: TypeAlias = Mapping[str, Value]
LAST_MICROSECOND: Final = 253_402_300_799_999_999


class StatusCode(IntEnum):
    """How a span ended, as its instrumentation sees it."""

    UNSET = 0
    OK = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose telemetry it is: the attributes of the resource, and the scope (the instrumentation's name)."""

    resource: Attributes
    scope: str = ""


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


@dataclass(slots=True, eq=False)
class LogRecord:
    """One log record that belongs to a span."""

    trace_id: str
    span_id: str
    name: str
    at_us: int
    body: Value
    attributes: Attributes
    origin: Origin


@dataclass(slots=True)
class Received:
    """What a request held: what can be used, and why the rest cannot; `rejected` counts the items of `reasons`."""

    spans: list[Span] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

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
        return "; ".join(f"{count} of: {reason}" for reason, count in told)


class Malformed(CauselineError):
    """The request as a whole cannot be read."""


class WrongSignal(Malformed):
    """The request is one of another signal than its path says."""
