"""The worker: Faust reads, the joiner joins, the outbox publishes; here they meet, and here faults end the process.

Faust would go on with the next message after an exception, and the partition would freeze; a worker of ours ends, and
its supervisor starts another, which reads on from what is committed.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import faust
from faust import Stream
from faust.types import StreamT

from causeline.kafka.identity import TopicIds
from causeline.kafka.logging import quieten
from causeline.kafka.preflight import check_topics
from causeline.runtime.clock import steady_clock
from causeline.runtime.garbage import seldom_collect
from causeline.runtime.health import health_port
from causeline.runtime.policy_watch import PolicyWatch
from causeline.schemas.errors import CauselineError
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas, schemas_of
from causeline.schemas.topics import EVENTS, RUNS, TOPICS
from causeline.streams.runs.chosen import core
from causeline.streams.worker.acknowledge import OffsetJump
from causeline.streams.worker.consumer import LogConsumer, build_app, require_compiled_streams
from causeline.streams.worker.folder import own_folder
from causeline.streams.worker.joiner import Incoming, Joiner
from causeline.streams.worker.metrics import WorkerGauges, WorkerMetrics
from causeline.streams.worker.outbox import Outbox
from causeline.streams.worker.rebuild import RunsReader
from causeline.streams.worker.settings import WorkerSettings
from causeline.streams.worker.watchdog import Vitals, Watchdog, verdict

log = logging.getLogger(__name__)

EXIT_FAULT = 5
_REPORT_EVERY_S = 60.0
_FLUSH_S = 10.0
_STOP_S = 15.0
_MOST_LINGER_S = 0.1
_MOST_PAUSE_S = 0.2
_JUDGED_FROM = 200
"""So many messages must have come before the share of unreadable ones is judged."""

__all__ = ["Worker", "WorkerSettings", "run_worker"]


def run_worker(settings: WorkerSettings) -> int:
    """Join events into runs until SIGTERM or SIGINT; gives the exit code, 0 unless a fault ended it.

    Raises Unreachable when Kafka does not answer at the start, EnvironmentFault when topics or a runtime are missing.
    """
    os.environ.setdefault("RUST_BACKTRACE", "0")  # a corrupt message is no reason for a page of stack
    quieten()
    require_compiled_streams()
    partitions = check_topics(settings.kafka, settings.topic_prefix)
    schemas = schemas_of(settings.registry_url, reversed(TOPICS), settings.topic_prefix)
    log.info("joining %s (%d partitions) as %s", EVENTS.full_name(settings.topic_prefix), partitions, settings.group)
    seldom_collect()
    ids = TopicIds(settings.kafka, [EVENTS.full_name(settings.topic_prefix)])
    with own_folder() as folder:
        return asyncio.run(Worker(settings, schemas, ids, data_folder=str(folder)).run())


class Worker:
    """One process's share of the events topic."""

    def __init__(self, settings: WorkerSettings, schemas: Schemas, ids: TopicIds, *, data_folder: str) -> None:
        self._settings = settings
        self._ids = ids
        self._topic_id = ids.get(EVENTS.full_name(settings.topic_prefix))
        self._app = build_app(settings, data_folder=data_folder, topic_id=self._topic_id)
        self._clock = steady_clock()
        self._reader = RunsReader(
            settings.kafka, RUNS.full_name(settings.topic_prefix), schemas, topic_id=self._topic_id
        )
        self._schemas = schemas
        self._policy_file = PolicyWatch(settings.policy)
        self._stop = asyncio.Event()
        self._fault: str | None = None
        self._generations: dict[int, int | None] = {}
        self._inbox: list[Incoming] = []
        self._inbox_bytes = 0
        self._inbox_due: asyncio.TimerHandle | None = None
        self._handling_s = 0.0
        self._closing_s = 0.0
        self._ready = False
        self._rebalances = 0
        self._judged = (0, 0)
        now = time.monotonic()
        self._vitals = Vitals(beat_at=now, moved_at=now)
        self._longest_open_s = 0.0
        self._told_bounds = (0, 0)
        self._tell_bounds_at = 0.0
        self._standing = WorkerGauges()
        self._outbox: Outbox
        self._joiner: Joiner

    async def run(self) -> int:
        """Start, turn until told to stop, stop; gives the exit code."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_fault)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._outbox = Outbox(
            settings.kafka,
            prefix=settings.topic_prefix,
            loop=loop,
            on_fault=self.fail,
            delivery_timeout_s=settings.delivery_timeout_s,
            linger_ms=settings.linger_ms,
        )
        self._joiner = Joiner(
            limits=settings.limits,
            core=core(self._schemas),
            schemas=self._schemas,
            publish=self._outbox.publish,
            clock=self._clock,
            prefix=settings.topic_prefix,
            policy=self._policy_file.policy,
            topic_id=self._topic_id,
        )
        log.info("judging by policy %s", self._policy_file.policy.content_hash)
        metrics = WorkerMetrics(self._joiner.counters, lambda: self._standing)
        self._wire_faust()
        self._allow_holds(self._policy_file.policy)
        watchdog = Watchdog(self._vitals, stall_s=settings.stall_timeout_s)
        watchdog.start()
        try:
            with health_port(settings.health, metrics.registry, self._complaint):
                await self._app.start()
                await self._turn()
        finally:
            await self._shut_down()
            watchdog.stop()
        if self._fault is None:
            log.info("stopped; %s", self._report())
            return 0
        return EXIT_FAULT

    def fail(self, sentence: str) -> None:
        """End the process because of a fault; the first one counts, and nothing is acknowledged after it."""
        self._joiner.end()
        if self._fault is None:
            self._fault = sentence
            log.critical("the worker ends: %s", sentence)
        self._stop.set()

    # --- Faust's side

    @property
    def _consumer(self) -> LogConsumer:
        return cast("LogConsumer", self._app.consumer)

    def _wire_faust(self) -> None:
        app = self._app
        self._consumer.committable = self._joiner.committable
        topic = app.topic(EVENTS.full_name(self._settings.topic_prefix), key_serializer="raw", value_serializer="raw")

        async def read(stream: StreamT[bytes]) -> None:
            try:
                async for event in cast("AsyncIterator[faust.Event]", cast("Stream[bytes]", stream).noack().events()):
                    await self._receive(event)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever it is, Faust must not go on with the next message
                self._fail_of(error)

        app.agent(topic, concurrency=1, name="join")(read)

        async def revoked(*_: object, **__: object) -> None:
            self._drop_all()

        async def assigned(*told: object, **_: object) -> None:
            word = "assigned" if self._ready else "ready"
            self._ready = True
            log.info("%s: %d partitions", word, len(cast("set[object]", told[-1])))

        app.on_partitions_revoked.connect(revoked, weak=False)
        app.on_partitions_assigned.connect(assigned, weak=False)

    def _drop_all(self) -> None:
        """Every rebalance takes everything away and gives it anew: nothing may outlive it."""
        self._rebalances += 1
        self._inbox.clear()
        self._inbox_bytes = 0
        self._generations.clear()
        self._consumer.reading.forget()
        self._joiner.forget()

    async def _receive(self, event: faust.Event) -> None:
        message = event.message
        generation = message.generation_id
        if generation != self._app.consumer_generation_id:
            return  # of before a rebalance: it is delivered again
        if self._generations.get(message.partition, -1) != generation:
            self._handle_inbox()
            rebalances = self._rebalances
            done = await asyncio.to_thread(self._reader.done_map, message.partition, message.offset)
            if rebalances != self._rebalances:
                return  # taken away in the meantime
            self._generations[message.partition] = generation
            self._joiner.open_partition(message.partition, message.offset, done)
            log.info(
                "partition %d from offset %d on, %d runs known as published",
                message.partition,
                message.offset,
                len(done),
            )
        produced_at_us = None if message.timestamp is None else round(message.timestamp * 1e6)
        value, key = message.value, message.key
        # The event is kept until its offset may be committed: for as long as the runs that the message opened are open.
        event.value = message.value = None
        since = self._consumer.reading.since(message.partition, message.offset)
        self._inbox.append(Incoming(message.partition, message.offset, value, event, key, produced_at_us, since))
        self._inbox_bytes += len(value or b"")
        settings = self._settings
        if len(self._inbox) >= settings.batch_messages or self._inbox_bytes >= settings.batch_bytes:
            self._handle_inbox()
            await self._outbox.room(settings.max_in_flight_bytes)
        elif self._inbox_due is None:
            # The busier the worker, the more it takes at once: what a batch costs by itself is paid less often.
            linger_s = min(max(settings.linger_ms / 1000, 2 * self._handling_s), _MOST_LINGER_S)
            self._inbox_due = asyncio.get_running_loop().call_later(linger_s, self._handle_inbox)

    def _handle_inbox(self) -> None:
        if self._inbox_due is not None:
            self._inbox_due.cancel()
            self._inbox_due = None
        if not self._inbox or self._stop.is_set():
            return
        incoming, self._inbox, self._inbox_bytes = self._inbox, [], 0
        began = time.monotonic()
        try:
            self._joiner.handle(incoming)
            self._judge_flood()
        except BaseException as error:  # noqa: BLE001 - see the module's head
            self._fail_of(error)
        self._handling_s = time.monotonic() - began
        self._vitals.moved_at = time.monotonic()

    def _judge_flood(self) -> None:
        counters = self._joiner.counters
        messages, letters = counters.messages - self._judged[0], counters.dead_letters - self._judged[1]
        if messages < _JUDGED_FROM:
            return
        self._judged = (counters.messages, counters.dead_letters)
        if letters > self._settings.max_dead_ratio * messages:
            self.fail(
                f"{letters} dead letters from the last {messages} messages, more than a share of "
                f"{self._settings.max_dead_ratio:g}; is a producer of another version writing to this topic?"
            )

    def _on_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raised, or a native part in panic, has left something undone; the rest is only told."""
        error = context.get("exception")
        if error is not None and ("handle" in context or not isinstance(error, Exception)):
            self._fail_of(error)
        else:
            loop.default_exception_handler(context)

    def _fail_of(self, error: BaseException) -> None:
        if isinstance(error, CauselineError | OffsetJump):
            self.fail(str(error))
        else:
            log.critical("unexpected: %s", type(error).__name__, exc_info=error)
            self.fail(f"{type(error).__name__} while joining.")

    # --- the loop's own turns

    async def _turn(self) -> None:
        next_report = 0.0
        while not self._stop.is_set():
            now = time.monotonic()
            self._look_around(now)
            if (name := self._ids.made_again()) is not None:
                self.fail(f"The topic {name} was deleted and made again; the next worker reads it from its start.")
            if self._app.should_stop:
                self.fail(f"Faust stopped: {self._app.crash_reason!r}.")
            self._follow_policy()
            are_more_due = self._close_due()
            if now >= next_report:
                next_report = now + _REPORT_EVERY_S
                log.info("%s", self._report())
            # As with messages: the longer a close takes, the more runs the next one gathers.
            pause_s = max(self._settings.close_interval_ms / 1000, min(2 * self._closing_s, _MOST_PAUSE_S))
            if are_more_due:
                pause_s = 0.001  # what else waits for the loop has its turn
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause_s)

    def _follow_policy(self) -> None:
        policy = self._policy_file.changed()
        if policy is None:
            return
        self._handle_inbox()  # what has come is judged by the policy it came under
        self._allow_holds(policy)
        self._joiner.use_policy(policy)
        places = {number: state.acks.next_offset for number, state in sorted(self._joiner.partitions.items())}
        log.info("judging by policy %s from these offsets on: %s", policy.content_hash, places)

    def _allow_holds(self, policy: Policy) -> None:
        """How long a message may be held by right: runs opened under a policy keep the waits that it gave them."""
        settings = self._settings
        self._longest_open_s = max(settings.max_open_s, policy.longest_open_s or 0, self._longest_open_s)
        beyond = settings.grace_s + settings.delivery_timeout_s + settings.stall_timeout_s
        self._vitals.hold_s = self._longest_open_s + beyond

    def _close_due(self) -> bool:
        began, are_more_due = time.monotonic(), False
        try:
            are_more_due = self._joiner.close_due()
        except BaseException as error:  # noqa: BLE001 - see the module's head
            self._fail_of(error)
        self._closing_s = time.monotonic() - began
        self._tell_bounds(began)
        return are_more_due

    def _tell_bounds(self, now: float) -> None:
        """Runs that a bound has closed are told in the log, once a minute."""
        counters = self._joiner.counters
        reached = (counters.too_large, counters.crowded_out)
        if reached == self._told_bounds or now < self._tell_bounds_at:
            return
        too_large, crowded_out = (each - told for each, told in zip(reached, self._told_bounds, strict=True))
        self._told_bounds, self._tell_bounds_at = reached, now + _REPORT_EVERY_S
        if too_large:
            log.warning(
                "%d runs were closed before their end, of CAUSELINE_WORKER_MAX_RUN_EVENTS=%d events; they are partial, "
                "and the amender takes in what comes later",
                too_large,
                self._settings.max_run_events,
            )
        if crowded_out:
            log.warning(
                "%d runs were closed before their end, the oldest of more than CAUSELINE_WORKER_MAX_OPEN_EVENTS=%d "
                "open events; the amender completes them when the rest is stored",
                crowded_out,
                self._settings.max_open_events,
            )

    def _look_around(self, now: float) -> None:
        vitals = self._vitals
        vitals.beat_at = now
        lag = self._lag()
        if not lag:
            vitals.moved_at = now
        oldest = [entry.arrived_at_us for state in self._joiner.partitions.values() if (entry := state.acks.oldest)]
        held_s = (self._clock() - min(oldest)) / 1e6 if oldest else None
        vitals.oldest_unacknowledged_at = None if held_s is None else now - held_s
        self._standing = WorkerGauges(
            partitions=len(self._joiner.partitions),
            lag_messages=lag,
            oldest_held_s=held_s or 0.0,
            watermark_s=time.time() - (held_s or 0.0),
            open_runs=self._joiner.assembler.open_runs,
            open_events=self._joiner.assembler.open_events,
            in_flight_bytes=self._outbox.in_flight_bytes,
            rebalances=self._rebalances,
        )

    def _lag(self) -> int:
        """Messages that the broker has for us and that were not taken in."""
        lag = 0
        partitions = self._joiner.partitions
        for tp in self._consumer.assignment():
            tail = self._consumer.reading.tail(tp.partition)
            if tail is not None:
                self._joiner.pass_over(tp.partition, *tail)
            state = partitions.get(tp.partition)
            lag += self._consumer.waiting(tp, None if state is None else state.acks.next_offset)
        return lag

    def _complaint(self) -> str | None:
        """Why this worker isn't well, as a sentence; asked by the thread that serves health."""
        if not self._ready:
            return "The worker is not consuming yet."
        reason = verdict(self._vitals, time.monotonic(), stall_s=self._settings.health.stall_after_s)
        return None if reason is None else f"{reason[0].upper()}{reason[1:]}."

    def _report(self) -> str:
        counters, assembler = self._joiner.counters, self._joiner.assembler
        done = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counters.sums().items())
        return f"{done}; open: {assembler.open_runs} runs, {assembler.open_events} events"

    async def _shut_down(self) -> None:
        """Let what is on its way arrive, so that as little as possible is read again; then leave the group."""
        if self._inbox_due is not None:
            self._inbox_due.cancel()
        left = await asyncio.to_thread(self._outbox.close, _FLUSH_S)
        await asyncio.sleep(0)  # the last answers are told on this loop
        if left:
            log.warning("%d messages were not delivered; what they came from is read again", left)
        try:
            await asyncio.wait_for(self._app.stop(), _STOP_S)
        except TimeoutError:
            log.warning("Faust did not stop within %.0f s", _STOP_S)
        self._reader.close()
