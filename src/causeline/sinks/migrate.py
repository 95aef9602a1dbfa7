"""Bring a database up to date: numbered SQL files, each applied once.

A file's statements are idempotent (a test holds them to it), so two that migrate at once, or one that died in the
middle, do no harm. Each file is recorded with its checksum after its last statement; a file edited after it was
applied is an error, since the database no longer is what the files say.

`$on_cluster` and `$replicated` in the files are empty for one server. With a cluster named they become
`ON CLUSTER 'name'` and `Replicated`: the same tables, replicated over the cluster's one shard. Sharding is left to
Distributed tables of the operator's own.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse import clickhouse_client, quoted
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CheckFailed, UsageError
from causeline.schemas.tables import MIGRATIONS_TABLE
from causeline.sinks.retention import RetentionSettings, apply_retention

Progress = Callable[[float], None]
"""Told the fraction done, 0 to 1."""

_ANY_SIZE = {"max_table_size_to_drop": 0}
"""A table that another took the place of goes, however large it is."""
_LONG_S = 6 * 3600
"""How long one statement may take: one that fills a new table goes over every run that is stored."""
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql", re.ASCII)
_CLUSTER_NAME = re.compile(r"[A-Za-z0-9_.-]+|\{[a-z]+\}", re.ASCII)
_STATEMENT_END = re.compile(r";[ \t]*(?:\n|\Z)")

_JOURNAL = f"""
CREATE TABLE IF NOT EXISTS {MIGRATIONS_TABLE}$on_cluster
(
    version UInt32 COMMENT 'Number of the file.',
    name String COMMENT 'Its name.',
    checksum String COMMENT 'SHA-256 of its text.',
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When its last statement had run.'
)
ENGINE = ${{replicated}}ReplacingMergeTree
ORDER BY (version, checksum)
COMMENT 'Which migrations this database has seen.'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name and its text as committed."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, before anything is filled in."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """The committed migrations, in order; raises ValueError when their numbers have a hole."""
    named = [
        (match, entry)
        for entry in (files("causeline.sinks") / "migrations").iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    found = sorted(
        (Migration(int(match[1]), entry.name, entry.read_text("utf-8")) for match, entry in named),
        key=lambda each: each.version,
    )
    if [each.version for each in found] != list(range(1, len(found) + 1)):
        raise ValueError("the migrations are not numbered 1, 2, 3…")
    return tuple(found)


def statements(text: str, *, cluster: str | None = None) -> Iterator[str]:
    """The statements of a migration, filled in for one server or for `cluster`; raises UsageError for a bad name."""
    if cluster is not None and not _CLUSTER_NAME.fullmatch(cluster):
        raise UsageError(
            f"{cluster!r} is not the name of a ClickHouse cluster.", hint="Letters, digits, _ . and - only."
        )
    filled = Template(text).substitute(
        on_cluster=f" ON CLUSTER '{cluster}'" if cluster else "", replicated="Replicated" if cluster else ""
    )
    for statement in _STATEMENT_END.split(filled):
        if _without_comments(statement):
            yield statement.strip()


def migrate(
    connection: ClickHouseConnection,
    progress: Progress = lambda _: None,
    *,
    cluster: str | None = None,
    known: Sequence[Migration] | None = None,
    retention: RetentionSettings | None = None,
) -> list[str]:
    """Create the database if it is missing, apply what it has not seen, set `retention`, and name what was done.

    Migrations that the database has and we have not are left alone: an older release may run beside a newer one.
    Raises Unreachable, UsageError without the right to create tables, CheckFailed when an applied file was edited.
    """
    wanted = migrations() if known is None else known
    _create_database(connection, cluster)
    with clickhouse_client(connection, timeout_s=_LONG_S) as client, translated(connection):
        for statement in statements(_JOURNAL, cluster=cluster):
            client.command(statement)
        seen = _journal(client)
        _refuse_edited(wanted, seen)
        missing = [each for each in wanted if each.version not in seen]
        for done, migration in enumerate(missing):
            progress(done / len(missing))
            for statement in statements(migration.text, cluster=cluster):
                client.command(statement, settings=_ANY_SIZE)
            _record(client, migration)
        kept = [] if retention is None else apply_retention(client, retention, cluster=cluster)
    progress(1.0)
    return [*(each.name for each in missing), *(f"retention of {table}" for table in kept)]


def _create_database(connection: ClickHouseConnection, cluster: str | None) -> None:
    with clickhouse_client(connection, use_database=False) as client, translated(connection):
        [[exists]] = client.query(
            "SELECT count() FROM system.databases WHERE name = {name:String}", parameters={"name": connection.database}
        ).result_rows
        # Asked for only when it is missing: a user of an existing database need not have the right to create one.
        if not exists:
            made = f"CREATE DATABASE IF NOT EXISTS {quoted(connection.database)}$on_cluster"
            for statement in statements(made, cluster=cluster):
                client.command(statement)


def _journal(client: Client) -> dict[int, set[str]]:
    rows = client.query(
        "SELECT version, groupUniqArray(checksum) FROM {journal:Identifier} GROUP BY version",
        parameters={"journal": MIGRATIONS_TABLE},
    ).result_rows
    return {version: set(checksums) for version, checksums in rows}


def _refuse_edited(wanted: Sequence[Migration], seen: Mapping[int, set[str]]) -> None:
    for migration in wanted:
        if seen.get(migration.version, {migration.checksum}) != {migration.checksum}:
            raise CheckFailed(
                f"Migration {migration.name} was applied with another text than it has now.",
                hint="Restore the file as it was released; changes belong in a new migration.",
            )


def _record(client: Client, migration: Migration) -> None:
    client.insert(
        MIGRATIONS_TABLE,
        [[migration.version, migration.name, migration.checksum]],
        column_names=["version", "name", "checksum"],
    )


def _without_comments(statement: str) -> str:
    return "\n".join(line for line in statement.splitlines() if not line.lstrip().startswith("--")).strip()
