"""`export`: runs as OpenTelemetry traces to any backend."""

from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import Json, KafkaServers, Log, LogLevel, StateDir, TopicPrefix, examples
from causeline.cli.services import start_logging
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import CheckFailed
from causeline.schemas.topics import DEFAULT_PREFIX


def export(
    *,
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="CAUSELINE_EXPORT_ENDPOINT",
            show_default="http://127.0.0.1:4318",
            help="OTLP/HTTP address of a collector or a backend.",
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            envvar="CAUSELINE_EXPORT_STYLE",
            show_default="both",
            help="Attribute names beside Causeline's own: genai, openinference or both.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            envvar="CAUSELINE_EXPORT_GROUP",
            show_default="causeline-export",
            help="Consumer group, which remembers what is exported; one a backend.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when all that is there is exported.")] = False,
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
    log_level: Log = LogLevel.INFO,
) -> None:
    """Send runs as OpenTelemetry traces to any OTLP backend until told to stop (SIGTERM or Ctrl-C).

    Each run is sent once: its root, a span a step, gaps and fallbacks as span events, with GenAI and OpenInference
    attributes. Reviews and evals are traces of their own, linked to the run's. API keys go in
    CAUSELINE_EXPORT_HEADERS (key=value,…) or CAUSELINE_EXPORT_HEADERS_FILE. Ends with 1 where runs were refused.
    """
    from causeline.otlp.exporter.export import run_exporter
    from causeline.otlp.exporter.settings import ExporterSettings

    connections.kafka(state_dir, kafka)
    connections.set_topic_prefix(prefix)
    settings = ExporterSettings.from_environment(endpoint=endpoint, style=style, group=group)
    start_logging(log_level)
    counts = run_exporter(settings, KafkaConnection.from_environment(), until_end=once)
    if json_output:
        output.print_json({name: getattr(counts, name) for name in counts.__slots__})
    else:
        output.say(f"Exported {counts.runs} runs; {counts.repeated} were there already, {counts.refused} refused.")
    if counts.refused or counts.unreadable:
        raise CheckFailed("Not every run could be exported.", hint="The log names them.")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "causeline export --endpoint http://collector:4318",
            "CAUSELINE_EXPORT_HEADERS_FILE=honeycomb.key causeline export --endpoint https://api.honeycomb.io",
            "causeline export --once --style genai --json",
        )
    )(export)
