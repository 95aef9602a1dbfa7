"""The partitions that are ours, between Kafka and ClickHouse; pure, with the time given. The loop is who calls it.

1. What was read of a partition waits in its buffer, in order of the offsets.
2. A batch of it is due when it is full, or when its first message has lingered for long enough.
3. What is due goes to the store as one load, with what waits of other partitions of the topic (ADR 26).
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from causeline.kafka.client import TIMESTAMP_NOT_AVAILABLE, Message, TopicPartition
from causeline.sinks.loader.delivery import Batch, Delivered
from causeline.sinks.loader.metrics import PartitionProgress
from causeline.sinks.loader.routes import Route
from causeline.sinks.loader.units import BadMessage, Origin, Unit


class PartitionBuffer:
    """Messages of one partition in order of their offsets, cut into batches."""

    def __init__(self, max_rows: int, max_bytes: int, linger_s: float) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._linger_s = linger_s
        self._messages: deque[tuple[Unit | BadMessage, float]] = deque()
        self.rows = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Unit | BadMessage, now: float) -> None:
        """Take the next message, come at `now`."""
        self._messages.append((message, now))
        self._count(message, 1)

    def due_at(self) -> float | None:
        """When the next batch is to go, as `now` has it; at once when a batch is full, never when there is nothing."""
        if not self._messages:
            return None
        came_at = self._messages[0][1]
        full = self.rows >= self._max_rows or self.bytes >= self._max_bytes
        return came_at if full else came_at + self._linger_s

    def produced_at(self) -> int | None:
        """When its first message was produced, microseconds; None when it is empty, or the broker does not say."""
        return self._messages[0][0].origin.produced_at if self._messages else None

    def is_crowded(self) -> bool:
        """Whether it holds two batches, so that reading should pause."""
        return self.rows >= 2 * self._max_rows or self.bytes >= 2 * self._max_bytes

    def fits(self, rows: int, size: int) -> bool:
        """Whether all that it holds is no more than so many rows and bytes."""
        return self.rows <= rows and self.bytes <= size

    def take(self) -> Batch:
        """The next batch: as many messages as an insert may have, and one at least. Raises IndexError when empty."""
        units: list[Unit] = []
        bad: list[BadMessage] = []
        rows = size = 0
        last = self._messages[0][0]
        while self._messages:
            message, _ = self._messages[0]
            more_rows, more_bytes = _rows(message), len(message.value)
            too_many = rows + more_rows > self._max_rows or size + more_bytes > self._max_bytes
            if (units or bad) and too_many:
                break
            self._messages.popleft()
            self._count(message, -1)
            rows, size, last = rows + more_rows, size + more_bytes, message
            if isinstance(message, Unit):
                units.append(message)
            else:
                bad.append(message)
        return Batch(units, bad, last.origin.offset + 1)

    def _count(self, message: Unit | BadMessage, sign: int) -> None:
        self.rows += sign * _rows(message)
        self.bytes += sign * len(message.value)


@dataclass(slots=True, eq=False)
class Partition:
    """A partition that is ours: what waits of it, the one batch on its way, and how far it is.

    Belongs to the thread that reads.
    """

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

    def progress(self, end: int) -> PartitionProgress:
        """How far it is; `end` is the broker's offset after the last message, negative when unknown."""
        batch = self.batch
        return PartitionProgress(
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


@dataclass(slots=True, eq=False)
class Load:
    """Partitions whose `batch` is on its way, and the delivery that carries them; belongs to the thread that reads."""

    route: Route
    partitions: Sequence[Partition]
    batches: Sequence[Batch]
    cancelled: threading.Event = field(default_factory=threading.Event)
    delivery: Future[Delivered] | None = None

    @property
    def is_done(self) -> bool:
        """Whether the delivery has ended, well or not."""
        return self.delivery is not None and self.delivery.done()

    def cancel_if_nobodys(self) -> None:
        """Ask the delivery to end when no partition of it is ours any more; as long as one is, it goes on."""
        if not any(each.is_ours for each in self.partitions):
            self.cancelled.set()


def next_load(partitions: Iterable[Partition], now: float, max_rows: int, max_bytes: int) -> Load | None:
    """What is to go next: of the partition that has waited longest, and with it of all of its topic that fit beside.

    None while nothing has waited long enough. The batches are taken from the buffers.
    """
    waiting = sorted(
        ((due_at, each) for each in partitions if each.batch is None and (due_at := each.buffer.due_at()) is not None),
        key=lambda pair: pair[0],
    )
    if not waiting or waiting[0][0] > now:
        return None
    first = waiting[0][1]
    first.batch = first.buffer.take()
    together, batches = [first], [first.batch]
    rows, size = max_rows - first.batch.rows, max_bytes - first.batch.size
    for _, each in waiting[1:]:
        if each.route is first.route and each.buffer.fits(rows, size):
            each.batch = each.buffer.take()
            rows, size = rows - each.batch.rows, size - each.batch.size
            together.append(each)
            batches.append(each.batch)
    return Load(first.route, together, batches)


def _rows(message: Unit | BadMessage) -> int:
    return message.block.count if isinstance(message, Unit) else 0
