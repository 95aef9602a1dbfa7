"""Sessions: the runs of one conversation together, what they cost and how they came out."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from causeline.console.sessions import find_sessions
from causeline.web.asked import SPANS, AskedRuns
from causeline.web.site import TheSite, TheStore

router = APIRouter(prefix="/sessions", include_in_schema=False)
_LISTED = 100


@router.get("")
def sessions(request: Request, site: TheSite, store: TheStore, since: str = "24h", workflow: str = "") -> Response:
    """The newest sessions of a time span."""
    wanted, searched = AskedRuns(since=since, workflow=workflow).filter(site.clock())
    return site.pages(
        request,
        "sessions.html",
        here="sessions",
        sessions=find_sessions(store, wanted, limit=_LISTED),
        most=_LISTED,
        since=since,
        spans=SPANS,
        searched=searched,
        workflow=workflow,
    )
