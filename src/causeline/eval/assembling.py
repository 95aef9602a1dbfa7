"""The runs of an answer: its events joined by the definition of a run, as the worker would join them."""

import contextlib
from collections.abc import Sequence

from causeline.runtime.clock import system_clock
from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.streams.definition.events import Arrival
from causeline.streams.definition.reading import arrivals_in
from causeline.streams.definition.run import runs_of


def assembled(batches: Sequence[bytes], policy: Policy = DEFAULT_POLICY) -> list[Run]:
    """The runs of batches of events; what cannot be read of them is left out."""
    schemas = Schemas()
    arrivals: list[Arrival] = []
    for offset, value in enumerate(batches):
        with contextlib.suppress(UnreadableMessage):
            arrivals += arrivals_in(value, 0, offset, schemas)
    joined = runs_of(arrivals, closed_at=system_clock(), policy=policy).values()
    return [Run.from_record(each.run) for each in joined]
