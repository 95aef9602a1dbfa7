"""Requests to the console's app without a network, what they cost this process, and how often they ask the store."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from causeline.console.answers import Record
from causeline.console.store import ClickHouseStore
from causeline.web.reading import BESIDE
from causeline.web.stores import Stores


class CountingStore(ClickHouseStore):
    """A store that counts in `counted` the questions that a page waits for, and none that are asked beside it."""

    counted: list[str]

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Record]:
        """As the store answers it."""
        if not threading.current_thread().name.startswith(BESIDE):
            self.counted.append(sql)
        return super().ask(sql, parameters, is_small=is_small)


class CountingStores(Stores):
    """Stores whose questions are counted."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.counted: list[str] = []

    def store(self) -> ClickHouseStore:
        """What answers, and counts."""
        made = CountingStore(self._opened(), self._connection)
        made.counted = self.counted
        return made


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with what it cost: CPU of this process and wall, milliseconds."""

    status: int
    body: bytes
    cpu_ms: float
    wall_ms: float


class Client:
    """Asks an app, one request after the other."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def get(self, path: str) -> Answer:
        """The answer to a reader's GET; raises ValueError for anything but 200."""
        cpu, wall = time.process_time(), time.perf_counter()
        status, body = self._loop.run_until_complete(self._ask(path))
        spent = ((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)
        if status != 200:
            raise ValueError(f"{path} is answered with {status}: {body[:200]!r}")
        return Answer(status, body, *spent)

    async def _ask(self, path: str) -> tuple[int, bytes]:
        where, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": where, "raw_path": where.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), (b"accept", b"text/html")], "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }  # fmt: skip
        status, body = 0, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            body.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        return status, bytes(body)
