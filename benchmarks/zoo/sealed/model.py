"""A stand-in for a language model: a skill that reads what it is given, with prices, limits and a fingerprint."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from benchmarks.zoo.sealed.text import pause, tokens
from benchmarks.zoo.sealed.troubles import ContextTooLong, RateLimited, Trouble

Skill = Callable[[str], str]
"""Reads the rendered prompt and writes an answer; may raise a Trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a model is asked."""

    step: str
    prompt_id: str
    prompt_version: str
    user: str
    system: str = "You are a careful assistant."
    context: tuple[str, ...] = ()
    """References of what the prompt brings along."""
    max_tokens: int = 800
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model answered."""

    text: str
    finish: str = "stop"
    fingerprint: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    refusal: bool = False


REFUSAL = "I'm sorry, but I can't help with that request."


@dataclass(slots=True, kw_only=True)
class Model:
    """One model at one provider. `hitch` is how often it is rate limited at the first try, which is no fault."""

    random: Random
    name: str
    provider: str
    fingerprint: str
    policy: str = "default"
    price: float = 2.0
    """Dollars for a million tokens in; out costs four times that."""
    slowness: float = 0.15
    """Milliseconds."""
    hitch: float = 0.04
    window: int = 16_000
    broken: dict[str, Trouble] = field(default_factory=dict)
    """Steps whose every call fails."""

    def attempt(self, ask: Ask, skill: Skill, attempt: int) -> Said:
        """One try; raises a Trouble."""
        congested = 8 if self.random.random() < 0.03 else 1
        pause(self.slowness * congested * (0.7 + 0.6 * self.random.random()))
        if ask.step in self.broken:
            raise self.broken[ask.step]
        if attempt == 0 and self.random.random() < self.hitch:
            raise RateLimited
        given = tokens(ask.system) + tokens(ask.user)
        if given > self.window:
            raise ContextTooLong
        text = skill(ask.user)
        written = tokens(text)
        finish = "stop"
        if written > ask.max_tokens:
            text, written, finish = text[: ask.max_tokens * 4], ask.max_tokens, "length"
        cost = (given + 4 * written) * self.price / 1_000_000
        refusal = text == REFUSAL
        return Said(
            text=text,
            finish=finish,
            fingerprint=self.fingerprint,
            input_tokens=given,
            output_tokens=written,
            cost=round(cost, 8),
            refusal=refusal,
        )
