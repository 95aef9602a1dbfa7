"""From a run's stored events to its next revision, by the worker's own core; its place in the log is kept."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.vocabulary import CloseReason
from causeline.streams.amender.stored import Standing
from causeline.streams.runs.core import Core, Part, Stretch, Written


class Revision(NamedTuple):
    """A run that was assembled again, and the partition it is published to."""

    partition: int
    run: Written


def revised(
    parts: Sequence[Part],
    standing: Standing,
    partition: int,
    *,
    core: Core,
    now_us: int,
    at_most: int,
    policy: Policy = DEFAULT_POLICY,
) -> Revision | None:
    """The run of these stored events, ready to publish; None where its record counts as many.

    They are at most `at_most`; a run of so many is closed as one too large. `partition` is where a run is published
    whose record does not say it.
    """
    place = partition if standing.source_partition is None else standing.source_partition
    run = reassembled(parts, standing, core=core, place=place, now_us=now_us, at_most=at_most, policy=policy)
    return Revision(place, run) if run.brief.revision > standing.revision else None


def reassembled(
    parts: Sequence[Part],
    standing: Standing,
    *,
    core: Core,
    place: int | None,
    now_us: int,
    at_most: int,
    reason: str | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> Written:
    """The run of these stored events, at least one, amended and judged, as one of the partition `place`.

    `reason` is why it was closed; without it, it is closed as what it is.
    """
    return core.joined(
        parts,
        closed_at=now_us,
        reason=CloseReason.OVERFLOW.value if sum(map(len, parts)) >= at_most else reason,
        policy=policy,
        amended=True,
        stretch=Stretch(place, standing.first_offset, standing.last_offset),
    )


def in_batches(run_ids: Iterable[str], sizes: Mapping[str, int], *, at_most: int) -> Iterable[list[str]]:
    """`run_ids` in their order, in batches of at most `at_most` events together; a larger run goes alone."""
    batch: list[str] = []
    events = 0
    for run_id in run_ids:
        size = sizes.get(run_id, 0)
        if batch and events + size > at_most:
            yield batch
            batch, events = [], 0
        batch.append(run_id)
        events += size
    if batch:
        yield batch
