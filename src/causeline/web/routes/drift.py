"""Drift: what moved, one alert with its course, its anchors and runs of both sides; acknowledged and muted here."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from causeline.console import lookups
from causeline.drift.alerts import alert_by_id, alerts, course, examples
from causeline.drift.lifecycle import Mark
from causeline.drift.marks import put_mark
from causeline.drift.overview import watched
from causeline.schemas.errors import UsageError
from causeline.web.routes.entry import require_our_form
from causeline.web.site import Operator, TheSite, TheStore
from causeline.web.views.plot import line
from causeline.web.views.run_list import run_line

router = APIRouter(prefix="/drift", include_in_schema=False)
_SIDE = 10


@router.get("")
def overview(request: Request, site: TheSite, store: TheStore, workflow: str = "", ended: bool = False) -> Response:
    """The alerts, and how well each workflow is watched."""
    return site.pages(
        request,
        "drift.html",
        here="drift",
        alerts=alerts(store, workflow=workflow, ended=ended),
        watched=watched(store, workflow),
        workflow=workflow,
        ended=ended,
    )


@router.get("/{alert_id}")
def one(request: Request, site: TheSite, store: TheStore, alert_id: str) -> Response:
    """An alert with ten runs of each side."""
    alert = alert_by_id(store, alert_id)
    before, after = examples(store, alert, most=_SIDE)
    runs = lookups.runs_by_id(store, [*before, *after])
    return site.pages(
        request,
        "alert.html",
        here="drift",
        alert=alert,
        points=line(course(store, alert)),
        before=[run_line(runs[each]) for each in before if each in runs],
        after=[run_line(runs[each]) for each in after if each in runs],
    )


@router.post("/{alert_id}/mark")
def mark(
    request: Request,
    site: TheSite,
    person: Operator,
    alert_id: str,
    csrf: Annotated[str, Form(max_length=200)],
    mark: Annotated[Mark, Form()],
    reason: Annotated[str, Form(max_length=500)],
) -> Response:
    """Acknowledge or mute an alert."""
    require_our_form(request, csrf)
    if not reason.strip():
        raise UsageError("The reason says nothing.", hint="Say why, e.g. new scanner, reviewed.")
    store = site.marks()
    put_mark(store, alert_by_id(store, alert_id), mark, reason.strip())
    return RedirectResponse(f"{request.scope.get('root_path', '')}/drift/{alert_id}", 303)
