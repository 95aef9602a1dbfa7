"""A real engine with migrated tables, shared by the contract tests of the sinks in one session."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client
from pydantic import SecretStr

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import tables
from causeline.sinks.migrate import migrate
from tests.integration.clickhouse_fixture import running_clickhouse


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseConnection]:
    """An engine without tables."""
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as endpoint:
        yield ClickHouseConnection(url=endpoint.connection_url, password=SecretStr(endpoint.password))


@pytest.fixture(scope="session")
def migrated(engine: ClickHouseConnection) -> Iterator[Client]:
    """A client of the migrated database."""
    migrate(engine)
    with clickhouse_client(engine) as client:
        yield client


@pytest.fixture
def store(migrated: Client) -> Client:
    """The same, without rows; most tests fill one table of many, and each that is emptied costs the engine as much."""
    tables_of_ours = [*(table.kept for table in tables.TABLES), "run_document_rows", "run_order_rows"]
    filled = migrated.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name IN {ours:Array(String)}"
        " AND total_rows != 0",
        parameters={"ours": tables_of_ours},
    ).result_rows
    for (name,) in filled:
        migrated.command(f"TRUNCATE TABLE {name}")
    return migrated
