"""What an emitter holds: events taken in and not yet delivered, bounded, as batches that are open, ready or under way.

Callers put events in; the emitter's thread takes batches out and says what became of them. The lock is held for
look-ups and appends only, never during I/O. It is reentrant, because a finaliser or a signal handler may emit in the
midst of another call of its very thread: it finds `_busy` set, and what it emits is put aside for the call that it
interrupted.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from causeline.producers.batches import Batch, Gatherer
from causeline.producers.settings import EmitterSettings
from causeline.producers.spool import Spool
from causeline.producers.stats import Left

_IDLE_S = 0.5


class Buffer:
    """The events between `put` and `settle`. Safe for threads."""

    def __init__(self, settings: EmitterSettings, spool: Spool, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._spool = spool
        self._now_s = now_s
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._busy = False
        self._aside: deque[tuple[str, str, bytes]] = deque()
        self._gatherer = Gatherer(
            batch_events=settings.batch_events, batch_bytes=settings.batch_bytes, batch_age_s=settings.batch_age_s
        )
        self._ready: deque[Batch] = deque()
        self._under_way: set[Batch] = set()
        self._hurry = False
        self._bytes = 0
        self.closed = self.stopped = False
        """`closed`: nothing is taken in. `stopped`: the thread does not wait for anything any more."""
        self.accepted = self.dropped = self.waiting = self.in_flight = 0
        """Counts of events; `waiting` are the accepted that are not settled, `in_flight` those of them under way."""

    # --- the callers' side

    def put(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Take one encoded event; False when there is no room for it, or after `close`."""
        with self.lock:
            if self._busy:
                self._aside.append((run_id, event_id, item))
                return True
            self._busy = True
            try:
                taken = self._take_in(run_id, event_id, item)
                if self._aside:
                    self._take_in_aside()
            finally:
                self._busy = False
        return taken

    def close(self) -> bool:
        """Take nothing any more; False when that was so already."""
        with self.lock:
            was_closed, self.closed = self.closed, True
            return not was_closed

    def wait_until_settled(self, timeout_s: float) -> Left:
        """Wait until all that was put in before is settled, at most so long; gives what is left, later events too."""
        deadline = self._now_s() + timeout_s
        with self._changed:
            last = self.accepted
            while self._is_outstanding(last):
                self._hurry = True
                self._changed.notify_all()
                rest = deadline - self._now_s()
                if rest <= 0 or not self._changed.wait(rest):
                    break
            self._hurry = False
            with self._exclusively():
                batches = len(self._under_way) + len(self._ready) + len(self._gatherer.firsts())
                return Left(self.waiting, batches)

    # --- the thread's side

    @property
    def partitions(self) -> int:
        """How many partitions the topic has, as far as is known; 0 until it is."""
        return self._gatherer.partitions

    @property
    def awaits_partitions(self) -> bool:
        """Whether there is anything that the number of partitions is needed for."""
        return self.waiting > 0 and not self._gatherer.partitions

    def partitions_are(self, partitions: int) -> None:
        """Learn the number of partitions, and sort what has waited for it."""
        with self._exclusively():
            self._ready.extend(self._gatherer.take_all())
            waited = self._gatherer.partitions_are(partitions)
            if not waited:
                return
            # Sorting may take a while and is done outside the lock; this stands for what is being sorted.
            standing = Batch(0, waited[0][0], 0.0)
            self._under_way.add(standing)
        batches = self._gatherer.sort(waited, self._now_s())
        with self._exclusively():
            self._under_way.discard(standing)
            self._ready.extendleft(reversed(batches))

    def take(self, most_s: float | None = None) -> list[Batch]:
        """The batches that are due; they are under way from here until `settle`. Waits for some while there are none,
        at most `most_s`, and not at all while others are under way."""
        with self._changed:
            with self._exclusively():
                now = self._now_s()
                self._ready.extend(self._gatherer.take_all() if self._hurry else self._gatherer.take_old(now))
                taken = [batch for batch in self._ready if batch.due_at_s <= now]
                self._ready = deque(batch for batch in self._ready if batch.due_at_s > now)
                self._under_way.update(taken)
                self.in_flight += sum(map(len, taken))
            if not taken and not self._under_way and not self.stopped:
                self._changed.wait(self._rest_s(now, most_s))
            return taken

    def settle(self, batch: Batch, *, again: bool) -> None:
        """A batch is under way no more: it is delivered or lost, or it is to be sent again."""
        with self._exclusively():
            self._under_way.discard(batch)
            self.in_flight -= len(batch)
            if again:
                self._ready.append(batch)
            else:
                self.waiting -= len(batch)
                self._bytes -= batch.size_bytes
            self._changed.notify_all()

    def rest(self, most_s: float) -> None:
        """Wait until something happens here, at most so long."""
        with self._changed:
            if not self.stopped:
                self._changed.wait(most_s)

    def stop(self) -> None:
        """End the thread's waiting, for good."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    # --- under the lock

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with self.lock:
            outer, self._busy = self._busy, True
            try:
                yield
            finally:
                if not outer:
                    self._take_in_aside()
                self._busy = outer

    def _take_in_aside(self) -> None:
        while self._aside:
            self._take_in(*self._aside.popleft())

    def _take_in(self, run_id: str, event_id: str, item: bytes) -> bool:
        size = len(item)
        if (
            self.closed
            or self.waiting >= self._settings.buffer_events
            or self._bytes + size > self._settings.buffer_bytes
        ):
            if not self.closed and self._spool.put(run_id, event_id, item):
                return True
            self.dropped += 1
            return False
        self.accepted += 1
        self.waiting += 1
        self._bytes += size
        full = self._gatherer.add(self.accepted, run_id, event_id, item, self._now_s())
        if full is not None:
            self._ready.append(full)
            self._changed.notify_all()
        elif self.waiting == 1:
            self._changed.notify_all()
        return True

    def _is_outstanding(self, number: int) -> bool:
        with self._exclusively():
            firsts = self._gatherer.firsts()
            firsts += (batch.first for batch in (*self._ready, *self._under_way))
        return min(firsts, default=number + 1) <= number

    def _rest_s(self, now: float, most_s: float | None) -> float:
        dues = [now + (_IDLE_S if most_s is None else most_s), *(batch.due_at_s for batch in self._ready)]
        if (due := self._gatherer.next_due_s()) is not None:
            dues.append(due)
        return max(0.001, min(dues) - now)
