"""Two runs side by side: what differs in versions, path, evidence, outcome and cost."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from causeline.console import lookups
from causeline.console.compare.runs import Part, compare_runs
from causeline.schemas.errors import NotFound
from causeline.web.site import TheSite, TheStore

router = APIRouter(prefix="/compare", include_in_schema=False)


@router.get("")
def compare(request: Request, site: TheSite, store: TheStore, a: str = "", b: str = "") -> Response:
    """The differences of two runs; with one, the form for the other, and its workflow's last good run to choose."""
    left = lookups.run_by_id(store, a) if a else None
    right = lookups.run_by_id(store, b) if b else None
    found = compare_runs(left, right) if left and right else []
    good = lookups.last_good_run(store, left.workflow, left.run_id) if left and not right else None
    return site.pages(
        request,
        "compare.html",
        here="runs",
        a=a,
        b=b,
        left=left,
        right=right,
        parts=[(part.value, [each for each in found if each.part is part]) for part in Part],
        good=good,
    )


@router.get("/{left}/{right}")
def by_path(request: Request, site: TheSite, store: TheStore, left: str, right: str) -> Response:
    """As `compare`, by the address of two runs."""
    if not left or not right:
        raise NotFound("Two runs are compared.")
    return compare(request, site, store, left, right)
