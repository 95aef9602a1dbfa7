"""What goes to the store together: a batch each of some partitions of one topic."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from causeline.sinks.loader.delivery import Batch, Delivered
from causeline.sinks.loader.partition import Partition
from causeline.sinks.loader.routes import Route


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
