"""chDB's raw interface with types: one engine a process and path, a connection a request.

Connections are cheap (0.1 ms) and hold SET, USE, roles and temporary tables, so none is shared between requests.
A connection runs one statement at a time, from any thread; the GIL is released meanwhile. Never fork once this
module has opened an engine: the child would hang.
"""

import fcntl
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Protocol, cast
from urllib.parse import urlencode

from causeline.schemas.errors import EnvironmentFault
from causeline.stack.clickhouse.config import write_config
from causeline.stack.clickhouse.errors import EngineError
from causeline.stack.faults import environment_fault

DATABASE: Final = "causeline"
# Every connection starts with these. One insert is one block as long as the request limits its size, so that one
# deduplication token stands for all of it and nothing of it is visible before its end.
_SETTINGS: Final = {
    "implicit_select": "0",  # else the text `bogus` is a SELECT
    "async_insert": "0",
    "max_insert_block_size": str(1 << 40),
    "min_insert_block_size_rows": str(1 << 40),
    "min_insert_block_size_bytes": str(1 << 40),
    "max_insert_threads": "1",
    "http_max_tries": "1",  # url() is fenced off: ten tries of nothing cannot be killed
}


class RawResult(Protocol):
    """chdb's query_result."""

    def bytes(self) -> bytes: ...
    def size(self) -> int: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...


class RawConnection(Protocol):
    """chdb's connect."""

    def query(self, query_str: str | bytes, format: str = "CSV") -> RawResult: ...  # noqa: A002
    def send_query(self, query_str: str | bytes, format: str = "CSV") -> object: ...  # noqa: A002
    def streaming_fetch_result(self, streaming_result: object) -> RawResult: ...
    def streaming_cancel_query(self, streaming_result: object) -> None: ...
    def send_insert(self, query_str: str | bytes, format: str = "CSV") -> object: ...  # noqa: A002
    def insert_append(self, insert_result: object, data: bytes) -> None: ...
    def insert_done(self, insert_result: object) -> RawResult: ...
    def insert_cancel(self, insert_result: object) -> None: ...
    def classify_query(self, sql: str | bytes, target_database: str = "") -> dict[str, object]: ...
    def close(self) -> None: ...


@dataclass
class Counts:
    """What a statement read, wrote and returned; grows while a result is fetched."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0

    def add(self, result: RawResult) -> None:
        """Counts one more piece of a result."""
        self.read_rows += result.storage_rows_read()
        self.read_bytes += result.storage_bytes_read()
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.result_rows += result.rows_read()
        self.result_bytes += result.size()


class Verdict(NamedTuple):
    """What the engine's parser says of a text: the strictest class of its statements, and their number."""

    query_class: str  # READ_ONLY, MUTATING, MUTATING_GLOBAL, CONTROL, UNKNOWN
    statement_count: int


