"""The demo's application as an eval gate sees it: it answers cases, well or with one of its old mistakes.

`answer` is the release that is right; each of the others is one that somebody has broken: a route rule, a prompt
version, a masking rule, a schema.
"""

import hashlib
import random
import tempfile
from typing import Protocol

from causeline.demo import workflow
from causeline.demo.clock import SimulatedClock
from causeline.demo.desk import Behaviour, Desk
from causeline.demo.documents import Case
from causeline.demo.model import PERSONAS
from causeline.demo.plan import plan
from causeline.demo.publish import demo_policy
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.tracer import Tracer
from causeline.runtime.clock import system_clock
from causeline.schemas.errors import NotFound
from causeline.schemas.policy import DEFAULT_POLICY

SEED = 7
_RUNS = 3000
_NO_REVIEWER = "review_skipped"
"""In a gate nobody reviews."""


class Asked(Protocol):
    """What the application needs of an eval case."""

    @property
    def input_ref(self) -> str:
        """What goes in."""

    @property
    def workflow(self) -> str:
        """Which workflow answers."""


def answer(case: Asked, tracer: Tracer) -> dict[str, object]:
    """The answer of the release that is right."""
    return _answer(case, tracer)


def wrong_route_rule(case: Asked, tracer: Tracer) -> dict[str, object]:
    """The answer of a release whose route rules were edited badly."""
    return _answer(case, tracer, "wrong_rule")


def old_prompt(case: Asked, tracer: Tracer) -> dict[str, object]:
    """The answer of a release whose prompt no longer asks for a field."""
    return _answer(case, tracer, "omits_field")


def masks_too_much(case: Asked, tracer: Tracer) -> dict[str, object]:
    """The answer of a release that masks amounts of money."""
    return _answer(case, tracer, "mask_money")


def lax_schema(case: Asked, tracer: Tracer) -> dict[str, object]:
    """The answer of a release whose schema looks at less."""
    return _answer(case, tracer, "validation_lax")


def _answer(case: Asked, tracer: Tracer, *twist: str) -> dict[str, object]:
    found = _document(case.input_ref)
    if tracer.policy == DEFAULT_POLICY:
        tracer.policy = demo_policy()
    behaviour = Behaviour(
        twist=frozenset((*twist, _NO_REVIEWER)),
        persona=PERSONAS[found.workflow],
        rng=random.Random(case.input_ref),
    )
    clock = SimulatedClock(system_clock())
    with tempfile.TemporaryDirectory(prefix="causeline-demo-") as folder:
        artifacts = ArtifactStore.open(folder)
        with tracer.run(found.workflow, input_ref=case.input_ref, clock=clock) as run:
            desk = Desk(found, run, artifacts, clock, behaviour)
            for _ in workflow.turns(desk):
                pass
        return {path.removeprefix("$."): value for path, value in desk.values.items()}


def _document(ref: str) -> Case:
    """The demo's document of a reference, made anew: from one seed it is always the same. Raises NotFound."""
    for planned in plan(SEED, _RUNS):
        if _ref(planned.case) == ref:
            return planned.case
    raise NotFound(f"No document of the demo has the reference {ref}.")


def _ref(case: Case) -> str:
    digest = hashlib.sha256(case.sources[0].text.encode()).hexdigest()
    return f"artifact:sha256/{digest[:2]}/{digest[2:]}"
