"""What ClickHouse's client and its server complain of, in one sentence with the way out, for every part that connects.

1. Whoever asks, the same code has the same class of error: it decides the exit code.
2. What the server says beside its code may quote rows, so it is left out. Only who reads is told it, because it names
   what is wrong with the SQL; a reader's rows are the answer anyway.
"""

import contextlib
import re
import ssl
from collections.abc import Iterator

from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, CheckFailed, EnvironmentFault, NotFound, Unreachable, UsageError

_REFUSED_LOGIN = frozenset({192, 193, 194, 516})
"""UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED."""
_READ_ONLY = frozenset({164, 242})
"""READONLY, TABLE_IS_READ_ONLY."""
_NOT_GRANTED = 497
_NO_DATABASE = 81
_NO_TABLE = 60
_NO_SPACE = frozenset({243, 498})
"""NOT_ENOUGH_SPACE, and that of a reservation."""
_BUSY = frozenset({202, 203})
"""Too many questions at once."""
_TOO_MUCH = frozenset({158, 159, 160, 241, 307, 396})
"""Too many rows, too slow, estimated too slow, memory, too many bytes, too many result rows."""

_STACK = re.compile(r"\bStack trace:.*", re.DOTALL)
_PREFIX = re.compile(r"^.*?DB::Exception:\s*", re.DOTALL)
_VERSION = re.compile(r"\s*\((?:official build|version [^)]*)\)+", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*\(for url [^)]*\)")
_MAX_SENTENCE = 600


@contextlib.contextmanager
def translated(connection: ClickHouseConnection, *, reading: bool = False) -> Iterator[None]:
    """Turns the client's exceptions of the block into ours, of one sentence each."""
    try:
        yield
    except (ClickHouseError, OSError) as error:
        raise in_our_words(error, connection, reading=reading) from error


def in_our_words(error: Exception, connection: ClickHouseConnection, *, reading: bool = False) -> CauselineError:
    """Our error for one of the client's; `reading` says that its text may be shown."""
    code, name = code_and_name(error)
    if code is None:
        return _no_answer(error, connection)
    says = sentence(name, str(error)) if reading else f"{name} (code {code})."
    found = _of_the_service(code, says, connection)
    return found or (_of_reading(code, says) if reading else _of_writing(code, says, connection))


def _of_the_service(code: int, says: str, connection: ClickHouseConnection) -> CauselineError | None:
    """What the server or its operator has to mend, or time does; None for others."""
    where = f"{connection.host}:{connection.port}"
    if code in _REFUSED_LOGIN:
        return Unreachable(
            f"ClickHouse at {where} does not let {connection.user!r} in.",
            hint="Check CAUSELINE_CLICKHOUSE_URL and CAUSELINE_CLICKHOUSE_PASSWORD.",
        )
    if code in _NO_SPACE:
        return EnvironmentFault(f"ClickHouse at {where} has no disk space left.", hint="Free some, then try again.")
    if code in _BUSY:
        return Unreachable(f"ClickHouse is too busy: {says}", hint="Try again in a moment.")
    if code in _TOO_MUCH:
        return CheckFailed(f"The answer costs more than it may: {says}", hint="Ask for less, e.g. by a time span.")
    if code == _NOT_GRANTED:
        return _not_allowed(connection, says)
    return _no_tables(connection) if code == _NO_DATABASE else None


def _of_reading(code: int, says: str) -> CauselineError:
    if code in _READ_ONLY:
        return UsageError(f"Only reading is allowed: {says}", hint="Use SELECT.")
    tables = "`SHOW TABLES` lists what there is; `causeline migrate` makes our tables."
    return UsageError(f"ClickHouse says {says}", hint=tables if code == _NO_TABLE else None)


def _of_writing(code: int, says: str, connection: ClickHouseConnection) -> CauselineError:
    if code in _READ_ONLY:
        return _not_allowed(connection, says)
    if code == _NO_TABLE:
        return _no_tables(connection)
    return CheckFailed(f"ClickHouse refuses the statement: {says}")


def _not_allowed(connection: ClickHouseConnection, says: str) -> UsageError:
    return UsageError(
        f"ClickHouse does not allow {connection.user!r} to do that: {says}",
        hint="Use a user with the right to, or grant it.",
    )


def _no_tables(connection: ClickHouseConnection) -> NotFound:
    return NotFound(f"Database {connection.database!r} has not all of our tables.", hint="Run `causeline migrate`.")


def code_and_name(error: Exception) -> tuple[int | None, str]:
    """The server's error code and its name; no code when the error is not the server's own."""
    if isinstance(error, Error) and error.code is not None:
        return error.code, error.name or f"code {error.code}"
    return None, type(error).__name__


def sentence(name: str, text: str) -> str:
    """The name and the message of a ClickHouse error, on one line, without its version and its stack."""
    for pattern in (_PREFIX, _STACK, _ADDRESS, _VERSION):
        text = pattern.sub("", text)
    message = text.replace(f"({name})", "")
    message = " ".join(message.split()).rstrip(" .,:")
    return f"{name}: {message[:_MAX_SENTENCE]}{'…' if len(message) > _MAX_SENTENCE else '.'}"


def _no_answer(error: Exception, connection: ClickHouseConnection) -> Unreachable:
    where = f"{connection.host}:{connection.port}"
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
