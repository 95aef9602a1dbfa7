"""What an OpenAI-compatible server answers, the same every time: enough for a client to make a whole trace of.

A request that offers tools and holds no result of one yet is answered with a call of the first; one under `/fail/` with
an error, as an overloaded server would.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

ANSWER = "The notice period is 30 days."
FINGERPRINT = "fp_local_1"
MODEL = "gpt-4o-mini-2024-07-18"
FAILING = "/fail/"
_USAGE = {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29}
_OVERLOADED = {"error": {"message": "The model is overloaded.", "type": "server_error", "code": "overloaded"}}
_TEXT, _STREAM = "application/json", "text/event-stream"


def answer(path: str, body: bytes = b"") -> tuple[int, bytes, str] | None:
    """Status, body and media type for a POST to `path`; None for what is not answered."""
    if path.endswith("/chat/completions"):
        if FAILING in path:
            return 500, json.dumps(_OVERLOADED).encode(), _TEXT
        asked = json.loads(body or b"{}")
        message, reason = _message(asked)
        if asked.get("stream"):
            return 200, b"".join(_chunks(message, reason)), _STREAM
        said = _envelope("chat.completion", [{"index": 0, "message": message, "finish_reason": reason}])
        return 200, json.dumps(said | {"usage": _USAGE}).encode(), _TEXT
    if path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}
        told = {"object": "list", "data": [vector], "model": "text-embedding-3-small", "usage": _USAGE}
        return 200, json.dumps(told).encode(), _TEXT
    return None


def _message(asked: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    tools = asked.get("tools") or []
    if tools and not any(each.get("role") == "tool" for each in asked.get("messages", ())):
        function = tools[0]["function"]
        given = dict.fromkeys(function.get("parameters", {}).get("required", ()), "notice")
        call = {"name": function["name"], "arguments": json.dumps(given)}
        calls = [{"id": "call_1", "type": "function", "index": 0, "function": call}]
        return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    return {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}, "stop"


def _envelope(kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1", "object": kind, "created": 1_780_000_000, "model": MODEL, "choices": choices,
        "system_fingerprint": FINGERPRINT,
    }  # fmt: skip


def _chunks(message: Mapping[str, Any], reason: str) -> Iterator[bytes]:
    for choices, more in (
        ([{"index": 0, "delta": dict(message), "finish_reason": None}], {}),
        ([{"index": 0, "delta": {}, "finish_reason": reason}], {}),
        ([], {"usage": _USAGE}),
    ):
        yield b"data: " + json.dumps(_envelope("chat.completion.chunk", choices) | more).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"
