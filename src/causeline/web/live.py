"""What has changed meanwhile, told to pages that are open: one look at the store for all who follow the same thing.

Takes what looks and what makes a sentence of it; gives server-sent events. A page that follows is never moved by it: it
says what there is, and who reads decides. `news` carries a sentence, or nothing where the page is up to date; `away`
says why nobody can know.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi.responses import StreamingResponse

from causeline.schemas.errors import CauselineError, Unreachable

MOST = 200
"""Pages that may follow at the same time."""
_LOOKS = 4
"""Threads that look: a store that is slow must not keep pages from theirs."""
_BEAT_S = 15.0
"""A comment after so long without news, so that proxies and browsers keep the connection."""


@dataclass(frozen=True, slots=True)
class Away:
    """Nothing can be known just now, in a sentence."""

    sentence: str


@dataclass(eq=False)
class _Watched:
    """One thing that is looked at, for as long as somebody follows it."""

    value: object = None
    followers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


class Live:
    """Looks every `every_s` at what is followed; used from one event loop."""

    def __init__(self, *, every_s: float = 1.0, most: int = MOST) -> None:
        self._every_s = every_s
        self._most = most
        self._watched: dict[Hashable, _Watched] = {}
        self._followers = 0
        self._limiter: CapacityLimiter | None = None
        self._has_ended = False

    @property
    def followers(self) -> int:
        """How many pages follow something."""
        return self._followers

    def end(self) -> None:
        """Let all go who follow, since the service stops."""
        self._has_ended = True
        for watched in self._watched.values():
            watched.changed.set()

    def stream(self, key: Hashable, look: Callable[[], object], tell: Callable[[Any], str]) -> StreamingResponse:
        """Events about what `look` gives (in a thread), as `tell` says it; raises Unreachable when too many follow."""
        if self._followers >= self._most:
            raise Unreachable(f"{self._most} pages are kept up to date already.", hint="Reload this one when you like.")
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        events = self._events(key, look, tell)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(
        self, key: Hashable, look: Callable[[], object], tell: Callable[[Any], str]
    ) -> AsyncIterator[str]:
        watched = self._watched.setdefault(key, _Watched())
        watched.followers += 1
        self._followers += 1
        try:
            if watched.task is None:
                watched.task = asyncio.create_task(self._look(watched, look))
            said = None
            while not self._has_ended:
                changed = watched.changed
                if watched.value is not None:
                    name, text = _said(watched.value, tell)
                    if (name, text) != said:
                        said = (name, text)
                        yield f"event: {name}\ndata: {' '.join(text.split())}\n\n"
                try:
                    await asyncio.wait_for(changed.wait(), _BEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._followers -= 1
            watched.followers -= 1
            if not watched.followers:
                self._watched.pop(key, None)
                if watched.task is not None:
                    watched.task.cancel()

    async def _look(self, watched: _Watched, look: Callable[[], object]) -> None:
        self._limiter = self._limiter or CapacityLimiter(_LOOKS)
        while True:
            found: object
            try:
                found = await anyio.to_thread.run_sync(look, limiter=self._limiter)
            except CauselineError as error:
                found = Away(error.message)
            if found != watched.value:
                watched.value, before = found, watched.changed
                watched.changed = asyncio.Event()
                before.set()
            await asyncio.sleep(self._every_s)


def _said(value: object, tell: Callable[[Any], str]) -> tuple[str, str]:
    return ("away", value.sentence) if isinstance(value, Away) else ("news", tell(value))
