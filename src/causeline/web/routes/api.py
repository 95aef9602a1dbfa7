"""The API: the same views as the pages, as JSON. Version 1; OpenAPI at /api/v1/openapi.json."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from causeline.console import lookups, run_lists
from causeline.console.views.trace_map import as_document
from causeline.console.views.why_view import as_json
from causeline.schemas.errors import NotFound
from causeline.web.asked import AskedRuns
from causeline.web.site import TheSite, TheStore
from causeline.web.views.evidence import evidence_view
from causeline.web.views.run_list import Cursor, run_list

router = APIRouter(prefix="/api/v1", tags=["runs"])
Limit = Annotated[int, Query(ge=1, le=200)]


class AskedPage(AskedRuns):
    """A filter, and how many runs a page has."""

    limit: int = Field(default=50, ge=1, le=200)


@router.get("/runs")
def runs(site: TheSite, store: TheStore, asked: Annotated[AskedPage, Query()]) -> dict[str, Any]:
    """Runs of a filter, newest first; `following` is the `after` of the next page."""
    cursor = Cursor.of(asked.after) if asked.after else None
    wanted, searched = asked.filter(site.clock())
    found = run_lists.find_runs(store, wanted, limit=asked.limit + 1, after=cursor)
    page = run_list(found, limit=asked.limit, searched=searched)
    return {"runs": [asdict(line) for line in page.lines], "following": page.following, "searched": page.searched}


@router.get("/runs/{run_id}")
def run(run_id: str, site: TheSite, store: TheStore) -> dict[str, Any]:
    """A run as `causeline show --json` has it."""
    read = site.reading.read(store, run_id)
    return as_document(read.run, read.live)


@router.get("/runs/{run_id}/why")
def why(run_id: str, site: TheSite, store: TheStore) -> dict[str, object]:
    """The diagnosis of a run."""
    return as_json(site.reading.read(store, run_id).diagnosis)


@router.get("/runs/{run_id}/steps", response_model=dict[str, object])
def steps(run_id: str, site: TheSite, store: TheStore) -> Response:
    """Every step of a run as columns of equal length, in the order of the waterfall."""
    read = site.reading.read(store, run_id)
    return Response(read.columns, media_type="application/json")


@router.get("/runs/{run_id}/steps/{step_id}")
def step(run_id: str, step_id: str, site: TheSite, store: TheStore) -> dict[str, Any]:
    """All that is said of one step."""
    read = site.reading.read(store, run_id)
    found = read.details(step_id)
    if found is None:
        raise NotFound(f"Run {read.run.run_id} has no step {step_id[:40]}.")
    return asdict(found)


@router.get("/runs/{run_id}/evidence")
def evidence(run_id: str, site: TheSite, store: TheStore, field: str = "") -> list[dict[str, Any]]:
    """What each checked field rests on."""
    read = site.reading.read(store, run_id)
    return [asdict(each) for each in evidence_view(read.run, read.live, only=field)]


@router.get("/runs/{run_id}/events")
def events(
    run_id: str, site: TheSite, store: TheStore, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
) -> list[dict[str, Any]]:
    """The events that a run was joined from."""
    read = site.reading.read(store, run_id)
    return [dict(each) for each in lookups.events_of(store, read.run.run_id, limit=limit)]
