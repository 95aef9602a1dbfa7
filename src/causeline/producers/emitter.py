"""The emitter: encoded events in, batches on Kafka out; the caller never waits for the network.

    emitter = Emitter()                      # settings and broker from CAUSELINE_…
    emitter.emit(run_id, event_id, item)     # the bytes of one event, as causeline.schemas.encode writes them
    emitter.emit_event(event)                # or a typed one, which is slower
    emitter.flush(timeout_s=5)               # Left(events, batches)

A caller appends to a batch under a short lock and goes on. One thread of the emitter's own hands batches to the
transport and takes the delivery reports. What may wait is bounded; past the bound the newest event is dropped and
counted, and the hole in its run's numbers says so.
"""

import atexit
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakSet

from causeline.producers.batches import UNSORTED, Batch, by_partition
from causeline.producers.buffer import Buffer
from causeline.producers.outage import Outage, Report, once_all_are_told
from causeline.producers.sampling import Sampling
from causeline.producers.settings import EmitterSettings
from causeline.producers.stats import Counters, Left, Stats
from causeline.producers.transport import KafkaTransport, QueueFull, Transport
from causeline.schemas import catalogue, wire
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import TraceEvent, to_record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS

_LOG = logging.getLogger(__name__)
_LOOK_UP_S = 1.0
"""Between two attempts to learn the number of partitions, and as long as one may take."""
_LOOK_AGAIN_S = 300.0
_POLL_S = 0.02
"""For reports, while some are outstanding; what has become due meanwhile waits no longer than that."""
_SPOOL_REST_S = 10.0
"""How long the end of the process may be held up besides, to write to the disk what the broker has not."""
_RETRY_S = 0.5
"""Before a batch is sent a second time; more before a third."""

OnDelivered = Callable[[Sequence[str]], None]
"""Told the ids of the events of each batch that the broker has, or the spool; from the emitter's thread."""


