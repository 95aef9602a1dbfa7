"""The store with the tables that the watch writes: roll-ups, judgements, and what people said about alerts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from clickhouse_connect.driver.client import Client

from causeline.console.store import ClickHouseStore, Store
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection


class RowStore(Store, Protocol):
    """A store that also takes rows."""

    def put_rows(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows; raises CauselineError."""
        ...


class DriftStore(ClickHouseStore):
    """The store behind a ClickHouse client, which also takes rows."""

    def __init__(self, client: Client, connection: ClickHouseConnection) -> None:
        super().__init__(client, connection)
        self._rows_client, self._rows_connection = client, connection

    def put_rows(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows in one piece, on the disk when this returns."""
        if not rows:
            return
        body = "\n".join(json.dumps(row) for row in rows).encode()
        with translated(self._rows_connection):
            self._rows_client.raw_insert(table, fmt="JSONEachRow", insert_block=body, settings={"async_insert": 0})


@contextmanager
def open_drift_store(connection: ClickHouseConnection) -> Iterator[DriftStore]:
    """The store behind `connection`, for the length of the block; raises Unreachable."""
    with clickhouse_client(connection, timeout_s=600) as client:
        yield DriftStore(client, connection)
