"""A partition that is ours: what waits of it, the one batch on its way, and how far it is."""

from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message, TopicPartition

from causeline.sinks.loader.buffer import PartitionBuffer
from causeline.sinks.loader.delivery import Batch
from causeline.sinks.loader.metrics import Standing
from causeline.sinks.loader.routes import Route
from causeline.sinks.loader.units import Origin


@dataclass(slots=True, eq=False)
class Partition:
    """See the module; belongs to the thread that reads."""

    route: Route
    place: TopicPartition
    buffer: PartitionBuffer
    batch: Batch | None = None
    """What is on its way to the store."""
    is_ours: bool = True
    is_paused: bool = False
    next_offset: int | None = None
    """Of the first message that is not stored; None before the first message."""

    @property
    def key(self) -> tuple[str, int]:
        """Topic and number."""
        return self.place.topic, self.place.partition

    @property
    def is_busy(self) -> bool:
        """Whether something waits or is on its way."""
        return bool(self.buffer) or self.batch is not None

    def standing(self, end: int) -> Standing:
        """How far it is; `end` is the broker's offset after the last message, negative when unknown."""
        batch = self.batch
        return Standing(
            topic=self.route.topic,
            end=end if end >= 0 else None,
            next_offset=self.next_offset,
            oldest_at=batch.produced_at if batch else self.buffer.produced_at(),
            rows=self.buffer.rows + (batch.rows if batch else 0),
            size=self.buffer.bytes + (batch.size if batch else 0),
        )


def origin_of(message: Message) -> Origin:
    """Where a message of the consumer stood."""
    kind, milliseconds = message.timestamp()
    return Origin(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=message.key(),
        produced_at=None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds * 1000,
    )
