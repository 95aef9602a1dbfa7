"""`receive`: the OTLP receiver, which a supervisor, or a container, runs."""

from typing import Annotated

import typer

from causeline.cli import connections
from causeline.cli.options import KafkaServers, Log, LogLevel, StateDir, TopicPrefix, examples
from causeline.cli.services import start_logging
from causeline.schemas.topics import DEFAULT_PREFIX


def receive(
    *,
    host: Annotated[
        str | None,
        typer.Option(envvar="CAUSELINE_RECEIVE_HOST", show_default="127.0.0.1", help="Address to listen on."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(envvar="CAUSELINE_RECEIVE_PORT", show_default="4318", help="Port of OTLP/HTTP; 0 is a free one."),
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            envvar="CAUSELINE_RECEIVE_GRPC_PORT",
            show_default="4317",
            help="Port of OTLP/gRPC; 0 is a free one, -1 none.",
        ),
    ] = None,
    kafka_topic: Annotated[
        str | None,
        typer.Option(
            envvar="CAUSELINE_RECEIVE_KAFKA_TOPIC",
            show_default="none",
            help="A topic to read besides: what the Collector's Kafka exporter writes, such as otlp_spans.",
        ),
    ] = None,
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
) -> None:
    """Receive OpenTelemetry and OpenInference spans over OTLP until told to stop (SIGTERM or Ctrl-C).

    Point any OTLP exporter here: its traces become runs. A request is answered when Kafka has its events. Prompts and
    answers go to the artifact store (CAUSELINE_ARTIFACTS); further settings are CAUSELINE_RECEIVE_… variables.
    """
    from causeline.otlp.receiver.process import run_receiver
    from causeline.otlp.receiver.settings import ReceiverSettings

    connections.kafka(state_dir, kafka)
    connections.set_topic_prefix(prefix)
    settings = ReceiverSettings.from_environment(host=host, port=port, grpc_port=grpc_port, kafka_topic=kafka_topic)
    start_logging(log_level)
    raise typer.Exit(run_receiver(settings))


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "causeline receive",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python app.py   # any OpenTelemetry application",
            "causeline receive --port 0 --grpc-port -1",
            "causeline receive --kafka-topic otlp_spans   # what a Collector's Kafka exporter writes",
        )
    )(receive)