class Emitter:
    """Publishes encoded events. Safe for threads, asyncio, signal handlers and fork; a forked child has an emitter of
    its own, with empty buffers and another `emitter_id`.

    `transport` makes the way to the broker and is called again after a fork. Settings that cannot be read raise
    UsageError here; nothing afterwards raises into the application.
    """

    def __init__(
        self,
        settings: EmitterSettings | None = None,
        *,
        kafka: KafkaConnection | None = None,
        schemas: Schemas | None = None,
        transport: Callable[[], Transport] | None = None,
        on_delivered: OnDelivered | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or EmitterSettings.from_environment()
        self._topic = EVENTS.full_name(self.settings.topic_prefix)
        self._kafka = kafka or (KafkaConnection.from_environment() if transport is None else KafkaConnection())
        self._make_transport = transport or self._kafka_transport
        self._schema_id = (schemas or Schemas()).write_id(EVENTS.subject)
        self._on_delivered = on_delivered
        self._now_s = now_s
        self._start_over()
        _living.add(self)

    def _kafka_transport(self) -> Transport:
        return KafkaTransport(self._kafka, self.settings, self._topic)

    def _start_over(self) -> None:
        self.emitter_id = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._header = wire.encode_string(self.emitter_id)
        self._buffer = Buffer(self.settings, self._now_s)
        self._counters = Counters(_LOG, self._now_s)
        self._outage = Outage(self.settings, self.emitter_id, self._counters, self._now_s)
        self.sampling = Sampling(
            self.settings.sample,
            self.emit,
            max_events=self.settings.held_events,
            max_bytes=self.settings.held_bytes,
        )
        self._look_up_at_s = float("-inf")
        self._thread: threading.Thread | None = None
        self._transport: Transport | None = None

    # --- the caller's side

    def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Take one encoded event; False when the buffer is full or the emitter closed, and the event is dropped."""
        taken = self._buffer.put(run_id, item)
        if self._thread is None and taken:
            self._start_thread()
        return taken

    def emit_event(self, event: TraceEvent) -> bool:
        """Take one typed event; False when it is not taken, and counted. Its ids are its own."""
        try:
            item = wire.encode_item(catalogue.latest(EVENTS.subject), to_record(event))
        except InvalidEvent as error:
            self.count_unpublished(error)
            return False
        return self.emit(event.run_id, event.event_id, item)

    def count_unpublished(self, error: InvalidEvent) -> None:
        """Count an event that broke the contract and was not emitted."""
        self._counters.unpublished("too_large" if isinstance(error, EventTooLarge) else "invalid", str(error))

    def count_mask_failed(self, reason: str) -> None:
        """Count an event whose masking failed, so that it was not emitted."""
        self._counters.unpublished("mask_failed", reason)

    def count_open_runs(self, change: int) -> None:
        """A run began (1) or ended (-1)."""
        self._counters.add("open_runs", change)

    def stats(self) -> Stats:
        """The counters as they stand."""
        buffer, spool = self._buffer, self._outage.spool
        spooled = 0 if spool is None else spool.events
        return self._counters.snapshot(
            accepted=buffer.accepted,
            dropped=buffer.dropped,
            waiting=buffer.waiting + spooled,
            in_flight=buffer.in_flight,
            spooled=spooled,
            spool_dropped=0 if spool is None else spool.dropped,
            sampled_out=self.sampling.sampled_out,
        )

    def flush(self, timeout_s: float | None = None) -> Left:
        """Wait until all that was emitted before is delivered or given up, at most `timeout_s` (by default that of
        the settings); gives what is left, later events included."""
        return self._buffer.wait_until_settled(self.settings.close_timeout_s if timeout_s is None else timeout_s)

    def drain(self, timeout_s: float) -> int:
        """Deliver what processes before have left in the spool, at most so long; gives how many events are left."""
        outage, spool = self._outage, self._outage.spool
        if spool is None:
            return 0
        self._start_thread()
        deadline, pause = self._now_s() + timeout_s, threading.Event()
        while not outage.has_taken_over or (spool.events and self._now_s() < deadline):
            if self._thread is None:  # closed meanwhile, or it could not be started
                break
            pause.wait(0.02)
        return spool.events

    def close(self, timeout_s: float | None = None) -> Left:
        """Flush, then stop for good; gives, and logs, what is left. Closing twice is closing once.

        Takes `timeout_s` and at most a second more, which the client needs to let go of the broker; with a spool what
        the broker has not goes to the disk, for the next process, and is not left.
        """
        self.sampling.release()
        left = self.flush(timeout_s) if self._buffer.close() else Left()
        why = self._counters.last_error or ""
        thread, self._thread = self._thread, None
        lost_before = self._counters["lost"]
        self._buffer.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0 if self._outage.spool is None else _SPOOL_REST_S)
        if left and self._outage.spool is not None:
            left = Left(self._buffer.left().events + self._counters["lost"] - lost_before, left.batches)
        if left:
            _LOG.warning(
                "%d events in %d batches were not delivered when the emitter closed. %s",
                left.events,
                left.batches,
                why,
            )
        return left

    def _start_thread(self) -> None:
        with self._buffer.lock:
            if self._thread is not None or self._buffer.stopped:
                return
            thread = threading.Thread(target=self._run, name="causeline-emitter", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the interpreter is going down; what waits is reported as left
                self._counters.fault("thread", f"The emitter's thread could not be started: {error}.")
            else:
                self._thread = thread

    # --- the thread's side

    def _run(self) -> None:
        me = threading.current_thread()
        with self._buffer.lock:  # until `_start_thread` has put us in our place
            pass
        while self._thread is me:
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - a client that refuses its settings must show, not end us
                self._counters.fault("client", f"The Kafka client cannot be used: {error}.")
                self._buffer.rest(_LOOK_UP_S)
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        for batch in self._buffer.take_rest():
            self._report(batch, "The emitter closed before a batch was sent.")
        self._outage.close()

    def _work(self) -> None:
        self._outage.take_over()
        if self._transport is None:
            self._transport = self._make_transport()
        transport = self._transport
        if self._now_s() >= self._look_up_at_s:
            self._look_up(transport)
        if not self._buffer.waiting:
            self._outage.progress()
        self._buffer.sorts_without_partitions = self._outage.is_spooling
        for batch in self._buffer.take(self._patience_s()):
            self._dispatch(transport, batch)
        self._outage.drain(self._buffer.partitions, partial(self._send, transport))
        transport.poll(_POLL_S if self._buffer.in_flight or self._outage.is_busy else 0)
        if fault := transport.take_fault():
            self._counters.fault("transport", fault)

    def _patience_s(self) -> float | None:
        """How long the thread may wait for events: not at all while others are on the disk."""
        if self._outage.is_busy:
            return 0
        return max(0.0, self._look_up_at_s - self._now_s()) if self._buffer.awaits_partitions else None

    def _look_up(self, transport: Transport) -> None:
        partitions = transport.partitions(_LOOK_UP_S)
        self._look_up_at_s = self._now_s() + (_LOOK_AGAIN_S if partitions else _LOOK_UP_S)
        if partitions is not None and partitions != self._buffer.partitions:
            self._buffer.partitions_are(partitions)

    def _dispatch(self, transport: Transport, batch: Batch) -> None:
        unsorted = batch.partition == UNSORTED
        if (unsorted or self._outage.is_spooling) and self._to_disk(batch):
            return
        if unsorted and not self._buffer.partitions:
            batch.due_at_s = self._now_s() + _RETRY_S
            self._buffer.settle(batch, again=True)
            return
        parts = by_partition(batch.items, self._buffer.partitions) if unsorted else {batch.partition: batch.items}
        batch.attempts += 1
        report = once_all_are_told(len(parts), lambda error: self._report(batch, error))
        for partition, items in parts.items():
            self._send(transport, partition, items, report)

    def _send(self, transport: Transport, partition: int, items: Sequence[bytes], report: Report) -> None:
        value = wire.encode_batch(self._schema_id, self._header, items)
        while True:
            try:
                transport.send(partition, value, report)
            except QueueFull:
                transport.poll(0.05)
                if self._thread is None:
                    report("The emitter closed before a batch was sent.")
                    return
            except Exception as error:  # noqa: BLE001 - whatever the client raises, the batch must be accounted for
                report(f"A batch could not be handed to the Kafka client: {error}.")
                return
            else:
                return

    def _report(self, batch: Batch, error: str | None) -> None:
        if error is None:
            self._outage.progress()
            self._counters.add("delivered", len(batch))
            self._counters.add("batches")
            self._tell(batch)
            self._buffer.settle(batch, again=False)
            return
        stopped = self._buffer.stopped
        if not stopped:
            self._counters.fault("delivery", error)
            batch.due_at_s = self._now_s() + _RETRY_S * max(1, batch.attempts)
            self._look_up_at_s = min(self._look_up_at_s, batch.due_at_s)  # the topic may not be what it was
        if self._to_disk(batch):
            return
        again = not stopped and batch.attempts < self.settings.delivery_attempts
        if not again:
            self._counters.add("lost", len(batch))
        self._buffer.settle(batch, again=again)

    def _to_disk(self, batch: Batch) -> bool:
        if not self._outage.keep(batch):
            return False
        self._tell(batch)
        self._buffer.settle(batch, again=False)
        return True

    def _tell(self, batch: Batch) -> None:
        if self._on_delivered is not None:
            try:
                self._on_delivered(batch.event_ids)
            except Exception:  # noqa: BLE001 - a hook of the application's must not stop emission
                _LOG.exception("The on_delivered hook failed.")

    # --- the process's side

    def after_fork(self) -> None:
        """In a forked child: what the parent has gathered is the parent's to deliver."""
        if self._transport is not None:
            self._transport.abandon()
        self._outage.close()
        self._start_over()


_living: WeakSet[Emitter] = WeakSet()


def _after_fork() -> None:
    for emitter in list(_living):
        emitter.after_fork()


def _at_exit() -> None:
    for emitter in list(_living):
        emitter.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
