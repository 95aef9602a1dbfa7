"""What went wrong lately, by cause, as it was stored when runs closed: runs, share, cost, trend, and an example."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from causeline.console import lookups
from causeline.console.stored_causes import weighed
from causeline.web.asked import SPANS, AskedRuns
from causeline.web.site import TheSite, TheStore
from causeline.web.views.plot import line

router = APIRouter(prefix="/causes", include_in_schema=False)
_SHOWN = 200


@router.get("")
def causes(
    request: Request,
    site: TheSite,
    store: TheStore,
    since: str = "7d",
    workflow: str = "",
    layer: str = "",
    step: str = "",
    kind: str = "",
    thing: str = "",
) -> Response:
    """The causes of a time span beside the span before it, the one that is meant marked."""
    now_us = site.clock()
    wanted, searched = AskedRuns(since=since, workflow=workflow).filter(now_us)
    found = weighed(store, since_us=wanted.since_us or 0, until_us=now_us + 1, workflows=wanted.workflows)
    return site.pages(
        request,
        "causes.html",
        here="causes",
        groups=[(each, line(each.trend, width=110, height=22)) for each in found.causes[:_SHOWN]],
        all_causes=len(found.causes),
        diagnosed=found.diagnosed,
        waiting=found.not_diagnosed,
        bad=found.went_wrong,
        since=since,
        spans=SPANS,
        searched=searched,
        workflow=workflow,
        meant=(layer, step, kind, thing),
        workflows=lookups.workflows(store),
    )
