"""No request waits for ever: what is not answered in time gets 503, and leaves the queue of those that wait."""

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATIENCE_S = 60.0
"""A run of 100,000 steps takes some seconds of CPU the first time, and more on a machine that has others to serve."""
RETRY_S = "5"
"""When somebody who was refused should ask again, as the header `Retry-After` has it."""
_LIVE = "/live/"
_SENTENCE = "The store did not answer in time, so this page is given up. Load it again in a moment.\n"


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

        try:
            async with asyncio.timeout(self._patience_s) as timeout:

                async def unhurried(message: Message) -> None:
                    timeout.reschedule(None)
                    await sending(message)

                await self._app(scope, receive, unhurried)
        except TimeoutError:
            if has_begun:
                raise
            await PlainTextResponse(_SENTENCE, 503, {"retry-after": RETRY_S})(scope, receive, send)
