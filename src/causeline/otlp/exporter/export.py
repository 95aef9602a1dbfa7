"""The exporter: runs from Kafka, traces to a backend.

In this order: read; send until the backend has it, or refuses it; commit. A crash sends some runs again, under the same
ids. Of runs that the worker published twice the second is left out, as far back as is remembered.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from causeline.kafka.client import Consumer, KafkaException
from causeline.kafka.consumer import group_config
from causeline.kafka.identity import TopicIds
from causeline.kafka.member import Member, Received, after
from causeline.kafka.offsets import committed, watermarks
from causeline.kafka.preflight import check_topics
from causeline.otlp.exporter.packing import requests
from causeline.otlp.exporter.sending import Refused, Sending, Stopped, http_post
from causeline.otlp.exporter.settings import ExporterSettings
from causeline.runtime.connections import KafkaConnection
from causeline.runtime.health import Pulse, part_health
from causeline.runtime.signals import stopped_by_signals
from causeline.schemas.errors import Unreachable, UnreadableMessage
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.topics import RUNS
from causeline.schemas.wire import decode_items, read_block

log = logging.getLogger(__name__)
_POLL_S = 0.5
_READ_AHEAD_BYTES = 16 * 1024 * 1024
_MESSAGES = 100
_JOIN_TIMEOUT_S = 60
_REMEMBERED = 100_000


@dataclass(slots=True)
class ExportCounts:
    """What the exporter has done since it began."""

    messages: int = 0
    runs: int = 0
    repeated: int = 0
    refused: int = 0
    unreadable: int = 0


class Exporter:
    """Sends what stands on the runs topic. `until_end`: stops when nothing comes any more."""

    def __init__(
        self,
        settings: ExporterSettings,
        kafka: KafkaConnection,
        consumer: Consumer,
        sending: Sending,
        stopping: threading.Event,
        *,
        ids: TopicIds | None = None,
    ) -> None:
        self._settings = settings
        self._member = Member("exporter", consumer, kafka, ids)
        self._consumer = consumer
        self._sending = sending
        self._stopping = stopping
        self._schemas = Schemas()
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._join_until = time.monotonic() + _JOIN_TIMEOUT_S
        self.counts = ExportCounts()

    def counted(self) -> dict[str, float]:
        """What it has done, for metrics."""
        return {name: getattr(self.counts, name) for name in self.counts.__slots__}

    def run(self, *, until_end: bool = False, pulse: Pulse | None = None) -> ExportCounts:
        """Export until stopped, and let `pulse` feel each turn; raises Unreachable when Kafka fails for good."""
        self._member.join([RUNS.full_name(self._settings.topic_prefix)])
        try:
            while not self._stopping.is_set():
                if pulse is not None:
                    pulse.beat(busy=False)
                messages = self._member.read(_MESSAGES, _POLL_S)
                if messages:
                    self._export(messages)
                    self._member.commit(after(messages))  # what is not committed is sent again
                elif until_end and self._at_end():
                    break
        except Stopped:
            log.info("stopped while the backend was away; what it lacks is sent next time")
        except KafkaException as error:
            raise Unreachable(f"Kafka fails: {error.args[0]}.", hint="causeline status") from error
        finally:
            self._member.leave()
        return self.counts

    def _at_end(self) -> bool:
        places = self._consumer.position(self._consumer.assignment())
        if not places:
            if time.monotonic() > self._join_until:
                raise Unreachable(
                    f"Kafka has given the group {self._settings.group} no partition within {_JOIN_TIMEOUT_S} s.",
                    hint="Is another exporter of this group at work? The log says what Kafka complained of.",
                )
            return False
        for place in places:
            _, end = watermarks(self._consumer, place, timeout_s=10)
            [known] = committed(self._consumer, [place], timeout_s=10)
            if max(place.offset, known.offset, 0) < end:
                return False
        return True

    def _export(self, messages: Sequence[Received]) -> None:
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
            log.error("%s Its %d runs are left out, %s the first.", refused, len(run_ids), run_ids[0])  # noqa: TRY400 - says all
        else:
            self.counts.runs += len(run_ids)

    def _new(self, messages: Iterable[Received]) -> Iterator[Run]:
        for message in messages:
            try:
                records = decode_items(read_block(message.value, RUNS.subject, self._schemas))
            except UnreadableMessage as error:
                self.counts.unreadable += 1
                log.error("partition %s offset %s cannot be read: %s", message.partition, message.offset, error)  # noqa: TRY400 - says all
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


def run_exporter(settings: ExporterSettings, kafka: KafkaConnection, *, until_end: bool) -> ExportCounts:
    """Export until SIGTERM or SIGINT, or until nothing is left; what was done. Raises Unreachable, EnvironmentFault
    where the topic is missing, UsageError.
    """
    check_topics(kafka, settings.topic_prefix, needed=(RUNS,))
    stopping = threading.Event()
    post = http_post(settings.url, settings.header_pairs(), settings.timeout_s)
    sending = Sending(post, retry_max_s=settings.retry_max_s, pause=stopping.wait)
    ids = TopicIds(kafka, [RUNS.full_name(settings.topic_prefix)])
    exporter = Exporter(settings, kafka, Consumer(consumer_config(settings, kafka)), sending, stopping, ids=ids)
    with part_health("exporter", exporter.counted) as pulse, stopped_by_signals(stopping.set):
        log.info("exporter ready: runs go to %s", settings.url)
        return exporter.run(until_end=until_end, pulse=pulse)


def consumer_config(settings: ExporterSettings, kafka: KafkaConnection) -> dict[str, object]:
    """librdkafka's settings for the exporter: offsets are committed when the backend has the runs."""
    member = group_config(kafka, settings.group, client_id="causeline-export", read_ahead_bytes=_READ_AHEAD_BYTES)
    return {**member, "max.poll.interval.ms": 3_600_000}  # a backend may be away for long
