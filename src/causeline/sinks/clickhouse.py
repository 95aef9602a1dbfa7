"""The one place that opens a ClickHouse client, and that puts what the server says into our words."""

import contextlib
import ssl
from collections.abc import Iterator
from typing import TypeAlias

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from causeline.schemas.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, CheckFailed, EnvironmentFault, NotFound, Unreachable, UsageError

SettingValue: TypeAlias = str | int | float | bool

_CONNECT_TIMEOUT_S = 5
_REFUSED_LOGIN = frozenset(
    {192, 193, 194, 516}
)  # UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
_NO_PERMISSION = frozenset({164, 497})  # READONLY, ACCESS_DENIED
_NO_TABLE = frozenset({60, 81})  # UNKNOWN_TABLE, UNKNOWN_DATABASE
_NO_SPACE = frozenset({243, 498})  # NOT_ENOUGH_SPACE, and that of a reservation


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


@contextlib.contextmanager
def translated(connection: ClickHouseConnection) -> Iterator[None]:
    """Turns the client's exceptions of the block into ours, of one sentence each."""
    try:
        yield
    except (ClickHouseError, OSError) as error:
        raise in_our_words(error, connection) from error


def in_our_words(error: Exception, connection: ClickHouseConnection) -> CauselineError:
    """Our error for one of the client's. What the server quotes of its data is left out; its code says enough."""
    where = f"{connection.host}:{connection.port}"
    code, name = code_and_name(error)
    if code is None:
        return _no_answer(error, connection, where)
    if code in _REFUSED_LOGIN:
        return Unreachable(
            f"ClickHouse at {where} does not let {connection.user!r} in.",
            hint="Check CAUSELINE_CLICKHOUSE_URL and CAUSELINE_CLICKHOUSE_PASSWORD.",
        )
    if code in _NO_PERMISSION:
        return UsageError(
            f"ClickHouse does not allow {connection.user!r} to do that ({name}).",
            hint="Use a user with the right to write, or grant it.",
        )
    if code in _NO_TABLE:
        return NotFound(f"Database {connection.database!r} has not all of our tables.", hint="Run `causeline migrate`.")
    if code in _NO_SPACE:
        return EnvironmentFault(f"ClickHouse at {where} has no disk space left.", hint="Free some, then try again.")
    return CheckFailed(f"ClickHouse refuses the statement: {name} (code {code}).")


def _no_answer(error: Exception, connection: ClickHouseConnection, where: str) -> Unreachable:
    if connection.secure and _speaks_of_tls(error):
        return Unreachable(
            f"ClickHouse at {where} and this client do not agree on TLS.",
            hint="Does CAUSELINE_CLICKHOUSE_CA_CERT name the authority of its certificate?",
        )
    return Unreachable(
        f"ClickHouse at {where} does not answer.",
        hint="Check CAUSELINE_CLICKHOUSE_URL; `causeline status` shows it.",
    )


def _speaks_of_tls(error: BaseException | None) -> bool:
    """Whether an SSL error, or a file of certificates that cannot be read, is among the causes."""
    while error is not None:
        if isinstance(error, ssl.SSLError | FileNotFoundError) or "SSL" in type(error).__name__ or "[SSL" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def code_and_name(error: Exception) -> tuple[int | None, str]:
    """The server's error code and its name; no code when the error is not the server's own."""
    if isinstance(error, Error) and error.code is not None:
        return error.code, error.name or f"code {error.code}"
    return None, type(error).__name__
