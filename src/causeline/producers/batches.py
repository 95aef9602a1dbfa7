"""Batches: encoded events of one partition, gathered until they are many, large or old enough."""

from dataclasses import dataclass, field

from causeline.schemas.partition import partition_of


@dataclass(slots=True)
class Batch:
    """Encoded events of one partition, and the ids they go by."""

    partition: int
    opened_at_s: float
    items: list[bytes] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    size_bytes: int = 0
    attempts: int = 0

    def add(self, event_id: str, item: bytes) -> None:
        """Append one event."""
        self.items.append(item)
        self.event_ids.append(event_id)
        self.size_bytes += len(item)

    def __len__(self) -> int:
        return len(self.items)


class Gatherer:
    """Sorts events into batches by partition. Not safe for threads: the emitter's lock is around it.

    As long as the number of partitions is unknown the events wait unsorted, in order.
    """

    def __init__(self, *, batch_events: int, batch_bytes: int, batch_age_s: float) -> None:
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._batch_age_s = batch_age_s
        self._open: dict[int, Batch] = {}
        self._unsorted: list[tuple[str, str, bytes]] = []
        self._partitions = 0

    def add(self, run_id: str, event_id: str, item: bytes, now_s: float) -> Batch | None:
        """Take one event; gives the batch that it filled, if it filled one."""
        if not self._partitions:
            self._unsorted.append((run_id, event_id, item))
            return None
        partition = partition_of(run_id, self._partitions)
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = Batch(partition, now_s)
        batch.add(event_id, item)
        if len(batch.items) >= self._batch_events or batch.size_bytes >= self._batch_bytes:
            return self._open.pop(partition)
        return None

    def partitions_are(self, partitions: int, now_s: float) -> list[Batch]:
        """Learn the number of partitions and sort what has waited; gives the batches that are full."""
        self._partitions = partitions
        waited, self._unsorted = self._unsorted, []
        return [full for entry in waited if (full := self.add(*entry, now_s)) is not None]

    def take_old(self, now_s: float) -> list[Batch]:
        """Close and give the batches whose first event has waited long enough."""
        due = [p for p, batch in self._open.items() if now_s - batch.opened_at_s >= self._batch_age_s]
        return [self._open.pop(partition) for partition in due]

    def take_all(self) -> list[Batch]:
        """Close and give every batch."""
        taken, self._open = list(self._open.values()), {}
        return taken

    def next_due_s(self) -> float | None:
        """When the oldest batch will have waited long enough; None when there is none."""
        oldest = min((batch.opened_at_s for batch in self._open.values()), default=None)
        return None if oldest is None else oldest + self._batch_age_s

    @property
    def open_batches(self) -> int:
        """How many batches are being gathered."""
        return len(self._open)

    @property
    def sorted(self) -> bool:
        """Whether the number of partitions is known."""
        return self._partitions > 0
