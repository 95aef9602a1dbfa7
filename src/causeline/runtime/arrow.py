"""Rows of ClickHouse as Arrow, for who works by column."""

from collections.abc import Mapping

from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection


class ClickHouseArrow:
    """Answers SQL with an Arrow stream."""

    def __init__(self, client: Client, connection: ClickHouseConnection) -> None:
        self._client = client
        self._connection = connection

    def arrow(self, sql: str, parameters: Mapping[str, object]) -> bytes:
        """The rows of a SELECT as an Arrow IPC stream; `{name:Type}` in it stands for a parameter.

        Raises Unreachable, or what the server's refusal means.
        """
        with translated(self._connection):
            return self._client.raw_query(sql, parameters=dict(parameters), fmt="ArrowStream")
