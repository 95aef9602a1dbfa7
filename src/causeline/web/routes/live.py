"""What pages that are open follow: new runs of a list, a run that is amended or joined, items of the queue."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from causeline.console import lookups, run_lists
from causeline.console.words import count
from causeline.reviews.queue import Wanted, items
from causeline.runtime.text import SHORT_ID_DIGITS, short_id
from causeline.schemas.errors import MalformedId
from causeline.schemas.ids import is_run_id
from causeline.web.asked import AskedRuns
from causeline.web.routes.reviews import LISTED
from causeline.web.routes.runs import PAGE
from causeline.web.site import TheSite

router = APIRouter(prefix="/live", include_in_schema=False)


class FollowedRuns(AskedRuns):
    """A filter, and the ends of the ids that the page shows."""

    seen: str = Field(default="", max_length=PAGE * (SHORT_ID_DIGITS + 1))


@router.get("/runs")
async def runs(site: TheSite, asked: Annotated[FollowedRuns, Query()]) -> StreamingResponse:
    """How many of the newest runs of a filter a page does not show yet."""
    seen = frozenset(asked.seen.split("."))
    asked.filter(site.clock())  # words that are none are refused before anything is followed

    def look() -> frozenset[str]:
        wanted, _ = asked.filter(site.clock())
        return frozenset(run_lists.newest_ids(site.store(), wanted, most=PAGE))

    def tell(ids: frozenset[str]) -> str:
        new = sum(short_id(run_id) not in seen for run_id in ids)
        return "" if not new else f"{PAGE} new runs or more." if new == PAGE else f"{count(new, 'new run')}."

    key = ("runs", asked.model_copy(update={"seen": "", "after": ""}))
    return site.live.stream(key, look, tell)


@router.get("/runs/{run_id}")
async def run(site: TheSite, run_id: str, seen: Annotated[str, Query(max_length=80)] = "") -> StreamingResponse:
    """Whether a run's record stands as the page shows it (`seen`: its mark; empty where none was joined yet)."""
    if not is_run_id(run_id):
        raise MalformedId(f"{run_id[:40]!r} is no run id.")

    def look() -> tuple[str, str]:
        store = site.store()
        mark = lookups.mark_of(store, run_id)
        still_open = None if mark else lookups.open_run(store, run_id)
        return mark, f"{count(still_open.events, 'event')} so far." if still_open else ""

    def tell(found: tuple[str, str]) -> str:
        mark, so_far = found
        if mark == seen:
            return so_far
        if not seen:
            return "The run is joined now."
        if not mark:
            return "This run was erased."
        return f"This record was amended meanwhile: revision {mark.partition('.')[0]} is stored now."

    return site.live.stream(("run", run_id), look, tell)


@router.get("/reviews")
async def reviews(
    site: TheSite, state: str = "open", workflow: str = "", seen: Annotated[str, Query(max_length=2000)] = ""
) -> StreamingResponse:
    """How many items a page of the queue does not show yet, and how many of those it shows are gone from it."""
    known = frozenset(each for each in seen.split(".") if each)
    wanted = Wanted(state=None if state == "all" else state, workflow=workflow or None)

    def look() -> frozenset[str]:
        return frozenset(short_id(item.item_id) for item in items(site.store(), wanted, limit=LISTED))

    def tell(ends: frozenset[str]) -> str:
        new, gone = len(ends - known), len(known - ends)
        told = [f"{count(new, 'new item')}"] * bool(new) + [f"{count(gone, 'item')} decided or moved"] * bool(gone)
        return f"{', '.join(told)}." if told else ""

    return site.live.stream(("reviews", state, workflow), look, tell)
