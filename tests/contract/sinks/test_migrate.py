"""Migrating is safe to repeat, to run twice at once, and to interrupt; an edited file is found out."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from pydantic import SecretStr

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import tables
from causeline.schemas.errors import CheckFailed, Unreachable
from causeline.sinks.migrate import Migration, migrate, migrations, statements
from causeline.stack.ports import free_ports

pytestmark = pytest.mark.stack

NAMES = [each.name for each in migrations()]


@pytest.fixture
def database(engine: ClickHouseConnection) -> ClickHouseConnection:
    """A database that does not exist yet."""
    base, _, _ = engine.url.rpartition("/")
    return ClickHouseConnection(url=f"{base}/new_{uuid.uuid4().hex}", password=engine.password)


def relations(database: ClickHouseConnection) -> set[str]:
    with clickhouse_client(database) as client:
        return {name for (name,) in client.query("SHOW TABLES").result_rows}


def test_a_new_database_gets_everything_once(database: ClickHouseConnection) -> None:
    told: list[float] = []
    assert migrate(database, told.append) == NAMES
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert migrate(database) == []
    everything = {*tables.VIEWS, *(table.rows for table in tables.TABLES), *tables.OWN_TABLES, *tables.DERIVED}
    assert relations(database) == everything


@pytest.mark.slow
def test_many_at_once_do_no_harm(database: ClickHouseConnection) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = [each.result() for each in [pool.submit(migrate, database) for _ in range(4)]]
    assert set().union(*applied) == set(NAMES)
    assert migrate(database) == []


def test_one_that_died_in_the_middle_is_done_again(database: ClickHouseConnection) -> None:
    half = replace(migrations()[0], text=migrations()[0].text.split(";\n")[0] + ";\nSELECT broken;\n")
    with pytest.raises(CheckFailed, match="UNKNOWN_IDENTIFIER"):
        migrate(database, known=[half])
    assert migrate(database) == NAMES


def test_a_file_edited_after_it_was_applied_is_an_error(database: ClickHouseConnection) -> None:
    migrate(database)
    edited = [replace(each, text=each.text + "\n") for each in migrations()]
    with pytest.raises(CheckFailed, match=f"{NAMES[0]} was applied with another text"):
        migrate(database, known=edited)


def test_an_older_release_leaves_what_it_does_not_know(database: ClickHouseConnection) -> None:
    newer = Migration(len(NAMES) + 1, "9999_future.sql", "CREATE TABLE IF NOT EXISTS later (a Int8) ENGINE = Memory;\n")
    assert migrate(database, known=[*migrations(), newer]) == [*NAMES, newer.name]
    assert migrate(database) == []


def test_nobody_there_is_said_in_a_sentence() -> None:
    [port] = free_ports(1)
    nobody = ClickHouseConnection(url=f"http://x@127.0.0.1:{port}/y", password=SecretStr("secret"))
    with pytest.raises(Unreachable, match=rf"ClickHouse at 127\.0\.0\.1:{port} does not answer"):
        migrate(nobody)


def test_a_wrong_password_is_said_without_it(engine: ClickHouseConnection) -> None:
    with pytest.raises(Unreachable, match="does not let 'causeline' in") as caught:
        migrate(ClickHouseConnection(url=engine.url, password=SecretStr("hunter2")))
    assert "hunter2" not in str(caught.value)


def test_the_engine_reads_every_statement_that_a_cluster_gets(engine: ClickHouseConnection) -> None:
    """One server cannot run them, but it refuses what is no statement."""
    with clickhouse_client(engine) as client:
        for migration in migrations():
            for statement in statements(migration.text, cluster="main"):
                assert client.command(f"EXPLAIN AST {statement}"), statement[:80]
        misplaced = "ALTER TABLE run_documents_filler MODIFY QUERY ON CLUSTER 'main' SELECT 1"
        with pytest.raises(DatabaseError, match="Syntax error"):
            client.command(f"EXPLAIN AST {misplaced}")
