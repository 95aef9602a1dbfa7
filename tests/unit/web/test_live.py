"""Pages that follow: one look for all, a sentence for each, and the truth while the store is away."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from causeline.schemas.errors import Unreachable
from causeline.web.live import Live


class Looked:
    """What is looked at: counts its looks, and may be away."""

    def __init__(self) -> None:
        self.value: object = 1
        self.looks = 0

    def __call__(self) -> object:
        self.looks += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def follow(live: Live, looked: Looked, tell: Callable[[object], str] = str) -> AsyncIterator[str]:
    return live.stream("key", looked, tell).body_iterator  # type: ignore[return-value]


async def event_of(events: AsyncIterator[str]) -> str:
    return (await asyncio.wait_for(anext(events), 30)).strip()


async def close(*followed: AsyncIterator[str]) -> None:
    for each in followed:
        await each.aclose()  # type: ignore[attr-defined]


def test_followers_of_one_thing_share_its_looks_and_are_told_in_their_own_words() -> None:
    async def scene() -> None:
        live, looked = Live(every_s=0.001), Looked()
        one, two = follow(live, looked), follow(live, looked, lambda value: f"number {value}")
        assert await event_of(one) == "event: news\ndata: 1"
        assert await event_of(two) == "event: news\ndata: number 1"
        assert live.followers == 2
        looked.value = 2
        assert await event_of(one) == "event: news\ndata: 2"
        assert await event_of(two) == "event: news\ndata: number 2"
        await close(one, two)
        assert live.followers == 0
        before = looked.looks
        await asyncio.sleep(0.02)  # longer than many looks
        assert looked.looks <= before + 1, "nobody looks for nobody"

    asyncio.run(scene())


def test_a_store_that_is_away_is_said_and_so_is_its_return() -> None:
    async def scene() -> None:
        live, looked = Live(every_s=0.001), Looked()
        events = follow(live, looked)
        assert await event_of(events) == "event: news\ndata: 1"
        looked.value = Unreachable("ClickHouse does not\nanswer.")
        assert await event_of(events) == "event: away\ndata: ClickHouse does not answer."
        looked.value = 1
        assert await event_of(events) == "event: news\ndata: 1", "what is shown stands again"
        await close(events)

    asyncio.run(scene())


def test_more_pages_than_may_are_refused_with_a_sentence() -> None:
    async def scene() -> None:
        live = Live(every_s=0.001, most=1)
        events = follow(live, Looked())
        await event_of(events)
        with pytest.raises(Unreachable, match="1 pages"):
            follow(live, Looked())
        await close(events)
        follow(live, Looked())

    asyncio.run(scene())


def test_who_follows_is_let_go_when_the_service_stops() -> None:
    async def scene() -> None:
        live = Live(every_s=0.001)
        events = follow(live, Looked())
        assert await event_of(events) == "event: news\ndata: 1"
        live.end()
        assert [each async for each in events] == []
        assert live.followers == 0

    asyncio.run(scene())
