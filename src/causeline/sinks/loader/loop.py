"""The loop between Kafka and ClickHouse: reads, buffers, hands batches to threads, commits what they delivered."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass

from causeline.kafka.client import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from causeline.kafka.identity import TopicIds
from causeline.kafka.starting import starts
from causeline.schemas.errors import Unreachable
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.delivery import Delivered, Delivery
from causeline.sinks.loader.inserting import Cancelled
from causeline.sinks.loader.metrics import LoaderMetrics
from causeline.sinks.loader.partitions import Load, Partition, PartitionBuffer, next_load, origin_of
from causeline.sinks.loader.routes import Route
from causeline.sinks.loader.settings import LoaderSettings
from causeline.sinks.loader.units import read_unit

_CONSUME_MESSAGES = 500
_CONSUME_WAIT_S = 0.05
_LOOK_EVERY_S = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What the loader did since it started."""

    messages: int = 0
    rows: int = 0
    inserts: int = 0
    dead: int = 0
    retries: int = 0

    def add(self, delivered: Delivered) -> None:
        """Count what was delivered."""
        self.messages += delivered.messages
        self.rows += delivered.rows
        self.inserts += delivered.inserts
        self.dead += delivered.dead
        self.retries += delivered.retries


class Loader:
    """Reads until it is stopped. One thread calls Kafka; each partition has at most one batch on its way.

    For each partition, in this order:
    1. Messages are read, checked for framing, and buffered.
    2. When enough wait, or the oldest has waited long enough, a batch of them is delivered by a thread of the pool,
       together with what waits of other partitions of the topic: every record inserted and acknowledged, or buried
       and acknowledged (see `Delivery`).
    3. The offset after the batch's last message is committed.
    4. The next batch may go.
    A crash before 3 delivers the batch again, perhaps cut otherwise: ClickHouse drops it by its token, or merges it
    away by its key; the views show it once either way.

    A partition that is taken away lets its batch finish for `stop_timeout_s`, commits it, and forgets what waits.
    A partition that was lost commits nothing. A delivery ends unfinished only when no partition of it is ours.
    """

    def __init__(
        self,
        settings: LoaderSettings,
        *,
        consumer: Consumer,
        routes: Mapping[str, Route],
        delivery: Delivery,
        schemas: Schemas,
        metrics: LoaderMetrics,
        now: Callable[[], float] = time.monotonic,
        ids: TopicIds | None = None,
    ) -> None:
        self._ids = ids
        self._settings = settings
        self._consumer = consumer
        self._routes = routes
        self._delivery = delivery
        self._schemas = schemas
        self._metrics = metrics
        self._now = now
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._loads: list[Load] = []
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(settings.insert_threads, thread_name_prefix="insert")
        self._report_at = now() + settings.report_every_s
        self._look_at = now()
        self._is_ready = False
        self.counters = Counters()

    def stop(self) -> None:
        """Ask the loop to end: what is buffered is still delivered. May be called from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Load until stopped; raises FloodOfDeadLetters, or Unreachable when Kafka fails for good."""
        self._consumer.subscribe(
            sorted(self._routes), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not self._stopping.is_set():
                self._read(_CONSUME_WAIT_S)
                self._settle()
                self._start(self._now())
                self._pause_or_resume()
                self._report()
            self._drain()
        finally:
            self._close()

    # --- reading

    def _read(self, timeout_s: float) -> None:
        for message in self._consumer.consume(_CONSUME_MESSAGES, timeout_s):
            if (error := message.error()) is not None:
                self._heed(error)
                continue
            partition = self._partitions.get((message.topic() or "", message.partition() or 0))
            if partition is not None:
                unit = read_unit(
                    origin_of(message),
                    message.value(),
                    partition.route.table.subject,
                    self._schemas,
                )
                partition.buffer.add(unit, self._now())
                if partition.next_offset is None:
                    partition.next_offset = unit.origin.offset

    def _heed(self, error: KafkaError) -> None:
        if error.fatal():
            raise Unreachable(f"Kafka ends the loader's membership for good: {error.name()}.")
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own names start so
            log.warning("Kafka: %s", error.str())

    def _pause_or_resume(self) -> None:
        held = sum(each.buffer.bytes for each in self._partitions.values())
        for each in self._partitions.values():
            crowded = each.buffer.is_crowded() or (held > self._settings.max_buffer_bytes and len(each.buffer) > 0)
            if crowded and not each.is_paused:
                self._consumer.pause([each.place])
            elif each.is_paused and not crowded:
                self._consumer.resume([each.place])
            each.is_paused = crowded

    # --- delivering

    def _start(self, now: float) -> None:
        settings = self._settings
        while len(self._loads) < settings.insert_threads:
            load = next_load(self._partitions.values(), now, settings.max_block_rows, settings.max_block_bytes)
            if load is None:
                return
            load.delivery = self._pool.submit(self._delivery.deliver, load.route, load.batches, load.cancelled)
            self._loads.append(load)

    def _settle(self, *, wait_for_broker: bool = False) -> None:
        for load in [each for each in self._loads if each.is_done]:
            self._finish(load, wait_for_broker=wait_for_broker)

    def _finish(self, load: Load, *, wait_for_broker: bool) -> None:
        """Account for a delivery that is done, and commit what of it is ours."""
        self._loads.remove(load)
        for each in load.partitions:
            each.batch = None
        if load.delivery is None:
            return
        try:
            delivered = load.delivery.result()
        except Cancelled:
            return
        self.counters.add(delivered)
        self._metrics.delivered(load.route.topic, delivered)
        for partition, batch in zip(load.partitions, load.batches, strict=True):
            if partition.is_ours:
                partition.next_offset = batch.next_offset
                self._commit(partition.place, batch.next_offset, wait_for_broker=wait_for_broker)

    def _commit(self, place: TopicPartition, next_offset: int, *, wait_for_broker: bool) -> None:
        offsets = [TopicPartition(place.topic, place.partition, next_offset, self._id_of(place.topic))]
        try:
            if wait_for_broker:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            # What is not committed is loaded again, and shown once.
            log.warning("%s[%d]: offset %d not committed: %s", place.topic, place.partition, next_offset, error)

    def _id_of(self, topic: str) -> str:
        return "" if self._ids is None else self._ids.get(topic)

    # --- coming and going of partitions; called by the consumer, in the thread that reads

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        if places:
            consumer.incremental_assign(starts(consumer, places, self._id_of))
        for place in places:
            partition = Partition(
                self._routes[place.topic],
                TopicPartition(place.topic, place.partition),
                PartitionBuffer(self._settings.max_block_rows, self._settings.max_block_bytes, self._settings.linger_s),
            )
            self._partitions[partition.key] = partition
        if not self._is_ready:
            self._is_ready = True
            log.info("ready: group %s has %d partitions", self._settings.group, len(self._partitions))

    def _on_revoke(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        self._give_up(self._forget(places))

    def _on_lost(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        self._let_go(self._forget(places))

    def _forget(self, places: Iterable[TopicPartition]) -> list[Partition]:
        gone = [self._partitions.pop((place.topic, place.partition), None) for place in places]
        return [partition for partition in gone if partition is not None]

    def _give_up(self, partitions: list[Partition]) -> None:
        """Commit what is on its way if it finishes in time."""
        loads = [load for load in self._loads if any(each in partitions for each in load.partitions)]
        wait([load.delivery for load in loads if load.delivery is not None], timeout=self._settings.stop_timeout_s)
        self._settle(wait_for_broker=True)
        self._let_go(partitions)

    def _let_go(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            partition.is_ours = False
        for load in self._loads:
            load.cancel_if_nobodys()

    # --- ending

    def _drain(self) -> None:
        """Deliver and commit what is buffered, within `stop_timeout_s`."""
        deadline = self._now() + self._settings.stop_timeout_s
        ours = list(self._partitions.values())
        while (left := deadline - self._now()) > 0 and any(each.is_busy for each in ours):
            self._start(float("inf"))
            wait(
                [load.delivery for load in self._loads if load.delivery is not None],
                timeout=left,
                return_when=FIRST_COMPLETED,
            )
            self._settle(wait_for_broker=True)
        unfinished = sum(len(each.buffer) + (each.batch.messages if each.batch else 0) for each in ours)
        if unfinished:
            log.warning("%d messages were read and not inserted; they will be read again", unfinished)

    def _close(self) -> None:
        for load in self._loads:
            load.cancelled.set()
        self._partitions.clear()
        self._consumer.close()
        self._pool.shutdown(cancel_futures=True)
        self._tell("stopped")

    # --- telling

    def _report(self) -> None:
        if self._ids is not None:
            self._ids.require_the_same()
        if self._is_ready:
            busy = any(each.is_busy for each in self._partitions.values())
            self._metrics.pulse.beat(busy=busy)
        if self._now() >= self._look_at:
            self._look_at = self._now() + _LOOK_EVERY_S
            self._metrics.look([each.progress(self._end(each.place)) for each in self._partitions.values()])
        if self._now() >= self._report_at:
            self._report_at = self._now() + self._settings.report_every_s
            self._tell("loading")

    def _end(self, place: TopicPartition) -> int:
        try:
            # As the last fetch said: no question to the broker.
            _, end = self._consumer.get_watermark_offsets(place, cached=True)
        except KafkaException:
            end = OFFSET_INVALID
        return int(end)

    def _tell(self, what: str) -> None:
        waiting = sum(len(each.buffer) for each in self._partitions.values())
        done = self.counters
        log.info(
            "%s: messages=%d rows=%d inserts=%d dead_letters=%d retries=%d waiting=%d",
            what,
            done.messages,
            done.rows,
            done.inserts,
            done.dead,
            done.retries,
            waiting,
        )
