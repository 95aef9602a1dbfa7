"""The runs of an answer: its events joined by the one definition of a run, as the worker would join them."""

from collections.abc import Sequence

from causeline.runtime.clock import system_clock
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.streams.runs.assemble import assemble
from causeline.streams.runs.decode import Message, decode


def assembled(batches: Sequence[bytes], policy: Policy = DEFAULT_POLICY) -> list[Run]:
    """The runs of batches of events; needs the streams extra."""
    decoded = decode([Message(0, offset, value) for offset, value in enumerate(batches)], Schemas())
    runs = assemble(decoded.frame, closed_at_us=system_clock(), policy=policy).runs
    return [Run.from_record(record) for record in runs.iter_rows(named=True)]
