"""`worker`, `load`, `serve`, `migrate` and `health`: the parts that a supervisor, or a container, runs."""

import asyncio
import logging
import os
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, Log, LogLevel, StateDir, TopicPrefix, examples
from causeline.runtime.text import counted
from causeline.schemas.errors import CheckFailed
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.sinks.loader import LoaderSettings


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the time of the line: whoever started logging may have had it replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.stream = sys.stderr
        super().emit(record)


_CLIENTS = ("clickhouse_connect", "urllib3")
"""They log each request that fails in their own words, some with where in their code; we say it in ours."""


def start_logging(level: LogLevel) -> None:
    """Log to stderr, a line an event, in UTC, so that the logs of several machines can be read side by side."""
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = _Stderr()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.value.upper(), handlers=[handler], force=True)
    for client in _CLIENTS:
        logging.getLogger(client).setLevel(logging.CRITICAL)


def worker(
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
) -> None:
    """Join events into runs until told to stop (SIGTERM or Ctrl-C).

    Start as many as there are partitions; they share the work. Further settings are CAUSELINE_WORKER_… variables.
    """
    from causeline.streams.worker.process import WorkerSettings, run_worker

    connections.kafka(state_dir, kafka)
    connections.set_topic_prefix(prefix)
    settings = WorkerSettings.from_environment()
    start_logging(log_level)
    raise typer.Exit(run_worker(settings))


def load(
    *,
    again: Annotated[
        str | None,
        typer.Option(
            metavar="SINCE",
            help="Load what was produced since then a second time, and end: 2h, or 2026-01-31T08:00. For rows that"
            " ClickHouse has lost; loaders may run meanwhile, and nothing is doubled.",
        ),
    ] = None,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
    json_output: Json = False,
) -> None:
    """Load what is on the topics into ClickHouse until told to stop (SIGTERM or Ctrl-C).

    Start as many as there are partitions; they share the work. Further settings are CAUSELINE_LOADER_… variables.
    """
    from causeline.sinks.loader import LoaderSettings, run_loader

    connections.kafka(state_dir, kafka)
    connections.clickhouse(state_dir, clickhouse_url)
    connections.set_topic_prefix(prefix)
    settings = LoaderSettings.from_environment()
    if again is not None:
        start_logging(LogLevel.WARNING if log_level is LogLevel.INFO else log_level)
        _load_again(settings, again, json_output=json_output)
        return
    start_logging(log_level)
    raise typer.Exit(run_loader(settings))


def _load_again(settings: "LoaderSettings", since: str, *, json_output: bool) -> None:
    from causeline.console.when import parse_moment
    from causeline.ops.erasing import erase_again
    from causeline.runtime.clickhouse import clickhouse_client
    from causeline.runtime.clock import system_clock
    from causeline.sinks.loader.again import load_again

    since_us = parse_moment(since, now_us=system_clock())
    with output.progress(quiet=json_output) as tell:
        done = load_again(settings, since_us, partial(tell, "loading again"))
    with clickhouse_client(settings.clickhouse, timeout_s=settings.insert_timeout_s) as client:
        erase_again(client)
    if json_output:
        output.print_json(asdict(done))
        return
    for topic in done.topics:
        short = f" {topic.expired} partitions begin later: Kafka keeps nothing older." if topic.expired else ""
        output.say(f"{topic.topic}: {counted(topic.messages, 'message')}.{short}")
    unreadable = f" {counted(done.unreadable, 'record')} could not be read, as before." if done.unreadable else ""
    output.say(f"Loaded {counted(done.messages, 'message')} with {counted(done.rows, 'row')} again.{unreadable}")


def migrate(
    clickhouse_url: ClickHouseUrl = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            envvar="CAUSELINE_CLICKHOUSE_CLUSTER", help="Make replicated tables on every server of this cluster."
        ),
    ] = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Bring ClickHouse's tables and views to this version; what is there already stays."""
    from causeline.sinks.migrate import migrate as bring_up_to_date
    from causeline.sinks.retention import RetentionSettings

    connection = connections.clickhouse(state_dir, clickhouse_url)
    with output.progress(quiet=json_output) as tell:
        retention = RetentionSettings.from_environment()
        applied = bring_up_to_date(connection, partial(tell, "migrating"), cluster=cluster, retention=retention)
    if json_output:
        output.print_json({"applied": applied})
    elif applied:
        output.say(f"Applied: {', '.join(applied)}.")
    else:
        output.say("Nothing to do: tables and views are up to date.")


def serve(
    *,
    host: Annotated[
        str | None,
        typer.Option(envvar="CAUSELINE_SERVE_HOST", show_default="127.0.0.1", help="Address to listen on."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(envvar="CAUSELINE_SERVE_PORT", show_default="8080", help="Port; 0 is a free one.")
    ] = None,
    clickhouse_url: ClickHouseUrl = None,
    kafka: KafkaServers = None,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
) -> None:
    """Serve health and the schemas over HTTP until told to stop (SIGTERM or Ctrl-C).

    GET /healthz tells what can be reached. The schemas are served as a Confluent-compatible registry, read-only: give
    this address to any Confluent deserializer. An address other than loopback needs CAUSELINE_SERVE_TOKEN(_FILE).
    """
    from causeline.web.server import run_server
    from causeline.web.settings import ServeSettings

    connections.settle(state_dir=state_dir, clickhouse_url=clickhouse_url, kafka_servers=kafka)
    settings = ServeSettings.from_environment(host=host, port=port)
    start_logging(log_level)
    raise typer.Exit(run_server(settings))


def health(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Tell whether the services that this environment names answer; ends with 1 where one does not.

    Kafka and ClickHouse where their variables, or a local stack, name them, the console where CAUSELINE_SERVE_PORT
    does, the receiver where CAUSELINE_RECEIVE_PORT does, and whether a worker, loader or receiver gets on where
    CAUSELINE_HEALTH_PORT does: what a container's health check asks.
    """
    from causeline.web.health import Health, console_probe, probes_from_environment

    connections.settle(state_dir=state_dir)
    probes = probes_from_environment()
    if port := os.environ.get("CAUSELINE_SERVE_PORT"):
        probes["console"] = console_probe(int(port))
    if port := os.environ.get("CAUSELINE_RECEIVE_PORT"):
        probes["receiver"] = console_probe(int(port))
    if (port := os.environ.get("CAUSELINE_HEALTH_PORT")) and port != "0":
        probes["this part"] = console_probe(int(port))
    answers = asyncio.run(Health(probes).reachable())
    if json_output:
        output.print_json(answers)
    else:
        for name, answer in answers.items():
            output.say(f"{name}: {'answers' if answer else 'does not answer'}")
    if not all(answers.values()):
        raise CheckFailed("Not everything answers.", hint="causeline status")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=examples("causeline health", "causeline health --json"))(health)
    app.command(epilog=examples("causeline worker", "causeline worker --kafka broker:9092 --log-level debug"))(worker)
    app.command(
        epilog=examples(
            "causeline load",
            "causeline load --clickhouse-url http://loader@clickhouse:8123/causeline",
            "causeline load --again 2h",
        )
    )(load)
    app.command(
        epilog=examples(
            "causeline serve",
            "curl http://127.0.0.1:8080/healthz",
            "curl http://127.0.0.1:8080/subjects/causeline.events-value/versions/latest",
        )
    )(serve)
    app.command(
        epilog=examples(
            "causeline migrate", "causeline migrate --clickhouse-url http://admin@clickhouse:8123/causeline"
        )
    )(migrate)
