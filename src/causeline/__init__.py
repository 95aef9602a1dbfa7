"""Causeline: a bad answer of an AI workflow as an inspectable chain of causes.

    from causeline import ArtifactStore, Tracer

Everything else is imported from its part: `causeline.schemas`, `.producers`, `.streams`, `.sinks`, `.console`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causeline.producers.artifacts import ArtifactStore
    from causeline.producers.context import current_run, current_step
    from causeline.producers.runs import Decision, Run
    from causeline.producers.steps import Step
    from causeline.producers.tracer import Tracer
    from causeline.schemas.errors import CauselineError
    from causeline.schemas.events import ConflictSide

__all__ = [
    "ArtifactStore",
    "CauselineError",
    "ConflictSide",
    "Decision",
    "Run",
    "Step",
    "Tracer",
    "__version__",
    "current_run",
    "current_step",
]

_HOMES = {
    "ArtifactStore": "causeline.producers.artifacts",
    "CauselineError": "causeline.schemas.errors",
    "ConflictSide": "causeline.schemas.events",
    "Decision": "causeline.producers.runs",
    "Run": "causeline.producers.runs",
    "Step": "causeline.producers.steps",
    "Tracer": "causeline.producers.tracer",
    "current_run": "causeline.producers.context",
    "current_step": "causeline.producers.context",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - costs more than the rest of this module

        return version("causeline")
    if name not in _HOMES:
        raise AttributeError(f"module 'causeline' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
