"""Runs in order of an age, one queue for each distinct wait: what is due stands at the heads, whatever else is open."""

from collections import OrderedDict
from collections.abc import Callable, Iterator

from causeline.streams.worker.held import OpenRun, RunKey


class Ages:
    """Open runs by the moment that `since` gives, oldest first within each wait; times are microseconds.

    A run comes in with its newest moment, and so does one whose moment moves: each queue is ordered by construction.
    """

    def __init__(self, since: Callable[[OpenRun], int]) -> None:
        self._since = since
        self._queues: dict[int, OrderedDict[RunKey, OpenRun]] = {}

    def put(self, run: OpenRun, wait_us: int) -> None:
        """Let a run wait, from its moment on, unless it waits already."""
        self._queues.setdefault(wait_us, OrderedDict()).setdefault(run.key, run)

    def renew(self, run: OpenRun, wait_us: int) -> None:
        """The run's moment has moved to now."""
        self._queues[wait_us].move_to_end(run.key)

    def drop(self, run: OpenRun, wait_us: int) -> None:
        """Forget a run."""
        queue = self._queues.get(wait_us)
        if queue is not None:
            queue.pop(run.key, None)
            if not queue:
                del self._queues[wait_us]

    def due(self, now_us: int) -> Iterator[RunKey]:
        """The runs whose wait is over."""
        for wait_us, queue in self._queues.items():
            for key, run in queue.items():
                if self._since(run) + wait_us > now_us:
                    break
                yield key

    def next_us(self) -> int | None:
        """When the first of them is due; None when none waits."""
        heads = (self._since(next(iter(queue.values()))) + wait_us for wait_us, queue in self._queues.items())
        return min(heads, default=None)
