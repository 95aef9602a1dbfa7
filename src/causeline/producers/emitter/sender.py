"""The turns of an emitter's thread: what is due goes to the broker, or to the disk while that is away, and the buffer
is told what became of it.

In each turn:
1. What processes before have left on the disk is taken over, and the topic is looked up when that is due.
2. The batches that are due are sent, or written to the disk.
3. A few records of the disk are sent, as long as there are some.
4. Reports are taken: a batch is delivered, too large and cut in two, sent again later, or lost.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from causeline.producers.emitter import greenlets
from causeline.producers.emitter.batches import UNSORTED, Batch, by_partition
from causeline.producers.emitter.buffer import Buffer
from causeline.producers.emitter.outage import Outage
from causeline.producers.emitter.parts import Report, send_parts
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.stats import Counters
from causeline.producers.emitter.transport import Permanent, QueueFull, TooLarge, Transport
from causeline.schemas import wire

log = logging.getLogger(__name__)

_LOOK_UP_S = 1.0
"""Between two attempts to learn the number of partitions, and as long as one may take."""
_LOOK_AGAIN_S = 300.0
_POLL_S = 0.02
"""For reports, while some are outstanding; what has become due meanwhile waits no longer than that."""
_RETRY_S = 0.5
"""Before a batch is sent a second time; so much more before each further one."""
_LONGEST_RETRY_S = 15.0
_CLOSED = "The emitter closed before a batch was sent."

OnDelivered = Callable[[Sequence[str]], None]
"""Told the ids of the events of each batch that the broker has, or the spool; from the emitter's thread."""


