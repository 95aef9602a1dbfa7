"""A real engine with migrated tables, shared by the contract tests of the sinks."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client
from pydantic import SecretStr

from causeline.schemas.connections import ClickHouseConnection
from causeline.sinks import tables
from causeline.sinks.clickhouse import clickhouse_client
from causeline.sinks.migrate import migrate
from tests.integration.clickhouse_fixture import running_clickhouse


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseConnection]:
    """An engine without tables."""
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as endpoint:
        yield ClickHouseConnection(url=endpoint.connection_url, password=SecretStr(endpoint.password))


@pytest.fixture(scope="module")
def migrated(engine: ClickHouseConnection) -> Iterator[Client]:
    """A client of the migrated database."""
    migrate(engine)
    with clickhouse_client(engine) as client:
        yield client


@pytest.fixture
def store(migrated: Client) -> Client:
    """The same, with every table emptied."""
    for table in tables.TABLES:
        migrated.command(f"TRUNCATE TABLE {table.rows}")
    migrated.command("TRUNCATE TABLE run_document_rows")
    return migrated
