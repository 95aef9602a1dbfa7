"""Questions put to ClickHouse: parameters travel beside the SQL, and what goes wrong comes back as one sentence."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from clickhouse_connect.driver.client import Client

from causeline.console.answers import Record
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection


class Store(Protocol):
    """Answers SQL with records."""

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Record]:
        """The rows of a SELECT, by column name; `{name:Type}` in it stands for a parameter. Raises CauselineError.

        `is_small` for what reads a few rows by their key: one thread does it sooner than several are put to work.
        """
        ...


class ClickHouseStore:
    """The store behind a ClickHouse client."""

    def __init__(self, client: Client, connection: ClickHouseConnection) -> None:
        self._client = client
        self._connection = connection
        known = client.server_settings.get("max_threads")
        self._has_fixed_settings = known is None or bool(known.readonly)

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Record]:
        """The rows of a SELECT, by column name."""
        settings = {"max_threads": 1} if is_small and not self._has_fixed_settings else None
        with translated(self._connection, reading=True):
            answer = self._client.query(sql, parameters=dict(parameters or {}), settings=settings)
            return [cast("Record", row) for row in answer.named_results()]


@contextmanager
def open_store(connection: ClickHouseConnection) -> Iterator[ClickHouseStore]:
    """The store behind `connection`, for the length of the block; raises Unreachable."""
    with clickhouse_client(connection) as client:
        yield ClickHouseStore(client, connection)
