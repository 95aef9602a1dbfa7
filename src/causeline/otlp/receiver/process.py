"""The receiver as a process: its doors on one event loop, and a stop that loses nothing."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import uvicorn

from causeline.otlp.receiver.budget import Budget
from causeline.otlp.receiver.content_store import Keeper, mask_function
from causeline.otlp.receiver.dead_letters import KafkaDeadLetters
from causeline.otlp.receiver.grpc_endpoint import create_server
from causeline.otlp.receiver.http_endpoint import create_app
from causeline.otlp.receiver.intake import Intake
from causeline.otlp.receiver.metrics import ReceiverMetrics, complaint
from causeline.otlp.receiver.settings import KeepContent, ReceiverSettings
from causeline.otlp.receiver.topic_endpoint import TopicEndpoint
from causeline.otlp.receiver.topic_source import KafkaSource
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.bounded_http import bounded_http
from causeline.runtime.bounded_listener import BoundedListener, Bounds, listen
from causeline.runtime.connections import KafkaConnection
from causeline.runtime.garbage import seldom_collect
from causeline.runtime.health import HealthSettings, health_port
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.registry import Schemas

log = logging.getLogger(__name__)
_STOP_GRACE_S = 5
_BOUNDS = Bounds(idle_timeout_s=75)
"""Exporters send every few seconds, and some once a minute: a connection is kept for as long as that."""


def intake_of(settings: ReceiverSettings) -> Intake:
    """The way in that the environment names: Kafka, and the artifact store. Raises UsageError."""
    store = ArtifactStore.from_environment() if settings.content is KeepContent.STORE else None
    return Intake(
        lambda delivered: Emitter(on_delivered=delivered),
        Keeper(store, mask_function(settings.mask)),
        rules=settings.rules(),
        durable_timeout_s=settings.durable_timeout_s,
        decisions=settings.decisions,
    )


def run_receiver(settings: ReceiverSettings) -> int:
    """Receive until SIGTERM or SIGINT; the exit code. Raises EnvironmentFault when a port cannot be had."""
    health = HealthSettings.from_environment()
    intake = intake_of(settings)
    metrics = ReceiverMetrics(intake)
    seldom_collect()
    with health_port(health, metrics.registry, lambda: complaint(intake, health.stall_after_s)):
        return asyncio.run(_serve(settings, intake))


async def _serve(settings: ReceiverSettings, intake: Intake) -> int:
    listener = _listen(settings)
    budget = Budget(settings.max_pending_bytes)
    topic = _topic_endpoint(settings, intake)
    config = uvicorn.Config(
        create_app(settings, intake, budget),
        http=bounded_http(listener),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_GRACE_S,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        lifespan="off",
    )
    grpc_server, grpc_port = (None, 0) if settings.grpc_port < 0 else create_server(settings, intake, budget)
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    scheme = "https" if settings.tls_certificate else "http"
    if grpc_server is not None:
        await grpc_server.start()
    told = f" and grpc://{settings.host}:{grpc_port}" if grpc_server is not None else ""
    reading = None if topic is None else asyncio.create_task(topic.serve())
    if reading is not None:
        reading.add_done_callback(lambda _: server.stop())  # a door that cannot be kept open ends the process
        told += f", and reads {settings.kafka_topic}"
    log.info("receiver ready at %s://%s:%d%s", scheme, settings.host, listener.getsockname()[1], told)
    try:
        with listener:
            await server.serve(sockets=[listener])
    finally:
        if grpc_server is not None:
            await grpc_server.stop(_STOP_GRACE_S)
        if topic is not None and reading is not None:
            topic.stop()
            await asyncio.wait([reading])
        await asyncio.to_thread(intake.close)
    if reading is not None:
        reading.result()
    return 0


def _topic_endpoint(settings: ReceiverSettings, intake: Intake) -> TopicEndpoint | None:
    if settings.kafka_topic is None:
        return None
    kafka, prefix = KafkaConnection.from_environment(), EmitterSettings.from_environment().topic_prefix
    source = KafkaSource(kafka, settings.kafka_topic, settings.kafka_group or f"{prefix}.receiver")
    return TopicEndpoint(settings, intake, source, KafkaDeadLetters(kafka, prefix, Schemas()))


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to us: gRPC shares them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours are installed already."""
        yield

    def stop(self) -> None:
        """Stop taking requests, and end."""
        self.should_exit = True


def _listen(settings: ReceiverSettings) -> BoundedListener:
    try:
        return listen(settings.host, settings.port, bounds=replace(_BOUNDS, body_timeout_s=settings.body_timeout_s))
    except OSError as error:
        raise EnvironmentFault(
            f"The receiver cannot listen on {settings.host} port {settings.port}: {error.strerror}.",
            hint="Choose another --port, or 0 for a free one.",
        ) from error
