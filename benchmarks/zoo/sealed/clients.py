"""Real client libraries of model providers, against a transport that answers on this machine."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.zoo.sealed.model import Ask, Model, Said
from benchmarks.zoo.sealed.text import tokens
from benchmarks.zoo.sealed.troubles import ModelTimeout, Trouble


class _Served:
    """Answers HTTP requests with what the stand-in says."""

    def __init__(self, http: Any) -> None:
        self.http = http
        self.model: Model | None = None
        self.attempt: Callable[[], Said] | None = None
        self.said: Said | None = None
        self.trouble: Trouble | None = None

    def serve(self, request: Any) -> Any:
        httpx = self.http
        assert self.attempt is not None
        self.trouble = self.said = None
        try:
            self.said = self.attempt()
        except ModelTimeout as trouble:
            self.trouble = trouble
            raise httpx.ReadTimeout("timed out", request=request) from trouble
        except Trouble as trouble:
            self.trouble = trouble
            body = {"type": "error", "error": {"type": type(trouble).__name__, "message": "refused by the provider"}}
            return httpx.Response(trouble.status, json=body)
        return httpx.Response(200, json=self.body(self.said, json.loads(request.content)))

    def body(self, said: Said, request: Any) -> dict[str, Any]:
        raise NotImplementedError


class OpenAiClient(_Served):
    """The `openai` package; a Client."""

    def __init__(self) -> None:
        import httpx
        import openai

        super().__init__(httpx)

        self._errors = openai.APIError
        self._client = openai.OpenAI(
            api_key="local",
            base_url="http://models.invalid/v1",
            max_retries=0,
            http_client=httpx.Client(transport=httpx.MockTransport(self.serve)),
        )

    def body(self, said: Said, request: Any) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "content": None if said.refusal else said.text,
            "refusal": said.text if said.refusal else None,
        }
        usage = {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": said.output_tokens,
            "total_tokens": said.input_tokens + said.output_tokens,
        }
        return {
            "id": f"chatcmpl-{tokens(said.text)}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": request["model"],
            "system_fingerprint": said.fingerprint,
            "usage": usage,
            "choices": [{"index": 0, "message": message, "finish_reason": said.finish, "logprobs": None}],
        }

    def __call__(self, model: Model, ask: Ask, attempt: Callable[[], Said]) -> Said:
        self.model, self.attempt = model, attempt
        try:
            self._client.chat.completions.create(
                model=model.name,
                temperature=ask.temperature,
                max_tokens=ask.max_tokens,
                seed=7,
                messages=[{"role": "system", "content": ask.system}, {"role": "user", "content": ask.user}],
            )
        except self._errors:
            if self.trouble is None:
                raise
            raise self.trouble from None
        assert self.said is not None
        return self.said


class AnthropicClient(_Served):
    """The `anthropic` package; a Client."""

    def __init__(self) -> None:
        import anthropic
        import httpx2 as httpx

        super().__init__(httpx)

        self._errors = anthropic.APIError
        self._client = anthropic.Anthropic(
            api_key="local",
            base_url="http://models.invalid",
            max_retries=0,
            http_client=httpx.Client(transport=httpx.MockTransport(self.serve)),
        )

    def body(self, said: Said, request: Any) -> dict[str, Any]:
        reason = {"stop": "end_turn", "length": "max_tokens"}[said.finish]
        return {
            "id": f"msg_{tokens(said.text)}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [{"type": "text", "text": said.text}],
            "stop_sequence": None,
            "stop_reason": "refusal" if said.refusal else reason,
            "usage": {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
        }

    def __call__(self, model: Model, ask: Ask, attempt: Callable[[], Said]) -> Said:
        self.model, self.attempt = model, attempt
        try:
            self._client.messages.create(
                model=model.name,
                max_tokens=ask.max_tokens,
                system=ask.system,
                messages=[{"role": "user", "content": ask.user}],
            )
        except self._errors:
            if self.trouble is None:
                raise
            raise self.trouble from None
        assert self.said is not None
        return self.said
