"""A backup holds all that the views show, goes over nothing when it comes back, and brings no erased run back."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from causeline.ops.backup import back_up, restore
from causeline.ops.erasing import erase, tables_of_runs
from causeline.producers.artifacts import ArtifactStore
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import tables
from causeline.schemas.errors import CheckFailed, NotFound, UsageError
from causeline.sinks.migrate import migrate

pytestmark = [pytest.mark.stack, pytest.mark.slow]

FIRST = "a" * 32


@pytest.fixture(scope="module")
def database(engine: ClickHouseConnection) -> Iterator[ClickHouseConnection]:
    """A database with its tables and a run in each of them; what tests add is theirs."""
    made = engine.in_database(f"backup_{uuid.uuid4().hex}")
    migrate(made)
    put(made, FIRST)
    with clickhouse_client(made) as client:
        client.command("INSERT INTO run_rows (run_id, revision, closed_at) VALUES ('c', 1, '2026-11-29 10:30:00')")
    yield made
    drop(made)


@pytest.fixture
def other(engine: ClickHouseConnection) -> Iterator[ClickHouseConnection]:
    """A database that is not there."""
    made = engine.in_database(f"restored_{uuid.uuid4().hex}")
    yield made
    drop(made)


@pytest.fixture
def name() -> str:
    """Of a backup."""
    return f"n{uuid.uuid4().hex}"


def another() -> str:
    """The id of a run that nobody else has."""
    return uuid.uuid4().hex


def drop(database: ClickHouseConnection) -> None:
    with clickhouse_client(database, use_database=False) as client:
        client.command(f"DROP DATABASE IF EXISTS {database.database} SYNC")


def put(database: ClickHouseConnection, run_id: str) -> None:
    """A row about the run by every door."""
    with clickhouse_client(database) as client:
        doors = {table.rows for table in tables.TABLES if table.narrow}
        for table in doors | set(tables_of_runs(client)) - set(tables.DERIVED):
            client.command(f"INSERT INTO {table} (run_id) VALUES ('{run_id}')")


def shown(database: ClickHouseConnection) -> dict[str, list[str]]:
    """What each view shows, in no order."""
    with clickhouse_client(database) as client:
        return {view: lines(client, view) for view in tables.VIEWS}


def lines(client: Client, view: str) -> list[str]:
    return sorted(client.raw_query(f"SELECT * FROM {view}", fmt="JSONCompactEachRow").decode().splitlines())


def test_what_comes_back_is_what_was_there_and_goes_on_taking_rows(
    database: ClickHouseConnection, other: ClickHouseConnection, name: str
) -> None:
    before = shown(database)
    assert sum(map(bool, before.values())) > len(before) / 2, "most views show something"
    taken = back_up(database, name)
    assert (taken.name, taken.place, taken.database) == (name, f"File('{name}')", database.database)
    put(database, another())

    done = restore(database, other.database, name)

    assert shown(other) == before
    assert (done.rows, done.erased, done.again) == (taken.rows, 0, "2026-11-29T09:30")
    assert migrate(other) == [], "the journal came with it"
    for each in (database, other):
        put(each, "d" * 32)
    assert len(shown(other)["runs"]) == len(before["runs"]) + 1, "its views are filled in its own database"


def test_a_database_that_was_lost_and_made_anew_is_filled(
    database: ClickHouseConnection, other: ClickHouseConnection, name: str
) -> None:
    back_up(database, name)
    migrate(other)
    assert restore(other, other.database, name).rows > 0
    assert shown(other) == shown(database)


def test_nothing_is_gone_over_and_a_backup_is_never_written_over(database: ClickHouseConnection, name: str) -> None:
    back_up(database, name)
    before = shown(database)
    with pytest.raises(CheckFailed, match=r"has \d+ rows, and a restore goes over nothing"):
        restore(database, database.database, name)
    assert shown(database) == before
    with pytest.raises(CheckFailed, match="There is a backup of that name"):
        back_up(database, name)


def test_a_backup_of_what_is_new_since_another_has_it_all(
    database: ClickHouseConnection, other: ClickHouseConnection, name: str
) -> None:
    back_up(database, name)
    put(database, another())
    back_up(database, f"{name}.2", base=name)
    restore(database, other.database, f"{name}.2")
    assert shown(other) == shown(database)


def test_a_run_that_was_erased_since_does_not_come_back(
    database: ClickHouseConnection, other: ClickHouseConnection, name: str, tmp_path: Path
) -> None:
    put(database, run_id := another())
    back_up(database, name)
    with clickhouse_client(database) as client:
        erase(client, ArtifactStore.open(tmp_path), run_id)
    done = restore(database, other.database, name)
    assert done.erased > 0
    assert shown(other) == shown(database)


def test_what_cannot_be_done_is_a_sentence(database: ClickHouseConnection, other: ClickHouseConnection) -> None:
    with pytest.raises(NotFound, match="There is no backup of that name"):
        restore(database, other.database, "nowhere")
    with pytest.raises(NotFound, match="There is no backup of that name"):
        back_up(database, "x", base="nowhere")
    with pytest.raises(UsageError, match="allows no backups there"):
        back_up(database, "x", disk="none")
    for bad in ("../x", "a'b", "", "/etc/x", "x" * 129):
        with pytest.raises(UsageError, match="cannot name a backup"):
            back_up(database, bad)
