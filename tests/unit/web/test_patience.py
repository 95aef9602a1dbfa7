"""Nobody waits for ever: an answer that does not begin in time is given up, one that has begun is not."""

import asyncio
import math
from collections.abc import Coroutine, Mapping
from threading import Event
from typing import Any

import anyio.to_thread
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, Unreachable
from causeline.web.patience import Patience, left_s
from causeline.web.stores import Absence, SharedStore
from causeline.web.turns import Turns

WAIT_S = 60


def request(
    app: ASGIApp, path: str = "/runs", method: str = "GET", patience_s: float = 0.02
) -> Coroutine[Any, Any, tuple[int, bytes]]:
    """What an app answers to a request: status and body."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def asked() -> tuple[int, bytes]:
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        await Patience(app, patience_s)(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)

    return asked()


def answered(path: str, app_waits_s: float, *, begins_first: bool = False) -> tuple[int, bytes]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begins_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(app_waits_s)
            await send({"type": "http.response.body", "body": b"whole"})
            return
        await asyncio.sleep(app_waits_s)
        await PlainTextResponse("whole")(scope, receive, send)

    return asyncio.run(request(app, path))


def test_an_answer_that_does_not_begin_in_time_is_given_up() -> None:
    status, body = answered("/runs", 60)

    assert status == 503
    assert b"did not answer in time" in body


def test_an_answer_that_has_begun_is_not_cut() -> None:
    assert answered("/runs", 0.1, begins_first=True) == (200, b"whole")


def test_news_may_come_late() -> None:
    assert answered("/live/runs", 0.1) == (200, b"whole")


def test_who_waits_for_a_thread_waits_no_longer() -> None:
    free = Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.to_thread.run_sync(free.wait, WAIT_S)

    async def scene() -> list[tuple[int, bytes]]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        found = list(await asyncio.gather(request(app), request(app), request(app)))
        free.set()
        return found

    assert [status for status, _ in asyncio.run(scene())] == [503, 503, 503]


class Held:
    """A client of ClickHouse that answers when it is let."""

    server_settings: Mapping[str, object] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = Event()

    def query(self, sql: str, **_: object) -> "Held":
        self.asked.append(sql)
        assert self.go.wait(WAIT_S)
        return self

    def named_results(self) -> list[dict[str, object]]:
        return []


def test_a_page_that_was_given_up_asks_nothing_more() -> None:
    held, told = Held(), list[CauselineError]()
    connection = ClickHouseConnection(url="http://u@127.0.0.1:1/d", password=SecretStr(""))
    store = SharedStore(held, connection, Turns(), Absence())  # type: ignore[arg-type]

    def page() -> None:
        try:
            for number in range(5):
                store.ask(f"SELECT {number}")
        except CauselineError as error:
            told.append(error)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(page)

    async def scene() -> tuple[int, bytes]:
        answer = await request(app)
        held.go.set()
        return answer

    status, body = asyncio.run(scene())  # which ends when the page's thread has
    assert status == 503
    assert b"did not answer in time" in body
    assert held.asked == ["SELECT 0"]
    assert [type(error) for error in told] == [Unreachable]


def test_what_changes_something_or_follows_has_all_the_time() -> None:
    left: list[float] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        left.append(left_s())
        await PlainTextResponse("whole")(scope, receive, send)

    asyncio.run(request(app, method="POST"))
    asyncio.run(request(app, "/live/runs"))
    assert left == [math.inf, math.inf]
    asyncio.run(request(app, patience_s=60))
    assert 0 < left[-1] <= 60
    assert left_s() == math.inf
