"""Which copies of our partitions are there: the brokers that are away, and what lags or takes no events for it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causeline.kafka.admin import LOOK_UP_TIMEOUT_S, unreachable
from causeline.ops.topics import Found

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_MIN_IN_SYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition as the brokers tell it: who leads it (-1: nobody), who has a copy, whose copy is up to date."""

    leader: int
    copies: tuple[int, ...]
    in_sync: tuple[int, ...]
    needed: int = 1
    """So many copies must be up to date before it takes events."""


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of all our partitions, counted."""

    brokers: int
    partitions: int
    lagging: int
    """Partitions of which a copy is not up to date, or not there."""
    refusing: int
    """Those that take no events: nobody leads them, or too few copies are up to date."""
    away: tuple[int, ...]
    """Brokers that should have a copy, and are not there."""
    most: int
    """Copies of the partition that has most."""

    @property
    def says(self) -> str:
        """How it is, in one sentence."""
        if not self.partitions:
            return "There are no topics yet, and no copies of them."
        if not self.lagging and not self.refusing:
            kept = f"{self.most} copies of each" if self.most > 1 else "one copy of each"
            return f"{self.partitions} partitions have all their copies up to date ({kept})."
        names = ", ".join(map(str, self.away))
        why = f": broker{'s' if len(self.away) > 1 else ''} {names} away" if self.away else ", with every broker there"
        if self.refusing:
            return f"{self.refusing} of {self.partitions} partitions take no events, for want of copies{why}."
        return f"{self.lagging} of {self.partitions} partitions have a copy that is not up to date{why}."


def count(brokers: Collection[int], partitions: Iterable[Partition]) -> Copies:
    """What the partitions' copies come to, with these brokers there."""
    known = list(partitions)
    return Copies(
        brokers=len(brokers),
        partitions=len(known),
        lagging=sum(len(each.in_sync) < len(each.copies) for each in known),
        refusing=sum(each.leader < 0 or len(each.in_sync) < each.needed for each in known),
        away=tuple(sorted({copy for each in known for copy in each.copies} - set(brokers))),
        most=max((len(each.copies) for each in known), default=0),
    )


def read_copies(admin: "AdminClient", ours: Mapping[str, Found]) -> Copies:
    """The copies of these topics, as the brokers tell them; raises Unreachable."""
    from causeline.kafka.client import KafkaException  # noqa: PLC0415 - slow to load

    try:
        told = admin.list_topics(timeout=LOOK_UP_TIMEOUT_S)
    except KafkaException as error:
        raise unreachable(error, admin) from error
    return count(
        told.brokers,
        (
            Partition(each.leader, tuple(each.replicas), tuple(each.isrs), int(ours[name].config.get(_MIN_IN_SYNC, 1)))
            for name in sorted(ours.keys() & told.topics.keys())
            for each in told.topics[name].partitions.values()
        ),
    )
