"""The store with the one table that the console itself writes: leases."""

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from causeline.console.store import ClickHouseStore
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection


class ClickHouseLeases(ClickHouseStore):
    """The store behind a ClickHouse client, which also takes rows."""

    def __init__(self, client: Client, connection: ClickHouseConnection) -> None:
        super().__init__(client, connection)
        self._rows_client, self._rows_connection = client, connection

    def put(self, table: str, row: bytes, *, token: str) -> None:
        """Insert one row of JSON; under a token that was used before, nothing."""
        settings = {"insert_deduplication_token": token, "async_insert": 0, "insert_deduplicate": 1}
        with translated(self._rows_connection):
            self._rows_client.raw_insert(table, fmt="JSONEachRow", insert_block=row, settings=settings)


@contextmanager
def open_leases(connection: ClickHouseConnection) -> Iterator[ClickHouseLeases]:
    """The store behind `connection`, for the length of the block; raises Unreachable."""
    with clickhouse_client(connection) as client:
        yield ClickHouseLeases(client, connection)
