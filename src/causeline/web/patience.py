"""No request waits for ever: what is not answered in time gets 503, and leaves the queue of those that wait.

A page is one piece of work: it waits for a thread, for turns, and for answers. Before each question `left_s` tells how
long it still has, and nothing is asked any more for one that was given up.
"""

import asyncio
import math
import time
from contextvars import ContextVar

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causeline.schemas.errors import Unreachable

PATIENCE_S = 60.0
"""A run of 100,000 steps takes some seconds of CPU the first time, and more on a machine that has others to serve."""
RETRY_S = "5"
"""When somebody who was refused should ask again, as the header `Retry-After` has it."""
_LIVE = "/live/"
_GIVEN_UP = "The store did not answer in time, so this page is given up."
_AGAIN = "Load it again in a moment."
_ends_s: ContextVar[float] = ContextVar("ends_s", default=math.inf)
"""When what is being answered is given up, by `time.monotonic`; threads that work for it have it from whoever asks."""


def left_s() -> float:
    """How many seconds are left of the request that this is done for; raises Unreachable where there are none.

    Infinite outside of requests, and for those that change something or follow: these are not given up.
    """
    left = _ends_s.get() - time.monotonic()
    if left <= 0:
        raise Unreachable(_GIVEN_UP, hint=_AGAIN)
    return left


class Patience:
    """A middleware: the start of an answer within `patience_s`; streams of news go on for as long as they like."""

    def __init__(self, app: ASGIApp, patience_s: float = PATIENCE_S) -> None:
        self._app = app
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or give up."""
        if scope["type"] != "http" or _LIVE in scope["path"] or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        before = _ends_s.set(time.monotonic() + self._patience_s)
        try:
            async with asyncio.timeout(self._patience_s) as timeout:

                async def unhurried(message: Message) -> None:
                    timeout.reschedule(None)
                    await sending(message)

                await self._app(scope, receive, unhurried)
        except TimeoutError:
            if has_begun:
                raise
            await PlainTextResponse(f"{_GIVEN_UP} {_AGAIN}\n", 503, {"retry-after": RETRY_S})(scope, receive, send)
        finally:
            _ends_s.reset(before)
