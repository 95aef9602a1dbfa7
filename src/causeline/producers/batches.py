"""Batches: encoded events of one partition, gathered until they are many, large or old enough."""

from dataclasses import dataclass, field

from causeline.schemas.partition import partition_of


@dataclass(slots=True, eq=False)
class Batch:
    """Encoded events of one partition, and the ids they go by. `first` is the number of its first event."""

    partition: int
    first: int
    opened_at_s: float
    items: list[bytes] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)
    size_bytes: int = 0
    attempts: int = 0
    due_at_s: float = 0.0
    """Not to be sent before; for those that are sent again."""

    def add(self, event_id: str, item: bytes) -> None:
        """Append one event."""
        self.items.append(item)
        self.event_ids.append(event_id)
        self.size_bytes += len(item)

    def __len__(self) -> int:
        return len(self.items)


Unsorted = tuple[int, str, str, bytes]
"""An event's number, its run's id, its own id, and its bytes."""


class Gatherer:
    """Sorts events into batches by partition. Not safe for threads: the emitter's lock is around it.

    As long as the number of partitions is unknown the events wait unsorted, in order.
    """

    def __init__(self, *, batch_events: int, batch_bytes: int, batch_age_s: float) -> None:
        self._batch_events = batch_events
        self._batch_bytes = batch_bytes
        self._batch_age_s = batch_age_s
        self._open: dict[int, Batch] = {}
        self._unsorted: list[Unsorted] = []
        self.partitions = 0
        """How many the topic has; 0 until that is known."""

    def add(self, number: int, run_id: str, event_id: str, item: bytes, now_s: float) -> Batch | None:
        """Take one event; gives the batch that it filled, if it filled one."""
        if not self.partitions:
            self._unsorted.append((number, run_id, event_id, item))
            return None
        partition = partition_of(run_id, self.partitions)
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = Batch(partition, number, now_s)
        batch.add(event_id, item)
        if len(batch.items) >= self._batch_events or batch.size_bytes >= self._batch_bytes:
            return self._open.pop(partition)
        return None

    def partitions_are(self, partitions: int) -> list[Unsorted]:
        """Learn the number of partitions; gives what has waited for it, for `sort` outside the lock."""
        self.partitions = partitions
        waited, self._unsorted = self._unsorted, []
        return waited

    def sort(self, waited: list[Unsorted], now_s: float) -> list[Batch]:
        """Batches of what has waited; it has waited long enough, so none stays open. Touches nothing shared."""
        sorter = Gatherer(batch_events=self._batch_events, batch_bytes=self._batch_bytes, batch_age_s=self._batch_age_s)
        sorter.partitions = self.partitions
        return [full for entry in waited if (full := sorter.add(*entry, now_s)) is not None] + sorter.take_all()

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

    def firsts(self) -> list[int]:
        """The number of the first event of each open batch, and of what waits unsorted."""
        return [*(number for number, *_ in self._unsorted[:1]), *(batch.first for batch in self._open.values())]
