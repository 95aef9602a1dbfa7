"""A database of a test's own on the real engine, and runs made by it."""

import uuid
from collections.abc import Iterator

import pytest

from causeline.drift.store import DriftStore, open_drift_store
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.sinks.migrate import migrate


@pytest.fixture
def database(clickhouse: ClickHouseConnection) -> Iterator[ClickHouseConnection]:
    """A database of this test's own."""
    name = f"drift_{uuid.uuid4().hex}"
    connection = clickhouse.model_copy(update={"url": clickhouse.url.rsplit("/", 1)[0] + f"/{name}"})
    migrate(connection)
    yield connection
    with clickhouse_client(connection) as client:
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def store(database: ClickHouseConnection) -> Iterator[DriftStore]:
    with open_drift_store(database) as opened:
        yield opened
