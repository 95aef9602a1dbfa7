"""What the emitter's thread does about a broker that is away: to the spool with what comes, and back in order.

As long as anything is in the spool, what comes goes behind it, so that the events of a run keep their order. Records
are taken from its front and handed to the client, a few at a time; they leave the disk when the broker has them.
"""

from collections.abc import Callable, Sequence

from causeline.producers.emitter.batches import Batch, by_partition
from causeline.producers.emitter.parts import SendItems, send_parts
from causeline.producers.emitter.segments import Record
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.spool import Spool
from causeline.producers.emitter.stats import Counters
from causeline.producers.emitter.transport import TooLarge
from causeline.schemas.errors import EnvironmentFault

_RECORDS_UNDER_WAY = 8
_TAKE_OVER_S = 30.0
"""Between two looks for what processes have left behind."""
_RETRY_S = 1.0


class Outage:
    """Whether the broker is away, and the spool for that time. Used by the emitter's thread only."""

    def __init__(
        self, settings: EmitterSettings, emitter_id: str, counters: Counters, now_s: Callable[[], float]
    ) -> None:
        self._after_s = settings.spool_after_s
        self._counters = counters
        self._now_s = now_s
        self._progress_s = now_s()
        self._take_over_at_s = float("-inf")
        self.has_taken_over = False
        """Whether it has looked for what processes have left behind."""
        self._retry_at_s = float("-inf")
        self._under_way = 0
        self.spool = (
            None
            if settings.spool is None
            else Spool(
                settings.spool,
                emitter_id,
                max_bytes=settings.spool_bytes,
                fault=lambda message: counters.fault("spool", message),
            )
        )

    @property
    def is_busy(self) -> bool:
        """Whether anything is to be sent from the disk."""
        return self.spool is not None and self.spool.events > 0

    @property
    def is_spooling(self) -> bool:
        """Whether what comes now goes to the disk."""
        return self.spool is not None and (self.spool.events > 0 or self._now_s() - self._progress_s > self._after_s)

    def progress(self) -> None:
        """The broker has taken something, or there was nothing to take."""
        self._progress_s = self._now_s()

    def keep(self, batch: Batch) -> bool:
        """Write a batch to the disk; False when there is no spool, or it does not take it."""
        return self.spool is not None and self.spool.append(batch.first, batch.items)

    def take_over(self) -> None:
        """Look now and then for what processes have left behind."""
        if self.spool is None or self._now_s() < self._take_over_at_s:
            return
        self._take_over_at_s = self._now_s() + _TAKE_OVER_S
        self.spool.adopt()
        self.has_taken_over = True

    def drain(self, partitions: int, send: SendItems) -> None:
        """Hand over the oldest records, as long as few are under way."""
        if self.spool is None or not partitions or self._now_s() < self._retry_at_s:
            return
        while self._under_way < _RECORDS_UNDER_WAY and (record := self.spool.take()) is not None:
            self._under_way += 1
            self._send(self.spool, record, partitions, send)

    def close(self) -> None:
        """Let go of the files."""
        if self.spool is not None:
            self.spool.close()

    def _send(self, spool: Spool, record: Record, partitions: int, send: SendItems) -> None:
        try:
            items = record.items()
        except EnvironmentFault as error:
            self._counters.fault("spool", str(error))
            self._under_way -= 1
            spool.lose(record)
            return

        def settle(error: str | None) -> None:
            self._under_way -= 1
            if error is None:
                self.progress()
                self._counters.add("delivered", record.events)
                spool.done(record)
            elif isinstance(error, TooLarge) and self._split(spool, record, items, error):
                self._counters.fault("too_large", error)
            else:
                self._counters.fault("delivery", error)
                self._retry_at_s = self._now_s() + _RETRY_S
                spool.again(record)

        send_parts(by_partition(items, partitions), send, settle)

    def _split(self, spool: Spool, record: Record, items: Sequence[bytes], error: str) -> bool:
        """Put in the place of a record that is larger than the topic takes its halves; False when the disk takes none.

        A single event is lost, and counted.
        """
        if len(items) == 1:
            self._counters.refused(items[0], error)
        else:
            middle = len(items) // 2
            halves = ((record.first, items[:middle]), (record.first + middle, items[middle:]))
            if not all(spool.append(first, half) for first, half in halves):
                return False
        spool.done(record)
        return True
