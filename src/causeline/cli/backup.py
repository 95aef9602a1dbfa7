"""`backup` and `restore`: the database into a backup of ClickHouse's own making, and out of it again."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.runtime.clock import system_clock

Disk = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A disk of the server's (backups.allowed_disk), e.g. one on S3; else its folder of backups"
        " (backups.allowed_path), which the local stack has in clickhouse/backups of its state.",
    ),
]


def backup(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="What it is called; without one, this moment.")
    ] = None,
    *,
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what is new since this backup, which is kept beside it.")
    ] = None,
    disk: Disk = None,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Back up every table of ours, while everything runs; a backup is never written over.

    It has what ClickHouse has, and neither topics nor artifacts. Needs the user that migrates.
    """
    from causeline.ops.backup import back_up

    connection = connections.clickhouse(state_dir, clickhouse_url)
    moment = datetime.fromtimestamp(system_clock() / 1e6, UTC)
    done = back_up(connection, name or f"{moment:%Y-%m-%dT%H%M%SZ}", base=base, disk=disk)
    if json_output:
        output.print_json(asdict(done))
        return
    output.say(f"Backed up {done.rows:,d} rows ({done.bytes:,d} bytes) of {done.database} as {done.name}.")
    output.say(f"It lies on ClickHouse's machine, in {done.place}: keep a copy elsewhere.")


def restore(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The backup.")],
    *,
    into: Annotated[
        str | None,
        typer.Option("--as", metavar="DATABASE", help="Another database than that of the URL, e.g. to look at it."),
    ] = None,
    disk: Disk = None,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Make the database of a backup: it must have no rows, and no loader may fill it meanwhile.

    Runs that were erased are erased again: those that the backup notes, and with --as those that the database of the
    URL notes. Needs the user that migrates.
    """
    from causeline.ops.backup import restore as restore_backup

    connection = connections.clickhouse(state_dir, clickhouse_url)
    done = restore_backup(connection, into or connection.database, name, disk=disk)
    if json_output:
        output.print_json(asdict(done))
        return
    again = f" and {done.erased:,d} of them, of erased runs, went again" if done.erased else ""
    output.say(f"Restored {done.rows:,d} rows into {done.database}{again}.")
    if done.database != connection.database:
        at = connection.in_database(done.database).url
        output.say(f"To look at it, as who restored it: causeline runs --clickhouse-url {at}")
        return
    output.say("Then bring its tables to this version: causeline migrate")
    if done.again:
        output.say(f"Then have the topics fill what came since: causeline load --again {done.again}")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=examples("causeline backup monday", "causeline backup tuesday --base monday"))(backup)
    app.command(epilog=examples("causeline restore monday --as looked_at", "causeline restore monday"))(restore)
