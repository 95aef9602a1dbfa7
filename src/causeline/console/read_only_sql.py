"""SQL from a person: one statement, read-only, bounded in rows, time and memory."""

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CheckFailed, Unreachable, UsageError

_TOKENS = re.compile(
    r"""
      (?P<comment>--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<end>;)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_READS = frozenset({"select", "with", "show", "describe", "desc", "exists", "explain"})
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z]+)")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one question may cost."""

    rows: int = 1_000
    seconds: float = 30.0
    memory_bytes: int = 1 << 30

    def settings(self) -> dict[str, object]:
        """The bounds as ClickHouse's settings; one row more than asked for, to know that there are more."""
        return {
            "readonly": 2,
            "max_execution_time": self.seconds,
            "max_memory_usage": self.memory_bytes,
            "max_result_rows": self.rows + 1,
            "max_block_size": min(self.rows + 1, 65_536),
            "result_overflow_mode": "break",
        }


@dataclass(frozen=True, slots=True)
class SqlResult:
    """Rows under their columns; `more` tells that there were more than the bound."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    more: bool


def one_statement(text: str) -> str:
    """The one statement in `text`, without its semicolon; raises UsageError for none, several, or one that writes."""
    end: int | None = None
    plain: list[str] = []
    for token in _TOKENS.finditer(text):
        if token.lastgroup in {"comment", "space"}:
            plain.append(" ")
            continue
        if end is not None and token.lastgroup != "end":
            raise UsageError("Only one statement is run at a time.", hint="Ask one after the other.")
        if token.lastgroup == "end":
            end = token.start() if end is None else end
            continue
        plain.append(token[0])
    statement = "".join(plain).strip()
    if not statement:
        raise UsageError("There is no SQL to run.", hint='causeline sql "SELECT count() FROM runs"')
    first = _FIRST_WORD.match(statement)
    if first is None or first[1].lower() not in _READS:
        word = first[1].upper() if first else statement[:20]
        raise UsageError(f"Only reading is allowed, not {word}.", hint="Use SELECT, WITH, SHOW, DESCRIBE or EXPLAIN.")
    return text[:end].strip() if end is not None else text.strip()


def parse_parameters(pairs: Iterable[str]) -> dict[str, str]:
    """`name=value` pairs by name; raises UsageError for what is no such pair, or a name said twice."""
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _PARAMETER.fullmatch(name):
            raise UsageError(
                f"{pair[:60]!r} is not name=value.", hint="--param day=2026-01-31, for {day:Date} in the SQL."
            )
        if name in parameters:
            raise UsageError(f"The parameter {name} is given twice.", hint="Give it once.")
        parameters[name] = value
    return parameters


def ask(
    connection: ClickHouseConnection,
    text: str,
    parameters: Mapping[str, str],
    bounds: Bounds,
    now_s: Callable[[], float] = time.monotonic,
) -> SqlResult:
    """The answer to the one statement in `text`; raises UsageError when it does not read, CheckFailed past a bound."""
    statement = one_statement(text)
    require_used(statement, parameters)
    began = now_s()
    try:
        # A second more than the server has: its own answer, that time is up, says more than silence.
        with (
            clickhouse_client(connection, timeout_s=bounds.seconds + 1) as client,
            translated(connection, reading=True),
        ):
            return _ask(client, statement, parameters, bounds)
    except Unreachable as error:
        if now_s() - began < bounds.seconds:
            raise
        raise CheckFailed(
            f"The answer takes longer than {bounds.seconds:g} s.", hint="Ask for less, or see --timeout."
        ) from error


def _ask(client: Client, statement: str, parameters: Mapping[str, str], bounds: Bounds) -> SqlResult:
    settings = settable(client, bounds.settings())
    rows: list[tuple[object, ...]] = []
    with client.query_row_block_stream(statement, parameters=dict(parameters), settings=settings) as blocks:
        columns = tuple(blocks.source.column_names)
        for block in blocks:
            rows.extend(tuple(row) for row in block)
            if len(rows) > bounds.rows:
                break
    return SqlResult(columns, tuple(rows[: bounds.rows]), more=len(rows) > bounds.rows)


def settable(client: Client, settings: Mapping[str, object]) -> dict[str, object] | None:
    """`settings`, or None for who may not change any: the server holds them to their own limits."""
    fixed = client.server_settings.get("readonly")
    return None if fixed is not None and fixed.readonly else dict(settings)


def require_used(statement: str, parameters: Mapping[str, object]) -> None:
    """Raises UsageError for a parameter that `statement` does not name."""
    # The client would fill a parameter that the server does not know of into the text itself.
    for name in parameters:
        if not re.search(rf"\{{\s*{name}\s*:", statement):
            raise UsageError(
                f"The SQL has no parameter {{{name}:Type}}.", hint=f"E.g. WHERE workflow = {{{name}:String}}"
            )


def as_separated(answer: SqlResult, separator: str) -> Iterable[str]:
    """Lines of CSV or TSV with a header; a text that a spreadsheet would run as a formula gets an apostrophe."""
    line = io.StringIO()
    # Older Pythons quote what ends a line of theirs only: a bare return would begin a row, and a formula in it.
    writer = csv.writer(line, delimiter=separator, lineterminator="\r\n")
    for row in (answer.columns, *answer.rows):
        writer.writerow([_inert(value) for value in row])
        yield line.getvalue().removesuffix("\r\n") + "\n"
        line.seek(0)
        line.truncate()


def _inert(value: object) -> object:
    said = plain(value)
    if isinstance(said, list | dict):
        return json.dumps(said, ensure_ascii=False, default=str)
    # Looked at as it is written: a FixedString comes as bytes, and is a text in the cell.
    return f"'{said}" if isinstance(said, str) and said.startswith(_FORMULA) else said


def plain(value: object) -> object:
    """A value as text files and JSON have it: moments in ISO 8601, bytes in hex where they are no text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value
