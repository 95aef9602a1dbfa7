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
    """The store behind a ClickHouse client.

    With `most_s` the server gives up what takes longer, since a client that stops to wait does not stop what it asked
    for; and it does not say that it is at it, for each such word would have the client wait as long again.
    """

    def __init__(self, client: Client, connection: ClickHouseConnection, *, most_s: int | None = None) -> None:
        self._client = client
        self._connection = connection
        known = client.server_settings.get("max_threads")
        may_set = known is not None and not known.readonly
        bounds = {"max_execution_time": most_s, "send_progress_in_http_headers": 0} if may_set and most_s else {}
        self._settings = bounds
        self._settings_if_small = {**bounds, "max_threads": 1} if may_set else {}

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Record]:
        """The rows of a SELECT, by column name."""
        settings = self._settings_if_small if is_small else self._settings
        with translated(self._connection, reading=True):
            answer = self._client.query(sql, parameters=dict(parameters or {}), settings=settings)
            return [cast("Record", row) for row in answer.named_results()]


@contextmanager
def open_store(connection: ClickHouseConnection) -> Iterator[ClickHouseStore]:
    """The store behind `connection`, for the length of the block; raises Unreachable."""
    with clickhouse_client(connection) as client:
        yield ClickHouseStore(client, connection)
