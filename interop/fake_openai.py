"""What an OpenAI-compatible server answers, the same every time: enough for a client to make a whole trace of."""

import json

ANSWER = "The notice period is 30 days."
FINGERPRINT = "fp_local_1"
MODEL = "gpt-4o-mini-2024-07-18"


def answer(path: str) -> bytes | None:
    """The body for a POST to `path`; None for what is not answered."""
    usage = {"prompt_tokens": 21, "completion_tokens": 8, "total_tokens": 29}
    if path.endswith("/chat/completions"):
        message: dict[str, object] = {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}
        choice: dict[str, object] = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        said: dict[str, object] = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_780_000_000, "model": MODEL,
            "choices": [choice], "usage": usage, "system_fingerprint": FINGERPRINT,
        }  # fmt: skip
        return json.dumps(said).encode()
    if path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}
        return json.dumps(
            {"object": "list", "data": [vector], "model": "text-embedding-3-small", "usage": usage}
        ).encode()
    return None
