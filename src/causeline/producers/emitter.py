"""The emitter: encoded events in, batches on Kafka out; the caller never waits for the network.

A caller appends to a batch under a short lock and goes on. One thread of the emitter's own closes batches, hands them
to the transport and takes the delivery reports. What may wait is bounded; past the bound the newest event is dropped
and counted, and the hole in its run's numbers says so.
"""

import atexit
import logging
import os
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from causeline.producers.batches import Batch, Gatherer
from causeline.producers.settings import EmitterSettings
from causeline.producers.stats import Counters, Left, Stats
from causeline.producers.transport import KafkaTransport, QueueFull, Transport
from causeline.schemas import wire
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS

_LOG = logging.getLogger(__name__)
_LOOK_UP_S = 1.0
_IDLE_S = 0.5
_abandoned: list[Any] = []
"""What a forked child must neither use nor destroy: its parent's transports."""

OnDelivered = Callable[[Sequence[str]], None]
"""Told the ids of the events of each batch that the broker has; from the emitter's thread."""


class Emitter:
    """Publishes encoded events. Safe for threads, for asyncio and for fork; a forked child is an emitter of its own.

    `transport` makes the way to the broker and is called again after a fork. Nothing here raises into the application.
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
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _with(reference, Emitter._after_fork))
        atexit.register(lambda: _with(reference, Emitter._at_exit))

    def _kafka_transport(self) -> Transport:
        return KafkaTransport(self._kafka, self.settings, self._topic)

    def _start_over(self) -> None:
        self.emitter_id = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._header = wire.encode_string(self.emitter_id)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._gatherer = Gatherer(
            batch_events=self.settings.batch_events,
            batch_bytes=self.settings.batch_bytes,
            batch_age_s=self.settings.batch_age_s,
        )
        self._ready: deque[Batch] = deque()
        self._counters = Counters(_LOG, self._now_s)
        self._accepted = self._dropped = 0
        self._waiting_events = self._waiting_bytes = self._under_way = 0
        self._hurry = self._closed = False
        self._thread: threading.Thread | None = None
        self._transport: Transport | None = None

    # --- the caller's side

    def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Take one encoded event; False when the buffer is full or the emitter closed, and the event is dropped."""
        size = len(item)
        with self._lock:
            if (
                self._closed
                or self._waiting_events >= self.settings.buffer_events
                or self._waiting_bytes + size > self.settings.buffer_bytes
            ):
                self._dropped += 1
                return False
            self._accepted += 1
            self._waiting_events += 1
            self._waiting_bytes += size
            full = self._gatherer.add(run_id, event_id, item, self._now_s())
            if full is not None:
                self._ready.append(full)
                self._changed.notify_all()
            elif self._waiting_events == 1:
                self._changed.notify_all()
            if self._thread is None:
                self._start_thread()
        return True

    def count_invalid(self, reason: str) -> None:
        """Count an event that broke the contract and was not emitted."""
        self._counters.invalid(reason)

    def count_mask_failed(self) -> None:
        """Count an event whose masking failed, so that it was not emitted."""
        self._counters.add("mask_failed")

    def stats(self) -> Stats:
        """The counters as they stand."""
        with self._lock:
            accepted, dropped = self._accepted, self._dropped
        return self._counters.snapshot(accepted, dropped)

    def flush(self, timeout_s: float | None = None) -> Left:
        """Wait until all that was emitted is delivered or given up, at most `timeout_s`; gives what is left."""
        deadline = self._now_s() + (self.settings.close_timeout_s if timeout_s is None else timeout_s)
        with self._changed:
            while self._waiting_events:
                self._hurry = True
                self._changed.notify_all()
                rest = deadline - self._now_s()
                if rest <= 0 or not self._changed.wait(rest):
                    break
            return self._left()

    def close(self, timeout_s: float | None = None) -> Left:
        """Flush, then stop for good; gives, and logs, what is left. Closing twice is closing once."""
        with self._lock:
            closed, self._closed = self._closed, True
        left = self.flush(timeout_s) if not closed else Left()
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout=1.0)
        if left:
            _LOG.warning(
                "%d events in %d batches were not delivered when the emitter closed. %s",
                left.events,
                left.batches,
                self.stats().last_error or "",
            )
        return left

    def _left(self) -> Left:
        batches = self._under_way + len(self._ready) + self._gatherer.open_batches
        return Left(self._waiting_events, max(batches, 1) if self._waiting_events else 0)

    # --- the thread's side

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="causeline-emitter", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is going down; what waits is reported as left
            self._counters.fault("thread", f"The emitter's thread could not be started: {error}.")
        else:
            self._thread = thread

    def _run(self) -> None:
        me = threading.current_thread()
        with self._lock:  # until `_start_thread` has put us in our place
            pass
        transport = self._transport = self._make_transport()
        looked_up_at_s = -_LOOK_UP_S
        while self._thread is me:
            if not self._gatherer.sorted and self._now_s() - looked_up_at_s >= _LOOK_UP_S:
                looked_up_at_s = self._now_s()
                self._look_up(transport)
            for batch in self._take_ready(me):
                self._send(transport, batch)
            transport.poll(0.005 if self._under_way else 0)
            if fault := transport.fault():
                self._counters.fault("transport", fault)
        transport.close()

    def _look_up(self, transport: Transport) -> None:
        partitions = transport.partitions(_LOOK_UP_S)
        if partitions is None:
            return
        with self._changed:
            self._ready.extend(self._gatherer.partitions_are(partitions, self._now_s()))

    def _take_ready(self, me: threading.Thread) -> list[Batch]:
        with self._changed:
            now = self._now_s()
            self._ready.extend(self._gatherer.take_all() if self._hurry else self._gatherer.take_old(now))
            if not self._ready and not self._under_way and self._thread is me:
                self._changed.wait(self._rest_s(now))
            taken = list(self._ready)
            self._ready.clear()
            self._under_way += len(taken)
            return taken

    def _rest_s(self, now: float) -> float:
        if not self._gatherer.sorted and self._waiting_events:
            return _IDLE_S / 5
        due = self._gatherer.next_due_s()
        return _IDLE_S if due is None else min(_IDLE_S, max(0.001, due - now))

    def _send(self, transport: Transport, batch: Batch) -> None:
        value = wire.encode_batch(self._schema_id, self._header, batch.items)
        batch.attempts += 1
        while True:
            try:
                transport.send(batch.partition, value, lambda error: self._report(batch, error))
            except QueueFull:
                transport.poll(0.05)
                if self._thread is None:
                    self._report(batch, "The emitter closed before the batch was sent.")
                    return
            else:
                return

    def _report(self, batch: Batch, error: str | None) -> None:
        if error is not None:
            self._counters.fault("delivery", error)
        again = error is not None and batch.attempts < self.settings.delivery_attempts and self._thread is not None
        if not again:
            self._counters.add("delivered" if error is None else "lost", len(batch))
            self._counters.add("batches", int(error is None))
            if error is None and self._on_delivered is not None:
                self._tell(batch)
        with self._changed:
            self._under_way -= 1
            if again:
                self._ready.append(batch)
            else:
                self._waiting_events -= len(batch)
                self._waiting_bytes -= batch.size_bytes
            if not self._waiting_events:
                self._hurry = False
            self._changed.notify_all()

    def _tell(self, batch: Batch) -> None:
        try:
            if self._on_delivered is not None:
                self._on_delivered(batch.event_ids)
        except Exception:  # noqa: BLE001 - a hook of the application's must not stop emission
            _LOG.exception("The on_delivered hook failed.")

    # --- the process's side

    def _after_fork(self) -> None:
        _abandoned.append(self._transport)
        self._start_over()

    def _at_exit(self) -> None:
        self.close()


def _with(reference: "weakref.ref[Emitter]", act: Callable[[Emitter], None]) -> None:
    emitter = reference()
    if emitter is not None:
        act(emitter)
