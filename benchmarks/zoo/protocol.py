"""What a workflow of the zoo is: it does its work for real, in three forms of instrumentation, with at most one fault.

Who writes a workflow knows README.md and docs/trace-contract.md, never the rules that will judge it. Who writes rules
never reads `benchmarks/zoo/sealed`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from causeline import ArtifactStore, Tracer


class Form(StrEnum):
    """How much of a workflow's work is put on record, and by what."""

    PARTIAL = "partial"  # what a hurried team records: a few steps, a few fields, no measures
    FULL = "full"  # all that docs/trace-contract.md asks for, as far as this workflow has it
    OTEL = "otel"  # no word of Causeline: instrumentation libraries as they are installed, or the OpenTelemetry SDK


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way for a step to go wrong; it changes what the step does, and never writes a symptom into the record."""

    name: str
    layers: tuple[str, ...]
    """Kinds of step that a right answer may blame, the best first: words of docs/trace-contract.md's table, or `agent`,
    `guardrail`, `embed`, `rerank`, `custom`, where the workflow has such a step."""
    step: str
    """Name of the step that is at fault, as the full form records it."""
    things: tuple[str, ...]
    """What a person would have to touch: one of these must stand in an answer's fix, whatever its case, for the fix to
    be useful, e.g. ("triage prompt", "prompt_id triage", "triage:13")."""
    footprint: str
    """One sentence for a person: what the fault leaves in the record because the step really worked that way."""
    regression: bool = False
    """Whether only other runs can show it: a release (prompt, model, index, classifier, price) that made things worse
    while each of its runs looks well by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run is given. Everything that varies is drawn from `random`, so that a seed gives the same run."""

    random: Random
    artifacts: ArtifactStore
    """For the forms `partial` and `full`; content goes there and references go on record."""
    tracer: Tracer | None
    """For the forms `partial` and `full`."""
    otel: Any
    """For the form `otel`: an `opentelemetry.sdk.trace.TracerProvider` whose spans are exported for you."""
    number: int
    """The run's number within its batch: 0, 1, 2, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow of the zoo."""

    name: str
    """As the runs say it; the forms of one workflow share it."""
    shape: str
    """rag, extraction, classification, agent, planner, sql, summary, chat, …"""
    faults: tuple[Fault, ...]
    run: Callable[[Form, Fault | None, Surroundings], str]
    """Does one run in a form, with a fault or without one, and gives its run id (a trace id, 32 hex digits). A run that
    fails is recorded as its workflow would (by an exception that ends it, by a final state); nothing is raised out
    of it."""
    policy: str
    """The evidence policy (TOML, docs/policy.md) that this team would have written for itself."""
    prepare_otel: Callable[[Any], Callable[[], None]] | None = None
    """Instruments libraries with the provider, before the first run of the form `otel`; what it returns undoes that."""
    labels: Mapping[str, str] | None = None
