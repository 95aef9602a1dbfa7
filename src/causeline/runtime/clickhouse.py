"""The one place that opens a ClickHouse client; what it and its server complain of: `clickhouse_errors.py`."""

import contextlib
from collections.abc import Iterator
from typing import TypeAlias

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection

SettingValue: TypeAlias = str | int | float | bool

_CONNECT_TIMEOUT_S = 5


@contextlib.contextmanager
def clickhouse_client(
    connection: ClickHouseConnection, *, use_database: bool = True, timeout_s: float = 60
) -> Iterator[Client]:
    """A client for the length of the block, usable from several threads; see `open_client`."""
    client = open_client(connection, use_database=use_database, timeout_s=timeout_s)
    try:
        yield client
    finally:
        client.close()


def open_client(connection: ClickHouseConnection, *, use_database: bool = True, timeout_s: float = 60) -> Client:
    """A client that has spoken with its server; it keeps no session, so threads may share it.

    `use_database=False` is for who creates the database; `timeout_s` bounds the wait for each answer. Raises
    Unreachable, or what the server's refusal means.
    """
    with translated(connection):
        return clickhouse_connect.get_client(
            interface="https" if connection.secure else "http",
            host=connection.host,
            port=connection.port,
            username=connection.user,
            password=connection.password.get_secret_value(),
            database=connection.database if use_database else "__default__",
            ca_cert=connection.ca_cert,
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=max(1, round(timeout_s)),
            autogenerate_session_id=False,
            query_limit=0,
            compress=False,
        )


def quoted(name: str) -> str:
    """A name of a database or table as a statement takes it, whatever is in it."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
