"""The emitter: encoded events in, batches on Kafka out; the caller never waits for the network.

    emitter = Emitter()                      # settings and broker from CAUSELINE_…
    emitter.emit(run_id, event_id, item)     # the bytes of one event, as causeline.schemas.wire.writer writes them
    emitter.emit_event(event)                # or a typed one, which is slower
    emitter.flush(timeout_s=5)               # Left(events, batches)

A caller appends to a batch under a short lock and goes on. One thread of the emitter's own hands batches to the
transport and takes the delivery reports. What may wait is bounded; past the bound the newest event is dropped and
counted, and the hole in its run's numbers says so.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence

from causeline.producers.emitter import process
from causeline.producers.emitter.buffer import Buffer
from causeline.producers.emitter.children import Children
from causeline.producers.emitter.decisions import decisions_settings, has_segments
from causeline.producers.emitter.sender import OnDelivered, Sender
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.stats import Counters, Left, Stats
from causeline.producers.emitter.transport import KafkaTransport, Transport
from causeline.producers.sampling import Sampling
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import catalogue, wire
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import TraceEvent, to_record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DECISIONS, EVENTS, Topic

log = logging.getLogger(__name__)
_SPOOL_REST_S = 10.0
"""How long the end of the process may be held up besides, to write to the disk what the broker has not."""


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
        topic: Topic = EVENTS,
    ) -> None:
        self.settings = settings or EmitterSettings.from_environment()
        self._topic = topic.full_name(self.settings.topic_prefix)
        self._topic_of = topic
        self._own_transport = transport is not None
        self._decisions: Emitter | None = None
        self._kafka = kafka or (KafkaConnection.from_environment() if transport is None else KafkaConnection())
        self._make_transport = transport or self._kafka_transport
        self._schema_id = (schemas or Schemas()).write_id(EVENTS.subject)
        self._on_delivered = on_delivered
        self._now_s = now_s
        self._start_over()
        process.watch(self)

    @property
    def decisions(self) -> "Emitter":
        """Who publishes reviews and evals: to their own topic, on the same broker. It is flushed, counted and closed
        with this one. A transport that the caller makes knows no topics and takes them as all else."""
        if self._own_transport or self._topic_of is DECISIONS:
            return self
        with self._buffer.lock:
            if self._decisions is None:
                self._decisions = Emitter(
                    decisions_settings(self.settings),
                    kafka=self._kafka,
                    on_delivered=self._on_delivered,
                    now_s=self._now_s,
                    topic=DECISIONS,
                )
                if self._buffer.closed:
                    self._decisions.close(0)
            return self._decisions

    def _kafka_transport(self) -> Transport:
        return KafkaTransport(self._kafka, self.settings, self._topic)

    def _start_over(self) -> None:
        self.emitter_id = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._buffer = Buffer(self.settings, self._now_s)
        self._counters = Counters(log, self._now_s)
        self._sender = Sender(
            self.settings,
            self.emitter_id,
            buffer=self._buffer,
            counters=self._counters,
            make_transport=self._make_transport,
            schema_id=self._schema_id,
            on_delivered=self._on_delivered,
            now_s=self._now_s,
        )
        self.sampling = Sampling(
            self.settings.sample,
            self.emit,
            max_events=self.settings.held_events,
            max_bytes=self.settings.held_bytes,
        )
        self._children = Children()
        self._thread: threading.Thread | None = None

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

    def count_mended(self, reasons: Sequence[str]) -> None:
        """Count an event that was published without some of its fields."""
        self._counters.mended(reasons)

    def count_outside(self, reason: str) -> None:
        """Count a step that was not within its run."""
        self._counters.outside(reason)

    def count_mask_failed(self, reason: str) -> None:
        """Count an event whose masking failed, so that it was not emitted."""
        self._counters.unpublished("mask_failed", reason)

    def count_open_runs(self, change: int) -> None:
        """A run began (1) or ended (-1)."""
        self._counters.add("open_runs", change)

    def stats(self) -> Stats:
        """The counters as they stand."""
        buffer, spool = self._buffer, self._sender.outage.spool
        spooled = 0 if spool is None else spool.events
        mine = self._counters.snapshot(
            accepted=buffer.accepted,
            dropped=buffer.dropped,
            waiting=buffer.waiting + spooled,
            in_flight=buffer.in_flight,
            spooled=spooled,
            spool_dropped=0 if spool is None else spool.dropped,
            sampled_out=self.sampling.sampled_out,
            lost_in_children=self._children.lost(),
        )
        return mine if self._decisions is None else mine + self._decisions.stats()

    def flush(self, timeout_s: float | None = None) -> Left:
        """Wait until all that was emitted before is delivered or given up, at most `timeout_s` (by default that of
        the settings); gives what is left, later events included."""
        rest = self._rest_of(timeout_s)
        left = self._buffer.wait_until_settled(rest())
        return left if self._decisions is None else left + self._decisions.flush(rest())

    def _rest_of(self, timeout_s: float | None) -> Callable[[], float]:
        """How much is left of a time-out that begins now."""
        until_s = time.monotonic() + (self.settings.close_timeout_s if timeout_s is None else timeout_s)
        return lambda: max(0.0, until_s - time.monotonic())

    def drain(self, timeout_s: float) -> int:
        """Deliver what processes before have left in the spool, at most so long; gives how many events are left."""
        outage = self._sender.outage
        spool = outage.spool
        if spool is None:
            return 0
        self._start_thread()
        decisions = self.decisions if has_segments(decisions_settings(self.settings).spool) else None
        deadline, pause = self._now_s() + timeout_s, threading.Event()
        while not outage.has_taken_over or (spool.events and self._now_s() < deadline):
            if self._thread is None:  # closed meanwhile, or it could not be started
                break
            pause.wait(0.02)
        more = 0 if decisions is None else decisions.drain(max(0.0, deadline - self._now_s()))
        return spool.events + more

    def close(self, timeout_s: float | None = None) -> Left:
        """Flush, then stop for good; gives, and logs, what is left. Closing twice is closing once.

        Takes `timeout_s` and at most a second more, which the client needs to let go of the broker; with a spool what
        the broker has not goes to the disk, for the next process, and is not left.
        """
        self.sampling.release()
        is_first = self._buffer.close()
        rest = self._rest_of(timeout_s)
        left = self._buffer.wait_until_settled(rest()) if is_first else Left()
        why = self._counters.last_error or ""
        thread, self._thread = self._thread, None
        lost_before = self._counters["lost"]
        self._buffer.stop()
        spool = self._sender.outage.spool
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0 if spool is None else _SPOOL_REST_S)
        if left and spool is not None:
            left = Left(self._buffer.left().events + self._counters["lost"] - lost_before, left.batches)
        if left:
            log.warning(
                "%d events in %d batches were not delivered when the emitter closed. %s",
                left.events,
                left.batches,
                why,
            )
        if is_first and (lost := self._children.lost()):
            log.warning(
                "%d events of forked children were lost: these were killed, or ended by os._exit. "
                "docs/deploying-emitters.md says how such children deliver.",
                lost,
            )
        return left if self._decisions is None else left + self._decisions.close(rest())

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

    def _run(self) -> None:
        if self._topic_of is EVENTS and has_segments(decisions_settings(self.settings).spool):
            self.decisions._start_thread()  # what processes before have left # noqa: SLF001 - one of us
        self._sender.run()

    # --- the process's side

    def before_fork(self) -> None:
        """The process is about to fork."""
        self._children.before_fork()

    def after_fork(self) -> None:
        """In a forked child: what the parent has gathered is the parent's to deliver."""
        self._sender.abandon()
        tally = self._children.in_child()
        self._start_over()
        self._buffer.tally = tally
