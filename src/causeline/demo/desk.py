"""What the steps of one run share: its case, its clock, where artifacts go, and what has been worked out so far."""

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from causeline.demo import model, work
from causeline.demo.cases import TARGETS
from causeline.demo.clock import SimulatedClock
from causeline.demo.documents import Case
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.runs import Run
from causeline.producers.steps import Step
from causeline.schemas import measures

Turns = Generator[None, None, None]
"""A part of a run that yields between its steps, so that many runs interleave as they would in a server."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How this run goes: what is planted, which versions run, and what chance has in store."""

    twist: work.Twist
    persona: model.Persona
    rng: random.Random
    legacy: bool = False
    """An old service version that forgets to record some versions."""
    stumbles: bool = False
    """The model's first answer has the wrong shape."""
    audited: bool = False
    """Chosen at random for review."""


@dataclass(slots=True)
class Desk:
    """One run at work over one case. Field paths and references are keys; nothing of it is recorded by itself."""

    case: Case
    run: Run
    artifacts: ArtifactStore
    clock: SimulatedClock
    behaviour: Behaviour
    chunks: list[work.Chunk] = field(default_factory=list)
    """Every piece of the masked documents."""
    texts: dict[str, str] = field(default_factory=dict)
    """What stands at each reference that can be cited."""
    context: list[work.Chunk] = field(default_factory=list)
    """The pieces that the model is shown."""
    route: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    """What the documents call each field on this route."""
    values: dict[str, object] = field(default_factory=dict)
    cites: dict[str, str] = field(default_factory=dict)
    rivals: dict[str, list[str]] = field(default_factory=dict)
    """References to what disagrees, by field path."""
    to_review: list[str] = field(default_factory=list)
    partial: bool = False
    over: str = ""
    """The final state, once something has decided it."""
    answer_ref: str = ""

    @property
    def twist(self) -> work.Twist:
        """What is planted in this run."""
        return self.behaviour.twist

    @property
    def target(self) -> str:
        """The field that faults which hit one field hit."""
        return TARGETS[self.case.workflow]

    @property
    def index_ref(self) -> str:
        """The masked document that is searched, or whose kind is decided."""
        return self.chunks[0].ref.partition("#")[0]

    def put(self, data: bytes) -> str:
        """Store an artifact; events carry its reference only."""
        return self.artifacts.put(data)

    def version(self, **versions: str) -> dict[str, Any]:
        """Version anchors; the legacy service forgets them."""
        return {} if self.behaviour.legacy else versions

    def take(self, answer: model.ModelReply) -> None:
        """Keep what a model has answered, over what it answered before."""
        self.values.update(answer.values)
        self.cites.update(answer.cites)


def say_hits(step: Step, path: str, hits: work.Hits) -> None:
    """Record what a search for a field found."""
    step.set(context_refs=[chunk.ref for chunk in hits.shown])
    step.label(
        {
            measures.RETRIEVE_FIELD: path,
            measures.RETRIEVE_MATCHES: hits.matches,
            measures.RETRIEVE_SHOWN: len(hits.shown),
            measures.RETRIEVE_TOP_SCORE: round(hits.top_score, 3),
        }
    )
