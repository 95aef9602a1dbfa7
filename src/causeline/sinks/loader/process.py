"""The loader as a process: connects, loads until it is told to stop, and says why when it ends otherwise."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from causeline.kafka.client import Consumer, KafkaError, TopicPartition
from causeline.kafka.consumer import member_config
from causeline.kafka.identity import TopicIds
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.health import Pulse, health_port
from causeline.runtime.signals import stopped_by_signals
from causeline.schemas.errors import NotFound
from causeline.schemas.registry import Schemas, from_registry
from causeline.sinks.loader.dead_letters import DeadLetters, FloodGate, KafkaDeadLetters
from causeline.sinks.loader.delivery import Delivery
from causeline.sinks.loader.inserting import Backoff, ClickHouseSender, Sender
from causeline.sinks.loader.loop import Loader
from causeline.sinks.loader.metrics import LoaderMetrics, MeteredDeadLetters, MeteredSender
from causeline.sinks.loader.routes import Route, routes
from causeline.sinks.loader.settings import LoaderSettings

_READ_AHEAD_BYTES = 32 * 1024 * 1024

log = logging.getLogger(__name__)


def run_loader(settings: LoaderSettings, kind: type[Loader] = Loader) -> int:
    """Load until SIGTERM or SIGINT, then insert what is buffered; 0 when it ended so.

    Logs `ready` once it has partitions; `kind` is the class of the loop. Raises Unreachable, NotFound when tables are
    missing, FloodOfDeadLetters. Call it from the main thread, which alone may handle signals.
    """
    with loading(settings, Consumer(consumer_config(settings)), kind=kind) as loader:
        loader.run()
    return 0


@contextmanager
def loading(
    settings: LoaderSettings,
    consumer: Consumer,
    *,
    kind: type[Loader] = Loader,
    sender: Callable[[Sender], Sender] = lambda sender: sender,
    dead_letters: DeadLetters | None = None,
) -> Iterator[Loader]:
    """A loader with all that it needs, its health served, stopped by signals; `run` it within the block.

    `sender` may put something before the one that sends, `dead_letters` stand in for Kafka's. Raises as `run_loader`.
    """
    found = routes(settings.topic_prefix)
    metrics = LoaderMetrics(found, Pulse("loader", settings.health.stall_after_s))
    known = _schemas(settings, found)
    with (
        health_port(settings.health, metrics.registry, metrics.pulse.complaint),
        clickhouse_client(settings.clickhouse, timeout_s=settings.insert_timeout_s) as client,
    ):
        _require_tables(settings, client, found)
        letters = dead_letters or KafkaDeadLetters(settings.kafka, settings.topic_prefix, known)
        delivery = Delivery(
            found,
            schemas=known,
            sender=MeteredSender(sender(ClickHouseSender(client)), metrics),
            dead_letters=MeteredDeadLetters(letters, metrics),
            gate=FloodGate(settings.max_dead_ratio, settings.dead_ratio_after),
            patience=Backoff(settings.backoff_min_s, settings.backoff_max_s),
        )
        loader = kind(
            settings,
            consumer=consumer,
            routes=found,
            delivery=delivery,
            schemas=known,
            metrics=metrics,
            ids=TopicIds(settings.kafka, found),
        )
        with stopped_by_signals(loader.stop):
            yield loader


def consumer_config(settings: LoaderSettings) -> dict[str, object]:
    """librdkafka's settings for the loader."""
    member = member_config(settings, client_id="causeline-loader", read_ahead_bytes=_READ_AHEAD_BYTES)
    return {**member, "on_commit": _on_commit}


def _schemas(settings: LoaderSettings, found: Mapping[str, Route]) -> Schemas:
    if settings.registry_url is None:
        return Schemas()
    return from_registry(settings.registry_url, {each.table.subject: f"{each.topic}-value" for each in found.values()})


def _on_commit(error: KafkaError | None, places: list[TopicPartition]) -> None:
    if error is not None:
        # What is not committed is loaded again, and shown once.
        log.warning("offsets of %d partitions not committed: %s", len(places), error.str())


def _require_tables(settings: LoaderSettings, client: Client, found: Mapping[str, Route]) -> None:
    with translated(settings.clickhouse):
        rows = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()").result_rows
    missing = sorted({route.table.rows for route in found.values()} - {name for [name] in rows})
    if missing:
        raise NotFound(
            f"Database {settings.clickhouse.database!r} lacks {', '.join(missing)}.", hint="Run `causeline migrate`."
        )
