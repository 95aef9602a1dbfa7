"""Spans as OpenInference has them, and the OpenAI or Anthropic client under its instrumentation."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import httpx

from benchmarks.zoo.open.kit.model import BY_CODE, Ask, ProviderError, Reply
from benchmarks.zoo.open.kit.record import Call, Recorder, Serve
from benchmarks.zoo.open.kit.spans import SpanNote, Spans
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.open.kit.wire import SERVE, openai_body, reply_of
from benchmarks.zoo.protocol import Surroundings

KINDS = {
    "retrieve": "RETRIEVER",
    "rerank": "RERANKER",
    "embed": "EMBEDDING",
    "tool": "TOOL",
    "guardrail": "GUARDRAIL",
    "agent": "AGENT",
    "eval": "EVALUATOR",
    "prompt": "PROMPT",
}
SPOKEN = ("route", "route_confidence", "confidence", "validation_errors", "prompt_id", "prompt_version")


class Inference(Spans):
    """Spans with `openinference.span.kind`; whatever has no attribute of its own goes into `metadata`."""

    scope = "openinference"

    def opened(self, note: SpanNote, name: str) -> None:
        note.span.set_attribute("openinference.span.kind", KINDS.get(note.kind, "CHAIN"))
        if note.kind == "tool":
            note.span.set_attribute("tool.name", name)

    def fields(self, note: SpanNote, said: Mapping[str, Any]) -> None:
        data = {k: v for k, v in said.items() if k in SPOKEN}
        if "prompt_id" in data:
            note.span.set_attribute("llm.prompt_template.version", str(data.get("prompt_version", "")))
        if data:
            note.span.set_attribute("metadata", json.dumps(data, default=list))

    def content(self, note: SpanNote, way: str, text: str) -> None:
        note.span.set_attribute(f"{way}.value", text)
        if note.kind == "tool" and way == "input":
            note.span.set_attribute("tool.parameters", text)
        if note.kind == "embed" and way == "input":
            note.span.set_attribute("embedding.embeddings.0.embedding.text", text)

    def documents(self, note: SpanNote, passages: Sequence[Passage]) -> None:
        front = "reranker.output_documents" if note.kind == "rerank" else "retrieval.documents"
        for n, passage in enumerate(passages):
            note.span.set_attribute(f"{front}.{n}.document.id", f"{passage.source}#{passage.number}")
            note.span.set_attribute(f"{front}.{n}.document.content", passage.text)
            note.span.set_attribute(f"{front}.{n}.document.score", passage.score)

    def began(self, note: SpanNote, labels: Mapping[str, str]) -> None:
        if "session" in labels:
            note.span.set_attribute("session.id", labels["session"])

    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        return openai_chat(ask, serve)


def _answered(request: httpx.Request) -> httpx.Response:
    status, body = openai_body(json.loads(request.content))
    return httpx.Response(status, json=body)


@cache
def openai_client() -> Any:
    import openai  # noqa: PLC0415 - a second to import, and another form of this module has no need of it

    transport = httpx.MockTransport(_answered)
    client = httpx.Client(transport=transport)
    return openai.OpenAI(api_key="none", base_url="http://models/v1", http_client=client, max_retries=0)


def openai_chat(ask: Ask, serve: Serve) -> Reply:
    """Ask by the OpenAI client; its errors come out as ours, after the instrumentation saw them."""
    import openai  # noqa: PLC0415

    held = SERVE.set(serve)
    more = {} if ask.seed is None else {"seed": ask.seed}
    try:
        got = openai_client().chat.completions.create(
            model=ask.model,
            messages=[{"role": "system", "content": ask.system}]
            + [{"role": role, "content": text} for role, text in ask.turns],
            temperature=ask.temperature,
            max_tokens=ask.max_tokens,
            **more,
        )
    except openai.APIStatusError as error:
        raise BY_CODE.get(error.status_code, ProviderError)(str(error.status_code)) from error
    finally:
        SERVE.reset(held)
    return reply_of(200, got.model_dump())


def instrument_openai(provider: Any) -> Callable[[], None]:
    """OpenInference's instrumentation of the OpenAI client."""
    from openinference.instrumentation.openai import OpenAIInstrumentor  # noqa: PLC0415

    made = OpenAIInstrumentor()
    made.instrument(tracer_provider=provider)
    openai_client.cache_clear()

    def undo() -> None:
        made.uninstrument()
        openai_client.cache_clear()

    return undo


def recorder(around: Surroundings, service: str) -> Recorder:
    return Inference(around, service)
