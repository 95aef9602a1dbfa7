"""Spans as OpenLLMetry has them (workflow, task, tool), and the OpenAI client under its instrumentation."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.zoo.open.kit.inference import openai_chat, openai_client
from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.record import Call, Recorder, Serve
from benchmarks.zoo.open.kit.spans import SpanNote, Spans
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Surroundings

NUMBERS = {"parse.pages": "ocr.pages", "parse.pages_read": "ocr.pages_read", "parse.quality": "ocr.confidence"}


class Loop(Spans):
    """Spans with `traceloop.span.kind`, input and output as JSON, and a few attributes of the team's own."""

    scope = "traceloop.tracer"

    def opened(self, note: SpanNote, name: str) -> None:
        kind = {"run": "workflow", "agent": "agent", "tool": "tool"}.get(note.kind, "task")
        note.span.set_attribute("traceloop.span.kind", kind)
        note.span.set_attribute("traceloop.entity.name", name)
        note.span.set_attribute("traceloop.workflow.name", self._service)

    def fields(self, note: SpanNote, said: Mapping[str, Any]) -> None:
        if said.get("validation_errors"):
            note.span.set_attribute("validation.errors", list(said["validation_errors"]))
        if "route" in said:
            note.span.set_attribute("claim.form", str(said["route"]))

    def measures(self, note: SpanNote, said: Mapping[str, object]) -> None:
        for name, value in said.items():
            if name in NUMBERS and isinstance(value, int | float):
                note.span.set_attribute(NUMBERS[name], value)

    def content(self, note: SpanNote, way: str, text: str) -> None:
        note.span.set_attribute(f"traceloop.entity.{way}", json.dumps({way: text}))

    def documents(self, note: SpanNote, passages: Sequence[Passage]) -> None:
        self.content(note, "output", "\n".join(p.text for p in passages))

    def began(self, note: SpanNote, labels: Mapping[str, str]) -> None:
        for name, value in labels.items():
            note.span.set_attribute(f"traceloop.association.properties.{name}", value)

    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        return openai_chat(ask, serve)


def instrument(provider: Any) -> Callable[[], None]:
    """OpenLLMetry's instrumentation of the OpenAI client; its own undoing leaves the wrapper in place."""
    from openai.resources.chat.completions import Completions  # noqa: PLC0415
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415

    bare = Completions.create
    made = OpenAIInstrumentor()
    made.instrument(tracer_provider=provider)
    openai_client.cache_clear()

    def undo() -> None:
        made.uninstrument()
        Completions.create = bare
        openai_client.cache_clear()

    return undo


def recorder(around: Surroundings, service: str) -> Recorder:
    return Loop(around, service)
