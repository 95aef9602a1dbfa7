"""The database into a backup of ClickHouse's own making (BACKUP), and out of it again.

1. A backup is taken while everything runs. Tables are read one after the other, so it may have an event whose run it
   lacks: what came since comes again by `load --again`, and nothing is doubled.
2. In a backup the database is always called `causeline`, whatever it is here, so that any other takes it.
3. A restore goes into a database without rows, never over others: of equal revisions the last written stands, and
   what was judged again since would be as it was. Empty tables go, since they may be of another release.
4. Runs that were erased are erased again: those that the backup notes, and those that the database here does.

Decided in ADR 70.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.ops.erasing import erase_again
from causeline.runtime.clickhouse import clickhouse_client, quoted
from causeline.runtime.clickhouse_errors import code_and_name, in_our_words, translated
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, CheckFailed, NotFound, UsageError
from causeline.schemas.tables import ERASURES_TABLE, MIGRATIONS_TABLE

_BEFORE = timedelta(hours=1)
"""So long before the last run of a backup its topics are read again: what was on its way then is not in it."""
_IN_BACKUP = "causeline"
_LONG_S = 6 * 3600
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_IS_TAKEN, _IS_MISSING, _IS_IN_THE_WAY = 598, 599, 608
_NO_PLACE = frozenset({36, 318, 344})
"""BAD_ARGUMENTS, INVALID_CONFIG_PARAMETER, SUPPORT_IS_DISABLED: the server allows no backups there."""
_HELD = """
SELECT sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = {database:String} AND table != {journal:String}
"""
_NOTE_ERASED = f"""
INSERT INTO {{to}}.{ERASURES_TABLE} (run_id, erased_at) SELECT run_id, erased_at FROM {{noted}}.{ERASURES_TABLE}
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was taken: where it lies as ClickHouse says it, and what the database held when it was done."""

    name: str
    place: str
    database: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: rows, those of erased runs that went again, and since when the topics are to be read again."""

    name: str
    database: str
    rows: int
    erased: int
    again: str | None
    """As `load --again` takes it; None without a run."""


def back_up(connection: ClickHouseConnection, name: str, *, base: str | None = None, disk: str | None = None) -> Backup:
    """Back the database up, or with a `base` what is new since that backup.

    Raises CheckFailed where the name is taken, NotFound without the base, UsageError where the server allows no place.
    """
    where = _place(name, disk)
    since = f" SETTINGS base_backup = {_place(base, disk)}" if base else ""
    with clickhouse_client(connection, timeout_s=_LONG_S) as client:
        _run(client, connection, f"BACKUP DATABASE {quoted(connection.database)} AS {_IN_BACKUP} TO {where}{since}")
        with translated(connection):
            rows, size = _held(client, connection.database)
    return Backup(name, where, connection.database, rows, size)


def restore(connection: ClickHouseConnection, database: str, name: str, *, disk: str | None = None) -> Restored:
    """Make `database`, on the server of `connection`, of a backup.

    Raises CheckFailed where it has rows, NotFound without the backup, UsageError where the server allows no place.
    """
    statement = f"RESTORE DATABASE {_IN_BACKUP} AS {quoted(database)} FROM {_place(name, disk)}"
    there = connection.in_database(database)
    with clickhouse_client(connection, use_database=False, timeout_s=_LONG_S) as client:
        with translated(connection):
            held, _ = _held(client, database)
        if held:
            raise CheckFailed(
                f"The database {database} has {held:,d} rows, and a restore goes over nothing.",
                hint="--as OTHER restores into a database that is not there yet.",
            )
        try:
            client.command(statement)
        except ClickHouseError as error:
            if code_and_name(error)[0] != _IS_IN_THE_WAY:
                raise _in_our_words(error, connection) from error
            _drop_tables(client, database)
            _run(client, connection, statement)
        with translated(connection):
            rows, _ = _held(client, database)
            if database != connection.database and _held(client, connection.database)[0]:
                client.command(_NOTE_ERASED.format(to=quoted(database), noted=quoted(connection.database)))
    with clickhouse_client(there, timeout_s=_LONG_S) as client, translated(there):
        [[runs, newest]] = client.query("SELECT count(), max(closed_at) FROM runs").result_rows
        erased = sum(erase_again(client).values())
    return Restored(name, database, rows, erased, _minute(newest - _BEFORE) if runs else None)


def _place(name: str, disk: str | None) -> str:
    for each in (name, *([disk] if disk else [])):
        if not _NAME.fullmatch(each):
            raise UsageError(
                f"{each[:60]!r} cannot name a backup or a disk.", hint="Letters, digits, . _ and -, at most 128."
            )
    return f"Disk('{disk}', '{name}')" if disk else f"File('{name}')"


def _run(client: Client, connection: ClickHouseConnection, statement: str) -> None:
    try:
        client.command(statement)
    except ClickHouseError as error:
        raise _in_our_words(error, connection) from error


def _in_our_words(error: ClickHouseError, connection: ClickHouseConnection) -> CauselineError:
    code, name = code_and_name(error)
    if code == _IS_TAKEN:
        return CheckFailed(
            "There is a backup of that name.", hint="Choose another name; a backup is never written over."
        )
    if code == _IS_MISSING:
        return NotFound(
            "There is no backup of that name.", hint="Backups lie where the server's backups.allowed_path says."
        )
    if code in _NO_PLACE:
        return UsageError(
            f"This ClickHouse allows no backups there ({name}).",
            hint="Its configuration needs backups.allowed_path, or for --disk backups.allowed_disk: docs/site.md.",
        )
    return in_our_words(error, connection)


def _held(client: Client, database: str) -> tuple[int, int]:
    """Rows and bytes of our tables, but for the journal of migrations."""
    [[rows, size]] = client.query(_HELD, parameters={"database": database, "journal": MIGRATIONS_TABLE}).result_rows
    return int(rows), int(size)


def _drop_tables(client: Client, database: str) -> None:
    """Drop everything in the database, which has no rows; views before the tables that they read."""
    found = client.query(
        "SELECT name FROM system.tables WHERE database = {database:String} ORDER BY engine NOT LIKE '%View', name",
        parameters={"database": database},
    ).result_rows
    for (name,) in found:
        client.command(f"DROP TABLE IF EXISTS {quoted(database)}.{quoted(str(name))} SYNC")


def _minute(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC):%Y-%m-%dT%H:%M}"
