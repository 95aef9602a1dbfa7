"""Runs: the list, one run with its causes on the waterfall, its evidence, its events, and its ticket text."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from causeline.console import lookups, run_lists
from causeline.console.run_filter import Order
from causeline.console.store import Store
from causeline.console.views.run_page import run_page
from causeline.console.views.why_view import markdown
from causeline.schemas.errors import NotFound
from causeline.schemas.ids import is_run_id
from causeline.schemas.vocabulary import FinalState, GapKind, Verdict
from causeline.web.asked import SPANS, AskedRuns
from causeline.web.site import Site, TheSite, TheStore
from causeline.web.views.evidence import evidence_view
from causeline.web.views.run_list import Cursor, run_list

router = APIRouter(include_in_schema=False)
PAGE = 50
_EVENTS = 2000
_OPEN_EVENTS = 200
_SHOWN = ("occurred_at", "event_type", "step_kind", "step_name", "status")


@router.get("/runs")
def runs(request: Request, site: TheSite, store: TheStore, asked: Annotated[AskedRuns, Query()]) -> HTMLResponse:
    """The runs of a filter, newest first."""
    cursor = Cursor.of(asked.after) if asked.after else None
    wanted, searched = asked.filter(site.clock())
    found = run_lists.find_runs(store, wanted, limit=PAGE + 1, after=cursor)
    page = run_list(found, limit=PAGE, searched=searched)
    kept = asked.as_query()
    return site.pages(
        request,
        "runs.html",
        here="runs",
        page=page,
        asked=asked,
        spans=SPANS,
        states=[each.value for each in FinalState],
        verdicts=[each.value for each in Verdict],
        gaps=[each.value for each in GapKind],
        workflows=lookups.workflows(store),
        is_first=cursor is None,
        advice=asked.advice(),
        listed_by=urlencode(kept),
        first_page=urlencode(kept),
        followed=urlencode({**kept, "seen": ".".join(each.short_id for each in page.lines)}),
        next_page=urlencode({**kept, "after": page.following or ""}),
    )


@router.get("/r")
def find(id: str, store: TheStore, request: Request) -> Response:  # noqa: A002 - the name in the address
    """From part of an id to its run, or to the runs that it may mean."""
    base = request.scope.get("root_path", "")
    text = id.strip()
    found = lookups.runs_by_part(store, text, limit=2)
    if len(found) == 1:
        return RedirectResponse(f"{base}/runs/{found[0]}", 303)
    return RedirectResponse(f"{base}/runs?{urlencode({'id': text, 'since': 'all'})}", 303)


@router.get("/r/{part}")
def find_by_path(part: str, store: TheStore, request: Request) -> Response:
    """As `find`, for links written by hand."""
    return find(part, store, request)


@router.get("/runs/{run_id}")
def run(
    run_id: str,
    request: Request,
    site: TheSite,
    store: TheStore,
    step: str = "",
    all: bool = False,  # noqa: A002
) -> HTMLResponse:
    """What went wrong in a run, its steps with the causes on them, and the details of one; of an open run, so far."""
    try:
        read = site.reading.read(store, run_id)
    except NotFound as error:
        return _still_open(request, site, store, run_id, error)
    shown = step or next((each.step_id for each in read.page.causes[:1]), None)
    return site.pages(
        request,
        "run.html",
        here="runs",
        tab="why",
        page=run_page(read.run, read.live, read.diagnosis, full=True) if all else read.page,
        details=read.details(shown) if shown else None,
        run_id=read.run.run_id,
        here_url=_linking(request, {"all": "1"} if all else {}),
        listed_by=_listed_by(request),
    )


def _still_open(request: Request, site: Site, store: Store, run_id: str, error: NotFound) -> HTMLResponse:
    """What has come of a run that was not joined yet; raises `error` where there is no such run either."""
    found = lookups.open_run(store, run_id) if is_run_id(run_id) else None
    if found is None:
        raise error
    events = lookups.events_of(store, found.run_id, limit=_OPEN_EVENTS)
    shown = [{**dict.fromkeys(_SHOWN), **each} for each in events]
    return site.pages(
        request,
        "open_run.html",
        here="runs",
        open=found,
        events=shown,
        message=error.message,
        hint=error.hint or "",
    )


@router.get("/runs/{run_id}/details")
def details(run_id: str, step: str, request: Request, site: TheSite, store: TheStore) -> HTMLResponse:
    """The panel of one step, to be put into the page."""
    read = site.reading.read(store, run_id)
    return site.pages(
        request,
        "step_details.html",
        here="runs",
        details=read.details(step),
        run_id=read.run.run_id,
    )


@router.get("/runs/{run_id}/neighbour")
def neighbour(
    run_id: str, request: Request, site: TheSite, store: TheStore, asked: Annotated[AskedRuns, Query()], to: str = ""
) -> Response:
    """To the next (older) or the previous (newer) run of the list that this one was opened from; else back to it."""
    run = site.reading.read(store, run_id).run
    kept, base = urlencode(asked.as_query()), request.scope.get("root_path", "")
    wanted, _ = asked.filter(site.clock())
    order = Order.OLDEST if to == "newer" else Order.NEWEST
    place = Cursor(run.started_at, run.run_id) if run.started_at else None
    found = run_lists.find_runs(store, wanted, order=order, limit=1, after=place) if place else []
    where = f"runs/{found[0].run_id}" if found else "runs"
    return RedirectResponse(f"{base}/{where}{'?' if kept else ''}{kept}", 303)


@router.get("/runs/{run_id}/evidence")
def evidence(run_id: str, request: Request, site: TheSite, store: TheStore, field: str = "") -> HTMLResponse:
    """What each field rests on: score, threshold, what the policy wanted and what was done; both sides of conflicts."""
    read = site.reading.read(store, run_id)
    return site.pages(
        request,
        "evidence.html",
        here="runs",
        tab="evidence",
        page=read.page,
        fields=evidence_view(read.run, read.live, only=field),
        field=field,
        run_id=read.run.run_id,
        listed_by=_listed_by(request),
    )


@router.get("/runs/{run_id}/events")
def events(run_id: str, request: Request, site: TheSite, store: TheStore) -> HTMLResponse:
    """The events that the run was joined from."""
    read = site.reading.read(store, run_id)
    found = lookups.events_of(store, read.run.run_id, limit=_EVENTS)
    return site.pages(
        request,
        "events.html",
        here="runs",
        tab="events",
        page=read.page,
        events=found,
        most=_EVENTS,
        run_id=read.run.run_id,
        listed_by=_listed_by(request),
    )


@router.get("/runs/{run_id}/ticket")
def ticket(run_id: str, site: TheSite, store: TheStore) -> PlainTextResponse:
    """The diagnosis as Markdown, to be pasted into a ticket."""
    return PlainTextResponse(markdown(site.reading.read(store, run_id).diagnosis))


def _linking(request: Request, kept: Mapping[str, str]) -> object:
    listed = dict(request.query_params)

    def link(**more: object) -> str:
        query = {**{name: value for name, value in listed.items() if name not in {"step", "all"}}, **kept, **more}
        return f"?{urlencode(query)}"

    return link


def _listed_by(request: Request) -> str:
    own = {"step", "all", "field"}
    return urlencode({name: value for name, value in request.query_params.items() if name not in own})