class Sender:
    """Used by the emitter's thread only, but for `abandon`. `make_transport` is called by that thread, until it gives
    one."""

    def __init__(
        self,
        settings: EmitterSettings,
        emitter_id: str,
        *,
        buffer: Buffer,
        counters: Counters,
        make_transport: Callable[[], Transport],
        schema_id: int,
        on_delivered: OnDelivered | None,
        now_s: Callable[[], float],
    ) -> None:
        self._attempts = settings.delivery_attempts
        self._buffer, self._counters, self._now_s = buffer, counters, now_s
        self._make_transport = make_transport
        self._transport: Transport | None = None
        self._schema_id, self._header = schema_id, wire.encode_string(emitter_id)
        self._on_delivered = on_delivered
        self.outage = Outage(settings, emitter_id, counters, now_s)
        self._look_up_at_s = float("-inf")
        self._is_abandoned = False

    @property
    def _is_over(self) -> bool:
        return self._buffer.stopped or self._is_abandoned

    def run(self) -> None:
        """Turn after turn, until the buffer is stopped; then what is left goes to the disk, or is lost."""
        while not self._is_over:
            try:
                self._turn()
            except BaseException as error:  # noqa: BLE001 - whatever it is must show, and not end the thread
                self._counters.fault("client", f"The Kafka client cannot be used: {error}.")
                self._buffer.rest(_LOOK_UP_S)
        if self._is_abandoned:
            return
        if self._transport is not None:
            self._transport.close()
        for batch in self._buffer.take_rest():
            self._report(batch, _CLOSED)
        self.outage.close()

    def abandon(self) -> None:
        """In a forked child: broker and disk are the parent's, and what is here is never used again."""
        self._is_abandoned = True
        if self._transport is not None:
            self._transport.abandon()
        self.outage.close()

    def _turn(self) -> None:
        self.outage.take_over()
        if self._transport is None:
            self._transport = self._make_transport()
        transport = self._transport
        if self._now_s() >= self._look_up_at_s:
            self._look_up(transport)
        if not self._buffer.waiting:
            self.outage.progress()
        self._buffer.sorts_without_partitions = self.outage.is_spooling
        for batch in self._buffer.take(self._patience_s()):
            self._dispatch(transport, batch)
        self.outage.drain(self._buffer.partitions, partial(self._send, transport))
        self._poll(transport)
        if fault := transport.take_fault():
            self._counters.fault("transport", fault)

    def _poll(self, transport: Transport) -> None:
        if not (self._buffer.in_flight or self.outage.is_busy):
            transport.poll(0)
        elif greenlets.are_threads():
            transport.poll(0)
            self._buffer.rest(_POLL_S)
        else:
            transport.poll(_POLL_S)

    def _patience_s(self) -> float | None:
        """How long the thread may wait for events: not at all while others are on the disk."""
        if self.outage.is_busy:
            return 0
        return max(0.0, self._look_up_at_s - self._now_s()) if self._buffer.awaits_partitions else None

    def _look_up(self, transport: Transport) -> None:
        partitions = greenlets.outside_the_hub(partial(transport.partitions, _LOOK_UP_S))
        self._look_up_at_s = self._now_s() + (_LOOK_AGAIN_S if partitions else _LOOK_UP_S)
        self._buffer.forget_what_is_too_large()
        if partitions is not None and partitions != self._buffer.partitions:
            self._buffer.partitions_are(partitions)

    def _dispatch(self, transport: Transport, batch: Batch) -> None:
        unsorted = batch.partition == UNSORTED
        if (unsorted or self.outage.is_spooling) and self._to_disk(batch):
            return
        if unsorted and not self._buffer.partitions:
            batch.due_at_s = self._now_s() + _RETRY_S
            self._buffer.settle(batch, again=True)
            return
        parts = by_partition(batch.items, self._buffer.partitions) if unsorted else {batch.partition: batch.items}
        batch.attempts += 1
        send_parts(parts, partial(self._send, transport), lambda error: self._report(batch, error))

    def _send(self, transport: Transport, partition: int, items: Sequence[bytes], report: Report) -> None:
        value = wire.encode_batch(self._schema_id, self._header, items)
        while True:
            try:
                transport.send(partition, value, report)
            except QueueFull:
                transport.poll(0.05)
                if self._is_over:
                    report(_CLOSED)
                    return
            except Exception as error:  # noqa: BLE001 - whatever the client raises, the batch must be accounted for
                report(f"A batch could not be handed to the Kafka client: {error}.")
                return
            else:
                return

    def _report(self, batch: Batch, error: str | None) -> None:
        if error is None:
            self.outage.progress()
            self._counters.add("delivered", len(batch))
            self._counters.add("batches")
            self._is_safe(batch)
            self._buffer.settle(batch, again=False)
            return
        stopped = self._buffer.stopped
        if isinstance(error, TooLarge) and not stopped:
            self._too_large(batch, error)
            return
        if not stopped:
            self._counters.fault("delivery", error)
            batch.due_at_s = self._now_s() + min(_RETRY_S * max(1, batch.attempts), _LONGEST_RETRY_S)
            self._look_up_at_s = min(self._look_up_at_s, batch.due_at_s)  # the topic may not be what it was
            batch.partition = UNSORTED
        if self._to_disk(batch):
            return
        # What may be taken later is held: for that the buffer has its bounds.
        again = not stopped and not (isinstance(error, Permanent) and batch.attempts >= self._attempts)
        if not again:
            self._counters.add("lost", len(batch))
        self._buffer.settle(batch, again=again)

    def _too_large(self, batch: Batch, error: str) -> None:
        self._counters.fault("too_large", error)
        if len(batch) > 1:
            self._buffer.split(batch)
            return
        self._counters.refused(batch.items[0], error)
        self._buffer.settle(batch, again=False)

    def _to_disk(self, batch: Batch) -> bool:
        if not self.outage.keep(batch):
            return False
        self._is_safe(batch)
        self._buffer.settle(batch, again=False)
        return True

    def _is_safe(self, batch: Batch) -> None:
        if self._buffer.tally is not None:
            self._buffer.tally.keep(len(batch))
        if self._on_delivered is not None:
            try:
                self._on_delivered(batch.event_ids)
            except BaseException:
                log.exception("The on_delivered hook failed.")
