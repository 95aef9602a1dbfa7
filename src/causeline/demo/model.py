"""A scripted model: it reads the context it is given, extracts what it is asked for, and behaves as its persona does.

Token counts are measured on what it reads and writes, cost comes from a price list, time from the tokens.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from causeline.demo.cases import TARGETS
from causeline.demo.work import Chunk, Twist, stated


class RateLimited(Exception):
    """The provider answered 429."""


class ProviderTimeout(Exception):
    """The provider did not answer in time."""


@dataclass(frozen=True, slots=True)
class Persona:
    """A model as it is served: by whom, under which backend, at which price."""

    provider: str
    name: str
    policy: str
    fingerprint: str
    usd_per_token: float
    confidence: float = 0.92
    temperature: float = 0.0
    top_p: float = 1.0
    late_weight: float = 1.0
    """How much the last telling word of a text counts when the model decides its kind; the others count 1."""
    doubt: float = 0.0
    """How much less sure it says it is of a kind than the words make it."""


STANDARD = Persona("acme", "acme-large-2", "default", "fp_a17", 0.000002)
STRONGER = Persona("acme", "acme-xl-1", "escalation", "fp_a17x", 0.00001, confidence=0.96)
OTHER = Persona("borealis", "borealis-m", "default", "fp_b03", 0.0000015, confidence=0.9)
PERSONAS: Mapping[str, Persona] = {"policy": STANDARD, "contract": OTHER, "invoice": STANDARD}


def switched(persona: Persona) -> Persona:
    """The persona after its provider changed the backend without a word: it heeds most what it has read last.

    Answers keep their shape, but about six papers in a hundred go another way, and all are judged a little less surely.
    """
    return replace(
        persona,
        fingerprint=persona.fingerprint + "_r2",
        confidence=persona.confidence - 0.05,
        late_weight=6.0,
        doubt=0.05,
    )


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model wrote: values and citations by field path, or a refusal."""

    values: Mapping[str, object]
    cites: Mapping[str, str]
    refused: bool
    confidence: float
    input_tokens: int
    output_tokens: int
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model is asked: the fields by path and label, and the context it may read."""

    labels: Mapping[str, str]
    context: Sequence[Chunk]
    unseen: Sequence[Chunk] = ()
    """What was not put into the context; a model that cites from it makes its citation up."""


def call(
    asked: Asked, persona: Persona, twist: Twist, rng: random.Random, *, attempt: int, stumbles: bool
) -> ModelReply:
    """Ask the model. `stumbles`: this run's first answer has the wrong shape. Raises RateLimited, ProviderTimeout."""
    if "provider_down" in twist or (attempt == 0 and rng.random() < 0.01):
        raise RateLimited
    if attempt == 0 and rng.random() < 0.005:
        raise ProviderTimeout
    read = sum(len(chunk.text) for chunk in asked.context) // 4 + 60
    if "refuses" in twist:
        return ModelReply({}, {}, refused=True, confidence=0.2, input_tokens=read, output_tokens=12)
    values: dict[str, object] = {}
    cites: dict[str, str] = {}
    for path, label in asked.labels.items():
        for chunk in asked.context:
            value = stated(label, chunk.text)
            if value is not None:
                values[path], cites[path] = value, chunk.ref
                break
    _misbehave(values, cites, asked, twist, rng, mend=attempt > 0 and not {"wrong_type"} & twist, stumbles=stumbles)
    written = sum(len(str(value)) for value in values.values()) // 3 + 20
    confidence = max(0.05, min(0.99, persona.confidence + rng.uniform(-0.04, 0.04)))
    return ModelReply(values, cites, False, round(confidence, 3), read, written)


def _misbehave(
    values: dict[str, object],
    cites: dict[str, str],
    asked: Asked,
    twist: Twist,
    rng: random.Random,
    *,
    mend: bool,
    stumbles: bool,
) -> None:
    target = next((path for path in TARGETS.values() if path in values), None)
    if target is None:
        return
    if ("wrong_type" in twist or stumbles) and not mend:
        values[target] = {"amount": str(values[target]).split()[0]}
    if "hallucinates" in twist:
        values[target] = f"{rng.randint(11, 99) * 101}.00 EUR"
    if "misses_field" in twist:
        del values[target], cites[target]
    if "cites_unseen" in twist and asked.unseen:
        cites[target] = asked.unseen[-1].ref
