"""Nobody waits for ever: an answer that does not begin in time is given up, one that has begun is not."""

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from causeline.web.patience import Patience


def answered(path: str, app_waits_s: float, *, begins_first: bool = False) -> tuple[int, bytes]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begins_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(app_waits_s)
            await send({"type": "http.response.body", "body": b"whole"})
            return
        await asyncio.sleep(app_waits_s)
        await PlainTextResponse("whole")(scope, receive, send)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    asyncio.run(Patience(app, patience_s=0.02)(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_an_answer_that_does_not_begin_in_time_is_given_up() -> None:
    status, body = answered("/runs", 60)

    assert status == 503
    assert b"did not answer in time" in body


def test_an_answer_that_has_begun_is_not_cut() -> None:
    assert answered("/runs", 0.1, begins_first=True) == (200, b"whole")


def test_news_may_come_late() -> None:
    assert answered("/live/runs", 0.1) == (200, b"whole")
