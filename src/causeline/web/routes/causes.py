"""What went wrong lately, by cause, as it was stored when runs closed: runs, share, cost, trend, and an example."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from causeline.console import lookups
from causeline.console.stored_causes import place_of, weighed
from causeline.schemas.ids import is_run_id
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
    run: str = "",
) -> Response:
    """The causes of a time span beside the span before it; the one that `run` was counted under is marked."""
    now_us = site.clock()
    wanted, searched = AskedRuns(since=since, workflow=workflow).filter(now_us)
    found = weighed(store, since_us=wanted.since_us or 0, until_us=now_us + 1, workflows=wanted.workflows)
    meant = place_of(store, run) if is_run_id(run) else None
    shown = found.causes[:_SHOWN]
    if meant is not None:  # however seldom it is, who came for it finds it
        shown += tuple(each for each in found.causes[_SHOWN:] if each.place == meant)
    return site.pages(
        request,
        "causes.html",
        here="causes",
        groups=[(each, line(each.trend, width=110, height=22)) for each in shown],
        all_causes=len(found.causes),
        diagnosed=found.diagnosed,
        waiting=found.not_diagnosed,
        bad=found.went_wrong,
        since=since,
        spans=SPANS,
        searched=searched,
        workflow=workflow,
        run=run,
        meant=meant,
        is_found=any(each.place == meant for each in shown),
        workflows=lookups.workflows(store),
    )
