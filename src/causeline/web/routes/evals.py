"""Eval cases: the run that failed, what a reviewer decided, the case made of it, and its result by release."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from causeline.console.questions import question
from causeline.console.read_only_sql import Bounds
from causeline.web.site import TheSite

router = APIRouter(prefix="/evals", include_in_schema=False)


@router.get("")
def chain(request: Request, site: TheSite, since: str = "30d", workflow: str = "") -> Response:
    """Every case of the last weeks."""
    asked = question("eval-chain")
    values = asked.values({"since": since, "workflow": workflow}, now_us=site.clock())
    answer = site.sql(asked.sql, values, Bounds(rows=500, seconds=15))
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    return site.pages(request, "evals.html", here="evals", cases=rows, since=since, workflow=workflow)
