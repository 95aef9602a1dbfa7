"""Spans by OpenTelemetry's conventions for GenAI, with Pydantic AI's own instrumentation for the model."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_ai.direct import model_request_sync
from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.usage import RequestUsage

from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.record import Call, Recorder, Serve
from benchmarks.zoo.open.kit.spans import SpanNote, Spans
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Surroundings

OPERATIONS = {"tool": "execute_tool", "embed": "embeddings", "retrieve": "retrieval", "run": "invoke_agent"}


class GenAi(Spans):
    """Spans with `gen_ai.operation.name` where the conventions know one, and bare ones where they don't."""

    scope = "concierge"

    def __init__(self, around: Surroundings, service: str) -> None:
        super().__init__(around, service)
        self._settings = InstrumentationSettings(tracer_provider=around.otel)

    def opened(self, note: SpanNote, name: str) -> None:
        operation = OPERATIONS.get(note.kind)
        if operation:
            note.span.set_attribute("gen_ai.operation.name", operation)
        if note.kind == "run":
            note.span.set_attribute("gen_ai.agent.name", name)
        if note.kind == "tool":
            note.span.set_attribute("gen_ai.tool.name", name)
        if note.kind == "retrieve":
            note.span.set_attribute("gen_ai.data_source.id", name)

    def fields(self, note: SpanNote, said: Mapping[str, Any]) -> None:
        if said.get("validation_errors"):
            note.span.add_event("check failed", {"errors": list(said["validation_errors"])})

    def measures(self, note: SpanNote, said: Mapping[str, object]) -> None:
        if note.kind == "eval" and "score" in said:
            given: dict[str, str | float] = {
                "gen_ai.evaluation.name": "helpfulness",
                "gen_ai.evaluation.score.value": float(str(said["score"])),
                "gen_ai.evaluation.score.label": "pass" if float(str(said["score"])) >= 0.5 else "fail",
            }
            note.span.add_event("gen_ai.evaluation.result", given)

    def content(self, note: SpanNote, way: str, text: str) -> None:
        if note.kind == "tool":
            name = "gen_ai.tool.call.arguments" if way == "input" else "gen_ai.tool.call.result"
            note.span.set_attribute(name, text)
        elif note.kind == "run":
            role = "user" if way == "input" else "assistant"
            message = [{"role": role, "parts": [{"type": "text", "content": text}]}]
            note.span.set_attribute(f"gen_ai.{way}.messages", json.dumps(message))
        elif note.kind == "retrieve" and way == "input":
            note.span.set_attribute("gen_ai.retrieval.query.text", text)

    def documents(self, note: SpanNote, passages: Sequence[Passage]) -> None:
        found = [{"id": f"{p.source}#{p.number}", "score": p.score} for p in passages]
        note.span.set_attribute("gen_ai.retrieval.documents", json.dumps(found))

    def began(self, note: SpanNote, labels: Mapping[str, str]) -> None:
        note.span.set_attribute("gen_ai.conversation.id", labels["session.id"])

    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        replies: list[Reply] = []

        def answer(messages: Any, info: Any) -> ModelResponse:
            reply = serve(ask)
            replies.append(reply)
            return ModelResponse(
                parts=[TextPart(reply.text)],
                model_name=reply.model,
                usage=RequestUsage(input_tokens=reply.tokens_in, output_tokens=reply.tokens_out),
                finish_reason=reply.finish,
            )

        parts = [SystemPromptPart(ask.system), *(UserPromptPart(text) for _, text in ask.turns)]
        settings = {"temperature": ask.temperature, "max_tokens": ask.max_tokens}
        model_request_sync(
            FunctionModel(answer, model_name=ask.model),
            [ModelRequest(parts=parts)],
            model_settings=settings,
            instrument=self._settings,
        )
        return replies[0]


def instrument(_: Any) -> Callable[[], None]:
    """Pydantic AI is given its settings with each request."""

    def undo() -> None:
        """Nothing was changed."""

    return undo


def recorder(around: Surroundings, service: str) -> Recorder:
    return GenAi(around, service)