@dataclass
class Connection:
    """One connection; every method raises EngineError with ClickHouse's own code."""

    raw: RawConnection
    kill_id: str
    counts: Counts = field(default_factory=Counts)

    def run(self, sql: str, output_format: str = "Null") -> bytes:
        """The whole result of one statement."""
        with _translated():
            result = self.raw.query(_bytes(sql), output_format)
        self.counts.add(result)
        return result.bytes()

    def ask(self, sql: str) -> list[list[str]]:
        """The result of our own statement, as text, not counted."""
        with _translated():
            text = self.raw.query(_bytes(sql), "TSV").bytes().decode("utf-8", "replace")
        return [line.split("\t") for line in text.splitlines()]

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The rows of our own statement by column name, not counted."""
        with _translated():
            text = self.raw.query(_bytes(sql), "JSONEachRow").bytes()
        return [cast("dict[str, object]", json.loads(line)) for line in text.splitlines()]

    def stream(self, sql: str, output_format: str) -> Iterator[bytes]:
        """The result of a SELECT in pieces, each a whole document of `output_format`."""
        with _translated():
            stream = self.raw.send_query(_bytes(sql), output_format)
        is_over = False
        try:
            while True:
                with _translated():
                    try:
                        piece = self.raw.streaming_fetch_result(stream)
                    except RuntimeError:
                        is_over = True
                        raise
                if piece.size() == 0:
                    is_over = True
                    return
                self.counts.add(piece)
                yield piece.bytes()
        finally:
            if not is_over:
                self.raw.streaming_cancel_query(stream)

    def begin_insert(self, sql: str, input_format: str) -> "Insert":
        """An insert that takes its data in pieces."""
        with _translated():
            return Insert(self, self.raw.send_insert(_bytes(sql), input_format))

    def classify(self, sql: str) -> Verdict:
        """What `sql` would do; it is not run."""
        with _translated():
            found = self.raw.classify_query(_bytes(sql))
        return Verdict(str(found["query_class"]).rpartition(".")[2], int(str(found["statement_count"])))

    def apply(self, settings: Mapping[str, str]) -> None:
        """SET each of `settings`."""
        if settings:
            self.ask("SET " + ", ".join(f"{quoted_name(name)} = {quoted(value)}" for name, value in settings.items()))


@dataclass
class Insert:
    """A running insert: `append` its data, then `done` or `cancel`, exactly once."""

    connection: Connection
    handle: object

    def append(self, data: bytes) -> None:
        """More data; a parse error may come now or at the end."""
        with _translated():
            self.connection.raw.insert_append(self.handle, data)

    def done(self) -> None:
        """The end of the data: when this returns, the rows are stored."""
        with _translated():
            self.connection.counts.add(self.connection.raw.insert_done(self.handle))

    def cancel(self) -> None:
        """Throws the rows away."""
        self.connection.raw.insert_cancel(self.handle)


class Engine:
    """The engine over `path`. Raises EnvironmentFault when the path is in use or cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        prepare_folder(path)
        self._module = importlib.import_module("chdb._chdb")
        try:
            self._root = self._connect(write_config(path / "causeline-config", database=DATABASE))
        except RuntimeError as error:
            raise EnvironmentFault(
                f"The ClickHouse engine cannot open {path}: {_first_line(error)}.",
                hint="Its log line above says more; another folder starts empty.",
            ) from error
        root = Connection(self._root, "root")
        root.ask(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        [[self.version, self.timezone, self.display_name]] = root.ask("SELECT version(), timezone(), displayName()")

    @contextmanager
    def connection(self, kill_id: str) -> Iterator[Connection]:
        """A fresh connection whose statements `kill(kill_id)` ends."""
        connection = self.open_connection(kill_id)
        try:
            yield connection
        finally:
            connection.raw.close()

    def open_connection(self, kill_id: str, *, database: str = DATABASE) -> Connection:
        """Like `connection`, for the caller to close. Raises EngineError."""
        with _translated():
            raw = self._connect({**_SETTINGS, "log_comment": kill_id, "database": database})
        return Connection(raw, kill_id)

    def kill(self, kill_id: str) -> bool:
        """Ends the statement of a connection; whether one ran."""
        with self.connection("killer") as killer:
            return bool(killer.ask(f"KILL QUERY WHERE startsWith(Settings['log_comment'], {quoted(kill_id)}) ASYNC"))

    def close(self) -> None:
        """Closes the engine; every connection has to be closed before."""
        self._root.close()

    def _connect(self, options: Mapping[str, str]) -> RawConnection:
        target = f"{self._path}?{urlencode(options, safe='/')}" if options else str(self._path)
        return cast("RawConnection", self._module.connect(target))


def prepare_folder(path: Path) -> None:
    """Makes the data folder, private, and refuses one that another process uses."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise environment_fault(error, f"the ClickHouse data folder {path}") from error
    if (pid := _owner(path)) is not None:
        raise EnvironmentFault(
            f"The ClickHouse data folder {path} is in use by process {pid}.",
            hint="Stop that process, or choose another folder.",
        )


def _owner(path: Path) -> str | None:
    """The process that holds the folder: the engine keeps `status` locked, and writes its process id there."""
    try:
        with (path / "status").open("r+b") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return status.readline().decode("utf-8", "replace").removeprefix("PID:").strip() or "unknown"
    except FileNotFoundError:
        return None
    except OSError as error:
        raise environment_fault(error, f"the ClickHouse data folder {path}") from error
    return None


def quoted(text: str) -> str:
    """`text` as a string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted_name(name: str) -> str:
    """`name` as a quoted name."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def names_and_types(connection: Connection, sql: str) -> Sequence[tuple[str, str]]:
    """The columns that the SELECT `sql` returns."""
    rows = connection.rows(f"DESCRIBE (\n{sql}\n)")  # no setting: a reader may change none
    return [(str(row["name"]), str(row["type"])) for row in rows]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError.from_engine(str(error)) from None
    except UnicodeDecodeError as error:  # the message quotes bytes that are not UTF-8
        raise EngineError.from_engine(bytes(error.object).decode("utf-8", "replace")) from None


def _bytes(sql: str) -> bytes:
    return sql.encode("utf-8", "surrogateescape")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
