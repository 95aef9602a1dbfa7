"""What stands in messages of the events topic, joined into runs by the definition, in this process."""

from collections.abc import Iterable, Iterator

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.streams.definition.events import Arrival
from causeline.streams.definition.reading import Message, read
from causeline.streams.definition.run import runs_of


def arrivals(values: Iterable[bytes]) -> list[Arrival]:
    """The events of values that stand one after the other in a partition; raises RuntimeError where any is no good."""
    schemas = Schemas()
    found = [read(Message(0, offset, value), schemas) for offset, value in enumerate(values)]
    if unreadable := sum(len(each.unreadable) for each in found):
        raise RuntimeError(f"{unreadable} messages or events could not be read")
    return [arrival for each in found for arrival in each.arrivals]


def joined(events: Iterable[Arrival], policy: Policy = DEFAULT_POLICY) -> Iterator[Run]:
    """The runs of events, in order of their first."""
    for each in runs_of(events, closed_at=0, policy=policy).values():
        yield Run.from_record(each.run)
