"""The sealed half of the zoo: workflows that nobody who writes rules has read."""

from benchmarks.zoo.protocol import Workflow
from benchmarks.zoo.sealed import clauses, digest, research, sql, voice

WORKFLOWS: tuple[Workflow, ...] = (research.WORKFLOW, sql.WORKFLOW, digest.WORKFLOW, clauses.WORKFLOW, voice.WORKFLOW)
