"""Batches: encoded events of one partition, gathered until they are many, large or old enough."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from causeline.schemas.partition import partition_of
from causeline.schemas.wire import event_id_of, run_id_of


@dataclass(slots=True)
class Lot:
    """Events as they came, not sorted yet: of each its run's id and its bytes. Flat, so that none needs an object."""

    runs: list[str] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    first: int = 0
    """The number of the first."""
    since_s: float = 0.0
    """When it came."""


UNSORTED = -1
"""Partition of a batch that was gathered before the number of partitions was known."""


@dataclass(slots=True, eq=False)
class Batch:
    """Encoded events of one partition. `first` is the number of its first event."""

    partition: int
    first: int
    opened_at_s: float
    items: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    attempts: int = 0
    due_at_s: float = 0.0
    """Not to be sent before; for those that are sent again."""

    @property
    def event_ids(self) -> Sequence[str]:
        """The ids of its events."""
        return [event_id_of(item) for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two batches with its events, each with at least one; it has two or more."""
        middle = len(self.items) // 2
        return self._part(0, self.items[:middle]), self._part(middle, self.items[middle:])

    def _part(self, at: int, items: list[bytes]) -> "Batch":
        return Batch(self.partition, self.first + at, self.opened_at_s, items, sum(map(len, items)))


def by_partition(items: Iterable[bytes], partitions: int) -> dict[int, list[bytes]]:
    """Events sorted by the partition of their runs, in the order in which they are."""
    sorted_items: dict[int, list[bytes]] = {}
    for item in items:
        sorted_items.setdefault(partition_of(run_id_of(item), partitions), []).append(item)
    return sorted_items


class Gatherer:
    """Sorts events into batches by partition. Not safe for threads: the emitter's own is the only one to use it."""

    def __init__(self, *, batch_events: int, batch_bytes: int, batch_age_s: float) -> None:
        self._batch_events = batch_events
        self.batch_bytes = batch_bytes
        """A batch of so many encoded bytes is full."""
        self._batch_age_s = batch_age_s
        self._open: dict[int, Batch] = {}
        self.partitions = 0
        """How many the topic has; 0 until that is known."""

    def __len__(self) -> int:
        return len(self._open)

    def sort(self, lot: Lot) -> list[Batch]:
        """Take a lot; gives the batches that it filled."""
        full: list[Batch] = []
        last_run = ""
        batch: Batch | None = None
        for number, (run_id, item) in enumerate(zip(lot.runs, lot.items, strict=True), lot.first):
            if run_id is not last_run or batch is None:
                last_run = run_id
                batch = self._batch_of(run_id, number, lot.since_s)
            batch.items.append(item)
            batch.size_bytes += len(item)
            if batch.size_bytes >= self.batch_bytes or len(batch.items) >= self._batch_events:
                full.append(self._open.pop(batch.partition))
                batch = None
        return full

    def _batch_of(self, run_id: str, number: int, since_s: float) -> Batch:
        partition = partition_of(run_id, self.partitions) if self.partitions else UNSORTED
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = Batch(partition, number, since_s)
        return batch

    def take_old(self, now_s: float) -> list[Batch]:
        """Close and give the batches whose first event has waited long enough."""
        due = [p for p, batch in self._open.items() if now_s - batch.opened_at_s >= self._batch_age_s]
        return [self._open.pop(partition) for partition in due]

    def take_all(self) -> list[Batch]:
        """Close and give every batch."""
        taken, self._open = list(self._open.values()), {}
        return taken

    def oldest_s(self) -> float | None:
        """When the oldest batch was opened; None when there is none."""
        return min((batch.opened_at_s for batch in self._open.values()), default=None)

    def first(self) -> int | None:
        """The number of the first event of the open batches; None when there is none."""
        return min((batch.first for batch in self._open.values()), default=None)
