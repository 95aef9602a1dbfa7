"""`mcp`: runs and their causes for agents."""

import typer

from causeline.cli import connections
from causeline.cli.options import ClickHouseUrl, Log, LogLevel, StateDir, examples


def mcp(
    *,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.WARNING,
) -> None:
    """Answer agents over the Model Context Protocol on stdin and stdout, until stdin ends: bounded, and read-only.

    An agent starts it itself; docs/mcp.md has the lines for the usual ones. Answers have at most 8 KB and no content of
    artifacts.
    """
    from causeline.cli.services import start_logging
    from causeline.mcp.server import run_server

    connection = connections.clickhouse(state_dir, clickhouse_url)
    reader = connections.reader(state_dir, clickhouse_url)
    start_logging(log_level)
    run_server(connection, reader)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=examples("causeline mcp", "claude mcp add causeline -- causeline mcp"))(mcp)
