"""`diagnose`: the service that says of each run what went wrong, as runs close."""

import typer

from causeline.cli import connections
from causeline.cli.options import ClickHouseUrl, KafkaServers, Log, LogLevel, StateDir, TopicPrefix, examples
from causeline.cli.services import start_logging
from causeline.schemas.topics import DEFAULT_PREFIX


def diagnose(
    *,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
) -> None:
    """Say of each run what went wrong, as runs close, until told to stop (SIGTERM or Ctrl-C).

    It reads closed and amended runs and publishes what `why` says of them; `causeline causes` counts that. A run is
    told twice: at once, and when the runs after it are known. Start as many as there are partitions; they share the
    work. Further settings are CAUSELINE_DIAGNOSER_… variables.
    """
    from causeline.causes.process import run_diagnoser
    from causeline.causes.settings import DiagnoserSettings
    from causeline.console.store import open_store
    from causeline.drift.alerts import alerts_for_diagnosis

    connections.kafka(state_dir, kafka)
    connection = connections.clickhouse(state_dir, clickhouse_url)
    connections.set_topic_prefix(prefix)
    settings = DiagnoserSettings.from_environment()
    start_logging(log_level)
    with open_store(connection) as store:
        raise typer.Exit(run_diagnoser(settings, store, alerts_for_diagnosis))


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=examples("causeline diagnose", "causeline diagnose --kafka broker:9092 --log-level debug"))(
        diagnose
    )
