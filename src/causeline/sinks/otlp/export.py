"""The exporter: runs from Kafka, traces to a backend.

In this order: read; send until the backend has it, or refuses it; commit. A crash sends some runs again, under the same
ids. Of runs that the worker published twice the second is left out, as far back as is remembered.
"""

import logging
import signal
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, Message

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import Unreachable, UnreadableMessage
from causeline.schemas.kafka_offsets import committed, watermarks
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.topics import MAX_MESSAGE_BYTES, RUNS
from causeline.schemas.wire import decode_items, read_block
from causeline.sinks.otlp.packing import requests
from causeline.sinks.otlp.sending import Refused, Sending, Stopped, http_post
from causeline.sinks.otlp.settings import ExporterSettings

_LOG = logging.getLogger(__name__)
_POLL_S = 0.5
_MESSAGES = 100
_REMEMBERED = 100_000


@dataclass(slots=True)
class Counts:
    """What the exporter has done since it began."""

    messages: int = 0
    runs: int = 0
    repeated: int = 0
    refused: int = 0
    unreadable: int = 0


class Exporter:
    """Sends what stands on the runs topic. `until_end`: stops when nothing comes any more."""

    def __init__(
        self, settings: ExporterSettings, consumer: Consumer, sending: Sending, stopping: threading.Event
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._sending = sending
        self._stopping = stopping
        self._schemas = Schemas()
        self._sent: OrderedDict[str, int] = OrderedDict()
        self.counts = Counts()

    def run(self, *, until_end: bool = False) -> Counts:
        """Export until stopped; raises Unreachable when Kafka fails for good."""
        self._consumer.subscribe([RUNS.full_name(self._settings.topic_prefix)])
        try:
            while not self._stopping.is_set():
                messages = self._read()
                if messages:
                    self._export(messages)
                    self._consumer.commit(asynchronous=False)
                elif until_end and self._at_end():
                    break
        except Stopped:
            _LOG.info("stopped while the backend was away; what it lacks is sent next time")
        except KafkaException as error:
            raise Unreachable(f"Kafka fails: {error.args[0]}.", hint="causeline status") from error
        finally:
            self._consumer.close()
        return self.counts

    def _read(self) -> list[Message]:
        return [message for message in self._consumer.consume(_MESSAGES, _POLL_S) if message.error() is None]

    def _at_end(self) -> bool:
        places = self._consumer.position(self._consumer.assignment())
        if not places:
            return False
        for place in places:
            _, end = watermarks(self._consumer, place, timeout_s=10)
            [known] = committed(self._consumer, [place], timeout_s=10)
            if max(place.offset, known.offset, 0) < end:
                return False
        return True

    def _export(self, messages: list[Message]) -> None:
        self.counts.messages += len(messages)
        settings = self._settings
        bounds = {"batch_spans": settings.batch_spans, "batch_bytes": settings.batch_bytes}
        for body, run_ids in requests(self._new(messages), style=settings.style, **bounds):
            self._send(body, run_ids)

    def _send(self, body: bytes, run_ids: list[str]) -> None:
        try:
            self._sending.send(body)
        except Refused as refused:
            self.counts.refused += len(run_ids)
            _LOG.error("%s Its %d runs are left out, %s the first.", refused, len(run_ids), run_ids[0])
        else:
            self.counts.runs += len(run_ids)

    def _new(self, messages: Iterable[Message]) -> Iterator[Run]:
        for message in messages:
            try:
                records = decode_items(read_block(message.value(), RUNS.subject, self._schemas))
            except UnreadableMessage as error:
                self.counts.unreadable += 1
                _LOG.error("partition %s offset %s cannot be read: %s", message.partition(), message.offset(), error)
                continue
            for record in records:
                run = Run.from_record(record)
                if self._is_new(run):
                    yield run

    def _is_new(self, run: Run) -> bool:
        if self._sent.get(run.run_id, -1) >= run.revision:
            self.counts.repeated += 1
            return False
        self._sent[run.run_id] = run.revision
        self._sent.move_to_end(run.run_id)
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return True


def run_exporter(settings: ExporterSettings, kafka: KafkaConnection, *, until_end: bool) -> Counts:
    """Export until SIGTERM or SIGINT, or until nothing is left; what was done. Raises Unreachable, UsageError."""
    stopping = threading.Event()
    post = http_post(settings.url, settings.header_pairs(), settings.timeout_s)
    sending = Sending(post, retry_max_s=settings.retry_max_s, pause=stopping.wait)
    exporter = Exporter(settings, Consumer(consumer_config(settings, kafka)), sending, stopping)
    with _stopped_by_signals(stopping):
        _LOG.info("exporter ready: runs go to %s", settings.url)
        return exporter.run(until_end=until_end)


def consumer_config(settings: ExporterSettings, kafka: KafkaConnection) -> dict[str, object]:
    """librdkafka's settings for the exporter: offsets are committed when the backend has the runs."""
    return {
        **kafka.client_config(),
        "group.id": settings.group,
        "client.id": "causeline-export",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "queued.max.messages.kbytes": 16 * 1024,
        "max.poll.interval.ms": 3_600_000,  # a backend may be away for long
        "log_level": 0,
    }


@contextmanager
def _stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stopping.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
