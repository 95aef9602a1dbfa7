"""The pipeline: how far groups lag, what was emitted against what is visible, and dead letters with their replay."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from causeline.ops.lag import Lag
from causeline.schemas.errors import CauselineError
from causeline.sinks.dead.messages import Wanted
from causeline.web.routes.entry import require_our_form
from causeline.web.site import Operator, Site, TheSite, TheStore

router = APIRouter(prefix="/pipeline", include_in_schema=False)
_LEDGER = """
SELECT hour, sum(runs) AS runs, sum(unended_runs) AS unended, sum(emitted) AS emitted, sum(visible) AS visible,
       sum(lost) AS lost
FROM emission_ledger WHERE hour >= now() - INTERVAL 24 HOUR GROUP BY hour ORDER BY hour DESC
"""
_OPEN = ("open", "returned")
_LISTED = 50
_REPLAYED = 1000


@router.get("")
def pipeline(request: Request, site: TheSite, store: TheStore) -> Response:
    """All of it on one page; what cannot be asked now says so in its own place."""
    lags, away = _lags(site)
    return site.pages(
        request,
        "pipeline.html",
        here="pipeline",
        lags=lags,
        away=away,
        ledger=store.ask(_LEDGER),
        dead=site.dead().find(Wanted(states=_OPEN), limit=_LISTED),
        most=_LISTED,
        replayed=request.query_params.get("replayed", ""),
    )


def _lags(site: Site) -> tuple[list[Lag], str]:
    try:
        return site.lags(), ""
    except CauselineError as error:
        return [], error.message


@router.post("/replay")
def replay(
    request: Request,
    site: TheSite,
    person: Operator,
    csrf: Annotated[str, Form(max_length=200)],
    reason: Annotated[str, Form(max_length=60)],
    sure: Annotated[bool, Form()] = False,
) -> Response:
    """Send the dead messages of a reason again; first only said, then, from that page, done."""
    require_our_form(request, csrf)
    chosen = site.dead().find(Wanted(states=_OPEN, reason=reason), limit=_REPLAYED, oldest_first=True)
    if not sure:
        return site.pages(request, "replay.html", here="pipeline", reason=reason, chosen=chosen, shown=chosen[:_LISTED])
    sent = site.replay(chosen)
    base = request.scope.get("root_path", "")
    return RedirectResponse(f"{base}/pipeline?replayed={sent}+of+{len(chosen)}", 303)
