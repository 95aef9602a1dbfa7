"""The Anthropic client under OpenInference's instrumentation, and an agent's spans as OpenInference has them."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import anthropic
import httpx2

from benchmarks.zoo.open.kit.inference import Inference
from benchmarks.zoo.open.kit.model import BY_CODE, Ask, ProviderError, Reply
from benchmarks.zoo.open.kit.record import Call, Recorder, Serve
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.open.kit.wire import SERVE, STOPS, anthropic_body
from benchmarks.zoo.protocol import Surroundings

FINISH = {stop: finish for finish, stop in STOPS.items()}


def _answered(request: httpx2.Request) -> httpx2.Response:
    status, body = anthropic_body(json.loads(request.content))
    return httpx2.Response(status, json=body)


@cache
def _client() -> Any:
    client = httpx2.Client(transport=httpx2.MockTransport(_answered))
    return anthropic.Anthropic(api_key="none", base_url="http://models", http_client=client, max_retries=0)


def _messages(ask: Ask) -> list[dict[str, Any]]:
    """Turns as the client wants them: `CALL name {…}` is a call of a tool, and what follows it is its result."""
    out: list[dict[str, Any]] = []
    called = ""
    for n, (role, text) in enumerate(ask.turns):
        if role == "assistant" and text.startswith("CALL "):
            _, name, given = text.split(" ", 2)
            called = f"toolu_{n}"
            block = {"type": "tool_use", "id": called, "name": name, "input": json.loads(given)}
            out.append({"role": role, "content": [block]})
        elif called:
            out.append({"role": role, "content": [{"type": "tool_result", "tool_use_id": called, "content": text}]})
            called = ""
        else:
            out.append({"role": role, "content": text})
    return out


class Agentic(Inference):
    """OpenInference's spans, with the Anthropic client."""

    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        held = SERVE.set(serve)
        tools = [{"name": t, "description": t, "input_schema": {"type": "object", "properties": {}}} for t in ask.tools]
        try:
            got = _client().messages.create(
                model=ask.model, max_tokens=ask.max_tokens, system=ask.system, messages=_messages(ask), tools=tools
            )
        except anthropic.APIStatusError as error:
            raise BY_CODE.get(error.status_code, ProviderError)(str(error.status_code)) from error
        finally:
            SERVE.reset(held)
        tool = next(((b.name, dict(b.input)) for b in got.content if b.type == "tool_use"), None)
        return Reply(
            text="".join(b.text for b in got.content if b.type == "text"),
            model=got.model,
            finish=FINISH[got.stop_reason],
            tool=tool,
            tokens_in=got.usage.input_tokens,
            tokens_out=got.usage.output_tokens,
            refusal=got.stop_reason == "refusal",
        )


def instrument(provider: Any) -> Callable[[], None]:
    """OpenInference's instrumentation of the Anthropic client."""
    from openinference.instrumentation.anthropic import AnthropicInstrumentor  # noqa: PLC0415

    made = AnthropicInstrumentor()
    made.instrument(tracer_provider=provider)
    _client.cache_clear()

    def undo() -> None:
        made.uninstrument()
        _client.cache_clear()

    return undo


def recorder(around: Surroundings, service: str) -> Recorder:
    return Agentic(around, service)
