"""Questions put to ClickHouse: parameters travel beside the SQL, and what goes wrong comes back as one sentence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.console.answers import Record
from causeline.schemas.errors import CauselineError, Unreachable, UsageError

_CODE = re.compile(r"(?:Code:|code)\s*(\d+)")
_NAME = re.compile(r"\(([A-Z][A-Z0-9_]{2,})\)")
_STACK = re.compile(r"\bStack trace:.*", re.DOTALL)
_PREFIX = re.compile(r"^.*?DB::Exception:\s*", re.DOTALL)
_VERSION = re.compile(r"\s*\((?:official build|version [^)]*)\)+", re.IGNORECASE)
_MAX_SENTENCE = 600

_UNKNOWN_TABLE = 60
_UNKNOWN_DATABASE = 81
_ACCESS = frozenset({192, 193, 194, 195, 497, 516})
_RETRY_LATER = frozenset({202, 241})
_READ_ONLY = frozenset({164, 242})


class Store(Protocol):
    """Answers SQL with records."""

    def ask(self, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[Record]:
        """The rows of a SELECT, by column name; `{name:Type}` in it stands for a parameter. Raises CauselineError."""
        ...


class ClickHouseStore:
    """The store behind a clickhouse-connect client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(self, sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[Record]:
        """The rows of a SELECT, by column name."""
        with translated():
            answer = self._client.query(sql, parameters=dict(parameters or {}))
            return [cast("Record", row) for row in answer.named_results()]


@contextmanager
def translated() -> Iterator[None]:
    """Turns what clickhouse-connect raises into errors of one sentence."""
    try:
        yield
    except ClickHouseError as error:
        raise explained(str(error)) from error
    except OSError as error:
        raise Unreachable("ClickHouse does not answer.", hint="causeline status") from error


def explained(text: str) -> CauselineError:
    """A ClickHouse error message as an error of one sentence: its name and message, without its stack."""
    found = _CODE.search(text)
    code = int(found[1]) if found else None
    if code is None:
        return Unreachable("ClickHouse does not answer.", hint="causeline status")
    if code == _UNKNOWN_DATABASE:
        return Unreachable("ClickHouse has no database of ours.", hint="causeline migrate")
    if code in _ACCESS:
        return Unreachable(
            "ClickHouse refuses the user or its password, or what it asks for.",
            hint="Check CAUSELINE_CLICKHOUSE_URL and CAUSELINE_CLICKHOUSE_PASSWORD(_FILE).",
        )
    if code in _RETRY_LATER:
        return Unreachable(f"ClickHouse is too busy: {sentence(text)}", hint="Try again, or ask for less.")
    if code in _READ_ONLY:
        return UsageError(f"Only reading is allowed: {sentence(text)}", hint="Use SELECT.")
    hint = "causeline migrate makes our tables; `SHOW TABLES` lists what is there." if code == _UNKNOWN_TABLE else None
    return UsageError(sentence(text), hint=hint)


def sentence(text: str) -> str:
    """The name and the message of a ClickHouse error, on one line, without version and stack."""
    names = _NAME.findall(text)
    message = _VERSION.sub("", _STACK.sub("", _PREFIX.sub("", text)))
    for name in names[-1:]:
        message = message.replace(f"({name})", "")
    message = " ".join(message.split()).rstrip(" .,:")
    if len(message) > _MAX_SENTENCE:
        message = message[:_MAX_SENTENCE] + "…"
    return f"{names[-1]}: {message}." if names else f"{message}."
