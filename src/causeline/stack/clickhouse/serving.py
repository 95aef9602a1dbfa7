"""The run of one statement: its text and data are told apart, it gets a turn and a connection, the result goes out."""

import asyncio
import contextlib
import logging
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol, TypeVar

from causeline.stack.clickhouse import errors, fences
from causeline.stack.clickhouse.body import MAX_STATEMENT_BYTES, Body, ClientGone
from causeline.stack.clickhouse.engine import Connection, Counts, quoted_name
from causeline.stack.clickhouse.errors import EngineError
from causeline.stack.clickhouse.execution import DEFAULT_FORMAT, result_pieces
from causeline.stack.clickhouse.multipart import Part
from causeline.stack.clickhouse.request import Call
from causeline.stack.clickhouse.response import Answer
from causeline.stack.clickhouse.statement import Kind, Statement, read_statement

log = logging.getLogger("causeline.clickhouse")
T = TypeVar("T")

_HEAD_BYTES: Final = 256 << 10  # as far as an INSERT's own text may reach
_PIECE_BYTES: Final = 1 << 20
_HOLD_BACK_BYTES: Final = 1 << 20  # results up to this size are complete before their status is sent
_SPOOL_MEMORY_BYTES: Final = 4 << 20
_RETURNS_ROWS: Final = frozenset(b"SELECT WITH FROM SHOW DESCRIBE DESC EXISTS EXPLAIN CHECK KILL".split())
_KILL_INTERVAL_S: Final = 0.2
_HELLO: Final = "SELECT displayName(), version(), toUInt32(0) AS `revision()`, timezone()"


class Resources(Protocol):
    """What a request needs of the server."""

    temporary: Path
    send_timeout_s: float

    async def in_thread(self, function: Callable[[], T]) -> T:
        """`function` off the event loop."""
        ...

    def turn(self, *, only_reads: bool) -> AbstractAsyncContextManager[None]:
        """A turn to run a statement."""
        ...

    def connection(self, call: Call, kill_id: str, *, only_reads: bool) -> AbstractAsyncContextManager[Connection]:
        """A connection as the call wants it, a restricted one if it `only_reads`."""
        ...

    def check(self, call: Call, statement: Statement, kill_id: str) -> None:
        """Raises EngineError unless somebody who only reads may run `statement`."""
        ...

    def kill(self, kill_id: str) -> bool:
        """Ends what runs under `kill_id`."""
        ...


