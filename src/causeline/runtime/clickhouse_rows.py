"""Rows of ClickHouse one by one, for who needs none of them twice."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection


class ClickHouseRows:
    """Answers SQL with rows."""

    def __init__(self, client: Client, connection: ClickHouseConnection) -> None:
        self._client = client
        self._connection = connection

    def rows(self, sql: str, parameters: Mapping[str, object]) -> Iterator[Sequence[Any]]:
        """The rows of a SELECT as they come; `{name:Type}` in it stands for a parameter.

        An array is a list, a tuple with names a dict. Raises Unreachable, or what the server's refusal means.
        """
        with translated(self._connection):
            stream = self._client.query_rows_stream(sql, parameters=dict(parameters))
            with stream:
                yield from stream
