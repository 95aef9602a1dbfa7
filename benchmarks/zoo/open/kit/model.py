"""What is asked of a model and what comes back; the model itself is a workflow's own small reader of its text."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class ProviderError(Exception):
    """The provider did not answer."""

    code = 500


class RateLimited(ProviderError):
    """Too many calls."""

    code = 429


class Overloaded(ProviderError):
    """The provider is at its end."""

    code = 503


class BadRequest(ProviderError):
    """The provider does not take the request, e.g. for it is too long."""

    code = 400


BY_CODE: dict[int, type[ProviderError]] = {e.code: e for e in (ProviderError, RateLimited, Overloaded, BadRequest)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request."""

    model: str
    system: str
    turns: tuple[tuple[str, str], ...]
    """Role and text, the newest last."""
    temperature: float = 0.0
    max_tokens: int = 256
    seed: int | None = None
    tools: tuple[str, ...] = ()

    @property
    def last(self) -> str:
        return self.turns[-1][1]

    @property
    def text(self) -> str:
        return "\n".join((self.system, *(text for _, text in self.turns)))


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer. `tool` is the name of a tool that the model wants, with its arguments."""

    text: str
    model: str = ""
    fingerprint: str = ""
    finish: str = "stop"
    tool: tuple[str, dict[str, Any]] | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    refusal: bool = False


@dataclass(slots=True)
class Server:
    """A provider: `brain` answers, and this counts tokens, cuts what is too long, and takes its time."""

    brain: Callable[[Ask], Reply]
    fingerprint: str
    pause_s: float = 0.0003
    thinking: int = 1
    """By what the output's tokens are multiplied: hidden reasoning is billed."""
    served: str = ""
    """The model that really answers, where it is not the one asked for."""
    outages: list[type[ProviderError]] = field(default_factory=list)
    """What the next calls end with, the first first."""
    cut: int | None = None

    def __call__(self, ask: Ask) -> Reply:
        time.sleep(self.pause_s)
        if self.outages:
            raise self.outages.pop(0)(f"no answer from {ask.model}")
        reply = self.brain(ask)
        reply.model = reply.model or self.served or ask.model
        reply.fingerprint = self.fingerprint
        reply.tokens_in = len(ask.text) // 4 + 3
        tokens = max(1, len(reply.text) // 4 + (12 if reply.tool else 0))
        most = min(ask.max_tokens, self.cut or ask.max_tokens)
        if tokens > most:
            reply.text, reply.finish, tokens = reply.text[: most * 4], "length", most
        reply.tokens_out = tokens * self.thinking
        return reply