@dataclass
class Serving:
    """One request of an authenticated user."""

    resources: Resources
    call: Call
    only_reads: bool
    body: Body
    files: list[Part]
    answer: Answer

    def __post_init__(self) -> None:
        self.kill_id = uuid.uuid4().hex

    async def run(self) -> None:
        """Answers the request, or raises EngineError or ClientGone."""
        statement, inline = await self._statement()
        self._refuse_early(statement)
        if statement.kind is Kind.INSERT:
            await self._insert(statement, inline)
        elif statement.kind is Kind.INSERT_FROM_INPUT:
            await self._insert_from_input(statement, inline)
        else:
            await self._query(statement)

    async def _statement(self) -> tuple[Statement, bytes]:
        """The statement, and the data that were read together with it."""
        text = self.call.query + b"\n" if self.call.query else b""
        if text and not self.files:
            statement = read_statement(text)
            if statement.data_start is not None:
                return statement, text[statement.data_start :]
        if self.call.method == "POST" and not self.files:
            head, is_all = await self.body.head(_HEAD_BYTES)
            statement = read_statement(text + head, default_format=self.call.default_format)
            if statement.data_start is not None:
                self.body.skip_head()
                return statement, (text + head)[statement.data_start :]
            text += await self.body.rest(MAX_STATEMENT_BYTES) if not is_all else head
        return read_statement(text), b""

    def _refuse_early(self, statement: Statement) -> None:
        if statement.kind is Kind.EMPTY:
            raise EngineError(errors.SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error: the query is empty.")
        if not statement.first_word.isalpha():  # the engine takes some of these for nothing at all
            raise EngineError(errors.SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error: no statement begins like this.")
        if statement.is_several:
            raise EngineError(
                errors.SYNTAX_ERROR,
                "SYNTAX_ERROR",
                "Syntax error (Multi-statements are not allowed): one statement a request.",
            )
        if statement.writes_file:
            raise EngineError(
                errors.INTO_OUTFILE_NOT_ALLOWED,
                "INTO_OUTFILE_NOT_ALLOWED",
                "INTO OUTFILE is not allowed; read the response.",
            )
        if (self.only_reads or self.call.only_reads) and statement.data_start is not None:
            raise EngineError(
                errors.READONLY,
                "READONLY",
                f"Cannot execute query in readonly mode; {self.call.method} by this user only reads.",
            )
        if self.only_reads and self.files:
            raise EngineError(errors.READONLY, "READONLY", "External tables are not for readers.")

    async def _query(self, statement: Statement) -> None:
        """Answers a statement without data.

        The beginning of the result is held back, so that an early error is a status and not a broken result; the
        end is sent when the connection is free, so that a session's next request does not find it busy.
        """
        output_format = statement.format or self.call.default_format or DEFAULT_FORMAT
        with tempfile.SpooledTemporaryFile(_SPOOL_MEMORY_BYTES, dir=str(self.resources.temporary)) as held:
            async with self.resources.turn(only_reads=self.only_reads), self._killed_on_disconnect(statement):
                if self.only_reads:
                    await self.resources.in_thread(lambda: self.resources.check(self.call, statement, self.kill_id))
                async with self._connection() as connection:
                    counts = connection.counts
                    await self._send_result(connection, statement, output_format, held)
            if not self.answer.is_started:
                has_result = held.tell() or statement.first_word in _RETURNS_ROWS
                await self.answer.start(output_format if has_result else None, counts, size=held.tell())
                await self._send_held(held)
            await self._send(self.answer.finish())

    async def _send_result(
        self,
        connection: Connection,
        statement: Statement,
        output_format: str,
        held: "tempfile.SpooledTemporaryFile[bytes]",
    ) -> None:
        """Puts the result into `held` or, from a certain size on, sends it as it comes."""
        sql = _HELLO if statement.is_hello else statement.sql.decode("utf-8", "surrogateescape")
        await self.resources.in_thread(lambda: self._prepare(connection, statement, sql))
        pieces = result_pieces(connection, statement, output_format, sql)
        try:
            while (piece := await self.resources.in_thread(lambda: next(pieces, None))) is not None:
                if self.answer.is_started:
                    await self._send(self.answer.write(piece))
                    continue
                held.write(piece)
                if not self.call.wait_end_of_query and held.tell() >= _HOLD_BACK_BYTES:
                    await self.answer.start(output_format, connection.counts)
                    await self._send_held(held)
        finally:
            await self.resources.in_thread(pieces.close)

    def _prepare(self, connection: Connection, statement: Statement, sql: str) -> None:
        """What has to be in place, or to be passed, before the statement runs."""
        if self.call.only_reads:
            fences.require_read_only(connection, sql)
        for file in self.files:
            _create_external_table(connection, self.call, file)

    async def _send_held(self, held: "tempfile.SpooledTemporaryFile[bytes]") -> None:
        held.seek(0)
        while piece := held.read(_PIECE_BYTES):
            await self._send(self.answer.write(piece))

    async def _send(self, sending: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(sending, self.resources.send_timeout_s)
        except TimeoutError:
            raise ClientGone from None

    async def _insert(self, statement: Statement, inline: bytes) -> None:
        """Streams the data into the engine; a body that breaks off leaves nothing.

        The first megabyte is read before a turn is taken: small inserts of slow clients keep nobody waiting.
        """
        sql, input_format = statement.sql.decode("utf-8", "surrogateescape"), statement.format or ""
        data = self._data(inline)
        first = await anext(data, b"")
        async with self.resources.turn(only_reads=self.only_reads), self._connection() as connection:
            counts = connection.counts
            insert = await self.resources.in_thread(lambda: connection.begin_insert(sql, input_format))
            try:
                await self.resources.in_thread(partial(insert.append, first))
                async for piece in data:
                    await self.resources.in_thread(partial(insert.append, piece))
            except BaseException:
                await self.resources.in_thread(insert.cancel)
                raise
            await self.resources.in_thread(insert.done)
        await self._acknowledge(counts)

    async def _insert_from_input(self, statement: Statement, inline: bytes) -> None:
        """Reads the whole body first: the engine streams no INSERT … SELECT, but it reads an open file."""
        with tempfile.TemporaryFile(dir=self.resources.temporary) as spooled:
            async for piece in self._data(inline):
                await self.resources.in_thread(partial(spooled.write, piece))
            await self.resources.in_thread(lambda: _rewind(spooled))
            sql = statement.reading_from(spooled.fileno())
            async with self.resources.turn(only_reads=self.only_reads), self._connection() as connection:
                counts = connection.counts
                await self.resources.in_thread(lambda: connection.run(sql))
        await self._acknowledge(counts)

    async def _acknowledge(self, counts: Counts) -> None:
        await self.answer.start(None, counts, size=0)
        await self.answer.finish()

    async def _data(self, inline: bytes) -> AsyncIterator[bytes]:
        """An insert's data in pieces of about a megabyte."""
        pending = bytearray(inline)
        if not self.files:
            async for piece in self.body.pieces():
                pending += piece
                if len(pending) >= _PIECE_BYTES:
                    yield bytes(pending)
                    pending.clear()
        if pending:
            yield bytes(pending)

    def _connection(self) -> AbstractAsyncContextManager[Connection]:
        return self.resources.connection(self.call, self.kill_id, only_reads=self.only_reads)

    @contextlib.asynccontextmanager
    async def _killed_on_disconnect(self, statement: Statement) -> AsyncIterator[None]:
        """Ends a SELECT, and only that, when the client goes away."""
        if statement.kind is not Kind.QUERY:
            yield
            return
        watch = asyncio.create_task(self._kill_after_disconnect())
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _kill_after_disconnect(self) -> None:
        await self.body.until_disconnect()
        log.info("query %s killed: the client is gone", self.call.query_id)
        while True:  # it may not have begun yet
            await self.resources.in_thread(lambda: self.resources.kill(self.kill_id))
            await asyncio.sleep(_KILL_INTERVAL_S)


def _create_external_table(connection: Connection, call: Call, file: Part) -> None:
    """Fills a temporary table of the file's name, as its `_structure` or `_types` and `_format` fields say."""
    structure = call.external.get(f"{file.name}_structure")
    if structure is None:
        types = call.external.get(f"{file.name}_types")
        if types is None:
            raise EngineError(
                errors.BAD_ARGUMENTS,
                "BAD_ARGUMENTS",
                f"Neither {file.name}_structure nor {file.name}_types says what is in it.",
            )
        structure = ", ".join(f"_{number} {name}" for number, name in enumerate(_split_types(types), 1))
    name = quoted_name(file.name)
    connection.ask(f"CREATE OR REPLACE TEMPORARY TABLE {name} ({structure})")
    insert = connection.begin_insert(f"INSERT INTO {name}", call.external.get(f"{file.name}_format", DEFAULT_FORMAT))
    insert.append(file.data)
    insert.done()


def _split_types(types: str) -> list[str]:
    """The types between the commas that stand in no brackets."""
    parts, depth = [""], 0
    for character in types:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _rewind(file: IO[bytes]) -> None:
    file.flush()
    file.seek(0)
