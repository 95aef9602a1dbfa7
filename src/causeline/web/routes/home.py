"""The page that one lands on: what needs somebody now, what went wrong lately, and the way to one run."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from causeline.console import lookups, run_lists
from causeline.console.run_filter import RunFilter
from causeline.drift.alerts import alerts
from causeline.reviews.queue import Wanted, items
from causeline.web.site import TheSite
from causeline.web.views.run_list import run_list

router = APIRouter(include_in_schema=False)
_DAY_US = 86_400_000_000
_SHOWN = 8


@router.get("/")
def home(request: Request, site: TheSite) -> Response:
    """Alerts, reviews and the newest runs in trouble; a program gets the service's addresses."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"service": "causeline", "health": "/healthz", "schemas": "/subjects"})
    store = site.store()
    since_us = site.clock() - _DAY_US
    failed = run_lists.find_runs(store, RunFilter(statuses=("error",), since_us=since_us), limit=_SHOWN)
    gaps = run_lists.find_runs(store, RunFilter(has_gap=True, since_us=since_us), limit=_SHOWN)
    return site.pages(
        request,
        "home.html",
        here="home",
        alerts=alerts(store)[:_SHOWN],
        reviews=items(store, Wanted(), limit=_SHOWN),
        failed=run_list(failed, limit=_SHOWN, searched="").lines,
        gaps=run_list(gaps, limit=_SHOWN, searched="").lines,
        counts=lookups.counts_since(store, since_us),
    )
