"""What an emitter holds: events taken in and not yet delivered, bounded: as a lot unsorted, then as batches that are
open, ready or under way.

Callers put events into the lot; the emitter's thread sorts them into batches, takes those out and says what became of
them. The lock is held for look-ups and appends only, never during I/O nor while a lot is sorted. It is reentrant,
because a finaliser or a signal handler may emit in the midst of another call of its very thread: it finds `_busy` set,
and what it emits is put aside for the call that it interrupted.

Decided in ADR 37.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from causeline.producers.emitter.batches import Batch, Gatherer, Lot
from causeline.producers.emitter.children import ChildTally
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.stats import Left

_IDLE_S = 0.5
_LEAST_BATCH_BYTES = 1024
_LOT_OF_BATCHES = 8
"""A lot is sorted when it may fill a batch of each partition, but of so many at most: to wake the thread costs more
than to sort."""


class Buffer:
    """The events between `put` and `settle`. Safe for threads."""

    def __init__(self, settings: EmitterSettings, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._batch_events, self._batch_bytes = settings.batch_events, settings.batch_bytes
        self._lot_events, self._lot_bytes = self._batch_events, self._batch_bytes
        self._max_events, self._max_bytes = settings.buffer_events, settings.buffer_bytes
        self._batch_age_s = settings.batch_age_s
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._busy = False
        self._aside: deque[tuple[str, bytes]] = deque()
        self._lot = Lot()
        self._lot_is_due_at_bytes = 0
        self._gatherer = Gatherer(
            batch_events=settings.batch_events, batch_bytes=settings.batch_bytes, batch_age_s=settings.batch_age_s
        )
        self._open_first: int | None = None
        """Number of the first event that is being sorted or in an open batch: the gatherer is the thread's own."""
        self._ready: deque[Batch] = deque()
        self._under_way: set[Batch] = set()
        self._hurry = self._has_waited = False
        self._bytes = 0
        self._settled = 0
        self.sorts_without_partitions = False
        """Whether what waits for the number of partitions is given unsorted instead."""
        self.closed = self.stopped = False
        """`closed`: nothing is taken in. `stopped`: the thread does not wait for anything any more."""
        self.tally: ChildTally | None = None
        """Where a forked child counts for its parent."""
        self.dropped = self.waiting = self.in_flight = 0
        """Counts of events; `waiting` are the accepted that are not settled, `in_flight` those of them under way."""

    # --- the callers' side

    @property
    def accepted(self) -> int:
        """Events that were taken in."""
        return self._settled + self.waiting

    def put(self, run_id: str, item: bytes) -> bool:
        """Take one encoded event; False when there is no room for it, or after `close`."""
        with self.lock:
            if self._busy:
                self._aside.append((run_id, item))
                return True
            self._busy = True
            try:
                taken = self._take_in(run_id, item)
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
            for batch in self._ready:  # whoever waits, waits for another attempt and not for its time
                batch.due_at_s = min(batch.due_at_s, self._now_s())
            while self._is_outstanding(last):
                self._hurry = True
                self._changed.notify_all()
                rest = deadline - self._now_s()
                if rest <= 0 or not self._changed.wait(rest):
                    break
            self._hurry = False
        return self.left()

    def left(self) -> Left:
        """What is not settled."""
        with self._exclusively():
            batches = len(self._under_way) + len(self._ready) + len(self._gatherer) + bool(self._lot.items)
            return Left(self.waiting, batches)

    # --- the thread's side

    @property
    def partitions(self) -> int:
        """How many partitions the topic has, as far as is known; 0 until it is."""
        return self._gatherer.partitions

    @property
    def awaits_partitions(self) -> bool:
        """Whether there is anything that the number of partitions is needed for."""
        return self.waiting > 0 and not (self._gatherer.partitions or self.sorts_without_partitions)

    def partitions_are(self, partitions: int) -> None:
        """Learn the number of partitions; what comes after goes by it, and what waited for it has waited enough."""
        with self._exclusively():
            self._has_waited = bool(self._lot.items) and not self._gatherer.partitions
            self._ready.extend(self._gatherer.take_all())
            self._open_first = None
            self._gatherer.partitions = partitions
            self._lot_events = self._batch_events * min(partitions, _LOT_OF_BATCHES)
            self._lot_bytes = self._batch_bytes * min(partitions, _LOT_OF_BATCHES)

    def take(self, most_s: float | None = None) -> list[Batch]:
        """The batches that are due; they are under way from here until `settle`. Waits for some while there are none,
        at most `most_s`, and not at all while others are under way."""
        lot = self._take_lot()
        full = self._gatherer.sort(lot) if lot is not None else []
        with self._changed:
            with self._exclusively():
                now = self._now_s()
                self._ready.extend(full)
                everything = self._hurry or (self._has_waited and lot is not None)
                self._ready.extend(self._gatherer.take_all() if everything else self._gatherer.take_old(now))
                self._has_waited = self._has_waited and lot is None
                self._open_first = self._gatherer.first()
                taken = [batch for batch in self._ready if batch.due_at_s <= now]
                self._ready = deque(batch for batch in self._ready if batch.due_at_s > now)
                self._under_way.update(taken)
                self.in_flight += sum(map(len, taken))
            if not taken and not self._under_way and not self.stopped and most_s != 0 and not self._is_lot_due(now):
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
                self._settled += len(batch)
                self._bytes -= batch.size_bytes
                self._lot_is_due_at_bytes -= batch.size_bytes
            self._changed.notify_all()

    def split(self, batch: Batch) -> None:
        """A batch under way is larger than the topic takes: its halves are due in its place, and later batches are no
        larger than they are."""
        with self._exclusively():
            self._under_way.discard(batch)
            self.in_flight -= len(batch)
            self._ready.extendleft(reversed(batch.halves()))
            self._gatherer.batch_bytes = max(_LEAST_BATCH_BYTES, min(self._gatherer.batch_bytes, batch.size_bytes // 2))
            self._changed.notify_all()

    def forget_what_is_too_large(self) -> None:
        """The topic may take larger batches again: they are as large as the settings say."""
        self._gatherer.batch_bytes = self._batch_bytes

    def take_rest(self) -> list[Batch]:
        """All that is not under way, whether it is due or not; the thread ends, and will not take again."""
        self._hurry = self.sorts_without_partitions = True
        taken = self.take(0)
        with self._exclusively():
            taken += self._ready
            self._under_way.update(self._ready)
            self.in_flight += sum(map(len, self._ready))
            self._ready.clear()
        return taken

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

    def _take_in(self, run_id: str, item: bytes) -> bool:
        if self.tally is not None:
            self.tally.offer()
        size = len(item)
        held = self._bytes + size
        if self.waiting >= self._max_events or held > self._max_bytes or self.closed:
            self.dropped += 1
            return False
        self._bytes = held
        self.waiting += 1
        lot = self._lot
        lot.runs.append(run_id)
        lot.items.append(item)
        events = len(lot.items)
        if events == 1:
            lot.first = self._settled + self.waiting
            lot.since_s = self._now_s()
            self._lot_is_due_at_bytes = held - size + self._lot_bytes
            self._changed.notify_all()
        elif events == self._lot_events or held >= self._lot_is_due_at_bytes:
            self._changed.notify_all()
        return True

    def _is_lot_due(self, now: float) -> bool:
        lot = self._lot
        return bool(lot.items and (self._gatherer.partitions or self.sorts_without_partitions)) and (
            self._hurry
            or self._has_waited
            or len(lot.items) >= self._lot_events
            or self._bytes >= self._lot_is_due_at_bytes
            or now - lot.since_s >= self._batch_age_s
        )

    def _take_lot(self) -> Lot | None:
        with self._exclusively():
            if not self._is_lot_due(self._now_s()):
                return None
            lot, self._lot = self._lot, Lot()
            if self._open_first is None:
                self._open_first = lot.first
            return lot

    def _is_outstanding(self, number: int) -> bool:
        with self._exclusively():
            firsts = [batch.first for batch in (*self._ready, *self._under_way)]
            firsts += [self._lot.first] if self._lot.items else []
            firsts += [self._open_first] if self._open_first is not None else []
        return min(firsts, default=number + 1) <= number

    def _rest_s(self, now: float, most_s: float | None) -> float:
        dues = [now + (_IDLE_S if most_s is None else most_s), *(batch.due_at_s for batch in self._ready)]
        if (oldest := self._gatherer.oldest_s()) is not None:
            dues.append(oldest + self._batch_age_s)
        if self._lot.items and (self._gatherer.partitions or self.sorts_without_partitions):
            dues.append(self._lot.since_s + self._batch_age_s)
        return max(0.001, min(dues) - now)
