"""A ClickHouse with our tables and a handful of runs in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.console.store import ClickHouseStore, open_store
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.run import Run
from causeline.schemas.tables import RUNS
from causeline.sinks.migrate import migrate
from tests.integration.clickhouse_fixture import ClickHouseProcess
from tests.unit.console.samples import clean_run, failed_run, record


def insert_runs(connection: ClickHouseConnection, *runs: Run) -> None:
    """Store runs as the loader would, however it does it."""
    lines = "\n".join(json.dumps(record(run)) for run in runs)
    with clickhouse_client(connection) as client:
        client.raw_insert(RUNS.rows, fmt="JSONEachRow", insert_block=lines.encode())


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseProcess]:
    """A running server with migrated tables, two runs of which one failed, and 30 clean ones of another workflow."""
    server = ClickHouseProcess(tmp_path_factory.mktemp("clickhouse"))
    try:
        endpoint = server.start()
        connection = ClickHouseConnection.model_validate(
            {"url": endpoint.connection_url, "password": endpoint.password}
        )
        migrate(connection)
        many = [clean_run(number, workflow="contract", project="other") for number in range(100, 130)]
        insert_runs(connection, clean_run(1), failed_run(2), *many)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def connection(clickhouse: ClickHouseProcess) -> ClickHouseConnection:
    """How to reach it as the owner."""
    endpoint = clickhouse.endpoint
    return ClickHouseConnection.model_validate({"url": endpoint.connection_url, "password": endpoint.password})


@pytest.fixture(scope="session")
def store(connection: ClickHouseConnection) -> Iterator[ClickHouseStore]:
    """It, to be asked."""
    with open_store(connection) as opened:
        yield opened


@pytest.fixture
def environment(clickhouse: ClickHouseProcess, tmp_path: Path) -> dict[str, str | None]:
    """What points a command at it, as its owner, with no stack around."""
    return {
        "CAUSELINE_STATE_DIR": str(tmp_path / "none"),
        "CAUSELINE_CLICKHOUSE_URL": clickhouse.endpoint.connection_url,
        "CAUSELINE_CLICKHOUSE_PASSWORD": clickhouse.endpoint.password,
        "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": None,
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": None,
    }
