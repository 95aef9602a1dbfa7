"""Questions put to ClickHouse: parameters travel beside the SQL, and what goes wrong comes back as one sentence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.console.answers import Record
from causeline.schemas.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, CheckFailed, Unreachable, UsageError
from causeline.sinks.clickhouse import clickhouse_client, code_and_name, in_our_words

_STACK = re.compile(r"\bStack trace:.*", re.DOTALL)
_PREFIX = re.compile(r"^.*?DB::Exception:\s*", re.DOTALL)
_VERSION = re.compile(r"\s*\((?:official build|version [^)]*)\)+", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*\(for url [^)]*\)")
_MAX_SENTENCE = 600

_UNKNOWN_TABLE = 60
_READ_ONLY = frozenset({164, 242})
_LOGIN = frozenset({81, 192, 193, 194, 516})
_TOO_MUCH = frozenset({158, 159, 160, 241, 307, 396})
"""Too many rows, too slow, estimated too slow, memory, too many bytes, too many result rows."""
_BUSY = frozenset({202, 203})


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
        with translated(self._connection):
            answer = self._client.query(sql, parameters=dict(parameters or {}), settings=settings)
            return [cast("Record", row) for row in answer.named_results()]


@contextmanager
def open_store(connection: ClickHouseConnection) -> Iterator[ClickHouseStore]:
    """The store behind `connection`, for the length of the block; raises Unreachable."""
    with clickhouse_client(connection) as client:
        yield ClickHouseStore(client, connection)


@contextmanager
def translated(connection: ClickHouseConnection) -> Iterator[None]:
    """Turns what the client raises into errors of one sentence, which names what ClickHouse minds in the SQL."""
    try:
        yield
    except (ClickHouseError, OSError) as error:
        raise _explained(error, connection) from error


def _explained(error: Exception, connection: ClickHouseConnection) -> CauselineError:
    code, name = code_and_name(error)
    if code is None or code in _LOGIN:
        return in_our_words(error, connection)
    said = sentence(name, str(error))
    if code in _BUSY:
        return Unreachable(f"ClickHouse is too busy: {said}", hint="Try again in a moment.")
    if code in _TOO_MUCH:
        return CheckFailed(f"The answer costs more than it may: {said}", hint="Ask for less, e.g. by a time span.")
    if code in _READ_ONLY:
        return UsageError(f"Only reading is allowed: {said}", hint="Use SELECT.")
    tables = "`SHOW TABLES` lists what there is; `causeline migrate` makes our tables."
    return UsageError(f"ClickHouse says {said}", hint=tables if code == _UNKNOWN_TABLE else None)


def sentence(name: str, text: str) -> str:
    """The name and the message of a ClickHouse error, on one line, without its version and its stack."""
    for pattern in (_PREFIX, _STACK, _ADDRESS, _VERSION):
        text = pattern.sub("", text)
    message = text.replace(f"({name})", "")
    message = " ".join(message.split()).rstrip(" .,:")
    return f"{name}: {message[:_MAX_SENTENCE]}{'…' if len(message) > _MAX_SENTENCE else '.'}"
