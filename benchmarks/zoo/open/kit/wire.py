"""The models behind the real clients: HTTP that never leaves the process."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from benchmarks.zoo.open.kit.model import Ask, ProviderError, Reply
from benchmarks.zoo.open.kit.record import Serve

SERVE: ContextVar[Serve] = ContextVar("SERVE")
Answer = tuple[int, dict[str, Any]]


def openai_body(body: Mapping[str, Any]) -> Answer:
    """A chat completion as the server gives it: status and body."""
    turns = [(m["role"], m["content"]) for m in body["messages"]]
    ask = Ask(
        model=body["model"],
        system=turns[0][1],
        turns=tuple(turns[1:]),
        temperature=body.get("temperature", 0.0),
        max_tokens=body.get("max_tokens", 256),
        seed=body.get("seed"),
    )
    try:
        reply = SERVE.get()(ask)
    except ProviderError as error:
        return error.code, {"error": {"message": str(error), "type": type(error).__name__, "code": None, "param": None}}
    message = {"role": "assistant", "content": reply.text, "refusal": reply.text if reply.refusal else None}
    return 200, {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1764000000,
        "model": reply.model,
        "system_fingerprint": reply.fingerprint,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}],
        "usage": {
            "prompt_tokens": reply.tokens_in,
            "completion_tokens": reply.tokens_out,
            "total_tokens": reply.tokens_in + reply.tokens_out,
        },
    }


def _flat(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [
        f"CALL {p['name']} {json.dumps(p['input'])}" if p["type"] == "tool_use" else p.get("text") or p.get("content")
        for p in content
    ]
    return "\n".join(map(str, parts))


STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def anthropic_body(body: Mapping[str, Any]) -> Answer:
    """A message as the server gives it: status and body."""
    ask = Ask(
        model=body["model"],
        system=body["system"],
        turns=tuple((m["role"], _flat(m["content"])) for m in body["messages"]),
        max_tokens=body["max_tokens"],
        tools=tuple(t["name"] for t in body.get("tools", ())),
    )
    try:
        reply = SERVE.get()(ask)
    except ProviderError as error:
        return error.code, {"type": "error", "error": {"type": type(error).__name__, "message": str(error)}}
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    if reply.tool is not None:
        content.append(
            {"type": "tool_use", "id": f"toolu_{len(ask.turns)}", "name": reply.tool[0], "input": reply.tool[1]}
        )
    return 200, {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": STOPS[reply.finish],
        "stop_sequence": None,
        "usage": {"input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out},
    }


def reply_of(status: int, body: Mapping[str, Any]) -> Reply:
    """What a chat completion says, read back."""
    choice = body["choices"][0]
    assert status == 200
    return Reply(
        text=choice["message"]["content"] or "",
        model=body["model"],
        fingerprint=body["system_fingerprint"] or "",
        finish=choice["finish_reason"],
        tokens_in=body["usage"]["prompt_tokens"],
        tokens_out=body["usage"]["completion_tokens"],
        refusal=bool(choice["message"].get("refusal")),
    )
