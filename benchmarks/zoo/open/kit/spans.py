"""Records by spans of the OpenTelemetry SDK; what a span says is a style of its own."""

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from benchmarks.zoo.open.kit.record import Note, Recorder
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Surroundings


class SpanNote(Note):
    """What is said of a step by attributes of its span."""

    def __init__(self, span: Span, style: "Spans", kind: str) -> None:
        self.span, self.style, self.kind = span, style, kind

    def say(self, **fields: Any) -> None:
        self.style.fields(self, fields)

    def labels(self, said: Mapping[str, object]) -> None:
        self.style.measures(self, said)

    def reads(self, text: str) -> None:
        self.style.content(self, "input", text)

    def gives(self, text: str) -> None:
        self.style.content(self, "output", text)

    def shows(self, passages: Sequence[Passage]) -> None:
        self.style.documents(self, passages)

    def failed(self, error: Exception) -> None:
        self.span.record_exception(error)
        self.span.set_status(Status(StatusCode.ERROR, type(error).__name__))


class Spans(Recorder):
    """A run is a trace."""

    scope = "app"

    def __init__(self, around: Surroundings, service: str) -> None:
        self._tracer = around.otel.get_tracer(self.scope)
        self._service = service
        self._root: SpanNote

    @abstractmethod
    def opened(self, note: SpanNote, name: str) -> None:
        """What a span says of its kind."""

    @abstractmethod
    def fields(self, note: SpanNote, said: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def content(self, note: SpanNote, way: str, text: str) -> None: ...

    @abstractmethod
    def documents(self, note: SpanNote, passages: Sequence[Passage]) -> None: ...

    def measures(self, note: SpanNote, said: Mapping[str, object]) -> None:
        """Most teams have no such numbers."""

    @contextmanager
    def run(self, name: str, text: str, labels: Mapping[str, str]) -> Iterator[None]:
        with self._tracer.start_as_current_span(name, context=Context()) as span:
            self.run_id = format(span.get_span_context().trace_id, "032x")
            self._root = SpanNote(span, self, "agent" if self._service.endswith("agent") else "run")
            self.opened(self._root, name)
            self.content(self._root, "input", text)
            self.began(self._root, labels)
            yield

    def began(self, note: SpanNote, labels: Mapping[str, str]) -> None:
        """What the root says of a run: a session, a tenant."""

    @contextmanager
    def step(self, kind: str, name: str, **fields: Any) -> Iterator[Note]:
        with self._tracer.start_as_current_span(name) as span:
            note = SpanNote(span, self, kind)
            self.opened(note, name)
            self.fields(note, fields)
            yield note

    def evidence(
        self, field: str, passages: Sequence[Passage], score: float | None, *, against: Sequence[Passage] = ()
    ) -> None:
        """No such thing in OpenTelemetry."""

    def fallback(self, kind: str, reason: str) -> None:
        self._root.span.add_event("fallback", {"kind": kind, "reason": reason})

    def review(self, outcome: str, *, field: str | None = None, value: str | None = None, note: str = "") -> None:
        with self.step("custom", "human review") as said:
            said.gives(json.dumps({"outcome": outcome, "field": field, "corrected": value is not None}))

    def grade(self, case: str, outcome: str) -> None:
        """The evaluator's own span says it."""

    def finish(self, state: str, text: str, labels: Mapping[str, str]) -> None:
        self.content(self._root, "output", text)
        self.ended(self._root, state, labels)

    def ended(self, note: SpanNote, state: str, labels: Mapping[str, str]) -> None:
        for name, value in labels.items():
            note.span.set_attribute(f"app.{name}", value)
        note.span.set_attribute("app.outcome", state)
