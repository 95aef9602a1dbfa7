"""The loader as a process: connects, loads until it is told to stop, and says why when it ends otherwise."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaError, TopicPartition

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import NotFound
from causeline.schemas.health_port import Pulse, health_port
from causeline.schemas.kafka_faults import way_out
from causeline.schemas.registry import Schemas, from_registry
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.sinks.clickhouse import clickhouse_client, translated
from causeline.sinks.loader.dead_letters import FloodGate, KafkaDeadLetters
from causeline.sinks.loader.delivery import Delivery
from causeline.sinks.loader.loop import Loader
from causeline.sinks.loader.metrics import LoaderMetrics, MeteredDeadLetters, MeteredSender
from causeline.sinks.loader.retrying import Backoff
from causeline.sinks.loader.routes import Route, routes
from causeline.sinks.loader.sending import ClickHouseSender
from causeline.sinks.loader.settings import LoaderSettings

_SAME_COMPLAINT_S = 30.0

_log = logging.getLogger(__name__)


def run_loader(settings: LoaderSettings, kind: type[Loader] = Loader) -> int:
    """Load until SIGTERM or SIGINT, then insert what is buffered; 0 when it ended so.

    Logs `ready` once it has partitions; `kind` is the class of the loop. Raises Unreachable, NotFound when tables are
    missing, FloodOfDeadLetters. Call it from the main thread, which alone may handle signals.
    """
    _quiet_client()
    found = routes(settings.topic_prefix)
    metrics = LoaderMetrics(found, Pulse("loader", settings.health.stall_after_s))
    known = _schemas(settings, found)
    with (
        health_port(settings.health, metrics.registry, metrics.pulse.complaint),
        clickhouse_client(settings.clickhouse, timeout_s=settings.insert_timeout_s) as client,
    ):
        _require_tables(settings, client, found)
        delivery = Delivery(
            found,
            schemas=known,
            sender=MeteredSender(ClickHouseSender(client), metrics),
            dead_letters=MeteredDeadLetters(KafkaDeadLetters(settings.kafka, settings.topic_prefix, known), metrics),
            gate=FloodGate(settings.max_dead_ratio, settings.dead_ratio_after),
            patience=Backoff(settings.backoff_min_s, settings.backoff_max_s),
        )
        loader = kind(
            settings,
            consumer=Consumer(consumer_config(settings)),
            routes=found,
            delivery=delivery,
            schemas=known,
            metrics=metrics,
        )
        with _stopped_by_signals(loader):
            loader.run()
    return 0


def consumer_config(settings: LoaderSettings) -> dict[str, object]:
    """librdkafka's settings for the loader: nothing is committed by itself, and what it reads ahead is bounded."""
    session_ms = round(settings.session_timeout_s * 1000)
    named = {} if settings.instance is None else {"group.instance.id": settings.instance}
    return {
        **named,
        **settings.kafka.client_config(),
        "group.id": settings.group,
        "client.id": "causeline-loader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 10,
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": 32 * 1024,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "fetch.wait.max.ms": 100,
        # Topics made after the loader was started are found this soon.
        "topic.metadata.refresh.interval.ms": 10_000,
        "allow.auto.create.topics": False,
        "reconnect.backoff.ms": 500,
        # Its own lines on stderr; what goes wrong is told by the callbacks.
        "log_level": 0,
        "on_commit": _on_commit,
        "error_cb": _Complaints(settings.kafka).hear,
    }


def _schemas(settings: LoaderSettings, found: Mapping[str, Route]) -> Schemas:
    if settings.registry_url is None:
        return Schemas()
    return from_registry(settings.registry_url, {each.table.subject: f"{each.topic}-value" for each in found.values()})


def _on_commit(error: KafkaError | None, places: list[TopicPartition]) -> None:
    if error is not None:
        # What is not committed is loaded again, and shown once.
        _log.warning("offsets of %d partitions not committed: %s", len(places), error.str())


class _Complaints:
    """Tells what librdkafka complains of: each new kind at once, the same again only now and then."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._told: dict[str, float] = {}

    def hear(self, error: KafkaError) -> None:
        """Called by the consumer, in the thread that reads."""
        now = time.monotonic()
        if now - self._told.get(error.name(), -_SAME_COMPLAINT_S) >= _SAME_COMPLAINT_S:
            self._told[error.name()] = now
            _log.warning("Kafka: %s", way_out(self._connection, error.name()) or error.str())


def _require_tables(settings: LoaderSettings, client: Client, found: Mapping[str, Route]) -> None:
    with translated(settings.clickhouse):
        rows = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()").result_rows
    missing = sorted({route.table.rows for route in found.values()} - {name for [name] in rows})
    if missing:
        raise NotFound(
            f"Database {settings.clickhouse.database!r} lacks {', '.join(missing)}.", hint="Run `causeline migrate`."
        )


@contextmanager
def _stopped_by_signals(loader: Loader) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: loader.stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _quiet_client() -> None:
    # It logs each failed request in its own words; we say it in ours.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
