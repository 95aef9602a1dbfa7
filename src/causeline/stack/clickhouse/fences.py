"""What a statement has to pass before it is run for somebody who may only read.

The engine's own `readonly` is not enough: the scalar function file() passes it, and so does INTO OUTFILE. So, in this
order: one statement that the engine's parser calls read-only (`require_read_only`); of a kind that cannot smuggle an
expression in; without file() and foreign table functions in its query tree (`admit`); run with a role that sees our
database only, `readonly=1` and limits (`restrict`). Landlock holds the process as a whole.

The tree is asked for twice. As it was written it shows every call by name, before anything is evaluated; resolved it
shows what aliases, lambdas and APPLY come to, but no longer a call that was folded into a constant.
"""

import re
from collections.abc import Mapping
from typing import Final

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.config import READER_ROLE
from causeline.stack.clickhouse.engine import Connection, quoted
from causeline.stack.clickhouse.errors import EngineError
from causeline.stack.clickhouse.settings import ServerSettings
from causeline.stack.clickhouse.statement import Kind, Statement, TokenKind, tokens

_LISTING: Final = frozenset({b"SHOW", b"DESCRIBE", b"DESC", b"EXISTS"})
_FORBIDDEN = re.compile(
    r"\bfunction_name: (file|getServerSetting|getMacro|catboost\w*)\b",
    re.IGNORECASE,
)
_SYSTEM_TABLE = re.compile(r"\b(?:table_name|identifier): system\.(\w+)", re.IGNORECASE)
_READER_SYSTEM_TABLES: Final = frozenset(
    (
        "build_options", "collations", "columns", "contributors", "data_type_families", "databases", "dictionaries",
        "formats", "functions", "keywords", "licenses", "numbers", "numbers_mt", "one", "settings", "table_engines",
        "tables", "time_zones", "views", "zeros",
    )
)  # fmt: skip
"""What describes our tables, and the engine as its documentation does; others tell of other people's statements."""
_READER_SHOWS: Final = frozenset(
    b"CHANGED COLUMNS CREATE DATABASES ENGINES EXTENDED FIELDS FULL FUNCTIONS INDEX INDEXES INDICES KEYS SETTING"
    b" SETTINGS TABLES TEMPORARY".split()
)
_TABLE_FUNCTION = re.compile(r"\btable_function_name: (\w+)")
_READER_TABLE_FUNCTIONS: Final = frozenset(
    {"numbers", "numbers_mt", "zeros", "generateSeries", "generate_series", "view"}
)
# Settings that only shape the result; the rest are the server's business. Those of format_template_… and
# format_schema… name files to read, output_format_schema one to write.
_OWN_SETTINGS = re.compile(
    r"output_format_(?!schema)\w+|format_(?:csv|tsv|custom|display)_\w+|date_time_output_format|session_timezone"
    r"|join_use_nulls|extremes|max_block_size|limit|offset|result_overflow_mode|max_threads"
)
_LOWERABLE: Final = frozenset({"max_execution_time", "max_memory_usage", "max_result_rows"})


def require_read_only(connection: Connection, sql: str) -> None:
    """Raises EngineError unless `sql` is one statement that changes nothing, as the engine's parser sees it."""
    verdict = connection.classify(sql)
    if verdict.query_class == "UNKNOWN":
        return  # it does not parse: the engine's own syntax error says more
    if verdict.query_class != "READ_ONLY" or verdict.statement_count != 1:
        raise _refused("Cannot execute query in readonly mode")


def admit(connection: Connection, statement: Statement, sql: str) -> None:
    """Raises EngineError unless the reader may run `statement`; to be called on a restricted connection."""
    if statement.writes_file:
        raise _refused("INTO OUTFILE is not for readers")
    if statement.kind is Kind.QUERY:
        for passes in (0, 1):
            tree = connection.run(f"EXPLAIN QUERY TREE run_passes = {passes}\n{sql}", "TabSeparatedRaw")
            _admit_tree(tree.decode("utf-8", "replace"))
    elif statement.first_word == b"SHOW" and _second_word(statement) not in _READER_SHOWS:
        raise _refused(f"SHOW {_second_word(statement).decode('utf-8', 'replace')} is not for readers")
    elif statement.first_word not in _LISTING:
        raise _refused("Readers may SELECT, SHOW, DESCRIBE and ask EXISTS, nothing else")
    elif any(token.kind is TokenKind.MARK and token.upper in {b"(", b"{"} for token in tokens(statement.sql)):
        raise _refused(f"{statement.first_word.decode()} with an expression is not for readers")


def _second_word(statement: Statement) -> bytes:
    words = [token.upper for token in tokens(statement.sql) if token.kind is TokenKind.WORD]
    return words[1] if len(words) > 1 else b""


def _admit_tree(tree: str) -> None:
    if found := _FORBIDDEN.search(tree):
        raise _refused(f"{found[1]} is not for readers")
    for name in _SYSTEM_TABLE.findall(tree):
        if name.lower() not in _READER_SYSTEM_TABLES:
            raise _refused(f"system.{name} is not for readers")
    for name in _TABLE_FUNCTION.findall(tree):
        if name not in _READER_TABLE_FUNCTIONS:
            raise _refused(f"The table function {name} is not for readers")


def restrict(
    connection: Connection, wanted: Mapping[str, str], settings: ServerSettings, *, to_explain: bool = False
) -> None:
    """Makes `connection` the reader's: its role, the limits, `readonly=1`, and those of `wanted` that only format.

    `max_result_rows` is left out for a connection that is only to explain a statement: the tree has rows of its own.

    Raises EngineError for another value of a setting that is not the reader's to change.
    """
    limits = {
        "max_execution_time": settings.reader_time_s,
        "max_memory_usage": settings.reader_memory_bytes,
        "max_result_rows": settings.reader_result_rows,
    }
    formatting: dict[str, str] = {}
    for name, value in wanted.items():
        if name in _LOWERABLE:
            limits[name] = _lowered(name, value, limits[name])
        elif name != "readonly" and _OWN_SETTINGS.fullmatch(name):
            formatting[name] = value
        elif name != "readonly" and not _is_as_it_stands(connection, name, value):
            raise _refused(f"Cannot modify '{name}' setting in readonly mode")
    if to_explain:
        del limits["max_result_rows"]
    connection.apply({**formatting, **{name: str(limit) for name, limit in limits.items()}})
    connection.ask(f"SET ROLE {READER_ROLE}")
    connection.apply({"allow_python_table_function": "0", "allow_introspection_functions": "0", "readonly": "1"})


def _is_as_it_stands(connection: Connection, name: str, value: str) -> bool:
    """Whether it would change nothing: drivers say defaults with every statement, and ClickHouse lets them."""
    return connection.ask(f"SELECT value FROM system.settings WHERE name = {quoted(name)}") == [[value]]  # noqa: S608


def _lowered(name: str, value: str, limit: int) -> int:
    """The reader's own limit where it is a stricter one; 0 would mean none."""
    if not value.isdecimal():
        raise EngineError(errors.BAD_ARGUMENTS, "BAD_ARGUMENTS", f"{name} has to be a whole number.")
    return min(int(value) or limit, limit)


def _refused(reason: str) -> EngineError:
    return EngineError(errors.READONLY, "READONLY", f"{reason}.")
