"""What one partition holds between Kafka and ClickHouse; pure, with the time given."""

from collections import deque

from causeline.sinks.loader.delivery import Batch
from causeline.sinks.loader.units import BadMessage, Unit


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


def _rows(message: Unit | BadMessage) -> int:
    return message.block.count if isinstance(message, Unit) else 0
