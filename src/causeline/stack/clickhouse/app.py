"""One request from its first byte to its last: who asks, what is asked, a turn, a connection, the answer (ADR 14)."""

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

from causeline.stack.clickhouse import codecs, errors, fences
from causeline.stack.clickhouse.body import Body, ClientGone, Incoming
from causeline.stack.clickhouse.engine import DATABASE, Connection, Counts, Engine, quoted_name
from causeline.stack.clickhouse.errors import EngineError
from causeline.stack.clickhouse.multipart import Part, read_parts
from causeline.stack.clickhouse.request import Call, Credentials, read_call
from causeline.stack.clickhouse.response import Answer
from causeline.stack.clickhouse.serving import Serving
from causeline.stack.clickhouse.sessions import Sessions, borrowed
from causeline.stack.clickhouse.settings import ServerSettings
from causeline.stack.clickhouse.statement import Statement
from causeline.stack.clickhouse.turns import Turns

log = logging.getLogger("causeline.clickhouse")
T = TypeVar("T")


@dataclass(frozen=True)
class User:
    """Someone who may come in."""

    name: str
    password: str
    may_write: bool


class ClickHouseApp:
    """The ASGI application over `engine`; `temporary` is a private folder for bodies that are spooled."""

    def __init__(self, engine: Engine, settings: ServerSettings, users: list[User], temporary: Path) -> None:
        self._engine, self._settings, self._users = engine, settings, users
        self.temporary, self.send_timeout_s = temporary, settings.send_timeout_s
        # Readers wait for readers alone: however slow their statements are, who writes has a turn.
        self._turns = Turns(settings.max_queries, settings.max_waiting, settings.wait_timeout_s)
        self._reader_turns = Turns(settings.reader_queries, settings.max_waiting, settings.wait_timeout_s)
        # Threads above the number of turns are for kills and sessions, which must not wait behind queries.
        self._threads = ThreadPoolExecutor(
            settings.max_queries + settings.reader_queries + 4, thread_name_prefix="clickhouse"
        )
        self._sessions = Sessions(lambda: engine.open_connection("session"), time.monotonic)
        self._running: set[str] = set()
        self._calls: set[Future[Any]] = set()  # of whatever the threads return

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        answer = Answer(
            send,
            self._engine.version,
            self._engine.timezone,
            self._engine.display_name,
            without_body=method == "HEAD",
        )
        if path in {"/ping", "/replicas_status"} or (path == "/" and method != "POST" and not scope["query_string"]):
            await answer.plain(200, "Ok.\n")
        elif path != "/":
            await answer.plain(404, f"There is no handle {path}\n")
        elif method not in {"GET", "HEAD", "POST"}:
            await answer.plain(405, "Use GET or POST.\n")
        else:
            await self._serve(scope, receive, answer)

    def stop_queries(self) -> None:
        """Ends every SELECT that still runs."""
        for kill_id in list(self._running):
            self._engine.kill(kill_id)

    def close(self, *, timeout_s: float) -> bool:
        """Closes the sessions and ends the threads; whether all of them ended in time."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if wait(list(self._calls), timeout_s).not_done:
            return False
        self._sessions.close()
        return True

    async def _serve(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        incoming = Incoming(receive, idle_timeout_s=self._settings.body_timeout_s)
        try:
            call = read_call(scope["method"], scope["query_string"], headers)
            answer.query_id, answer.accept_encoding = call.query_id, call.accept_encoding
            user = self._authenticate(call.credentials)
            body = Body(incoming, _decoder(call), limit_bytes=self._settings.body_limit_bytes)
            files: list[Part] = []
            if call.content_type.lower().startswith("multipart/form-data"):
                parts = read_parts(call.content_type, await body.rest(self._settings.body_limit_bytes))
                fields = [
                    (part.name, part.data.decode("utf-8", "surrogateescape")) for part in parts if not part.is_file
                ]
                files = [part for part in parts if part.is_file]
                call = read_call(scope["method"], scope["query_string"], headers, fields)
            await Serving(self, call, not user.may_write, body, files, answer).run()
        except EngineError as error:
            log.info("query %s failed: code %d, %s", answer.query_id, error.code, error.name)
            answer.close = not await incoming.drain(error)
            await answer.fail(error)
        except ClientGone:
            log.info("query %s given up: the client is gone", answer.query_id)

    def _authenticate(self, credentials: Credentials) -> User:
        """The user whose name and password these are; every user is compared, in constant time."""
        found: User | None = None
        for user in self._users:
            same_name = hmac.compare_digest(user.name.encode(), credentials.user.encode("utf-8", "surrogateescape"))
            same_password = hmac.compare_digest(
                user.password.encode(), credentials.password.encode("utf-8", "surrogateescape")
            )
            if same_name and same_password:
                found = user
        if found is None:
            raise EngineError(
                errors.AUTHENTICATION_FAILED,
                "AUTHENTICATION_FAILED",
                f"{credentials.user or 'default'}: Authentication failed: password is incorrect,"
                " or there is no user with such name.",
            )
        return found

    async def in_thread(self, function: Callable[[], T]) -> T:
        """`function` off the event loop; not given up halfway, since the engine cannot be."""
        call: Future[T] = self._threads.submit(function)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(asyncio.wrap_future(call))

    def turn(self, *, only_reads: bool) -> AbstractAsyncContextManager[None]:
        """A turn to run a statement, of those that are for who `only_reads`, or of the others."""
        return (self._reader_turns if only_reads else self._turns).turn()

    def kill(self, kill_id: str) -> bool:
        """Ends what runs under `kill_id`; whether something did."""
        return self._engine.kill(kill_id)

    @contextlib.asynccontextmanager
    async def connection(self, call: Call, kill_id: str, *, only_reads: bool) -> AsyncIterator[Connection]:
        """A connection with the call's database, settings and parameters; the reader's is a fresh, restricted one."""
        with contextlib.ExitStack() as stack:
            enter = self._enter_reader if only_reads else self._enter_owner
            self._running.add(kill_id)
            try:
                yield await self.in_thread(lambda: enter(stack, call, kill_id))
            finally:
                self._running.discard(kill_id)
                await self.in_thread(stack.close)

    def _enter_owner(self, stack: contextlib.ExitStack, call: Call, kill_id: str) -> Connection:
        settings = dict(call.settings)
        if "log_comment" in settings or call.session_id:
            settings["log_comment"] = f"{kill_id} {settings.get('log_comment', '')}".strip()
        if call.session_id is None:
            connection = stack.enter_context(self._engine.connection(kill_id))
        else:
            session = self._sessions.use(
                call.credentials.user,
                call.session_id,
                timeout_s=call.session_timeout_s,
                must_exist=call.session_must_exist,
            )
            connection = stack.enter_context(session)
            connection.counts = Counts()
        self._prepare(connection, call)
        if call.session_id is None:
            connection.apply(settings)
        else:
            stack.enter_context(borrowed(connection, settings))
        return connection

    def check(self, call: Call, statement: Statement, kill_id: str) -> None:
        """Raises EngineError unless the reader may run `statement`: it is explained on a restricted connection."""
        sql = statement.sql.decode("utf-8", "surrogateescape")
        with self._engine.connection(kill_id) as connection:
            self._prepare(connection, call)
            fences.require_read_only(connection, sql)
            fences.restrict(connection, _without_comment(call.settings), self._settings, to_explain=True)
            fences.admit(connection, statement, sql)

    def _enter_reader(self, stack: contextlib.ExitStack, call: Call, kill_id: str) -> Connection:
        connection = stack.enter_context(self._engine.connection(kill_id))
        self._prepare(connection, call)
        fences.restrict(connection, _without_comment(call.settings), self._settings)
        return connection

    @staticmethod
    def _prepare(connection: Connection, call: Call) -> None:
        if call.database and (call.database != DATABASE or call.session_id):
            connection.ask(f"USE {quoted_name(call.database)}")
        if call.parameters:
            connection.apply({f"param_{name}": value for name, value in call.parameters.items()})


def _decoder(call: Call) -> codecs.Decoder:
    """What reads the call's body. Raises EngineError for compression that is not built."""
    if call.compress:
        raise EngineError(
            errors.NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            "compress=1 is not built here; use enable_http_compression=1 with Accept-Encoding.",
        )
    return codecs.ClickHouseBlocks() if call.decompress else codecs.decoder(call.content_encoding)


def _without_comment(settings: Mapping[str, str]) -> dict[str, str]:
    """The reader's settings; the comment is ours, to find the statement again."""
    return {name: value for name, value in settings.items() if name != "log_comment"}
